"""A run ends with its record, a line for a person and, if it failed, the cause, in text or in JSON."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from journeys_command import held_up, journeys, start_journeys, wait_until_it_waits
from support.databases import SHOP_INTERVAL, change
from support.running import Outcome, Workplace

DAYS = 5  # of SHOP_INTERVAL
SESSIONS = "Sessions 2023-08-28-2023-09-03"  # the first day with any


def record(place: Workplace) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((place.files / "log" / "run.json").read_bytes())
    return document


def stages(document: dict[str, Any]) -> dict[str, Any]:
    return {stage["stage"].partition(" ")[0]: stage for stage in document["stages"]}


def lines(outcome: Outcome) -> list[dict[str, Any]]:
    """The log, of which every line is an object."""
    return [json.loads(line) for line in outcome.log.splitlines()]


def test_record_of_runs_that_make_and_reuse(shop: Workplace, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics" / "attribution.prom"
    settings = {"METRICS_FILE": str(metrics), "API_URL": "https://api.example/v1?token=canary-5e1"}
    first = shop.report(SHOP_INTERVAL, "--workers", "2", "--lookback-days", "9", **settings).succeeded()
    document = record(shop)
    made = stages(document)
    assert {"Sessions", "Conversions", "Journeys", "Attribution", "ChannelCredit", "Report"} <= made.keys()
    for name in ("Conversions", "Journeys", "Attribution"):  # made by forked workers
        assert (made[name]["days_made"], made[name]["days_reused"], made[name]["files"]) == (DAYS, 0, DAYS), name
        assert made[name]["rows"] > 0
        assert made[name]["seconds"] > 0
    assert document["command"] == {"task": "Report", "interval": SHOP_INTERVAL, "model": "ihc-local"}
    assert (document["exit_code"], document["reason"], document["reasons"]) == (0, "succeeded", [])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["start"])
    assert document["settings"]["SESSION_LOWER_LIMIT_DATE"] == "9"  # the option
    assert "canary" not in json.dumps(document)
    assert f"report/ihc-local/{SHOP_INTERVAL}/channel_summary.csv" in document["files"]
    assert all((shop.files / name).exists() for name in document["files"])
    assert any("matches no session" in warning for warning in document["warnings"])
    assert re.fullmatch(
        rf"INFO: [\dT:-]+Z run of Report {SHOP_INTERVAL} succeeded in [\d.]+ s: .*, \d+ warnings?",
        first.log.splitlines()[-1],
    )
    books = shop.books(SHOP_INTERVAL)
    assert document["figures"]["orders"] == books["conversions"]
    for folder in ("latest", SHOP_INTERVAL):
        assert json.loads(shop.report_file(folder, "run.json").read_bytes()) == document
    assert f'report_spend{{task="Report",model="ihc-local"}} {books["spend"]!r}\n' in metrics.read_text()

    again = shop.report(SHOP_INTERVAL, "--lookback-days", "9", **settings).succeeded()
    reused = record(shop)
    assert again.built == []
    assert {(stage["days_made"], stage["files"]) for stage in reused["stages"]} == {(0, 0)}
    assert stages(reused)["Journeys"]["days_reused"] == DAYS
    assert len([*(shop.files / "log" / "runs").iterdir()]) == 2

    before = metrics.read_text()
    change(shop.database, "UPDATE session_sources SET event_time = '25:61' WHERE session_id = 'gap-1'")
    failed = shop.report(SHOP_INTERVAL, "--lookback-days", "8", RETRIES="none", **settings)
    assert failed.code == 40
    success = re.compile(r"^attribution_last_success_timestamp_seconds.*$", re.MULTILINE)
    assert success.findall(metrics.read_text()) == success.findall(before) != []
    assert 'attribution_exit_code{task="Report"} 40\n' in metrics.read_text()
    assert record(shop)["reason"] == "RETRIES must be a whole number of at least 0, not 'none'"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_bad_rows_in_json(shop: Workplace, workers: str) -> None:
    name = "Radio\x1b[31m\nERROR: forged\u202e"
    change(shop.database, "UPDATE session_sources SET event_time = '25:61' WHERE session_id = 'gap-1'")
    change(shop.database, f"UPDATE session_sources SET session_id = session_id || '{name}' WHERE session_id = 'gap-1'")
    outcome = journeys(shop, "--log-format", "json", "--workers", workers, LOG_FORMAT="text")
    assert outcome.code == 30
    told = lines(outcome)
    assert all({"time", "level", "stage", "message"} <= line.keys() for line in told)
    *_, summary, last = told
    assert last["level"] == "ERROR"
    assert last["stage"] == SESSIONS
    assert "event_time is not HH:MM:SS" in last["message"]
    assert "failed (exit code 30)" in summary["message"]
    assert [line["message"] for line in told if re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", line["message"])] == []
    document = record(shop)
    assert document["exit_code"] == 30
    assert document["reason"] == f"{last['stage']}: {last['message']}"
    found = stages(document)
    assert found["Sessions"]["failed"]
    assert found["Conversions"]["days_made"] == DAYS


def test_names_of_the_source_move_no_cursor(shop: Workplace) -> None:
    change(
        shop.database,
        "UPDATE session_sources SET event_time = '25:61', "
        "session_id = 'gap' || char(27) || '[2J' || char(10) || 'ERROR: forged' WHERE session_id = 'gap-1'",
    )
    outcome = journeys(shop)
    assert outcome.code == 30
    assert "\x1b" not in outcome.text
    (error,) = outcome.errors
    assert error == outcome.log.splitlines()[-1]
    assert re.match(rf"ERROR: [\dT:-]+Z {SESSIONS}: ", error)


def test_a_signal_is_recorded(shop: Workplace) -> None:
    with held_up(shop):
        started = start_journeys(shop, "--workers", "2", LOG_FORMAT="json")
        wait_until_it_waits(started)
        started.process.send_signal(signal.SIGTERM)
        outcome = started.end()
    assert outcome.code == 128 + signal.SIGTERM
    summary, last = lines(outcome)[-2:]
    assert "failed (exit code 143)" in summary["message"]
    assert last["message"].startswith("ended by SIGTERM")
    document = record(shop)
    assert (document["exit_code"], document["reasons"]) == (143, [f"{last['stage']}: {last['message']}"])


def test_a_record_that_cannot_be_written_fails_no_run(shop: Workplace) -> None:
    (shop.files / "log").mkdir(parents=True)
    (shop.files / "log" / "runs").write_text("a file in the way")
    outcome = journeys(shop, METRICS_FILE="/proc/none/attribution.prom").succeeded()
    kept, metrics, last = outcome.log.splitlines()[-3:]
    assert kept.startswith("WARNING: ")
    assert str(shop.files / "log" / "runs") in kept
    assert "METRICS_FILE /proc/none/attribution.prom cannot be written" in metrics
    assert f"run of Journeys {SHOP_INTERVAL} succeeded" in last
