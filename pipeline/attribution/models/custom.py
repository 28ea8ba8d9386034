"""A rule of one's own: weights by position, engagement, time and channel, from one small TOML file."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attribution.models.excluding import excluding
from pipeline.attribution.models.journey_arithmetic import (
    each_session,
    firsts,
    hours_left,
    journey_sums,
    lasts,
    shares,
    without_phases,
)
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import Credit, JourneyArrays

LARGEST_FIGURE = 1e6
"""The largest weight, factor and half-life: no product of them overflows."""

_ALL = "all"
_POSITIONS, _FLAGS = ("first", "between", "last"), ("holder", "closer")
_KEYS = ("positions", "engagement", "half_life_hours", "channels", "groups", "pass_over")


@dataclass(frozen=True)
class Rule:
    """A session's weight is the product of these; by channel where it says so, a channel that is not named has 1.

    Attributes:
        positions: of the `first` session, the `last`, and each `between`; an only session has 1.
        engagement: factors of sessions with `holder` and `closer` engagement.
        half_life_hours: by channel, the hours before the journey's last session in which weight halves; `all` is of
            those that are not named. Without, weight does not depend on time.
        channels: factors by channel.
        pass_over: channels whose sessions count only where the journey has no other; they have no position.

    """

    positions: Mapping[str, float] = field(default_factory=dict)
    engagement: Mapping[str, float] = field(default_factory=dict)
    half_life_hours: Mapping[str, float] = field(default_factory=dict)
    channels: Mapping[str, float] = field(default_factory=dict)
    pass_over: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Rule:
        """The rule in a file. Raises `ModelError`."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"CUSTOM_MODEL: {path.absolute()} cannot be read ({error})") from None
        return cls.from_toml(text, str(path.absolute()))

    @classmethod
    def from_toml(cls, text: str, name: str) -> Rule:
        """The rule in a TOML text; where a channel is expected, a group of `[groups]` stands for its channels.

        Raises `ModelError` that names `name`, section and key.

        >>> Rule.from_toml('channels = { own = 2 }', "rule.toml").channels
        {'own': 2.0}
        """
        try:
            return _rule(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ModelError(f"CUSTOM_MODEL: {name} is no TOML: {error}") from None
        except ValueError as error:
            raise ModelError(f"CUSTOM_MODEL: {name}: {error}") from None


def custom(journeys: JourneyArrays, *, rule: Rule) -> Credit:
    """Each conversion split over its sessions in proportion to their weights by the rule; equally where all are 0.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> rule = Rule(positions={"first": 1, "between": 0, "last": 3}, pass_over=("D",))
    >>> custom(journeys_of("ABCD", "DD", "A"), rule=rule).ihc.tolist()
    [0.25, 0.0, 0.75, 0.0, 0.25, 0.75, 1.0]
    """

    def weighed(left: JourneyArrays) -> Credit:
        weights = _weights(left, rule)
        weights[each_session(journey_sums(weights, left) == 0, left)] = 1.0
        return without_phases(shares(weights, left))

    return excluding(rule.pass_over, weighed)(journeys) if rule.pass_over else weighed(journeys)


def _weights(journeys: JourneyArrays, rule: Rule) -> NDArray[np.float64]:
    place = {name: rule.positions.get(name, 1.0) for name in _POSITIONS}
    weights = np.full(len(journeys.time), place["between"], np.float64)
    weights[firsts(journeys)] = place["first"]
    weights[lasts(journeys)] = np.where(journeys.lengths == 1, 1.0, place["last"])
    weights *= np.where(journeys.holder, rule.engagement.get("holder", 1.0), 1.0)
    weights *= np.where(journeys.closer, rule.engagement.get("closer", 1.0), 1.0)
    weights *= np.array([rule.channels.get(name, 1.0) for name in journeys.channels], np.float64)[journeys.channel]
    if rule.half_life_hours:
        of_others = rule.half_life_hours.get(_ALL, math.inf)
        half_lives = np.array([rule.half_life_hours.get(name, of_others) for name in journeys.channels], np.float64)
        weights *= np.exp2(-hours_left(journeys) / half_lives[journeys.channel])
    return weights


def _rule(document: Mapping[str, Any]) -> Rule:
    """The rule of a document. Raises `ValueError`."""
    _refuse_unknown(document, _KEYS, "")
    groups = _table(document, "groups")
    for group, names in groups.items():
        if not _are_names(names):
            raise ValueError(f"[groups] {group!r} must be a list of channel names")
    passed = document.get("pass_over", [])
    if not _are_names(passed):
        raise ValueError("pass_over must be a list of names of channels or groups")
    positions, engagement = _figures(document, "positions"), _figures(document, "engagement")
    _refuse_unknown(positions, _POSITIONS, "[positions] ")
    _refuse_unknown(engagement, _FLAGS, "[engagement] ")
    rule = Rule(
        positions=positions,
        engagement=engagement,
        half_life_hours=_by_channel(_figures(document, "half_life_hours", above=True), groups),
        channels=_by_channel(_figures(document, "channels"), groups),
        pass_over=tuple(channel for name in passed for channel in groups.get(name, [name])),
    )
    if rule == Rule():
        raise ValueError(f"it says nothing; give at least one of {', '.join(_KEYS)}")
    return rule


def _refuse_unknown(given: Iterable[str], known: Sequence[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise ValueError(f"{where}{name!r} is unknown; known are {', '.join(known)}")


def _table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{key} must be a section, [{key}]")  # noqa: TRY004 - the file's mistake, not the caller's
    return table


def _figures(document: Mapping[str, Any], key: str, *, above: bool = False) -> dict[str, float]:
    """The numbers of a section: at least 0, or above it."""
    table = _table(document, key)
    for name, value in table.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not (0 < value <= LARGEST_FIGURE or (value == 0 and not above)):
            bound = "above 0" if above else "of at least 0"
            raise ValueError(
                f"[{key}] {name!r} must be a number {bound} and at most {LARGEST_FIGURE:,.0f}, not {value!r}"
            )
    return {name: float(value) for name, value in table.items()}


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _by_channel(figures: Mapping[str, float], groups: Mapping[str, list[str]]) -> dict[str, float]:
    """Figures of channels; one of a channel itself goes before that of its group."""
    found = {channel: figures[group] for group in groups if group in figures for channel in groups[group]}
    return found | {name: value for name, value in figures.items() if name not in groups}
