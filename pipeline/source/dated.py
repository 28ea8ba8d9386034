"""Which days a source has rows of, and which rows have none: their time is malformed or of no plausible day."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import SourceError
from pipeline.source.columns import dated, refuse_damaged_text, time_columns
from pipeline.source.source import Source
from pipeline.source.times import Times, plausible_days

_LONGEST_HISTORY = 3_660
_TEXT = pa.string()


class Undated(NamedTuple):
    """Rows without a plausible day: how many have each value, and the sum of their finite revenues."""

    values: dict[str, int]
    amount: float


class _Input(NamedTuple):
    """What is asked of an input: its table, its times, and its amount if it has one."""

    section: str
    table: str
    times: Times
    amount: str | None

    def sql(self, source: Source, where: str = "") -> str:
        """The query of times and amounts."""
        columns = dict(time_columns(self.times))
        if self.times.is_plain:
            columns = {"date_text": ("date", self.times.expressions["date_text"])}
        if self.amount is not None:
            columns["amount"] = ("amount", self.amount)
        return str(source.sql.select(columns, self.table, where=where))


def _inputs(source: Source) -> dict[str, _Input]:
    sessions, conversions = source.mapping.sessions, source.mapping.conversions
    return {
        "session_sources": _Input("sessions", sessions.table, source.session_times, None),
        "conversions": _Input("conversions", conversions.table, source.conversion_times, conversions.revenue),
    }


def undated_rows(source: Source) -> dict[str, dict[str, int]]:
    """By input every malformed or implausible value of its time, and how many rows have it, each input by one scan.

    Implausible is a day before `EARLIEST` or after tomorrow. Raises `DatabaseError`, `SourceError`.
    """
    return {name: undated.values for name, undated in find_undated(source).items()}


def find_undated(source: Source) -> dict[str, Undated]:
    """`undated_rows` with the revenue of conversions. Raises `DatabaseError`, `SourceError`."""
    bounds = plausible_days(source.zone)
    first, last = (np.datetime64(day) for day in bounds)
    found = {}
    for name, of_input in _inputs(source).items():
        values: Counter[str] = Counter()
        amounts = 0.0
        where = source.sql.no_date("date_text", *bounds) if of_input.times.is_plain else ""
        for values_of_batch, day, amount in _scan(source, of_input, where):
            bad = ~((day >= first) & (day <= last))  # of which there are also those without a day
            values.update(values_of_batch.filter(pa.array(bad)).to_pylist())
            amounts += float(np.sum(amount[bad], where=np.isfinite(amount[bad])))
        found[name] = Undated(dict(sorted(values.items())), amounts)
    return found


def daily_counts(source: Source) -> dict[str, dict[dt.date, tuple[int, float]]]:
    """By input the number of rows of each plausible day, good or not, and the sum of their finite revenues.

    Raises `DatabaseError`, `SourceError`.
    """
    first, last = (np.datetime64(day) for day in plausible_days(source.zone))
    found = {}
    for name, of_input in _inputs(source).items():
        counts: dict[dt.date, tuple[int, float]] = {}
        for _, day, amount in _scan(source, of_input):
            good = (day >= first) & (day <= last)
            days, place = np.unique(day[good], return_inverse=True)
            rows = np.bincount(place, minlength=len(days))
            usable = np.where(np.isfinite(amount), amount, 0.0)[good]
            sums = np.bincount(place, weights=usable, minlength=len(days))
            for of_day, more, much in zip(days.tolist(), rows.tolist(), sums.tolist(), strict=True):
                so_far = counts.get(of_day, (0, 0.0))
                counts[of_day] = (so_far[0] + more, so_far[1] + much)
        found[name] = dict(sorted(counts.items()))
    return found


def first_session_day(source: Source) -> dt.date | None:
    """The first plausible day that has sessions, None without any. Raises `DatabaseError`, `SourceError`."""
    sessions = source.mapping.sessions
    if not source.session_times.is_plain:
        return min(daily_counts(source)["session_sources"], default=None)
    first, last = plausible_days(source.zone)
    sql = source.sql.first_date_after("date_text", sessions.time[0], sessions.table)
    after = (first - dt.timedelta(days=1)).isoformat()
    with source.connect() as connection:
        while True:
            found = connection.query(sql, after, schema=pa.schema([("date_text", _TEXT)]))
            refuse_damaged_text(found, f"{source.name}, dates of session_sources")
            after = found["date_text"][0].as_py()
            if not after:
                return None
            if (day := parse_date(after)) is not None and first <= day <= last:
                return day


def history_start(first_session: dt.date | None, first_conversion: dt.date) -> dt.date:
    """The first day of a look-back window without limit. Raises `SourceError` for one of over ten years."""
    start = min(first_session or first_conversion, first_conversion)
    if (first_conversion - start).days > _LONGEST_HISTORY:
        raise SourceError(
            f"the first session is of {start}, over ten years before {first_conversion}: set a look-back window "
            "(SESSION_LOWER_LIMIT_DATE, in days), or correct its event_date"
        )
    return start


def parse_date(text: str) -> dt.date | None:
    """The day that a text writes as YYYY-MM-DD, None for anything else."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


_FULL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*", re.DOTALL)
_UNPADDED = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_MILLISECONDS = re.compile(r"\d{13}(\.\d*)?")


def undated_remedy(source: Source, name: str, values: Mapping[str, int]) -> str:
    """What to do about values of a time that are malformed or implausible: one part of a sentence, for messages."""
    of_input = _inputs(source)[name]
    time, line = of_input.times.time, "[{0}] of SOURCE_MAPPING"
    where = line.format(of_input.section)
    some = [*values]
    if not isinstance(time, str):
        form = f"{time[0]} has to be YYYY-MM-DD and {time[1]} HH:MM:SS, of a day from 2000 on"
        if any(map(_FULL.fullmatch, some)):
            return f'{time[0]} holds a full timestamp: write time = "{time[0]}" in {where}'
        if any(re.fullmatch(r"\d{9,10}(\.\d*)?", value) for value in some):
            return f'{time[0]} seems to hold seconds since 1970: write time = "{time[0]}" in {where}'
        return f"{form}; correct them in the source, or write an expression for time in {where}"
    if any(map(_MILLISECONDS.fullmatch, some)):
        return f'they seem to be milliseconds: write time = "{time} / 1000" in {where}'
    form = "a time is ISO 8601, such as 2023-09-01 12:00:00, or seconds since 1970, of a day from 2000 on"
    return f"{form}; correct them in the source, or write another expression for time in {where}"


def _scan(
    source: Source, of_input: _Input, where: str = ""
) -> Iterator[
    tuple[pa.Array, np.ndarray[tuple[int], np.dtype[np.datetime64]], np.ndarray[tuple[int], np.dtype[np.float64]]]
]:
    """Of each batch the values that decide the day, the days, NaT without one, and the amounts."""
    times = of_input.times
    with source.connect() as connection, connection.stream(of_input.sql(source, where)) as batches:
        for batch in batches if times.is_plain else dated(batches, times):
            if not batch.num_rows:
                continue
            values = batch.column(times.day_column)
            refuse_damaged_text(batch.select([times.day_column]), f"{source.name}, dates of {_table_name(of_input)}")
            if times.is_plain:
                encoded = values.dictionary_encode()
                known = np.array([parse_date(value) for value in encoded.dictionary.to_pylist()], dtype="datetime64[D]")
                day = known[encoded.indices.to_numpy(zero_copy_only=False)]
            else:
                day = batch.column("day").to_numpy(zero_copy_only=False).astype("datetime64[D]")
            amount = (
                np.zeros(batch.num_rows)
                if of_input.amount is None
                else pc.cast(batch.column("amount"), pa.float64()).to_numpy(zero_copy_only=False)
            )
            yield values, day, amount


def _table_name(of_input: _Input) -> str:
    return "session_sources" if of_input.section == "sessions" else of_input.section
