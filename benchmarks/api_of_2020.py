"""What the vendor's API of 2020 learned from a training set, as a check that its published results are read right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Figures = NDArray[np.float64]
SECONDS_PER_DAY = 86_400


def end_2020(longest: Figures) -> tuple[float, Figures]:
    """The end of a curve, and percentiles 0 to 100, from each journey's longest duration (0 for a single session).

    Of the durations strictly below their 80th percentile: the 90th percentile.
    """
    percentiles = np.percentile(longest[longest < np.percentile(longest, 80)], np.arange(101))
    return float(percentiles[90]), percentiles


def returned_in_2020(path: Path) -> dict[str, object]:
    """What the API of 2020 returned for a training set of the columns conversion_id, event_datetime, closer_valid.

    In days, the ends and the start rounded to two decimals; as read from two published sets.
    """
    sessions = pd.read_csv(path, parse_dates=["event_datetime"])
    sessions = sessions.sort_values(["conversion_id", "event_datetime"], kind="stable")
    journey = sessions.groupby("conversion_id")["event_datetime"]
    pause = journey.diff().dt.total_seconds() / SECONDS_PER_DAY
    left = (journey.transform("max") - sessions["event_datetime"]).dt.total_seconds() / SECONDS_PER_DAY
    of_closers = left.where(sessions["closer_valid"] == 1)
    longest = {
        name: durations.groupby(sessions["conversion_id"]).max().fillna(0).to_numpy()
        for name, durations in {"initializer": pause, "closer": of_closers}.items()
    }
    ends = {name: end_2020(durations) for name, durations in longest.items()}
    return {
        **{f"{name}_end_value_distribution": percentiles for name, (_, percentiles) in ends.items()},
        **{f"{name}_end": round(end, 2) for name, (end, _) in ends.items()},
        "initializer_start": round(float(pause.median()), 2),
    }


def check_of_2020(folder: Path) -> dict[str, float]:
    """The largest difference of each figure from what the API of 2020 returned, in days; `folder` has both files."""
    returned = json.loads((folder / "2020_returned.json").read_bytes())
    functions = returned["membership_functions"]["membership_functions"]
    expected = {
        **{name: np.array(returned[name]) for name in returned if name.endswith("distribution")},
        "initializer_end": functions["initializer"]["end_function_time_days"],
        "initializer_start": functions["initializer"]["start_function_time_days"],
        "closer_end": functions["closer"]["end_function_time_days"],
    }
    found = returned_in_2020(folder / "2020_training.csv")
    return {name: float(np.max(np.abs(np.asarray(found[name]) - value))) for name, value in expected.items()}
