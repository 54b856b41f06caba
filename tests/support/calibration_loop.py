# SPDX-License-Identifier: Apache-2.0
"""The closed loop: a generated network with its calibrator, and chips of several technologies behind it."""

import numpy as np
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.description import Gate
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification

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

    weights = Weights(
        draw(SPEC.weight_max, SPEC.rows, SPEC.columns),
        draw(SPEC.head_weight_max, SPEC.classes, SPEC.units),
        draw(SPEC.head_bias_max, SPEC.classes),
    )
    return Network(SPEC, weights)


def plan() -> CalibrationPlan:
    """The same for all chips, as the gateware is."""
    return CalibrationPlan.of(SPEC, load("rram")["ramp.calibration_range"], 1)


def chip(name: str, seed: int) -> DeviceInstance:
    """One of :data:`CHIPS`."""
    technology, changes, low = CHIPS[name]
    sampled = device(load(technology).replace(changes), SPEC, network().weights.macro, seed)
    lower = [cells * round(lsb) for cells, lsb in zip(low, plan().lsb, strict=True)]
    return sampled.replace(ramp_start=sampled.ramp_start - lower)


def sources(the_plan: CalibrationPlan) -> dict[str, str]:
    """Verilog of the network, the behavioral array, the protocol checker, and a top that connects them."""
    from crossramp.rtl.network.network_top import NetworkTop  # what runs inside the simulator does without
    from crossramp.rtl.verilog.verilog_writer import port_table, to_verilog
    from crossramp.sim.array.boundary_verilog import DEVICE_ARRAY, array_instance, array_source, boundary_wires
    from crossramp.sim.checking.protocol_verilog import CHECKER, checker_instance, checker_source

    net = network()
    hardware = NetworkTop(SPEC, net.weights, plan=the_plan)
    ports = port_table(hardware)
    outside = [port for port in ports if not port.name.startswith("array_")]
    text = [
        f"module {TOP}(",
        ",\n".join(f"  {port.direction} [{port.width - 1}:0] {port.name}" for port in outside),
        ",\n  output [31:0] broken,\n  output [31:0] conversions\n);",
        boundary_wires(SPEC),
        "  network dut (" + ", ".join(f".{port.name}({port.name})" for port in ports) + ");",
        array_instance(SPEC),
        checker_instance(SPEC),
        "endmodule",
    ]
    return {
        "network.v": to_verilog(hardware, "network"),
        DEVICE_ARRAY: array_source(DEVICE_ARRAY),
        CHECKER: checker_source(),
        "loop.sv": "\n".join(text) + "\n",
    }
