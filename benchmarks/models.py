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
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pipeline.attribution.models import EMBEDDED_MODELS, load_model
from pipeline.attribution.models.journeys import JourneyArrays

JOURNEYS, MEAN_LENGTH, CHANNELS = 1_000_000, 3, 12
REPEATS = 3
RULES = ("first-touch", "last-touch", "last-non-direct", "linear", "position-based", "time-decay")
TARGETS = {"rules together": 0.7, "markov": 1.0, "ihc-local": 1.5}
OTHERS = ("ChannelAttribution", "marketing-attribution-models")


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
        holder=random.random(sessions) < 0.5,
        closer=random.random(sessions) < 0.5,
    )


def measure(models: tuple[str, ...]) -> None:
    """Print the best seconds of all models together, and the process's peak MB."""
    data = journeys()
    functions = [load_model(model, "default").credit for model in models]

    def run() -> None:
        for function in functions:
            function(data)

    print(json.dumps(measured(run)))


def measured(run: Callable[[], None]) -> dict[str, float]:
    """The best seconds of `REPEATS`, and the process's peak MB so far."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return {"seconds": min(seconds), "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def write_paths(folder: Path) -> None:
    """The same journeys as the others want them: a line of channel names a journey."""
    data = journeys()
    names = np.array(data.channels, dtype=object)[data.channel].tolist()
    with (folder / "paths.txt").open("w", encoding="utf-8") as file:
        for first, after in itertools.pairwise(data.starts.tolist()):
            file.write(" > ".join(names[first:after]) + "\n")


# Run by the throw-away environment's Python, which knows nothing of this repository.
OTHER = """
import json, resource, sys, time
import pandas as pd
name, what, path = sys.argv[1:]
paths = open(path, encoding="utf-8").read().splitlines()
if name == "ChannelAttribution":
    import ChannelAttribution
    table = pd.DataFrame({"path": paths, "conversions": 1})
    if what == "rules":
        run = lambda: ChannelAttribution.heuristic_models(table, "path", "conversions")
    else:
        run = lambda: ChannelAttribution.markov_model(table, "path", "conversions", order=1, flg_adv=False)
else:
    from marketing_attribution_models import MAM
    table = pd.DataFrame({"channels_agg": paths, "converted_agg": True, "id": range(len(paths))})
    model = MAM(table, group_channels=False, channels_colname="channels_agg", journey_with_conv_colname="converted_agg")
    def rules():
        model.attribution_first_click(); model.attribution_last_click(); model.attribution_linear()
    run = rules if what == "rules" else lambda: model.attribution_markov(transition_to_same_state=True)
del paths
started = time.perf_counter()
run()
seconds = time.perf_counter() - started
mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print("\\n" + json.dumps({"seconds": seconds, "mb": mb}))
"""


def others(folder: Path) -> Iterator[tuple[str, dict[str, float] | str]]:
    """What the other libraries need, or why it is not known."""
    venv.create(folder / "environment", with_pip=True)
    python = folder / "environment" / "bin" / "python"
    written = False
    for name in OTHERS:
        pip = subprocess.run([python, "-m", "pip", "install", "--quiet", name], capture_output=True, text=True)
        if pip.returncode:
            yield name, f"left out: pip cannot install it ({(pip.stderr.strip() or 'no message').splitlines()[-1]})"
            continue
        if not written:
            write_paths(folder)
            written = True
        for what in ("rules", "markov"):
            command = [python, "-c", OTHER, name, what, folder / "paths.txt"]
            run = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            if run.returncode:
                yield f"{name}, {what}", f"failed: {run.stderr.strip().splitlines()[-1]}"
            else:
                yield f"{name}, {what}", json.loads(run.stdout.splitlines()[-1])


def ours() -> Iterator[tuple[str, dict[str, float]]]:
    """What the embedded models need."""
    sets = {
        "first, last touch and linear": ("first-touch", "last-touch", "linear"),
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
                text = found if isinstance(found, str) else f"{found['seconds']:>9.2f}{found['mb']:>7.0f}"
                print(f"{name:<42}{text}")


if __name__ == "__main__":
    main()
