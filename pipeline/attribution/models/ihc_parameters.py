"""What `ihc-local` has learnt: membership curves, restart gap, phase weights and channel weights."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.attribution.models.curve import Curve
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_VERSION = 1
DEFAULT_PARAMETERS = Path(__file__).with_name("ihc_default.json")
SHIPPED_PARAMETERS = {
    "default": DEFAULT_PARAMETERS,
    "reference-a": DEFAULT_PARAMETERS,
    "reference-b": Path(__file__).with_name("ihc_reference_b.json"),
}
"""By conversion type the parameters that come with the program; no trained ones take their names."""

LARGEST_FIGURE = 1e6
"""The largest number of hours, and the largest weight: no product or sum of them overflows."""

PhaseTriple = tuple[float, float, float]
"""A figure for initializer, holder and closer, in this order."""


@dataclass(frozen=True)
class IhcParameters:
    """The parameters of one conversion type.

    Attributes:
        restart_gap_hours: a longer pause starts the journey afresh.
        phase_weights: share of each phase in `ihc`, summing to 1.
        initializer_curve: membership by hours since the previous session, up to the restart gap.
        closer_curve: membership by hours until the last session.
        channel_weights: weight of a channel in each phase; a channel that is not here weighs 1.

    """

    restart_gap_hours: float
    phase_weights: PhaseTriple
    initializer_curve: Curve
    closer_curve: Curve
    channel_weights: Mapping[str, PhaseTriple]

    @classmethod
    def load(cls, path: Path) -> IhcParameters:
        """The parameters in a JSON file, such as `ihc_default.json`.

        Raises `ModelError` naming the file and the field.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path} cannot be read as IHC parameters: {error.strerror}") from None
        return cls.from_json(content, str(path))

    @classmethod
    def from_json(cls, content: str | bytes, origin: str) -> IhcParameters:
        """The parameters in a JSON text, which errors call `origin`. Raises `ModelError` naming the field."""
        try:
            root = _Field(origin, "", json.loads(content))
        except ValueError as error:  # malformed JSON, or bytes that are no text
            raise _Field(origin, "", None).wrong(str(error)) from None
        version, restart_gap, phase_weights = (
            root[key] for key in ("schema_version", "restart_gap_hours", "phase_weights")
        )
        if version.value != SCHEMA_VERSION:
            raise version.wrong(f"must be {SCHEMA_VERSION}, not {version.value!r}")
        if restart_gap.number() == 0:
            raise restart_gap.wrong("must be above 0")
        if not math.isclose(sum(phase_weights.phases()), 1, abs_tol=1e-6):
            raise phase_weights.wrong(f"must sum to 1, not {sum(phase_weights.phases()):.9g}")
        return cls(
            restart_gap_hours=restart_gap.number(),
            phase_weights=phase_weights.phases(),
            initializer_curve=_piece(root["initializer_gap_hours"], root["initializer_membership"]),
            closer_curve=_joined(root["closer_membership_segments"]),
            channel_weights={name: weights.phases() for name, weights in root["channel_weights"].members()},
        )


def _piece(hours: _Field, values: _Field) -> Curve:
    """A curve without jumps."""
    knots, memberships = hours.numbers(), values.numbers()
    if any(later <= earlier for earlier, later in itertools.pairwise(knots)):
        raise hours.wrong("must ascend")
    if len(memberships) != len(knots):
        raise values.wrong(f"must have a value for each of the {len(knots)} hours")
    if max(memberships) > 1:
        raise values.wrong("must be within 0 and 1")
    return Curve(knots, memberships)


def _joined(segments: _Field) -> Curve:
    """A curve from 0 hours on that may jump where one segment ends and the next begins."""
    knots: list[float] = []
    memberships: list[float] = []
    for segment in segments.items():
        piece = _piece(segment["hours"], segment["values"])
        begin = knots[-1] if knots else 0.0
        if piece.hours[0] != begin:
            raise segment["hours"].wrong(f"must begin at {begin:g}")
        knots += piece.hours
        memberships += piece.values
    return Curve(tuple(knots), tuple(memberships))


@dataclass(frozen=True)
class _Field:
    """A value in a JSON document, and the path to it. Reading it as another type raises `ModelError`."""

    origin: str
    path: str
    value: object

    def wrong(self, what: str) -> ModelError:
        fault = f"{self.path} {what}".strip()
        return ModelError(f"{self.origin} does not hold IHC parameters: {fault}; correct it or train it again")

    def __getitem__(self, key: str) -> _Field:
        path = f"{self.path}.{key}" if self.path else key
        if not isinstance(self.value, dict) or key not in self.value:
            raise _Field(self.origin, path, None).wrong("is missing")
        return _Field(self.origin, path, self.value[key])

    def members(self) -> list[tuple[str, _Field]]:
        if not isinstance(self.value, dict):
            raise self.wrong("must be an object")
        return [(key, self[key]) for key in self.value]

    def items(self) -> list[_Field]:
        if not isinstance(self.value, list) or not self.value:
            raise self.wrong("must be a list of at least one element")
        return [_Field(self.origin, f"{self.path}[{i}]", item) for i, item in enumerate(self.value)]

    def number(self) -> float:
        number = self.value
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= LARGEST_FIGURE:
            raise self.wrong(f"must be a number from 0 to {LARGEST_FIGURE:.0f}, not {number!r}")
        return float(number)

    def numbers(self) -> tuple[float, ...]:
        return tuple(item.number() for item in self.items())

    def phases(self) -> PhaseTriple:
        return (self["initializer"].number(), self["holder"].number(), self["closer"].number())
