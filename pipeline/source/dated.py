"""Which days a source has rows of, and which rows have none: their time is malformed or of no plausible day."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import SourceError
from pipeline.source.columns import dated, refuse_damaged_text, time_columns
from pipeline.source.forms import date_expression, seconds_expression
from pipeline.source.source import Source
from pipeline.source.streaming import read_ahead
from pipeline.source.times import EARLIEST, Times, plausible_days

_LONGEST_HISTORY = 3_660
_TEXT = pa.string()


class Undated(NamedTuple):
    """Rows without a plausible day: how many have each value, and the sum of their finite revenues."""

    values: dict[str, int]
    amount: float


class DatedInput(NamedTuple):
    """What is asked of an input: its section of a mapping, its table, its id, its times, its amount if it has one."""

    section: str
    table: str
    row_id: str
    times: Times
    amount: str | None

    def sql(self, source: Source, *, with_id: bool = False) -> str:
        """The query of times and amounts, and of ids as text."""
        columns = dict(time_columns(self.times))
        if self.times.is_plain:
            columns = {"date_text": ("date", self.times.expressions["date_text"])}
        if self.amount is not None:
            columns["amount"] = ("amount", self.amount)
        if with_id:
            columns["id"] = ("text", self.row_id)
        return str(source.sql.select(columns, self.table))


def dated_inputs(source: Source) -> dict[str, DatedInput]:
    """The inputs whose rows have a time, by the name of their table in the default schema."""
    sessions, conversions = source.mapping.sessions, source.mapping.conversions
    return {
        "session_sources": DatedInput("sessions", sessions.table, sessions.session_id, source.session_times, None),
        "conversions": DatedInput(
            "conversions", conversions.table, conversions.conv_id, source.conversion_times, conversions.revenue
        ),
    }


class Tally:
    """How many rows of an input each day has, and the sum of their finite amounts; likewise of what is no day.

    A day before `EARLIEST` or after tomorrow is none. Raises `SourceError` for a text that is no UTF-8.
    """

    def __init__(self, source: Source, of_input: DatedInput) -> None:
        self.days: dict[dt.date, tuple[int, float]] = {}
        self.undated: dict[str, tuple[int, float]] = {}
        self._times = of_input.times
        self._place = f"{source.name}, dates of {'session_sources' if of_input.amount is None else of_input.section}"
        self._first, self._last = (np.datetime64(day) for day in plausible_days(source.zone))
        self._known: dict[str, dt.date | None] = {}

    def add(self, batch: pa.RecordBatch) -> NDArray[np.datetime64]:
        """Count the rows of a batch; returns the day of each, NaT for none."""
        values, days = self._dates(batch)
        amounts = np.zeros(batch.num_rows)
        if "amount" in batch.schema.names:
            written = pc.cast(batch.column("amount"), pa.float64()).to_numpy(zero_copy_only=False)
            amounts = np.where(np.isfinite(written), written, 0.0)
        bad = ~((days >= self._first) & (days <= self._last))  # of which there are also those without a day
        self._count(self.days, days[~bad], amounts[~bad])
        if bad.any():
            named = values.filter(pa.array(bad)).to_numpy(zero_copy_only=False)
            self._count(self.undated, named, amounts[bad])
            days = np.where(bad, np.datetime64("NaT", "D"), days)
        return days

    def _dates(self, batch: pa.RecordBatch) -> tuple[pa.Array, NDArray[np.datetime64]]:
        refuse_damaged_text(batch.select([self._times.day_column]), self._place)
        values = batch.column(self._times.day_column)
        if not self._times.is_plain:
            (with_days,) = dated([batch], self._times)
            return values, with_days.column("day").to_numpy(zero_copy_only=False).astype("datetime64[D]")
        encoded = values.dictionary_encode()
        names = encoded.dictionary.to_pylist()
        for name in names:
            if name not in self._known:
                self._known[name] = parse_date(name)
        known = np.array([self._known[name] for name in names], dtype="datetime64[D]")
        return values, known[encoded.indices.to_numpy(zero_copy_only=False)]

    @staticmethod
    def _count(counts: dict[Any, tuple[int, float]], keys: NDArray[Any], amounts: NDArray[np.float64]) -> None:
        distinct, place = np.unique(keys, return_inverse=True)
        rows = np.bincount(place, minlength=len(distinct)).tolist()
        sums = np.bincount(place, weights=amounts, minlength=len(distinct)).tolist()
        for key, more, much in zip(distinct.tolist(), rows, sums, strict=True):
            so_far = counts.get(key, (0, 0.0))
            counts[key] = (so_far[0] + more, so_far[1] + much)


def tally(source: Source, name: str) -> Tally:
    """The tally of an input, by one scan. Raises `DatabaseError`, `SourceError`."""
    of_input = dated_inputs(source)[name]
    counts = Tally(source, of_input)
    with read_ahead(source, of_input.sql(source)) as batches:
        for batch in batches:
            if batch.num_rows:
                counts.add(batch)
    return counts


def undated_rows(source: Source) -> dict[str, dict[str, int]]:
    """By input every malformed or implausible value of its time, and how many rows have it, each input by one scan.

    Raises `DatabaseError`, `SourceError`.
    """
    return {name: undated.values for name, undated in find_undated(source).items()}


def find_undated(source: Source) -> dict[str, Undated]:
    """`undated_rows` with the revenue of conversions. Raises `DatabaseError`, `SourceError`."""
    found = {}
    for name in dated_inputs(source):
        undated = tally(source, name).undated
        values = {value: rows for value, (rows, _) in sorted(undated.items())}
        found[name] = Undated(values, math.fsum(amount for _, amount in undated.values()))
    return found


def daily_counts(source: Source) -> dict[str, dict[dt.date, tuple[int, float]]]:
    """By input the number of rows of each plausible day, good or not, and the sum of their finite revenues.

    Raises `DatabaseError`, `SourceError`.
    """
    return {name: dict(sorted(tally(source, name).days.items())) for name in dated_inputs(source)}


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
_SECONDS = re.compile(r"\d{9,10}(\.\d*)?")


def undated_remedy(source: Source, name: str, values: Iterable[str]) -> str:
    """What to do about values of a time that are malformed or implausible: one part of a sentence, for messages."""
    of_input = dated_inputs(source)[name]
    where, some = f"[{of_input.section}] of SOURCE_MAPPING", [*values]
    date, *time_of_day = [of_input.times.time] if isinstance(of_input.times.time, str) else of_input.times.time
    plausible = f"of a day from {EARLIEST.year} to tomorrow"
    if (found := seconds_expression(date, some)) is not None:
        return f'they seem to be {found[0]}: write time = "{found[1]}" in {where}'
    if time_of_day and any(map(_FULL.fullmatch, some)):
        return f'{date} holds a full timestamp: write time = "{date}" in {where}'
    if time_of_day and any(map(_SECONDS.fullmatch, some)):
        return f'{date} seems to hold seconds since 1970: write time = "{date}" in {where}'
    form = (
        f"{date} has to be YYYY-MM-DD and {time_of_day[0]} HH:MM:SS, {plausible}"
        if time_of_day
        else f"a time is ISO 8601, such as 2023-09-01 12:00:00, or seconds since 1970, {plausible}"
    )
    if (written := date_expression(date, some)) is None:
        another = "an" if time_of_day else "another"
        return f"{form}; correct them in the source, or write {another} expression for time in {where}"
    time = f'["{written}", "{time_of_day[0]}"]' if time_of_day else f'"{written}"'
    return f"{form}: write time = {time} in {where}"
