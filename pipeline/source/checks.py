"""The rules that extracted rows must keep, and what becomes of the rows that break them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import BadRowsError
from pipeline.source.schema import SET_ASIDE, dimension_column
from pipeline.source.times import TIME_OF_DAY
from targets.csv_text import csv_text

_SHOWN = 5
_DAYS_SHOWN = 10
_IS_MISSING = "is NULL or empty"
_NO_USER = f"user_id {_IS_MISSING}"

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rejects:
    """Rows set aside as bad input.

    Attributes:
        ids: the rows' ids as far as they have one.
        reasons: why each row was set aside.
        amount: the sum of their usable revenue or cost.
        channels: whose spend they are, where nothing else is wrong than that the user is missing; else empty.
        dimensions: of each column of a dimension the same.

    """

    ids: list[str]
    reasons: list[str]
    amount: float
    channels: list[str] = field(default_factory=list, compare=False)
    dimensions: Mapping[str, list[str]] = field(default_factory=dict, compare=False)

    def to_table(self) -> pa.Table:
        """The rows as `SET_ASIDE`, with their dimensions."""
        channels = self.channels or [""] * len(self.ids)
        rows = pa.table({"id": self.ids, "reason": self.reasons, "channel_name": channels}, schema=SET_ASIDE)
        for column, values in self.dimensions.items():
            rows = rows.append_column(column, pa.array(values, pa.string()))
        return rows

    def to_csv(self) -> str:
        """A CSV with the columns id and reason."""
        return csv_text({"id": self.ids, "reason": self.reasons})


def split(
    rows: pa.Table, rules: Mapping[str, Mask], amounts: NDArray[np.float64] | None = None
) -> tuple[pa.Table, Rejects]:
    """The rows that break no rule, and the others with the reason: the names of the rules they break.

    `rules` maps a reason to the rows that break it; the id is the first column of `rows`.
    """
    bad = np.zeros(rows.num_rows, dtype=bool)
    for broken in rules.values():
        bad |= broken
    if not bad.any():
        return rows, Rejects([], [], 0.0)
    places = np.flatnonzero(bad)
    ids = rows.column(0).take(pa.array(places)).to_pylist()
    reasons = ["; ".join(reason for reason, broken in rules.items() if broken[place]) for place in places]
    usable = 0.0 if amounts is None else float(np.sum(amounts[places], where=_is_amount(amounts[places])))
    spent = {
        column: [
            name if why == _NO_USER else ""
            for name, why in zip(rows[column].take(pa.array(places)).to_pylist(), reasons, strict=True)
        ]
        for column in rows.column_names
        if column == "channel_name" or column.startswith(dimension_column(""))
    }
    return rows.filter(pa.array(~bad)), Rejects(ids, reasons, usable, spent.pop("channel_name", []), spent)


def refuse(rejects: Mapping[dt.date, Mapping[str, Rejects]]) -> None:
    """Raise `BadRowsError`, which counts the bad rows of each day and table and shows a few, if there are any."""
    found = [
        _describe(table, of_table, str(day))
        for day, of_day in sorted(rejects.items())
        for table, of_table in of_day.items()
        if of_table.ids
    ]
    if found:
        more = f"; and {len(found) - _DAYS_SHOWN} days more" if len(found) > _DAYS_SHOWN else ""
        raise BadRowsError(
            f"{'; '.join(found[:_DAYS_SHOWN])}{more}. Correct them in the source, or set BAD_ROWS=set-aside to go on "
            "without them"
        )


def _describe(table: str, rejects: Rejects, day: str) -> str:
    shown = ", ".join(
        f"{row_id or '(no id)'} ({reason})"
        for row_id, reason in list(zip(rejects.ids, rejects.reasons, strict=True))[:_SHOWN]
    )
    more = f" and {len(rejects.ids) - _SHOWN} more" if len(rejects.ids) > _SHOWN else ""
    plural = "row" if len(rejects.ids) == 1 else "rows"
    return f"{table} on {day}: {len(rejects.ids)} bad {plural}: {shown}{more}"


def empty(rows: pa.Table, name: str) -> dict[str, Mask]:
    """The rule that a text is there."""
    return {f"{name} {_IS_MISSING}": _mask(pc.equal(rows[name], ""))}


def repeated(codes: NDArray[np.integer], name: str) -> dict[str, Mask]:
    """The rule that an id, of which there are the codes, stands once.

    Every row of a repeated id breaks it, since none is known to be right.
    """
    return {f"{name} is there more than once": np.bincount(codes)[codes] > 1}


def malformed_time(rows: pa.Table, column: str, name: str) -> dict[str, Mask]:
    """The rule that a time of day, which messages call `name`, is HH:MM:SS."""
    return {f"{name} is not HH:MM:SS": ~_mask(pc.match_substring_regex(rows[column], TIME_OF_DAY))}


def not_a_flag(rows: pa.Table, name: str) -> dict[str, Mask]:
    """The rule that an engagement flag is 0 or 1."""
    return {f"{name} is not 0 or 1": rows[name].to_numpy() < 0}


def not_an_amount(rows: pa.Table, name: str) -> dict[str, Mask]:
    """The rule that an amount of money is a finite number of at least 0."""
    return {f"{name} is not a number of at least 0": ~_is_amount(rows[name].to_numpy())}


def not_finite(rows: pa.Table, name: str) -> dict[str, Mask]:
    """The rule that an amount of money is a finite number, negative or not."""
    return {f"{name} is not a number": ~np.isfinite(rows[name].to_numpy())}


def another_currency(rows: pa.Table, currency: str, column_name: str, amount: str) -> dict[str, Mask]:
    """The rule that amounts are in the one currency; messages show the expressions of currency and amount."""
    column = rows["currency"].combine_chunks().dictionary_encode()
    codes = column.indices.to_numpy(zero_copy_only=False)
    return {
        f'currency is {value!r}, not {currency}: convert it in SOURCE_MAPPING, as revenue = "CASE {column_name} WHEN '
        f'{value!r} THEN {amount} * <rate> ELSE {amount} END", and leave the key currency out': codes == code
        for code, value in enumerate(column.dictionary.to_pylist())
        if value.strip().upper() != currency
    }


def codes_of(column: pa.ChunkedArray) -> NDArray[np.integer]:
    """An integer for each text, the same for the same."""
    codes: NDArray[np.integer] = column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return codes


def first_of_identical(rows: pa.Table, name: str, codes: NDArray[np.integer]) -> Mask:
    """The rows but for those that agree in every column with an earlier one; rows without an id all stay.

    `codes` are those of the ids, in the column `name`.
    """
    keep = np.ones(rows.num_rows, dtype=bool)
    counts = np.bincount(codes)
    suspects = np.flatnonzero((counts > 1)[codes]) if len(counts) else np.array([], dtype=np.int64)
    seen: set[tuple[object, ...]] = set()
    found = rows.take(pa.array(suspects))
    read = ~unreadable(found)
    columns = found.to_pydict()
    for place, row_id, is_read, row in zip(
        suspects, columns[name], read, zip(*columns.values(), strict=True), strict=True
    ):
        keep[place] = not (row_id and is_read and row in seen)
        seen.add(row)
    return keep


def unreadable(rows: pa.Table) -> Mask:
    """The rows with a value in place of one that does not fit, so that nobody knows whether they are identical."""
    found = np.zeros(rows.num_rows, dtype=bool)
    for column in rows.columns:
        if column.type in {pa.float64(), pa.int8()}:
            found |= column.to_numpy() == (-np.inf if column.type == pa.float64() else -1)
    return found


def all_of(*rules: Mapping[str, Mask]) -> dict[str, Mask]:
    """Several rules as one mapping."""
    return {reason: mask for rule in rules for reason, mask in rule.items()}


def _is_amount(values: NDArray[np.float64]) -> Mask:
    return np.isfinite(values) & (values >= 0)


def _mask(column: pa.ChunkedArray) -> Mask:
    return np.asarray(column.to_numpy(), dtype=bool)
