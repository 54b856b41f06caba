# SPDX-License-Identifier: Apache-2.0
"""LSTMs, one step: plain, with peepholes, and with coupled gates.

z are MACs; capital letters are codes, small ones what they stand for; q is c as a pulse code.
"""

from .exact_numbers import Columns, Numbers


def lstm(n: Numbers, array: Columns, lines, x, h, c) -> dict:
    """c' = f·c + i·g; h' = o·tanh(c')."""
    z = {bank: array.macs(bank, x=x, h=h, bias=n.bias) for bank in "ifgo"}
    codes = {bank: n.codes(bank, z[bank]) for bank in "ifgo"}
    step = {
        "macs": [mac for bank in "ifgo" for mac in z[bank]],
        "codes": [code for bank in "ifgo" for code in codes[bank]],
    }
    step |= {"c": [], "state_pulses": [], "state_codes": [], "h": []}
    for u in range(n.units):
        i, f, g, o = (n.value(bank, codes[bank][u]) for bank in "ifgo")
        new = n.register(f * n.registered(c[u]) + i * g)
        q = n.state_line(new, "g")
        (t,) = n.codes("g", [n.cell * q])
        step["c"].append(new)
        step["state_pulses"].append(q)
        step["state_codes"].append(t)
        step["h"].append(n.row(o * n.value("g", t)))
    return step


def lstm_peephole(n: Numbers, array: Columns, lines, x, h, c) -> dict:
    """The same; i and f also see the c before, and o the new one, by weights of each unit."""
    to_i, to_f, to_o = lines
    before = [n.state_line(value, "g") for value in c]
    z_i, z_f, z_g, z_o = (array.macs(bank, x=x, h=h, bias=n.bias) for bank in "ifgo")
    z_i = [z + w * q for z, w, q in zip(z_i, to_i, before, strict=True)]
    z_f = [z + w * q for z, w, q in zip(z_f, to_f, before, strict=True)]
    codes_i, codes_f, codes_g = n.codes("i", z_i), n.codes("f", z_f), n.codes("g", z_g)
    new, pulses, tanhs, codes_o, out = [], [], [], [], []
    for u in range(n.units):
        i, f, g = n.value("i", codes_i[u]), n.value("f", codes_f[u]), n.value("g", codes_g[u])
        new.append(n.register(f * n.registered(c[u]) + i * g))
        pulses.append(n.state_line(new[u], "g"))
        tanhs += n.codes("g", [n.cell * pulses[u]])
        codes_o += n.codes("o", [z_o[u] + to_o[u] * pulses[u]])
        out.append(n.row(n.value("o", codes_o[u]) * n.value("g", tanhs[u])))
    return {
        "macs": z_i + z_f + z_g,
        "codes": codes_i + codes_f + codes_g,
        "c": new,
        "state_pulses": pulses,
        "state_codes": tanhs + codes_o,
        "h": out,
    }


def lstm_coupled(n: Numbers, array: Columns, lines, x, h, c) -> dict:
    """c' = (1 - i)·c + i·g; h' = o·tanh(c')."""
    z_i, z_g, z_o = (array.macs(bank, x=x, h=h, bias=n.bias) for bank in "igo")
    codes_i, codes_g, codes_o = n.codes("i", z_i), n.codes("g", z_g), n.codes("o", z_o)
    new, pulses, tanhs, out = [], [], [], []
    for u in range(n.units):
        i, g = n.value("i", codes_i[u]), n.value("g", codes_g[u])
        new.append(n.register((1 - i) * n.registered(c[u]) + i * g))
        pulses.append(n.state_line(new[u], "g"))
        tanhs += n.codes("g", [n.cell * pulses[u]])
        out.append(n.row(n.value("o", codes_o[u]) * n.value("g", tanhs[u])))
    return {
        "macs": z_i + z_g + z_o,
        "codes": codes_i + codes_g + codes_o,
        "c": new,
        "state_pulses": pulses,
        "state_codes": tanhs,
        "h": out,
    }
