"""The document of a run shows no credentials, and its metrics are of Prometheus' text format."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from pipeline.command.run_document import metrics_text, run_document, without_credentials
from pipeline.stage import Ran, ran

DAY = dt.date(2023, 8, 29)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:secret@db/shop", "postgresql://***@db/shop"),
        ("postgresql://ann:se@cr/e?t#@db/shop?sslmode=require", "postgresql://***@db/shop?***"),
        ("postgresql://db/shop", "postgresql://db/shop"),
        ("https://api.example/v1?x-api-key=secret", "https://api.example/v1?***"),
        ("duckdb:///shop.duckdb?motherduck_token=secret", "duckdb:///shop.duckdb?***"),
        ("sqlite:///data/a@b.db", "sqlite:///data/a@b.db"),
        ("Direct, Direct Traffic", "Direct, Direct Traffic"),
    ],
)
def test_urls_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


def document(exit_code: int) -> dict[str, Any]:
    start = dt.datetime(2023, 9, 8, 3, 30, tzinfo=dt.UTC)
    given: dict[str, Any] = {
        "start": start,
        "end": start + dt.timedelta(seconds=2),
        "version": "1",
        "command": {"task": "Report", "interval": "2023-08-29-2023-09-08", "model": 'a"b\\'},
        "settings": {},
        "stages": {"Journeys 2023": Ran(1, 0, 1, rows=5, seconds=0.5), "Journeys 2022": Ran(1, 0, 1, seconds=0.25)},
        "files": [],
        "warnings": [],
        "exit_code": exit_code,
        "reasons": ["no water"] if exit_code else [],
        "figures": {"spend": 1.5} if not exit_code else {},
    }
    return run_document(**given)


def test_metrics_keep_the_last_success() -> None:
    good = metrics_text(document(0), "")
    labels = r'task="Report",model="a\"b\\"'
    assert f"attribution_last_success_timestamp_seconds{{{labels}}} 1694143802.0\n" in good
    assert f'attribution_stage_seconds{{{labels},stage="Journeys"}} 0.75\n' in good
    bad = metrics_text(document(30), good)
    assert f"attribution_exit_code{{{labels}}} 30\n" in bad
    for name in ("last_success_timestamp_seconds", "report_spend"):
        kept = [line for line in good.splitlines() if f"attribution_{name}" in line]
        assert len(kept) == 3
        assert [line for line in bad.splitlines() if f"attribution_{name}" in line] == kept


def test_metrics_keep_the_series_of_other_tasks_and_models() -> None:
    def of(task: str, model: str | None, code: int = 0) -> dict[str, Any]:
        return {**document(code), "command": {"task": task, "interval": None, "model": model}}

    text = metrics_text(of("Report", "linear"), "")
    text = metrics_text(of("Report", None, 40), text)  # refused before its model was known
    assert 'attribution_exit_code{task="Report"} 40\n' in text
    assert 'attribution_report_spend{task="Report",model="linear"} 1.5\n' in text
    text = metrics_text(of("ModelComparison", "linear", 30), text)
    text = metrics_text(of("Report", "linear"), text)
    series = [line for line in text.splitlines() if line.startswith("attribution_exit_code")]
    assert sorted(series) == [
        'attribution_exit_code{task="ModelComparison",model="linear"} 30',
        'attribution_exit_code{task="Report",model="linear"} 0',
    ]
    assert text.count("# TYPE attribution_exit_code gauge\n") == 1
    assert text.count('attribution_stage_seconds{task="Report",model="linear",stage="Journeys"} ') == 1


def test_days_of_a_stage() -> None:
    days = [DAY, DAY + dt.timedelta(days=1)]
    assert ran(days, [DAY], 2) == Ran(1, 1, 1)
    assert ran(["a.csv", "b.csv"], ["a.csv"], 7) == Ran(7, 0, 1)
    assert ran(["a.csv", "b.csv"], [], 7) == Ran(0, 7, 0)
