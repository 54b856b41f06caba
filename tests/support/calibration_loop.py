# SPDX-License-Identifier: Apache-2.0
"""The closed loop: a generated network with its calibrator, and chips of several technologies behind it."""

import numpy as np
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Gate, Specification
from crossramp.sim.tools.sources import source

#: Three ramps, one of them with its nearest threshold off 0; lanes that do not divide the units.
SPEC = Specification(
    inputs=5,
    units=6,
    classes=2,
    lanes=4,
    bias_rows=2,
    adc_bits=4,
    input_bits=4,
    weight_bits=4,
    state_pulse_bits=4,
    gates=(Gate("sigmoid", 2.0), Gate("clipped_relu", 1.0), Gate("tanh", 2.0), Gate("sigmoid", 2.0)),
)
TOP = "loop"

#: Technology, constants that are changed, and by how many smallest cells each ramp starts too low.
CHIPS = {
    "rram": ("rram", {}, (5, -4, 3)),
    "charge": ("charge", {}, (-3, 6, 9)),
    "stuck": ("rram", {"cell.stuck_on": 0.1, "cell.stuck_off": 0.1}, (0, 0, 0)),
    "out of reach": ("pcm", {}, (40, 0, -40)),
}


def network() -> Network:
    """The same for all chips."""
    rng = np.random.default_rng(5)

    def draw(limit, *shape):
        return rng.integers(-limit, limit, shape, endpoint=True)

    return Network(
        SPEC,
        draw(SPEC.weight_max, SPEC.rows, SPEC.columns),
        draw(SPEC.head_weight_max, SPEC.classes, SPEC.units),
        draw(SPEC.head_bias_max, SPEC.classes),
    )


def plan() -> CalibrationPlan:
    """The same for all chips, as the gateware is."""
    return CalibrationPlan.of(SPEC, load("rram")["ramp.calibration_range"], 1)


def chip(name: str, seed: int) -> DeviceInstance:
    """One of :data:`CHIPS`."""
    technology, changes, low = CHIPS[name]
    sampled = device(load(technology).replace(changes), SPEC, network().weights, seed)
    lower = [cells * round(lsb) for cells, lsb in zip(low, plan().lsb, strict=True)]
    return sampled.replace(ramp_start=sampled.ramp_start - lower)


def sources(the_plan: CalibrationPlan) -> dict[str, str]:
    """Verilog of the network, the behavioral array, the protocol checker, and a top that connects them."""
    from crossramp.rtl.network.network_top import NetworkTop  # what runs inside the simulator does without
    from crossramp.rtl.verilog.verilog_writer import port_table, to_verilog
    from crossramp.sim.bulk.bench_verilog import ramp_of_bank

    net = network()
    hardware = NetworkTop(SPEC, net.head_weights, net.head_biases, plan=the_plan)
    inside = [port for port in port_table(hardware) if port.name.startswith("array_")]
    outside = [port for port in port_table(hardware) if port not in inside]
    width = len(SPEC.ramps) * SPEC.calibration_cells
    sizes = f".ROWS({SPEC.rows}), .UNITS({SPEC.units}), .TICKS({SPEC.ticks}), "
    windows = f".INPUT_MAX({SPEC.input_max}), .STATE_PULSE_MAX({SPEC.state_pulse_max})"
    pins = [port.name.removeprefix("array_") for port in inside]
    array = [f".{pin}(array_{pin})" for pin in pins]
    watched = [f".{pin}(array_{pin})" for pin in pins if pin != "comparators"]
    text = [
        f"module {TOP}(",
        ",\n".join(f"  {port.direction} [{port.width - 1}:0] {port.name}" for port in outside),
        ",\n  output [31:0] broken,\n  output [31:0] conversions\n);",
        *(f"  wire [{port.width - 1}:0] {port.name};" for port in inside),
        "  network dut (" + ", ".join(f".{port.name}({port.name})" for port in [*outside, *inside]) + ");",
        f"  crossramp_crossbar #({sizes} .RAMPS({len(SPEC.ramps)}), .CALIBRATION_CELLS({SPEC.calibration_cells}),",
        f"    .RAMP_OF_BANK({ramp_of_bank(SPEC)}), {windows}) crossbar (.clk(clk), {', '.join(array)});",
        f"  crossramp_protocol #({sizes} .CALIBRATION({width}), {windows}, .SETTLE_CLOCKS({SPEC.settle_clocks}))",
        f"    protocol (.clk(clk), .rst(rst), {', '.join(watched)}, .broken(broken), .conversions(conversions));",
        "endmodule",
    ]
    return {
        "network.v": to_verilog(hardware, "network"),
        **{name: source(name).read_text() for name in ("device_crossbar.sv", "protocol.sv")},
        "loop.sv": "\n".join(text) + "\n",
    }
