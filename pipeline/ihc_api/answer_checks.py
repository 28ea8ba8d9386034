"""What an answer must hold to be believed, and the normalisation of believed credit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.ihc_api.answer_json import Value
from pipeline.ihc_api.request_json import Asked

PHASES = ("initializer", "holder", "closer", "ihc")

Shares = NDArray[np.float64]
"""A row per `PHASES` and a column per session."""


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth.

    Attributes:
        shares: of the sessions asked for, as answered; NaN where not answered.
        bad: what is wrong, by the number of the journey in the request; the other journeys can be believed.
        absent: the bad journeys of which the answer says nothing.
        in_part: of the bad journeys that are answered in part, a session that the answer lacks.

    """

    shares: Shares
    bad: dict[int, str]
    absent: list[int]
    in_part: dict[int, str]


class UnaskedAnswerError(Exception):
    """The answer is about conversions that nobody asked for, so none of it can be believed."""


def judge(values: Sequence[Value], asked: Asked) -> Verdict:
    """Compare an answer with what was asked. Raises `UnaskedAnswerError`."""
    rows, bad, absent, in_part = _rows([of.conversion_id for of in values], [of.session_id for of in values], asked)
    shares = np.full((len(PHASES), len(asked.session_ids) + 1), np.nan)  # the last column: what nobody asked for
    shares[0, rows] = [of.initializer for of in values]
    shares[1, rows] = [of.holder for of in values]
    shares[2, rows] = [of.closer for of in values]
    shares[3, rows] = [of.ihc for of in values]
    shares = shares[:, :-1]
    for journey, reason in _implausible(shares, asked):
        bad.setdefault(journey, reason)
    return Verdict(shares, bad, absent, in_part)


def _rows(
    conv_ids: list[str], session_ids: list[str], asked: Asked
) -> tuple[list[int] | slice, dict[int, str], list[int], dict[int, str]]:
    """The session asked for that each value is about, -1 for none, and what a `Verdict` says of the journeys."""
    if session_ids == asked.session_ids and conv_ids == asked.conv_id_of_session:
        return slice(len(session_ids)), {}, [], {}
    keys = zip(asked.conv_id_of_session, asked.session_ids, strict=True)
    row_of = {key: row for row, key in enumerate(keys)}
    journey_of = {conversion: journey for journey, conversion in enumerate(asked.conv_ids)}
    bad: dict[int, str] = {}
    rows: list[int] = []
    answered, is_absent = np.zeros(len(row_of), dtype=bool), np.ones(len(journey_of), dtype=bool)
    for conversion, session in zip(conv_ids, session_ids, strict=True):
        journey = journey_of.get(conversion)
        if journey is None:
            raise UnaskedAnswerError(f"an answer about conversion {conversion}, which nobody asked for")
        is_absent[journey] = False
        row = row_of.get((conversion, session), -1)
        rows.append(row)
        if row < 0:
            bad[journey] = f"the answer has session {session}, which is not in the journey"
        elif answered[row]:
            bad[journey] = f"the answer has session {session} twice"
        else:
            answered[row] = True
    lacking = asked.lengths - np.add.reduceat(answered, asked.starts, dtype=np.int64)
    in_part: dict[int, str] = {}
    for journey in np.flatnonzero(lacking).tolist():
        bad.setdefault(
            journey, f"the answer lacks {lacking[journey]} of the journey's {asked.lengths[journey]} sessions"
        )
        if not is_absent[journey]:
            start = asked.starts[journey]
            in_part[journey] = asked.session_ids[start + answered[start:].argmin()]
    return rows, bad, np.flatnonzero(is_absent).tolist(), in_part


def _implausible(shares: Shares, asked: Asked) -> Iterator[tuple[int, str]]:
    """The journeys whose numbers cannot be credit."""
    if not (shares.min() >= 0 and shares.max() <= 1):  # true of NaN, too
        within = ((shares >= 0) & (shares <= 1)).all(axis=0)
        for journey in np.flatnonzero(~np.logical_and.reduceat(within, asked.starts)).tolist():
            yield journey, "the answer has credit that is no number in 0..1"
    tolerance = np.maximum(0.01, 0.00005 * asked.lengths)  # half of the last of four decimals a session
    sums = np.add.reduceat(shares, asked.starts, axis=1)
    off = np.abs(sums - 1) > tolerance
    off[:-1] &= sums[:-1] > tolerance  # a phase, not ihc, in which nothing is engaged is all 0
    for phase, journey in np.argwhere(off).tolist():
        yield journey, f"the answer's {PHASES[phase]} sums to {sums[phase, journey]:.4f}"


def normalise(shares: Shares, lengths: NDArray[np.int64]) -> None:
    """Make every phase of every journey sum to 1, or to 0 where nothing is engaged in it; in place."""
    if not len(lengths):
        return
    for phase in range(len(PHASES)):  # one after the other, since journeys can be many
        sums = np.add.reduceat(shares[phase], np.cumsum(lengths) - lengths)
        # believed sums are about 1 or about 0
        shares[phase] /= np.repeat(np.where(sums > 0.5, sums, np.inf), lengths)  # noqa: PLR2004
