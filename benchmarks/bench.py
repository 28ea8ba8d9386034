"""Every performance figure that the README quotes, measured on this machine: `make bench`.

Figures are medians of whole processes, Python start included. This machine's load is in them: read them as ratios, and
the limits as those of a quiet machine on which Python and the imports take 0.6 s. `--quick` tries the benchmark itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import scenarios
from measuring import REPOSITORY, CommandError, measure, python
from results import Result
from scenarios import QUICK, Bench, Sizes

RESULTS = REPOSITORY / "benchmarks" / "results"
LIBRARIES = ("luigi", "duckdb", "pyarrow", "adbc-driver-sqlite", "pandas", "numpy")

SCENARIOS: dict[str, Callable[[Bench, Result], None]] = {
    "sample": scenarios.sample,
    "year": scenarios.year,
    "ten-years": scenarios.ten_years,
    "big": scenarios.big,
    "marginal": scenarios.marginal,
    "dimensions": scenarios.dimensions,
    "parquet": scenarios.parquet,
}

# Benchmarks of one part each, which print their own figures.
SCRIPTS = ("api_client.py", "api_faults.py", "models.py", "trained_ihc.py")


def run_script(script: str, bench: Bench, result: Result) -> None:
    """Run a benchmark of its own, and show what it prints."""
    with tempfile.TemporaryDirectory(dir=bench.place) as folder:
        run = measure(python(script), Path(folder))
    print(run.output, end="", flush=True)
    result.output = run.output.splitlines()


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "libraries": {library: version(library) for library in LIBRARIES},
        "commit": commit.stdout.strip() or None,
    }


def measure_all(names: list[str], bench: Bench) -> list[Result]:
    """The scenarios and scripts of these names, one after the other; one that fails stops no other."""
    results = []
    for name in names:
        result = Result(name)
        results.append(result)
        print(f"\n{name}", flush=True)
        try:
            if name in SCENARIOS:
                SCENARIOS[name](bench, result)
            else:
                run_script(name, bench, result)
        except CommandError as error:
            result.failure = "\n    ".join(error.args)
            print(f"  FAILED {result.failure}", flush=True)
    return results


def main() -> None:
    """Print the figures; exit code 1 if a command failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[*SCENARIOS, *SCRIPTS], help="repeatable (default: all)")
    parser.add_argument("--repeats", type=int, default=3, help="runs behind each median (default: 3)")
    parser.add_argument("--quick", action="store_true", help="tiny databases, and no scripts unless --only names them")
    parser.add_argument(
        "--hundred", action="store_true", help="the reference sample times 100, too: half an hour, 40 GB of disk"
    )
    parser.add_argument(
        "--json", type=Path, default=RESULTS / "bench.json", help="default: benchmarks/results/bench.json"
    )
    parser.add_argument("--databases", type=Path, help="keeps the generated databases there for the next time")
    parser.add_argument("--place", type=Path, help="where runs have their folders (default: the temporary folder)")
    options = parser.parse_args()

    sizes = QUICK if options.quick else Sizes()
    if options.hundred:
        sizes = dataclasses.replace(sizes, scales=(*sizes.scales, sizes.scales[-1] * 10))
    names = options.only or [*SCENARIOS, *(() if options.quick else SCRIPTS)]
    about = machine()
    print(f"{about['cores']} cores, load {about['load']:.1f}, Python {about['python']}, medians of {options.repeats}")
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        databases = (options.databases or Path(place) / "databases").absolute()
        results = measure_all(names, Bench(sizes, options.repeats, databases, Path(place)))
    found = {"machine": about, "repeats": options.repeats, "quick": options.quick}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found | {"results": [result.as_json() for result in results]}, indent=2)
    options.json.write_text(text + "\n", encoding="utf-8")
    print(f"\n{options.json}")
    sys.exit(any(result.failure for result in results))


if __name__ == "__main__":
    main()
