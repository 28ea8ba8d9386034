"""How fast the embedded models are on a million journeys, and how much memory they take, beside other libraries.

`python benchmarks/models.py` prints the table. Each row is a process of its own, so that its peak memory is its own:
start, imports and the journeys included. The others are installed into a throw-away environment with pip; without one
they are left out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.attribution.models import EMBEDDED_MODELS, load_model
from pipeline.attribution.models.journeys import JourneyArrays

JOURNEYS, MEAN_LENGTH, CHANNELS = 1_000_000, 3, 12
REPEATS = 3
RULES = ("first-touch", "last-touch", "last-non-direct", "linear", "position-based", "time-decay")
TARGETS = {"rules together": 0.7, "markov": 1.0, "ihc-local": 1.5}
OTHERS = {
    "ChannelAttribution 2.2.5": ["ChannelAttribution==2.2.5", "matplotlib"],  # which it imports without saying so
    "marketing-attribution-models 2.1.1": ["marketing-attribution-models==2.1.1"],
}


def journeys() -> JourneyArrays:
    """The journeys: lengths geometric, channels of very different sizes, gaps of hours to days."""
    random = np.random.default_rng(1)
    lengths = random.geometric(1 / MEAN_LENGTH, JOURNEYS)
    sessions = int(lengths.sum())
    sizes = 1 / np.arange(1, CHANNELS + 1)
    return JourneyArrays(
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        time=np.cumsum(random.integers(60, 100_000, sessions)),
        channel=random.choice(CHANNELS, sessions, p=sizes / sizes.sum()).astype(np.int32),
        channels=("Direct", *(f"Channel {number}" for number in range(1, CHANNELS))),
        holder=random.integers(0, 2, sessions) == 1,
        closer=random.integers(0, 2, sessions) == 1,
    )


def measure(models: tuple[str, ...]) -> None:
    """Print the best seconds of all models together, and the process's peak MB."""
    data = journeys()
    functions = [load_model(model, "default").credit for model in models]

    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        for function in functions:
            function(data)
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"seconds": min(seconds), "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def write_paths(path: Path) -> None:
    """The same journeys as the others want them: a line of channel names a journey."""
    data = journeys()
    names = np.array(data.channels, dtype=object)[data.channel].tolist()
    with path.open("w", encoding="utf-8") as file:
        for first, after in itertools.pairwise(data.starts.tolist()):
            file.write(" > ".join(names[first:after]) + "\n")


# Run by the throw-away environment's Python, which knows nothing of this repository. Only the models are timed, though
# ChannelAttribution reads the paths' text as a part of each.
OTHER = """
import json, resource, sys, time
import pandas as pd
name, what, path = sys.argv[1:]
table = pd.DataFrame({"path": open(path, encoding="utf-8").read().splitlines(), "orders": 1, "converted": True})
if name.startswith("ChannelAttribution"):
    import ChannelAttribution as other
    models = {
        "rules": lambda: other.heuristic_models(table, "path", "orders"),
        "markov": lambda: other.markov_model(table, "path", "orders"),
    }
else:
    from mam import MAM
    mam = MAM(table, "grouped_journey", "path", "converted", occurrences_colname="orders")
    models = {
        "rules": lambda: [mam.run_first_click(), mam.run_last_click(), mam.run_linear()],
        "markov": lambda: mam.run_markov(transition_to_same_state=True),
    }
started = time.perf_counter()
models[what]()
seconds = time.perf_counter() - started
print("\\n" + json.dumps({"seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def others(folder: Path) -> Iterator[tuple[str, dict[str, float] | str]]:
    """What the other libraries need, or why it is not known."""
    venv.create(folder / "environment", with_pip=True)
    python = folder / "environment" / "bin" / "python"
    write_paths(folder / "paths.txt")
    for name, packages in OTHERS.items():
        installed = run([python, "-m", "pip", "install", "--quiet", *packages], folder)
        if installed.returncode:
            yield name, f"left out, pip cannot install it: {last_line(installed.stderr)}"
            continue
        for what in ("rules", "markov"):
            found = run([python, "-c", OTHER, name, what, folder / "paths.txt"], folder)
            figures = f"failed: {last_line(found.stderr)}" if found.returncode else json.loads(last_line(found.stdout))
            yield f"{name}: {what}", figures


def run(command: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the throw-away environment."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environment)


def last_line(text: str) -> str:
    """The last line, if there is one."""
    return (text.strip().splitlines() or ["no message"])[-1]


def ours() -> Iterator[tuple[str, dict[str, float]]]:
    """What the embedded models need."""
    sets = {
        "first-touch, last-touch and linear": ("first-touch", "last-touch", "linear"),
        "rules together": RULES,
        **{model: (model,) for model in EMBEDDED_MODELS},
    }
    for name, models in sets.items():
        command = [sys.executable, __file__, "--measure", *models]
        yield name, json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--without-others", action="store_true", help="install and measure no other library")
    options = parser.parse_args()
    if options.measure:
        measure(tuple(options.measure))
        return
    print(f"{JOURNEYS:,} journeys of {MEAN_LENGTH} sessions on average, {CHANNELS} channels, {os.cpu_count()} cores")
    print(f"{'':<42}{'seconds':>9}{'MB':>7}{'target':>9}")
    for name, figures in ours():
        target = TARGETS.get(name)
        print(f"{name:<42}{figures['seconds']:>9.2f}{figures['mb']:>7.0f}{f'{target:.1f}' if target else '':>9}")
    if not options.without_others:
        with tempfile.TemporaryDirectory() as folder:
            for name, found in others(Path(folder)):
                figures = found if isinstance(found, str) else f"{found['seconds']:>9.2f}{found['mb']:>7.0f}"
                print(f"{name:<42}{figures}")


if __name__ == "__main__":
    main()
