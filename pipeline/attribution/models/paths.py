"""Journeys written as paths of channels: for examples, and for paths of which nothing else is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.journey_arithmetic import SECONDS_PER_HOUR
from pipeline.attribution.models.journeys import JourneyArrays

if TYPE_CHECKING:
    from collections.abc import Sequence


def journeys_of(*paths: Sequence[str], hours: Sequence[Sequence[float]] | None = None) -> JourneyArrays:
    """One journey a path, each engaged in everything, its sessions at `hours`, or else an hour apart.

    A path is a sequence of channel names, so a text is a path of one-letter channels:

    >>> journeys_of("AB", ["Email"]).channels
    ('A', 'B', 'Email')
    """
    hours = [range(len(path)) for path in paths] if hours is None else hours
    sessions = [channel for path in paths for channel in path]
    channels = tuple(dict.fromkeys(sessions))
    code = {channel: index for index, channel in enumerate(channels)}
    return JourneyArrays(
        starts=np.cumsum([0, *map(len, paths)], dtype=np.int64),
        time=np.array([round(hour * SECONDS_PER_HOUR) for times in hours for hour in times], dtype=np.int64),
        channel=np.array([code[channel] for channel in sessions], dtype=np.int32),
        channels=channels,
        holder=np.ones(len(sessions), dtype=np.bool_),
        closer=np.ones(len(sessions), dtype=np.bool_),
    )
