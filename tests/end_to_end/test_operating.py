"""Days of operating the pipeline, through luigid and the commands of docs/operations.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import query
from support.databases import add_rows, change, conversion
from support.recent import day_ago, run, write_recent_shop
from support.running import Workplace
from support.servers import Scheduler, luigid


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    with luigid(tmp_path_factory.mktemp("luigid") / "state") as running:
        yield running


def orders_of(place: Workplace, first: int, end: int = 0) -> float:
    books: dict[str, float] = place.books(f"{day_ago(first)}-{day_ago(end)}")
    return books["conversions"]


def test_a_missed_day_late_data_a_restatement_a_backfill_and_cleaning(tmp_path: Path, scheduler: Scheduler) -> None:
    place = write_recent_shop(tmp_path / "shop", 12)
    daily = ("daily", "--days", "2", *scheduler.options)

    # the machine was off since the day before the newest two: a report up to then is what there is
    place.scheduler = scheduler.options
    place.report(f"{day_ago(7)}-{day_ago(5)}", SETTLE_DAYS="0").succeeded()
    assert run(place, "status", "--check").code == 1

    # the missed days are made, in intervals of the length of the newest one
    outcome = run(place, *daily, SETTLE_DAYS="0").succeeded()
    assert f"missed, and made first: {day_ago(5)}-{day_ago(3)}, {day_ago(3)}-{day_ago(2)}\n" in outcome.log
    stored = json.loads(run(place, "status", "--json").output)["stored"]
    assert (stored["first"], stored["days"], stored["missing"]) == (str(day_ago(7)), 7, [])
    assert run(place, "status", "--check").code == 0
    shown = {task["name"] for task in scheduler.tasks().values()}
    assert {"Report", "Journeys"} <= shown
    assert not any("daily" in name.lower() for name in shown)

    # an order comes late, for a day that is settled: the next run says so, and status does
    add_rows(place.database, conversions=[conversion("late", "user-ben", f"{day_ago(2)} 12:00:00", 5.0)])
    assert "changed since it was read" in run(place, *daily, SETTLE_DAYS="0").succeeded().log
    assert orders_of(place, 2) == 6
    assert json.loads(run(place, "status", "--json").output)["drifted"] == [str(day_ago(2))]
    restate = ("luigi", "--module", "pipeline", "Restate", "--date-interval", f"{day_ago(2)}-{day_ago(0)}", "--drifted")
    place.start(*restate, *scheduler.options, SETTLE_DAYS="0").end().succeeded()
    assert orders_of(place, 2) == 7
    assert json.loads(run(place, "status", "--json").output)["drifted"] == []

    # a backfill of earlier days leaves nothing missed behind it
    place.report(f"{day_ago(12)}-{day_ago(9)}", SETTLE_DAYS="0").succeeded()
    assert "missed" not in run(place, *daily, SETTLE_DAYS="0").succeeded().log
    assert json.loads(run(place, "status", "--json").output)["stored"]["missing"] == [
        str(day_ago(9)),
        str(day_ago(8)),
    ]

    # what was put aside and the old report go; the newest report is made again from what stays
    options = ("--stage", "report", "--replaced", "--yes")
    assert f"{day_ago(12)} to {day_ago(1)}" in run(place, "clean", *options).succeeded().output
    assert run(place, "status", "--check").code == 1
    built = run(place, *daily, SETTLE_DAYS="0").succeeded()
    assert built.kinds_built <= {"Report", "SourceFindings", "InitDatabase"}
    assert orders_of(place, 2) == 7
    assert run(place, "status", "--check").code == 0


def test_a_bad_day_fails_and_is_made_up_for(tmp_path: Path, scheduler: Scheduler) -> None:
    place = write_recent_shop(tmp_path / "shop", 4)
    daily = ("daily", "--days", "2", *scheduler.options)
    change(place.database, "UPDATE conversions SET revenue = -1 WHERE conv_date = ?", str(day_ago(1)))
    failed = run(place, *daily)
    assert failed.code == 30
    assert "not a number of at least 0" in failed.log.splitlines()[-1]
    assert run(place, "status", "--check").code == 1
    change(place.database, "UPDATE conversions SET revenue = 1 WHERE conv_date = ?", str(day_ago(1)))
    run(place, *daily).succeeded()
    assert run(place, "status", "--check").code == 0
    assert query(place.database, "SELECT count(*) FROM pipeline_conversions") == [(6,)]
