"""Models that learn a figure for each channel from many paths, and share each journey in proportion to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attribution.models.by_channel import share_by_channel
from pipeline.attribution.models.markov import removal_effects
from pipeline.attribution.models.shapley import channel_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.attribution.models.journeys import Credit, JourneyArrays
    from pipeline.attribution.models.weighted_paths import WeightedPaths
    from pipeline.model_options import ModelOptions

FITTED_MODELS = ("markov", "shapley")
"""Models whose credit depends on more than the journey: they are fitted to the paths of an interval."""

INTERVAL_FIT = "default"
"""The conversion type with which a report's fit is that to its own interval; any other one names a fit."""


def fit(name: str, paths: WeightedPaths, options: ModelOptions) -> dict[str, Any]:
    """The document of a fit: by channel `strength`, in proportion to which journeys are shared, and what it is from.

    Of markov the strength is the removal effect, of shapley the value for the conversion rate, negative ones taken as
    0; all are 0 where nothing converts. Raises `ModelError` for paths that the model cannot take.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> from pipeline.attribution.models.weighted_paths import WeightedPaths
    >>> from pipeline.model_options import ModelOptions
    >>> fit("shapley", WeightedPaths.of(journeys_of("A", "AB"), journeys_of("A", "B")), ModelOptions())["channels"]
    {'A': {'strength': 0.5, 'value': 0.5, 'error': 0.0}, 'B': {'strength': 0.0, 'value': 0.0, 'error': 0.0}}
    """
    excluded = sorted({*options.excluded_channels})
    left = paths.excluding(excluded) if excluded else paths
    channels: dict[str, dict[str, float]]
    if name == "markov":
        effects = removal_effects(left, order=options.markov_order)
        channels = {channel: {"strength": effects[channel]} for channel in sorted(effects)}
    else:
        values = channel_values(left)
        channels = {
            channel: {"strength": max(0.0, value), "value": value, "error": error}
            for channel, (value, error) in sorted(values.items())
        }
    return {
        "model": name,
        **({"order": options.markov_order} if name == "markov" else {}),
        **({"excluding": excluded} if excluded else {}),
        "conversions": round(float(paths.conversions.sum())),
        "null_paths": round(float(paths.null_paths.sum())),
        "conversion_rate": paths.conversion_rate,
        "channels": channels,
    }


def fitted_credit(journeys: JourneyArrays, *, channels: Mapping[str, Mapping[str, float]]) -> Credit:
    """Each conversion split over its journey's channels in proportion to their `strength`, as `fit` gives it.

    A channel that the fit has not seen has none; channels that are all without any share equally.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> fitted_credit(journeys_of("AB", "AC"), channels={"A": {"strength": 3}, "B": {"strength": 1}}).ihc.tolist()
    [0.75, 0.25, 1.0, 0.0]
    """
    strength = [channels[name]["strength"] if name in channels else 0.0 for name in journeys.channels]
    return share_by_channel(journeys, np.array(strength, np.float64))
