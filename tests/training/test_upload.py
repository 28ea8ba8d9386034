"""Training sets in the API's upload form, and what is said of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.databases import ODD_CHANNELS
from training_cases import BEGIN, table

from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.errors import JourneyError
from pipeline.journeys.schema import JOURNEYS
from pipeline.training.statistics import describe, failed_checks
from pipeline.training.upload import COLUMNS, read_csv, to_arrays, to_csv, to_json

HEADER = (
    "conversion_id,session_id,timestamp,channel_label,"
    "holder_engagement,closer_engagement,conversion,impression_interaction"
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "training_set.csv"
    path.write_bytes(text.encode())
    return path


def test_csv_and_json_hold_the_same_sessions() -> None:
    journeys = table([("one", ["A", "B"]), ('two "2"', ["B"]), ("three", [*ODD_CHANNELS])])
    rows = [*csv.DictReader(to_csv(journeys).splitlines(keepends=True))]
    objects = json.loads(to_json(journeys))
    assert [{name: str(value) for name, value in session.items()} for session in objects] == rows
    assert objects[1] == {
        "conversion_id": "one",
        "session_id": "one-1",
        "timestamp": "2023-08-25 22:46:40",
        "channel_label": "B",
        "holder_engagement": 1,
        "closer_engagement": 1,
        "conversion": 1,
        "impression_interaction": 0,
    }
    assert [session["conversion"] for session in objects] == [0, 1, 1, *[0] * (len(ODD_CHANNELS) - 1), 1]


def test_no_journeys_are_a_header_and_an_empty_list() -> None:
    nothing = JOURNEYS.empty_table()
    assert to_csv(nothing) == f"{HEADER}\n"
    assert json.loads(to_json(nothing)) == []


def test_what_was_written_is_read_as_the_same_journeys(tmp_path: Path) -> None:
    journeys = table([("one", ["A", "B"]), ("two", ["B"]), ("three", [*ODD_CHANNELS])])
    path = written(tmp_path, to_csv(journeys))
    read, kept = to_arrays(read_csv(path), path), JourneyArrays.from_table(journeys)
    assert read.channels == kept.channels
    for name in ("starts", "time", "channel", "holder", "closer"):
        np.testing.assert_array_equal(getattr(read, name), getattr(kept, name))


def test_a_file_of_other_line_ends_columns_and_order_is_read(tmp_path: Path) -> None:
    lines = [
        f"\ufeff{HEADER},more",
        "a,2,2023-08-25 22:46:41,B,0,1,1,0,x",
        "b,3,2023-08-25 22:46:40,A,1,0,1,0,x",
        "a,1,2023-08-25 22:46:40,A,1,0,0,0,x",
        "a,0,2023-08-25 22:46:40,A,1,1,0,0,x",
    ]
    path = written(tmp_path, "\r\n".join(lines))
    journeys = to_arrays(read_csv(path), path)
    assert journeys.starts.tolist() == [0, 3, 4]
    assert (journeys.time - BEGIN).tolist() == [3600, 3600, 3601, 3600]
    assert [journeys.channels[code] for code in journeys.channel] == ["A", "A", "B", "A"]
    assert journeys.closer.tolist() == [False, True, True, False]  # within a second in the order of the rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a training set"),
        ("a,b\n1\n", "cannot be read as a training set"),
        ('a,b\n"1', "cannot be read as a training set"),
        ("conversion_id,session_id\n", "is no training set: it has no column timestamp, channel_label"),
        (f"{HEADER}\na,1,2023-02-30 00:00:00,A,0,0,0,0\n", "session 1: the timestamp '2023-02-30 00:00:00' is not"),
        (f"{HEADER}\na,1,2023-02-28 00:00:00,A,0,2,0,0\n", "session 1: closer_engagement is '2', not 0 or 1"),
    ],
)
def test_a_file_that_is_no_training_set_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(JourneyError) as error:
        to_arrays(read_csv(path), path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JourneyError, match=r"none\.csv cannot be read as a training set"):
        read_csv(tmp_path / "none.csv")


def upload(*sessions: tuple[str, str, str, int]) -> pd.DataFrame:
    """Of conversion, session, timestamp and whether it is the conversion's."""
    rows = [(*session[:3], "A", "1", "0", str(session[3]), "0") for session in sessions]
    return pd.DataFrame(rows, columns=[*COLUMNS], dtype=str)


GOOD = upload(
    ("a", "1", "2023-08-29 00:00:00", 0), ("a", "2", "2023-08-30 00:00:00", 1), ("b", "3", "2023-08-28 12:00:00", 1)
)


def test_the_statistics_of_a_training_set() -> None:
    statistics = describe(GOOD, GOOD[:2])
    checks = statistics.pop("checks")
    assert statistics == {
        "journeys": 2,
        "sessions": 3,
        "held_out_journeys": 1,
        "first_session": "2023-08-28 12:00:00",
        "last_session": "2023-08-30 00:00:00",
        "journeys_by_length": {"1": 1, "2": 1},
        "engaged_sessions": {"holder_engagement": 3, "closer_engagement": 0, "impression_interaction": 0},
        "channels": {"A": {"sessions": 3, "journeys": 2}},
    }
    assert failed_checks({"checks": checks}) == ["10,000 to 100,000 journeys: 2"]


@pytest.mark.parametrize("journeys", [(9_999, False), (10_000, True), (100_000, True), (100_001, False)])
def test_the_advised_number_of_journeys(journeys: tuple[int, bool]) -> None:
    count, advised = journeys
    names = np.arange(count).astype(str)
    many = pd.DataFrame({name: np.full(count, "1") for name in COLUMNS}).assign(
        conversion_id=names, timestamp="2023-08-29 00:00:00"
    )
    assert (failed_checks(describe(many, many[:0])) == []) is advised


@pytest.mark.parametrize(
    ("session", "failed"),
    [
        (("a", "9", "2023-08-30 00:00:01", 0), "no session after the conversion: 1 are"),
        (("a", "9", "yesterday", 0), "timestamps parse: 1 do not"),
        (("a", "9", "2023-08-29 00:00:01", 1), "one session a journey has the conversion: 1 not"),
        (("c", "9", "2023-08-29 00:00:01", 0), "one session a journey has the conversion: 1 not"),
        (("a", "1", "2023-08-29 00:00:00", 0), "no session twice in a journey: 1 are"),
    ],
)
def test_what_the_vendor_would_refuse_fails_a_check(session: tuple[str, str, str, int], failed: str) -> None:
    worse = pd.concat([GOOD, upload(session)], ignore_index=True)
    assert failed_checks(describe(worse, GOOD[:0])) == ["10,000 to 100,000 journeys: " + worse_count(worse), failed]


def worse_count(sessions: pd.DataFrame) -> str:
    return str(sessions["conversion_id"].nunique())


def test_an_empty_training_set_has_statistics() -> None:
    statistics = describe(GOOD[:0], GOOD[:0])
    assert (statistics["journeys"], statistics["first_session"], statistics["journeys_by_length"]) == (0, None, {})
