# SPDX-License-Identifier: Apache-2.0
"""The subcircuits of a deck: integrators, cells of a ramp, comparators. Equations: docs/spice.md."""

#: Conductance of a closed switch, S: a capacitor of 10 pF is empty after some picoseconds.
SWITCH = 1.0

#: Conductance of the clamp beyond the rail, S: 100 µA pass it by 1 µV.
CLAMP = 100.0

CURRENT = f"""\
* Integrator of a column or a ramp: V(out) = -(charge from pos - charge from neg) / c.
*   on = 1     pos ends on the amplifier's summing node, which stands at -V(out)/gain; the current of neg, which ends
*              at 0 V, is copied and subtracted. on = 0: the lines are cut off (Rpark: a
*              node that nothing holds has no solution).
*   clear = 1  empties the capacitor
*   early      the copy's output resistance takes |I|/early for each volt of the output
*   rail       a clamp takes what would bring the output beyond it
.subckt integrator pos neg out on clear params: c=1p gain=1e9 leak=1e18 early=1e18 rail=1e6
Vpos pos line 0
Vneg neg 0 0
Rpark line 0 1e12
Bline line sum I = 1e6*V(on)*V(line,sum)
Bcopy sum 0 I = V(on)*(I(Vneg) - abs(I(Vpos) - I(Vneg))*V(out)/{{early}})
Eamp out 0 0 sum {{gain}}
Cf sum out {{c}}
Rleak sum out {{leak}}
Bclear sum out I = {SWITCH!r}*V(clear)*V(sum,out)
Bclamp sum out I = {CLAMP!r}*(max(V(sum,out) - {{rail}}, 0) + min(V(sum,out) + {{rail}}, 0))
.ends integrator

* Cells of a ramp that one tap selects (1T1R): conducting while select = 1 only.
.subckt tap drive pos neg select params: gp=1u gn=0
Bp drive pos I = {{gp}}*V(select)*V(drive,pos)
Bn drive neg I = {{gn}}*V(select)*V(drive,neg)
.ends tap
"""

CHARGE = f"""\
* Charge amplifier of a column or a ramp, fully differential, a feedback capacitor c on each side:
* V(out) = -(charge into pos - charge into neg) / c.
*   clear = 1  empties both
*   rail       a clamp takes what would bring the output beyond it
.subckt integrator pos neg out clear params: c=1p gain=1e9 leak=1e18 rail=1e6
Ep op 0 neg pos {{gain/2}}
En on 0 pos neg {{gain/2}}
Eout out 0 op on 1
Cp pos op {{c}}
Cn neg on {{c}}
Rp pos op {{leak}}
Rn neg on {{leak}}
Bp pos op I = {SWITCH!r}*V(clear)*V(pos,op)
Bn neg on I = {SWITCH!r}*V(clear)*V(neg,on)
Bclamp pos op I = {CLAMP!r}*(max(-V(out) - {{rail}}, 0) + min(-V(out) + {{rail}}, 0))
Bclamn neg on I = -{CLAMP!r}*(max(-V(out) - {{rail}}, 0) + min(-V(out) + {{rail}}, 0))
.ends integrator
"""

COMPARATOR = """\
* High while the column's value plus offset exceeds the ramp's; both stand inverted on the integrators' outputs.
.subckt comparator column ramp out params: offset=0
Bout out 0 V = u(V(ramp) - V(column) + {offset})
.ends comparator
"""
