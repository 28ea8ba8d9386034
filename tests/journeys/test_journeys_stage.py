"""Journeys as a stage: which days are made anew when something changes, and what they are made from."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from luigi.date_interval import Custom
from support.databases import add_rows, change, conversion, session, write_database
from support.stages import make, places_of

from pipeline.errors import SourceError
from pipeline.journeys.tasks import Journeys
from pipeline.places import Places
from pipeline.source.tasks import Sessions
from targets.errors import UnreadableTargetError

DAYS = [dt.date(2023, 9, day) for day in range(1, 6)]
INTERVAL = Custom(DAYS[2], DAYS[4])
"""The third and the fourth day; there are sessions on the days before."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Five days, each with an order of one user and a session in the same second."""
    return write_database(
        tmp_path / "source.db",
        [session(f"s{day.day}", "user", f"{day} 12:00:00") for day in DAYS],
        [conversion(f"c{day.day}", "user", f"{day} 12:00:00") for day in DAYS],
    )


@pytest.fixture
def places(path: Path, tmp_path: Path) -> Places:
    return places_of(path, tmp_path / "data")


@pytest.fixture
def data(places: Places) -> Path:
    return Path(places.data_dir)


def journeys(places: Places, **settings: Any) -> Journeys:  # noqa: ANN401 - of several types
    return Journeys(**{"places": places, "date_interval": INTERVAL, "lookback_days": 1, **settings})


def found(stage: Journeys) -> dict[str, list[str]]:
    """The sessions of each journey."""
    ids: dict[str, list[str]] = {}
    for target in stage.output():
        for row in target.read().to_pylist():
            ids.setdefault(row["conv_id"], []).append(row["session_id"])
    return ids


def versions(folder: Path) -> dict[str, tuple[int, int]]:
    """Of each file what changes when it is made, if only its stamp: an inode alone may be given out again."""
    found = {path.name.removesuffix(".stamp"): path.stat() for path in folder.rglob("*.parquet.stamp")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def test_each_day_has_the_journeys_of_its_orders(places: Places, data: Path) -> None:
    stage = journeys(places)
    assert make(stage) == ["InitDatabase", "SourceFindings", "Conversions", "Sessions", "Journeys"]
    assert found(stage) == {"c3": ["s2", "s3"], "c4": ["s3", "s4"]}
    assert [Path(repr(target)).name for target in stage.output()] == [f"{day}.parquet" for day in DAYS[2:4]]
    assert sorted(path.stem for path in (data / "sessions").glob("*.parquet")) == [*map(str, DAYS[1:4])]
    assert make(stage) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"lookback_days": 2}, {"c3": ["s1", "s2", "s3"], "c4": ["s2", "s3", "s4"]}),
        ({"lookback_days": 0}, {"c3": ["s1", "s2", "s3"], "c4": ["s1", "s2", "s3", "s4"]}),
        ({"max_sessions": 1}, {"c3": ["s3"], "c4": ["s4"]}),
        ({"after_previous_conversion": True}, {"c3": ["s3"], "c4": ["s4"]}),
    ],
)
def test_settings_make_other_journeys_beside_the_first_ones(
    places: Places, settings: dict[str, Any], expected: dict[str, list[str]]
) -> None:
    make(journeys(places))
    assert found(journeys(places)) == {"c3": ["s2", "s3"], "c4": ["s3", "s4"]}
    assert make(journeys(places, **settings))[-1] == "Journeys"
    assert found(journeys(places, **settings)) == expected
    assert make(journeys(places)) == []
    assert found(journeys(places)) == {"c3": ["s2", "s3"], "c4": ["s3", "s4"]}


def test_a_manner_of_working_makes_no_others(places: Places) -> None:
    make(journeys(places))
    assert make(journeys(places, memory_limit="50MB", retries=3, lock_seconds=1)) == []


@pytest.mark.parametrize(
    ("restated", "anew"),
    [
        (("sessions", DAYS[1]), [DAYS[2]]),
        (("sessions", DAYS[2]), [DAYS[2], DAYS[3]]),
        (("sessions", DAYS[3]), [DAYS[3]]),
        (("conversions", DAYS[2]), [DAYS[2]]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_a_restated_day_makes_the_days_that_reach_it_anew(
    places: Places, path: Path, data: Path, restated: tuple[str, dt.date], anew: list[dt.date]
) -> None:
    make(journeys(places))
    before = versions(data / "journeys")
    table, day = restated
    add_rows(path, [session("late", "user", f"{day} 11:00:00")], [conversion("later", "user", f"{day} 12:30:00")])
    (data / table / f"{day}.parquet").unlink()
    make(journeys(places))
    after = versions(data / "journeys")
    assert [name for name in sorted(after) if after[name] != before[name]] == [f"{made}.parquet" for made in anew]
    if table == "sessions":
        assert all("late" in ids for order, ids in found(journeys(places)).items() if f"c{day.day}" == order)


def test_a_restated_day_of_the_same_rows_makes_nothing_anew(places: Places, data: Path) -> None:
    make(journeys(places))
    before = versions(data / "journeys")
    (data / "sessions" / f"{DAYS[2]}.parquet").unlink()
    assert make(journeys(places)) == ["Sessions", "Journeys"]
    assert versions(data / "journeys") == before
    assert make(journeys(places)) == []


def test_a_day_is_the_same_whatever_interval_it_was_made_in(places: Places, data: Path) -> None:
    make(journeys(places, date_interval=DAYS[2]), journeys(places, date_interval=DAYS[3]))
    before = {path.name: path.read_bytes() for path in (data / "journeys").rglob("*.parquet*")}
    for path in (data / "journeys").rglob("*.parquet"):
        path.unlink()
    make(journeys(places))
    assert {path.name: path.read_bytes() for path in (data / "journeys").rglob("*.parquet*")} == before


def test_a_longer_interval_makes_the_days_that_lack_alone(places: Places, data: Path) -> None:
    make(journeys(places))
    before = versions(data / "journeys")
    make(journeys(places, date_interval=Custom(DAYS[0], DAYS[4] + dt.timedelta(days=1))))
    assert {name: inode for name, inode in versions(data / "journeys").items() if name in before} == before


def test_without_a_limit_sessions_reach_back_to_the_first_day(places: Places, path: Path) -> None:
    stage = journeys(places, lookback_days=0)
    assert [str(needed.date_interval) for needed in stage.requires()] == [
        "2023-09-03-2023-09-05",
        "2023-09-01-2023-09-05",
    ]
    add_rows(path, [session("earlier", "user", "2023-08-25 10:00:00")])
    make(stage)
    assert found(stage)["c3"] == ["earlier", "s1", "s2", "s3"]


@pytest.mark.parametrize("day", ["1970-01-01", "0001-01-01", "1999-12-31", "2999-01-01"])
def test_a_session_of_no_plausible_day_does_not_reach_back(places: Places, path: Path, day: str) -> None:
    add_rows(path, [session("wrong", "user", f"{day} 10:00:00")])
    stage = journeys(places, lookback_days=0)
    assert str(stage.requires()[1].date_interval) == "2023-09-01-2023-09-05"


def test_without_a_limit_a_first_session_of_long_ago_is_taken_for_a_wrong_date(places: Places, path: Path) -> None:
    add_rows(path, [session("wrong", "user", "2001-01-01 10:00:00")])
    stage = journeys(places, lookback_days=0)
    assert not stage.complete()
    with pytest.raises(SourceError, match=r"^the first session is of 2001-01-01, over ten years before 2023-09-03"):
        stage.requires()
    assert make(journeys(places))[-1] == "Journeys"  # a look-back window does without


def test_without_any_session_there_are_no_journeys(places: Places, path: Path) -> None:
    change(path, "DELETE FROM session_sources")
    for lookback_days in (0, 1):
        make(journeys(places, lookback_days=lookback_days))
        assert found(journeys(places, lookback_days=lookback_days)) == {}


@pytest.mark.parametrize("table", ["sessions", "conversions"])
def test_a_damaged_file_is_named_with_the_remedy(places: Places, data: Path, table: str) -> None:
    make(*journeys(places).requires())
    file = data / table / f"{DAYS[2]}.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UnreadableTargetError, match=rf"^{file} is truncated, damaged .*; delete it and rerun"):
        make(journeys(places))
    file.unlink()
    make(journeys(places))
    assert found(journeys(places)) == {"c3": ["s2", "s3"], "c4": ["s3", "s4"]}


def test_a_damaged_file_of_a_day_that_nobody_reaches_does_not_matter(places: Places, data: Path) -> None:
    make(Sessions(places=places, date_interval=Custom(DAYS[0], DAYS[4])))
    (data / "sessions" / f"{DAYS[0]}.parquet").write_bytes(b"damaged")
    make(journeys(places))
    assert found(journeys(places)) == {"c3": ["s2", "s3"], "c4": ["s3", "s4"]}


def test_a_source_that_is_not_there_leaves_the_stage_incomplete(places: Places, path: Path) -> None:
    path.unlink()
    for lookback_days in (0, 1):
        assert not journeys(places, lookback_days=lookback_days).complete()
