# SPDX-License-Identifier: Apache-2.0
"""How long, and how much memory, the Verilog of a macro takes, by the number of its columns.

    python bench/generation.py [--units 32 256 2016] [--lanes 8] [--json]

Each size runs in a process of its own, so that the peak is its own: that of Python or of yosys, whichever is larger.
The macro has 40 inputs and 5-bit codes, four columns per unit. Aims, for 8,064 columns: under 60 s, 3 GB, and 20 MB of
Verilog.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

AIMS = {"seconds": 60.0, "peak_gigabytes": 3.0, "verilog_megabytes": 20.0}
_AIMED_COLUMNS = 8064


def main() -> int:
    """Measure and print; 1 if a size of 8,064 columns or more misses an aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="+", default=[32, 256, 2016], help="a quarter of the columns")
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(measure(args.one, args.lanes)))
        return 0
    results = []
    for units in args.units:
        command = [sys.executable, __file__, "--one", str(units), "--lanes", str(args.lanes)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout))
        if not args.json:
            _print_row(results[-1], header=len(results) == 1)
    if args.json:
        print(json.dumps(results, indent=2))
    large = [result for result in results if result["columns"] >= _AIMED_COLUMNS]
    return 1 if any(result[name] > aim for result in large for name, aim in AIMS.items()) else 0


def measure(units: int, lanes: int) -> dict:
    """Figures of one size; the peak is of this whole process, and of its largest child."""
    from crossramp.golden.spec.specification import Specification
    from crossramp.rtl.macro.macro import Macro
    from crossramp.rtl.verilog.verilog_writer import to_verilog

    spec = Specification(inputs=40, units=units, classes=12, lanes=min(lanes, units))
    begin = time.perf_counter()
    text = to_verilog(Macro(spec), "macro")
    seconds = time.perf_counter() - begin
    # Kilobytes, on macOS bytes.
    unit = 1e-9 if sys.platform == "darwin" else 1.024e-6
    peaks = [resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "columns": spec.columns,
        "lanes": spec.lanes,
        "seconds": round(seconds, 2),
        "peak_gigabytes": round(max(peaks), 3),
        "verilog_megabytes": round(len(text.encode()) / 1e6, 3),
    }


def _print_row(result: dict, header: bool) -> None:
    if header:
        print("columns  lanes  seconds  microseconds a column  peak GB  Verilog MB  bytes a column")
    columns = result["columns"]
    print(
        f"{columns:7,}  {result['lanes']:5}  {result['seconds']:7.1f}  {result['seconds'] / columns * 1e6:21.0f}  "
        f"{result['peak_gigabytes']:7.2f}  {result['verilog_megabytes']:10.2f}  "
        f"{result['verilog_megabytes'] / columns * 1e6:14.0f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
