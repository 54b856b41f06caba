# SPDX-License-Identifier: Apache-2.0
"""The free-running bench: what it is built from, what it is given, and what its records say."""

from collections.abc import Mapping
from pathlib import Path

from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network
from crossramp.rtl.layers.layered_top import top_of
from crossramp.rtl.verilog.verilog_writer import port_table, to_verilog

from ..array.boundary_verilog import DEVICE_ARRAY, IDEAL_ARRAY, array_source
from ..array.programming import Programming, write_device
from ..checking.protocol import RULES
from ..checking.protocol_verilog import CHECKER, checker_source
from ..tools.builds import build_executable
from ..tools.run_options import BuildOptions
from ..tools.simulators import SimulationError
from ..tools.sources import source
from . import bench_verilog


def bench_sources(spec: AnySpecification, *, errs: bool = False) -> dict[str, str]:
    """File name to text, in order: the array (with ``errs`` a device instance), the checker, the bench itself."""
    array = DEVICE_ARRAY if errs else IDEAL_ARRAY
    return {
        array: array_source(array),
        CHECKER: checker_source(),
        bench_verilog.BULK: bench_verilog.bench_source(spec),
    }


def bulk_sources(spec: AnySpecification, verilog: str, module: str, ports, *, head=True, errs=False, clock_input):
    """File name to text of everything a bulk bench is built from, for the generated ``verilog`` of ``module``.

    With ``errs``, the array behind the boundary is a device instance.
    """
    return {
        "device.v": verilog,
        "wrapper.v": bench_verilog.wrapper(spec, module, ports),
        **bench_sources(spec, errs=errs),
        "bench.sv": bench_verilog.top(spec, head=head, clock_input=clock_input),
    }


def network_verilog(network: Network | LayeredNetwork, module: str = "network") -> tuple[str, list]:
    """(Verilog text, ports) of the hardware of ``network``."""
    top = top_of(network)
    return to_verilog(top, module), port_table(top)


def bench_command(network: Network | LayeredNetwork, simulator: str, build: BuildOptions, *, errs: bool) -> list[str]:
    """Build the bench of ``network``; the command that runs it, to which plusargs are appended.

    Parameters
    ----------
    simulator : str
        ``"verilator"`` or ``"icarus"``.
    build : BuildOptions
    errs : bool
        The array behind the boundary is a device instance.
    """
    verilog, ports = network_verilog(network)
    if build.change_verilog is not None:
        verilog = build.change_verilog(verilog)
    own_clock = simulator == "icarus"
    sources = bulk_sources(network.spec, verilog, "network", ports, errs=errs, clock_input=not own_clock)
    main = None if own_clock else source("bulk_main.cpp").read_text()
    return build_executable(
        simulator,
        sources,
        bench_verilog.TOP,
        main=main,
        strict=build.change_verilog is None,
        build=build,
    )


def write_arrays(contents: Mapping[str, Programming | DeviceInstance], folder: Path):
    """Write what the bench's arrays hold, by their names (:meth:`.array_setup.ArraySetup.loaded`)."""
    for name, content in contents.items():
        place = folder if name == "array" else folder / name
        if isinstance(content, DeviceInstance):
            write_device(content, place)
        else:
            content.write(place)


def broken_rules(summary: dict[str, int]) -> tuple[str, ...]:
    """The violations of a :class:`~.simulation_result.SimulationResult`, from a bench's summary."""
    broken = [rule for bit, rule in enumerate(RULES) if summary["broken"] >> bit & 1]
    return (*broken, "streams") if summary["wrong"] else tuple(broken)


def read_summary(folder: Path, log: str) -> dict[str, int]:
    """What a bench that recorded into ``folder`` counted; SimulationError, with the end of ``log``, if it has not."""
    path = folder / "summary.txt"
    if not path.exists():
        raise SimulationError(f"the simulation ended without a result:\n{log[-2000:]}")
    pairs = (line.split() for line in path.read_text().splitlines())
    return {name: int(value) for name, value in pairs}
