"""What an answer must hold to be believed, and what becomes of believed credit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.api.reading import Shares, Value
from pipeline.attribution.api.wire import Asked

PHASES = ("initializer", "holder", "closer", "ihc")
"""The rows of every array of shares in this package; its columns are sessions."""


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth.

    Attributes:
        shares: float64, a row per `PHASES` and a column per session asked for, as answered; NaN where not
            answered.
        bad: what is wrong, by the number of the journey in the request; the other journeys can be believed.
        absent: the bad journeys of which the answer says nothing.

    """

    shares: NDArray[np.float64]
    bad: dict[int, str]
    absent: list[int]


class UnaskedAnswerError(Exception):
    """The answer is about conversions that nobody asked for, so none of it can be believed."""


def judge(credit: Shares | Sequence[Value], asked: Asked) -> Verdict:
    """Compare an answer with what was asked. Raises `UnaskedAnswerError`.

    `credit` are the shares of all sessions in the order asked for, or values in any order.
    """
    shares, bad, absent = (credit, {}, []) if isinstance(credit, np.ndarray) else _assigned(credit, asked)
    for journey, reason in _implausible(shares, asked):
        bad.setdefault(journey, reason)
    return Verdict(shares, bad, absent)


def _assigned(values: Sequence[Value], asked: Asked) -> tuple[Shares, dict[int, str], list[int]]:
    """The shares of each session; the journeys whose sessions are not those asked for; the absent ones."""
    session_ids, conv_ids = asked.sessions.to_list(), asked.conversions.to_list()
    keys = zip(asked.conversion_of_session.to_list(), session_ids, strict=True)
    row_of = {key: row for row, key in enumerate(keys)}
    journey_of = {conversion: journey for journey, conversion in enumerate(conv_ids)}
    bad: dict[int, str] = {}
    rows, credit = [], []
    answered = np.zeros(len(session_ids), dtype=bool)
    is_absent = np.ones(len(conv_ids), dtype=bool)
    for value in values:
        journey = journey_of.get(value.conversion_id)
        if journey is None:
            raise UnaskedAnswerError(f"an answer about conversion {value.conversion_id}, which nobody asked for")
        is_absent[journey] = False
        row = row_of.get((value.conversion_id, value.session_id))
        if row is None:
            bad[journey] = f"the answer has session {value.session_id}, which is not in the journey"
            continue
        if answered[row]:
            bad[journey] = f"the answer has session {value.session_id} twice"
        answered[row] = True
        rows.append(row)
        credit.append((value.initializer, value.holder, value.closer, value.ihc))
    lacking = asked.lengths - np.add.reduceat(answered, asked.starts, dtype=np.int64)
    for journey in np.flatnonzero(lacking).tolist():
        bad.setdefault(
            journey, f"the answer lacks {lacking[journey]} of the journey's {asked.lengths[journey]} sessions"
        )
    shares = np.full((len(PHASES), len(session_ids)), np.nan)
    shares[:, rows] = np.array(credit).reshape(-1, len(PHASES)).T
    return shares, bad, np.flatnonzero(is_absent).tolist()


def _implausible(shares: NDArray[np.float64], asked: Asked) -> Iterator[tuple[int, str]]:
    """The journeys whose numbers cannot be credit."""
    if not (shares.min() >= 0 and shares.max() <= 1):  # NaN is neither
        within = ((shares >= 0) & (shares <= 1)).all(axis=0)
        for journey in np.flatnonzero(~np.logical_and.reduceat(within, asked.starts)).tolist():
            yield journey, "the answer has credit that is no number in 0..1"
    tolerance = np.maximum(0.01, 0.00005 * asked.lengths)  # contracts section 4
    sums = np.add.reduceat(shares, asked.starts, axis=1)
    off = np.abs(sums - 1) > tolerance
    off[:-1] &= sums[:-1] > tolerance  # a phase, not ihc, in which nothing is engaged is all 0
    for phase, journey in np.argwhere(off).tolist():
        yield journey, f"the answer's {PHASES[phase]} sums to {sums[phase, journey]:.4f}"


def normalise(shares: NDArray[np.float64], lengths: NDArray[np.int64]) -> None:
    """Make every phase of every journey sum to 1, or to 0 where nothing is engaged in it; in place."""
    if not len(lengths):
        return
    for phase in range(len(PHASES)):  # one after the other, since journeys can be many
        sums = np.add.reduceat(shares[phase], np.cumsum(lengths) - lengths)
        # believed sums are about 1 or about 0
        shares[phase] /= np.repeat(np.where(sums > 0.5, sums, np.inf), lengths)  # noqa: PLR2004


def failure_reasons(failures: Any, conv_ids: Iterable[str]) -> dict[str, str]:  # noqa: ANN401 - any JSON
    """What `partialFailureErrors` says of each of `conv_ids`, whatever its shape: texts, objects, a map, nested."""
    if isinstance(failures, dict):
        entries: list[Any] = [{name: entry} for name, entry in failures.items()]
    else:
        entries = failures if isinstance(failures, list) else [failures]
    texts = [" ".join(_texts(entry)) for entry in entries]
    reasons = {}
    for conv_id in conv_ids:
        named = re.compile(rf"(?<!\w){re.escape(conv_id)}(?!\w)")
        reasons[conv_id] = next((one_line(text) for text in texts if named.search(text)), "the API gave no reason")
    return reasons


def _texts(entry: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """The words and numbers of a JSON value, in order."""
    if isinstance(entry, dict):
        for key, value in entry.items():
            yield from (f"{key}:", *_texts(value))
    elif isinstance(entry, list):
        for value in entry:
            yield from _texts(value)
    else:
        yield entry if isinstance(entry, str) else json.dumps(entry)


def one_line(text: str, longest: int = 200) -> str:
    """`text` as it fits into a message."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
