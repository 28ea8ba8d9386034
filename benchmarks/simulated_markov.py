"""Removal effects, which are solved here, beside those that ChannelAttribution simulates, null paths included.

`python benchmarks/simulated_markov.py` prints the table, and ends with 1 where a difference is of more than three
standard errors. The other library is installed into a throw-away environment with pip. An effect that it simulates is
the share of its simulated conversions that met the channel; the table's standard errors are those of such a share. Its
seeds do not make independent repetitions, from which an error could be estimated: many give the very same figures.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import venv
from collections import Counter
from pathlib import Path

import numpy as np
from models import last_line, run

from pipeline.attribution.models.markov import removal_effects
from pipeline.attribution.models.weighted_paths import WeightedPaths

PACKAGES = ["ChannelAttribution==2.2.5", "matplotlib"]
PATHS, CHANNELS, ORDERS = 5_000, 5, (1, 2, 3)
SIMULATED, FOLDS = 10_000_000, 10  # a tenth of the walks, its denominators show, is in the effects that it returns
MOST_ERRORS = 3

OTHER = """
import json, sys
import pandas as pd
import ChannelAttribution as other
paths, order, simulated, folds = json.load(open(sys.argv[1])), *map(int, sys.argv[2:])
table = pd.DataFrame(paths, columns=["path", "orders", "nothing"])
found = other.markov_model(
    table, "path", "orders", var_null="nothing", order=order, out_more=True, seed=1, max_step=1000,
    nsim_start=simulated, conv_par=1, nfold=folds, verbose=False, flg_pro=False,
)
effects = found["removal_effects"] if isinstance(found, dict) else found[2]
print("\\n" + json.dumps(dict(zip(effects.iloc[:, 0], effects.iloc[:, 1]))))
"""


def paths_and_counts() -> list[tuple[tuple[int, ...], int, int]]:
    """Paths of channels of different sizes and strengths, each with its conversions and its null paths."""
    random = np.random.default_rng(1)
    sizes = np.arange(CHANNELS, 0, -1) / sum(range(CHANNELS + 1))
    converted, nothing = Counter[tuple[int, ...]](), Counter[tuple[int, ...]]()
    for length in np.minimum(random.geometric(0.45, PATHS), 8):
        path = tuple(random.choice(CHANNELS, length, p=sizes).tolist())
        chance = 0.05 + 0.06 * path.count(0) + 0.04 * (CHANNELS - 1 in path)
        (converted if random.random() < chance else nothing)[path] += 1
    return [(path, converted[path], nothing[path]) for path in sorted({*converted, *nothing})]


def main() -> int:
    """Compare and print."""
    rows = paths_and_counts()
    lengths = np.array([len(path) for path, *_ in rows])
    paths = WeightedPaths(
        starts=np.append(0, lengths.cumsum()),
        channel=np.array([code for path, *_ in rows for code in path], np.int32),
        channels=tuple("ABCDE"),
        conversions=np.array([orders for _, orders, _ in rows], np.float64),
        null_paths=np.array([nothing for *_, nothing in rows], np.float64),
    )
    farthest = 0.0
    print(f"{'order':<7}{'channel':<9}{'solved':>9}{'simulated':>11}{'standard error':>16}{'apart by':>10}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "environment", with_pip=True)
        python = folder / "environment" / "bin" / "python"
        installed = run([python, "-m", "pip", "install", "--quiet", *PACKAGES], folder)
        if installed.returncode:
            print(f"not compared, pip cannot install {PACKAGES[0]}: {last_line(installed.stderr)}")
            return 1
        written = [(" > ".join(paths.channels[code] for code in path), *counts) for path, *counts in rows]
        (folder / "paths.json").write_text(json.dumps(written), encoding="utf-8")
        for order in ORDERS:
            asked = [folder / "paths.json", str(order), str(SIMULATED), str(FOLDS)]
            found = run([python, "-c", OTHER, *asked], folder)
            if found.returncode:
                print(f"not compared, {PACKAGES[0]} fails: {last_line(found.stderr)}")
                return 1
            simulated = json.loads(last_line(found.stdout))
            for channel, effect in removal_effects(paths, order=order).items():
                error = math.sqrt(effect * (1 - effect) / (SIMULATED / FOLDS * paths.conversion_rate))
                apart = (simulated[channel] - effect) / error
                farthest = max(farthest, abs(apart))
                print(f"{order:<7}{channel:<9}{effect:>9.4f}{simulated[channel]:>11.4f}{error:>16.4f}{apart:>+10.2f}")
    print(f"at most {farthest:.2f} standard errors apart")
    return int(farthest > MOST_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
