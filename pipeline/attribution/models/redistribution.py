"""Redistribution: credit of channels that should not keep it, moved to other sessions of the journey.

The API takes it as `redistribution_parameter`; the embedded model follows the meaning that the fields' names state.
For each phase that is named:

- every session of a channel in `redistribution_channel_labels` gives its share of the phase away;
- to the sessions of its journey that lie in the `direction`, belong to none of those channels and have a share of the
  phase of at least `receive_threshold`;
- in proportion to their shares, or equally where these are all 0;
- and keeps its share where there is no such session.

`ihc` follows from the phases with the weights it always has. The vendor's one published example (`any_session`, a
channel that gives each phase away) is reproduced to its four decimals; what the API does where receivers have no share,
or where there is none, is not known. A label that no session has gives nothing away. For example, direct visits that
close a journey hand that to what came before:

    {"closer": {"direction": "earlier_sessions_only", "receive_threshold": 0.1,
                "redistribution_channel_labels": ["Direct"]}}

In a journey Email (closer 0.05), Google (0.25), Direct (0.7) Google receives the 0.7, since Email is below the
threshold: 0.05, 0.95, 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.models.ihc_parameters import PhaseTriple
from pipeline.attribution.models.journey_arithmetic import each_session, journey_sums, shares
from pipeline.attribution.models.journeys import Credit, JourneyArrays
from pipeline.errors import SettingsError

Direction = Literal["any_session", "earlier_sessions_only", "later_sessions_only"]


class PhaseRedistribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which channels give a phase away, and which sessions may receive it."""

    direction: Direction
    receive_threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    redistribution_channel_labels: tuple[str, ...]


class Redistribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is redistributed in each phase, None for nothing."""

    initializer: PhaseRedistribution | None = None
    holder: PhaseRedistribution | None = None
    closer: PhaseRedistribution | None = None

    @classmethod
    def parse(cls, content: bytes, origin: str) -> Redistribution:
        """The redistribution in a JSON text, which errors call `origin`. Raises `SettingsError` naming the field."""
        try:
            return msgspec.json.decode(content, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{origin} is not a redistribution: {error}") from None

    @classmethod
    def load(cls, path: Path) -> Redistribution:
        """The redistribution in a JSON file. Raises `SettingsError` naming the file and the field."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{path.absolute()} cannot be read as a redistribution: {error.strerror}") from None
        return cls.parse(content, str(path.absolute()))

    def wire(self) -> bytes:
        """The JSON that is sent; the same for the same redistribution, so that it also identifies it."""
        return msgspec.json.encode(self)

    def unknown_channels(self, known: Iterable[str]) -> list[str]:
        """The channels named here that are not `known`: probably mistyped, and without effect."""
        phases = [phase for phase in (self.initializer, self.holder, self.closer) if phase is not None]
        named = {channel for phase in phases for channel in phase.redistribution_channel_labels}
        return sorted(named.difference(known))


def redistribute(
    credit: Credit, journeys: JourneyArrays, redistribution: Redistribution, phase_weights: PhaseTriple
) -> Credit:
    """`credit` of a model with phases after redistribution; every phase of a journey keeps its sum."""
    phases = [
        share if rule is None else _redistributed(share, journeys, rule)
        for share, rule in (
            (credit.initializer, redistribution.initializer),
            (credit.holder, redistribution.holder),
            (credit.closer, redistribution.closer),
        )
    ]
    weighted = np.asarray(sum(weight * phase for weight, phase in zip(phase_weights, phases, strict=True)))
    # dividing by the journey's sum hands the weight of a phase in which nothing is engaged to the others
    ihc = np.where(_has_any(weighted, journeys), shares(weighted, journeys), credit.ihc)
    return Credit(initializer=phases[0], holder=phases[1], closer=phases[2], ihc=ihc)


def _has_any(values: NDArray[np.float64], journeys: JourneyArrays) -> NDArray[np.bool_]:
    """For each session whether its journey has any of it: weights of 0 can leave a journey without."""
    return each_session(journey_sums(values, journeys) > 0, journeys)


def _redistributed(
    share: NDArray[np.float64], journeys: JourneyArrays, rule: PhaseRedistribution
) -> NDArray[np.float64]:
    labels = np.isin(np.array(journeys.channels, dtype=object), rule.redistribution_channel_labels)
    gives = labels[journeys.channel]
    result = share.copy()
    lengths = journeys.lengths
    for length in np.unique(lengths).tolist():  # journeys of one length are a matrix, a row each
        rows = journeys.starts[:-1][lengths == length, None] + np.arange(length)
        result[rows] = _moved(share[rows], gives[rows], rule)
    return result


def _moved(share: NDArray[np.float64], gives: NDArray[np.bool_], rule: PhaseRedistribution) -> NDArray[np.float64]:
    receives = ~gives & (share >= rule.receive_threshold)
    in_reach, from_reach = _REACHES[rule.direction]
    weight = np.where(receives, share, 0.0)
    evenly = receives.astype(np.float64)
    weights, receivers = in_reach(weight), in_reach(evenly)
    given = np.where(gives & (receivers > 0), share, 0.0)
    by_weight = np.divide(given, weights, out=np.zeros_like(share), where=weights > 0)
    by_number = np.divide(given, receivers, out=np.zeros_like(share), where=(weights == 0) & (receivers > 0))
    return share - given + weight * from_reach(by_weight) + evenly * from_reach(by_number)


Sums = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _until(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each session the sum over it and all earlier ones."""
    return np.cumsum(values, axis=1)


def _from(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each session the sum over it and all later ones."""
    return np.cumsum(values[:, ::-1], axis=1)[:, ::-1]


def _everywhere(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each session the sum over its journey."""
    return np.broadcast_to(values.sum(axis=1, keepdims=True), values.shape)


# what a giver's receivers have together, and what a receiver's givers offer together; nobody is both
_REACHES: dict[str, tuple[Sums, Sums]] = {
    "any_session": (_everywhere, _everywhere),
    "earlier_sessions_only": (_until, _from),
    "later_sessions_only": (_from, _until),
}
