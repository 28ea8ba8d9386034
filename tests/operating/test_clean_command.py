from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from support.comparing import contents, query, result_tables
from support.recent import day_ago, run
from support.running import REPOSITORY, Workplace

from pipeline.operating.selection import STAGES
from targets.files import LocalFiles


def names(place: Workplace, folder: str) -> set[str]:
    return {path.name for path in (place.files / folder).rglob("*") if path.is_file()}


def of_days(*numbers: int) -> set[str]:
    return {f"{day_ago(number)}.parquet{ending}" for number in numbers for ending in ("", ".stamp")}


def test_it_lists_and_removes_with_yes_alone(mine: Workplace) -> None:
    before, tables = contents(mine.files), result_tables(mine.database)
    listed = run(mine, "clean", "--stage", "all", "--trials", "--replaced", "--temporary", "--tables").succeeded()
    assert f"  sessions: 24 files, 0.0 MB, {day_ago(12)} to {day_ago(1)}\n" in listed.output
    assert f"  result tables: 3 days, {day_ago(3)} to {day_ago(1)}\n" in listed.output
    assert listed.output.endswith("nothing was removed; the same with --yes removes it\n")
    assert (contents(mine.files), result_tables(mine.database)) == (before, tables)


def test_by_stage_interval_and_age_and_a_run_makes_it_again(mine: Workplace) -> None:
    before, tables = contents(mine.files), result_tables(mine.database)
    interval = f"{day_ago(11)}-{day_ago(4)}"
    run(mine, "clean", "--yes", "--stage", "sessions", "--date-interval", interval, "--older-than", "5d").succeeded()
    assert names(mine, "sessions") == of_days(12, 5, 4, 3, 2, 1)
    run(mine, "clean", "--yes", "--stage", "journeys", "--stage", "report", "--stage", "attribution").succeeded()
    assert not any((mine.files / folder).exists() for folder in ("journeys", "report", "attribution"))
    assert result_tables(mine.database) == tables
    run(mine, "daily", "--days", "3", "--local-scheduler", SETTLE_DAYS="0").succeeded()
    after = contents(mine.files)
    assert {name for name in before if before[name] != after.get(name)} <= {
        name
        for name in before
        if name.endswith(".stamp")  # which note that a day is settled now
    }


def test_result_tables_go_only_when_told(mine: Workplace) -> None:
    source = query(mine.database, "SELECT * FROM session_sources ORDER BY 1")
    run(mine, "clean", "--yes", "--tables", "--date-interval", str(day_ago(2))).succeeded()
    days = "SELECT DISTINCT conv_date FROM pipeline_conversions ORDER BY 1"
    assert query(mine.database, days) == [(str(day_ago(3)),), (str(day_ago(1)),)]
    (orders,) = query(mine.database, "SELECT count(DISTINCT conv_id) FROM attribution_customer_journey")[0]
    (earned,) = query(mine.database, "SELECT sum(ihc) FROM channel_reporting")[0]
    assert (orders, earned) == (6, pytest.approx(6))
    run(mine, "daily", "--days", "3", "--local-scheduler").succeeded()
    assert len(query(mine.database, days)) == 3
    run(mine, "clean", "--yes", "--tables").succeeded()
    assert query(mine.database, "SELECT * FROM channel_reporting") == []
    assert query(mine.database, "SELECT * FROM session_sources ORDER BY 1") == source


def test_trials_replaced_and_leftovers(mine: Workplace) -> None:
    old, new = mine.files / "trials/linear-aaaaaa/x.csv", mine.files / "trials/linear-bbbbbb/x.csv"
    day, copy = (
        mine.files / "replaced/sessions/2023-09-01-abc.parquet",
        mine.files / "replaced/linear-123456/owner.json",
    )
    left, held = mine.files / "sessions/.a.parquet.0123.tmp", mine.files / "report/.held.tmp"
    command = mine.files / "locks/command-0123456789abcdef.lock"
    for path in (old, new, day, copy, left, held, command):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    for path in (old, day):
        os.utime(path, (time.time() - 40 * 86_400,) * 2)
    run(mine, "clean", "--yes", "--trials", "--replaced", "--older-than", "30d").succeeded()
    assert [path.exists() for path in (old.parent, new, day, copy)] == [False, True, False, True]
    run(mine, "clean", "--yes", "--temporary").succeeded()
    assert [path.exists() for path in (left, held, command, new, copy)] == [False, False, False, True, True]


def test_the_source_and_strange_files_never_go(mine: Workplace) -> None:
    inside = mine.files / "sessions" / f"{day_ago(2)}.parquet.db"
    mine.database.rename(inside)
    strange, elsewhere = mine.files / "sessions/notes.txt", mine.folder / "elsewhere"
    strange.write_text("x")
    elsewhere.mkdir()
    (elsewhere / "2023-09-01.csv").write_text("x")
    (mine.files / "rejects").mkdir(exist_ok=True)
    (mine.files / "rejects/linked").symlink_to(elsewhere)
    (mine.files / "2023-09-01.csv").write_text("x")
    url = {"DATABASE_URL": f"sqlite:///{inside}"}
    run(mine, "clean", "--yes", "--stage", "all", "--temporary", **url).succeeded()
    assert names(mine, "sessions") == {inside.name, "notes.txt"}
    assert (elsewhere / "2023-09-01.csv").exists()
    assert (mine.files / "2023-09-01.csv").exists()
    assert (mine.files / "source.json").exists()


def test_it_refuses_while_a_run_holds_a_lock(mine: Workplace) -> None:
    before = contents(mine.files)
    with LocalFiles(mine.files).lock("Sessions.lock", "Sessions, process 7"):
        outcome = run(mine, "clean", "--yes", "--stage", "all")
        assert run(mine, "clean", "--stage", "all").code == 0  # it lists all the same
    assert outcome.code == 10
    assert outcome.log.startswith("ERROR: Sessions, process 7 is at work in ")
    assert contents(mine.files) == before


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--yes",),
        ("--older-than", "3d"),
        ("--stage", "sessions", "--older-than", "3"),
        ("--stage", "sources"),
        ("--trials", "--date-interval", "2023-09"),
        ("--stage", "sessions", "--date-interval", "september"),
        ("--user", "x", "--stage", "sessions"),
        ("--user", ""),
        ("--id", "x", "--temporary"),
        ("sessions",),
    ],
)
def test_wrong_orders_are_one_line_and_40(tmp_path: Path, options: tuple[str, ...]) -> None:
    outcome = run(Workplace(tmp_path / "place"), "clean", *options)
    assert (outcome.code, len(outcome.errors)) == (40, 1)
    assert not (tmp_path / "place/files").exists()


def test_where_nothing_is_nothing_goes(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "place")
    options = ("--stage", "all", "--trials", "--replaced", "--temporary", "--tables")
    assert "  sessions: nothing\n" in run(place, "clean", "--yes", *options).succeeded().output
    assert not place.files.exists()


def test_every_folder_of_the_data_directory_is_known() -> None:
    """A stage that gets a folder of its own has to be cleaned, and people have to be erased from it."""
    texts = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "pipeline").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"<DATA_DIR>/([a-z_]+)/", text)}
    assert named > {"journeys", "report"}
    assert sorted(named - {*STAGES, "trials", "replaced", "answers", "models"}) == []
