from __future__ import annotations

import json
from typing import Any

import pytest
from support.comparing import contents, versions
from support.databases import change
from support.recent import day_ago, run
from support.running import Workplace

from targets.files import LocalFiles


def status(place: Workplace, **settings: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(place, "status", "--json", **settings).succeeded().output)
    return document


def stage(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in document["stages"] if one["stage"] == name and one["in_force"] is not False)
    return dict(found)


def test_what_is_there_is_told_and_nothing_is_touched(reported: Workplace) -> None:
    before, source = versions(reported.files), reported.database.stat().st_mtime_ns
    document = status(reported)
    last_three = [str(day_ago(number)) for number in (3, 2, 1)]
    assert stage(document, "Sessions") == {
        "stage": "Sessions",
        "folder": "sessions",
        "in_force": None,
        "days": 12,
        "first": str(day_ago(12)),
        "last": str(day_ago(1)),
        "damaged": [],
        "unsettled": last_three,
        "missing": [],
        "stale": None,
    }
    for name in ("Journeys", "Attribution", "ChannelCredit", "ConversionBooks"):
        looked = stage(document, name)
        assert (looked["days"], looked["stale"], looked["in_force"]) == (3, [], True)
    stored = document["stored"]
    assert (stored["owner"]["model"], stored["is_mine"], stored["days"], stored["stale"]) == ("ihc-local", True, 3, [])
    newest = document["reports"]["newest"]
    assert (newest["model"], newest["interval"]) == ("ihc-local", f"{day_ago(3)}-{day_ago(0)}")
    assert 0 <= newest["age_hours"] < 2
    assert document["disk"]["sessions"] > 0
    assert (document["locks"], document["drifted"], document["owed"], document["unreadable"]) == ({}, [], [], [])
    text = run(reported, "status").succeeded().output
    assert "owner of the result tables: ihc-local" in text
    assert f"Sessions, unsettled: {', '.join(last_three)}\n" in text
    assert versions(reported.files) == before
    assert reported.database.stat().st_mtime_ns == source


def test_stale_missing_damaged_and_held_are_told_apart(mine: Workplace) -> None:
    gone, stale = day_ago(6), day_ago(2)
    (mine.files / f"sessions/{gone}.parquet").unlink()
    (mine.files / f"sessions/{day_ago(5)}.parquet.stamp").write_text("{}")
    mine.day_file("attribution", str(stale)).with_suffix(".parquet.stamp").unlink()
    change(mine.database, "DELETE FROM pipeline_slices WHERE slice = ?", str(stale))
    with LocalFiles(mine.files).lock("Journeys-test.lock", "a test\x1b[2J"):
        document = status(mine)
        text = run(mine, "status").succeeded().output
    sessions = stage(document, "Sessions")
    assert (sessions["missing"], sessions["damaged"]) == ([str(day_ago(6)), str(day_ago(5))], [str(day_ago(5))])
    # without their sessions, journeys would be others, and a look-back window without limit reaches all days
    assert stage(document, "Journeys")["stale"] == [str(day_ago(number)) for number in (3, 2, 1)]
    assert stage(document, "Attribution")["missing"] == [str(stale)]
    assert document["stored"]["missing"] == [str(stale)]
    assert document["locks"] == {"Journeys-test": "a test\x1b[2J"}
    assert "at work: Journeys-test (a test [2J)\n" in text


def test_other_settings_show_what_they_would_need(reported: Workplace) -> None:
    document = status(reported, ATTRIBUTION_MODEL="linear")
    assert stage(document, "Attribution")["days"] == 0
    assert stage(document, "Journeys")["stale"] == []
    assert [one["days"] for one in document["stages"] if one["folder"].startswith("attribution/ihc-local")] == [3]
    assert document["stored"]["is_mine"] is False
    assert "the settings in force are others" in run(reported, "status", ATTRIBUTION_MODEL="linear").output


def test_a_source_that_is_gone_hides_nothing_else(mine: Workplace) -> None:
    before = contents(mine.files)
    mine.database.rename(mine.folder / "elsewhere.db")
    document = status(mine)
    assert stage(document, "Sessions")["days"] == 12
    assert document["stored"]["days"] == 0
    assert run(mine, "status", "--check").code == 0
    assert contents(mine.files) == before
    assert not mine.database.exists()


@pytest.mark.parametrize("junk", [b"", b"\x00\xff", b"SQLite format 3\x00" + b"x" * 100])
def test_a_database_that_is_none_is_a_warning(mine: Workplace, junk: bytes) -> None:
    mine.database.write_bytes(junk)
    outcome = run(mine, "status").succeeded()
    assert "sessions" in outcome.output
    assert ("WARNING: the result tables: " in outcome.output) is bool(junk)


def test_the_dead_mans_switch(mine: Workplace) -> None:
    there = run(mine, "status", "--check")
    assert (there.code, there.output) == (0, f"OK: the report of {day_ago(1)} is there\n")
    linear = run(mine, "status", "--check", ATTRIBUTION_MODEL="linear")
    assert linear.code == 1
    assert linear.output.startswith(f"MISSING: no report of {day_ago(1)} in ")
    assert linear.output.count("\n") == 1
    interval = mine.files / f"report/ihc-local/{day_ago(3)}-{day_ago(0)}"
    interval.rename(interval.with_name(f"{day_ago(3)}-{day_ago(1)}"))
    late = run(mine, "status", "--check")
    assert (late.code, late.output.count("\n")) == (1, 1)
    assert run(mine, "status", "--check", "--grace", "24").code == 0
    (mine.files / f"report/ihc-local/{day_ago(3)}-{day_ago(1)}/reconciliation.json").write_text("{}")
    assert run(mine, "status", "--check", "--grace", "24").code == 1  # changed since it was written


def test_wrong_settings_and_options_are_40(reported: Workplace) -> None:
    for options, settings in (((), {"ATTRIBUTION_MODEL": "lineer"}), (("--grace", "x"), {}), (("--chek",), {})):
        outcome = run(reported, "status", *options, **settings)
        assert outcome.code == 40
        assert len(outcome.errors) == 1
