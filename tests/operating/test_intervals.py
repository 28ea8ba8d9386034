from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from luigi.date_interval import Custom

from pipeline.operating.intervals import missed, owe, owed, to_make, window
from targets.files import LocalFiles

TODAY = dt.date(2023, 9, 8)
NEWEST = window(TODAY, 5)


def days(first: str, number: int) -> list[dt.date]:
    return [dt.date.fromisoformat(first) + dt.timedelta(days=day) for day in range(number)]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([], []),
        (days("2023-09-07", 1), []),
        (days("2023-09-02", 1), []),  # the day before the newest interval
        (days("2023-09-01", 1), ["2023-09-02-2023-09-03"]),
        (days("2023-08-20", 3), ["2023-08-23-2023-08-28", "2023-08-28-2023-09-02", "2023-09-02-2023-09-03"]),
        ([*days("2023-08-01", 1), *days("2023-09-04", 1)], []),  # what lies before the last stored day is a backfill's
        (days("2023-09-20", 1), []),
    ],
)
def test_what_was_missed(stored: list[dt.date], expected: list[str]) -> None:
    assert [str(interval) for interval in missed(stored, NEWEST)] == expected


def test_what_failed_is_owed_until_its_days_are_stored(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    assert owed(files) == []
    late = Custom(dt.date(2023, 8, 1), dt.date(2023, 8, 4))
    owe(files, [late])
    assert to_make(owed(files), days("2023-09-04", 4), NEWEST) == [late]
    assert to_make(owed(files), [*days("2023-08-01", 2), *days("2023-09-04", 4)], NEWEST) == [late]
    assert to_make(owed(files), [*days("2023-08-01", 3), *days("2023-09-04", 4)], NEWEST) == []
    owe(files, [])
    assert not [*tmp_path.glob("locks/*")]


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"a": 1}', b'["x"]', b"null"])
def test_a_damaged_note_of_what_is_owed_owes_nothing(tmp_path: Path, text: bytes) -> None:
    files = LocalFiles(tmp_path)
    files.write("locks/daily-owed.json", text)
    assert owed(files) == []
