"""Times as companies write them, in Arrow and numpy: UTC epoch seconds, and the report's day of each."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.source.mapping import Time
from pipeline.zones import UTC, day_begins, days_of_seconds, to_utc, today

EARLIEST = dt.date(2000, 1, 1)
"""No plausible row is of an earlier day."""

TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"
_DATE = r"^\d{4}-\d\d-\d\d$"
_FULL = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
_ZONE = r" ?(Z|UTC|[+-]\d\d(:?\d\d)?)?"
_WIDER = (
    (r"^(\d{4}-\d\d-\d\d)$", r"\1 00:00:00"),
    (rf"^(\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d)({_ZONE})$", r"\1:00\2"),
)
_NUMBER = r"^-?\d{1,12}(\.\d*)?$"
_TAIL = re.compile(rf"([.,]\d+)?{_ZONE}", re.ASCII)
_FEW_TAILS = 1_000
_DAY = 86_400
_LEAST, _MOST = -62_135_596_800, 253_402_300_799  # of the years 1 to 9999

Seconds = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Parsed(NamedTuple):
    """Seconds of times; whether each could be read; whether it says nothing of its zone."""

    seconds: Seconds
    is_time: Mask
    is_local: Mask


@dataclass(frozen=True)
class Times:
    """How the times of an input are written, and whose days they are counted by."""

    time: Time
    timezone: str = UTC
    zone: str = UTC

    @property
    def expressions(self) -> dict[str, str]:
        """The expression of each column that holds them."""
        if isinstance(self.time, str):
            return {"time_text": self.time}
        return {"date_text": self.time[0], "time_text": self.time[1]}

    @property
    def day_column(self) -> str:
        """The text that decides the day, as far as a text does."""
        return "time_text" if isinstance(self.time, str) else "date_text"

    @property
    def is_plain(self) -> bool:
        """Whether the date as it is written is the day: nothing needs to be known of the time of day."""
        return not isinstance(self.time, str) and self.timezone == self.zone

    @property
    def is_plain_utc(self) -> bool:
        """Whether date and time are those of UTC as they are written."""
        return self.is_plain and self.zone == UTC

    def with_days(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows with `day` (date, null without one), `seconds` (UTC, null) and `twice` (of an hour that repeats)."""
        if isinstance(self.time, str):
            parsed = parse(batch.column("time_text"))
            days_written = np.zeros(batch.num_rows, dtype=np.int64)
            has_date = parsed.is_time
        else:
            days_written, has_date = parse_dates(batch.column("date_text"))
            of_day, is_time = times_of_day(batch.column("time_text"))
            parsed = Parsed(days_written * _DAY + of_day, is_time & has_date, np.ones(batch.num_rows, dtype=bool))
        seconds, twice = parsed.seconds.copy(), np.zeros(batch.num_rows, dtype=bool)
        local = np.flatnonzero(parsed.is_local & parsed.is_time)
        seconds[local], twice[local] = to_utc(seconds[local], self.timezone)
        days = days_written.copy()
        days[parsed.is_time] = days_of_seconds(seconds[parsed.is_time], self.zone)
        columns = {
            "day": pa.array(days.astype(np.int32), mask=~has_date).cast(pa.date32()),
            "seconds": pa.array(seconds, mask=~parsed.is_time),
            "twice": pa.array(twice),
        }
        for name, column in columns.items():
            batch = batch.append_column(name, column)
        return batch


def plausible_days(zone: str) -> tuple[dt.date, dt.date]:
    """The first and the last day of which a row can be: the last is tomorrow."""
    return EARLIEST, today(zone) + dt.timedelta(days=1)


def parse(texts: pa.Array) -> Parsed:
    """Times as ISO 8601 or seconds since 1970; fractions are cut. Dates alone are their midnight."""
    full = _mask(pc.match_substring_regex(texts, _FULL))
    if full.all():
        return _iso(texts)
    seconds, is_time, is_local = (np.zeros(len(texts), dtype=kind) for kind in (np.int64, bool, bool))
    for part in _parts(texts, full):
        seconds[part.place], is_time[part.place], is_local[part.place] = part.parsed
    return Parsed(seconds, is_time, is_local)


class _Part(NamedTuple):
    place: NDArray[np.intp]
    parsed: Parsed


def _parts(texts: pa.Array, full: Mask) -> list[_Part]:
    rest = np.flatnonzero(~full)
    others = texts.take(pa.array(rest))
    wider = others
    for pattern, replacement in _WIDER:
        wider = pc.replace_substring_regex(wider, pattern, replacement)
    is_iso = _mask(pc.match_substring_regex(wider, _FULL))
    is_number = _mask(pc.match_substring_regex(others, _NUMBER))
    numbers = np.floor(others.filter(pa.array(is_number)).cast(pa.float64()).to_numpy(zero_copy_only=False))
    is_time = (numbers >= _LEAST) & (numbers <= _MOST)
    of_numbers = np.where(is_time, numbers, 0).astype(np.int64)
    return [
        _Part(np.flatnonzero(full), _iso(texts.filter(pa.array(full)))),
        _Part(rest[is_iso], _iso(wider.filter(pa.array(is_iso)))),
        _Part(rest[is_number], Parsed(of_numbers, is_time, np.zeros(len(numbers), dtype=bool))),
    ]


def _iso(texts: pa.Array) -> Parsed:
    """Texts that begin as `_FULL`."""
    days, is_date = _days(texts)
    of_day, is_time = _of_day(texts, 11)
    tails = pc.utf8_slice_codeunits(texts, 19)
    encoded = tails.dictionary_encode()
    if len(encoded.dictionary) > _FEW_TAILS:
        encoded = pc.replace_substring_regex(tails, r"^[.,]\d+", "").dictionary_encode()
    offsets = [_offset(tail) for tail in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    if not len(codes):
        return Parsed(days, is_time, is_date)
    known = np.array([offset is not False for offset in offsets])[codes]
    local = np.array([offset is None for offset in offsets])[codes]
    shift = np.array([int(offset or 0) for offset in offsets], dtype=np.int64)[codes]
    return Parsed(days * _DAY + of_day - shift, is_date & is_time & known, local)


def _offset(tail: str) -> int | None:
    """The seconds that a tail such as `.5+02:00` says, None for none, False for another tail."""
    matched = _TAIL.fullmatch(tail)
    if matched is None:
        return False
    zone = matched[2]
    if zone in (None, "Z", "UTC"):
        return None if zone is None else 0
    minutes = int(zone[1:3]) * 60 + int(zone[3:].lstrip(":") or 0)
    return minutes * (60 if zone[0] == "+" else -60)


def parse_dates(texts: pa.Array) -> tuple[Seconds, Mask]:
    """The days since 1970 of texts YYYY-MM-DD, and which texts are that."""
    written = _mask(pc.match_substring_regex(texts, _DATE))
    days = np.zeros(len(texts), dtype=np.int64)
    days[written], is_date = _days(texts.filter(pa.array(written)))
    written[written] = is_date
    return days, written


def times_of_day(texts: pa.Array) -> tuple[Seconds, Mask]:
    """The seconds of texts HH:MM:SS, and which texts are that."""
    written = _mask(pc.match_substring_regex(texts, TIME_OF_DAY))
    seconds = np.zeros(len(texts), dtype=np.int64)
    seconds[written], _ = _of_day(texts.filter(pa.array(written)), 0)
    return seconds, written


def _days(texts: pa.Array) -> tuple[Seconds, Mask]:
    year, month, day = (_number(texts, start, end) for start, end in ((0, 4), (5, 7), (8, 10)))
    months = ((year - 1970) * 12 + month.clip(1, 12) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    is_date = (year > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)  # noqa: PLR2004
    return days.astype(np.int64), is_date


def _of_day(texts: pa.Array, start: int) -> tuple[Seconds, Mask]:
    hour, minute, second = (_number(texts, start + place, start + place + 2) for place in (0, 3, 6))
    return hour * 3_600 + minute * 60 + second, (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004


def _number(texts: pa.Array, start: int, end: int) -> Seconds:
    return pc.utf8_slice_codeunits(texts, start, end).cast(pa.int64()).to_numpy(zero_copy_only=False)


def _mask(column: pa.Array) -> Mask:
    return np.array(column.to_numpy(zero_copy_only=False), dtype=bool)


def at_midnight(seconds: Seconds, zone: str) -> bool:
    """Whether all of some times, at least one, are the first second of their day, in UTC or a zone."""
    if not len(seconds):
        return False
    first = dt.date(1970, 1, 1) + dt.timedelta(days=int(days_of_seconds(seconds[:1], zone)[0]))
    return bool((seconds % _DAY == 0).all() or ((seconds - day_begins(first, zone)) % _DAY == 0).all())
