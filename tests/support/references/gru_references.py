# SPDX-License-Identifier: Apache-2.0
"""GRUs, one step: the reset gate before the product with U, or after it.

z are MACs. The state s is a register of each unit; h is s as a pulse code.
"""

from .exact_numbers import Columns, Numbers


def gru(n: Numbers, array: Columns, lines, x, h, s) -> dict:
    """n = tanh(W·x + b + U·(r·s)); s' = (1 - z)·n + z·s."""
    z_r, z_z = (array.macs(bank, x=x, h=h, bias=n.bias) for bank in "rz")
    codes_r, codes_z = n.codes("r", z_r), n.codes("z", z_z)
    inner = [n.row(n.value("r", code) * n.registered(state)) for code, state in zip(codes_r, s, strict=True)]
    first, second = array.macs("n", x=x, bias=n.bias), array.macs("n", k=inner)
    codes_n = n.codes("n", [a + b for a, b in zip(first, second, strict=True)])
    new = [_blend(n, codes_z[u], codes_n[u], s[u]) for u in range(n.units)]
    return {
        "macs": z_r + z_z,
        "codes": codes_r + codes_z,
        "state_pulses": inner,
        "state_codes": codes_n,
        "c": new,
        "h": [n.row(n.registered(value)) for value in new],
    }


def gru_reset_after(n: Numbers, array: Columns, lines, x, h, s) -> dict:
    """n = tanh(W·x + b + r·(U·h + b')); s' = (1 - z)·n + z·s. m is U·h + b' as a code, and q is r·m as a pulse code."""
    z_r, z_z = (array.macs(bank, x=x, h=h, bias=n.bias) for bank in "rz")
    z_m = array.macs("m", h=h, bias=n.bias)
    codes_r, codes_z, codes_m = n.codes("r", z_r), n.codes("z", z_z), n.codes("m", z_m)
    unit = n.unit("r") * n.unit("m")
    pulses = [n.line(n.value("r", r) * n.value("m", m), unit, "n") for r, m in zip(codes_r, codes_m, strict=True)]
    held = array.macs("n", x=x, bias=n.bias)
    codes_n = n.codes("n", [mac + n.cell * pulse for mac, pulse in zip(held, pulses, strict=True)])
    new = [_blend(n, codes_z[u], codes_n[u], s[u]) for u in range(n.units)]
    return {
        "macs": z_r + z_z + z_m,
        "codes": codes_r + codes_z + codes_m,
        "state_pulses": pulses,
        "state_codes": codes_n,
        "c": new,
        "h": [n.row(n.registered(value)) for value in new],
    }


def _blend(n: Numbers, code_z: int, code_n: int, stored: int) -> int:
    """s' = (1 - z)·n + z·s, rounded once."""
    z, candidate = n.value("z", code_z), n.value("n", code_n)
    return n.register((1 - z) * candidate + z * n.registered(stored))
