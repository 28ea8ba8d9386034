"""The pages of real reports, and the command that opens the newest."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.comparing import read_report
from support.databases import SHOP_INTERVAL, change
from support.page_reader import assert_figures_are_of, read_page, texts_of
from support.running import LOCAL, Outcome, Workplace

FIRST, SECOND = "2023-08-29-2023-08-31", "2023-08-31-2023-09-02"


def folder_of(place: Workplace, interval: str) -> Path:
    return place.report_file(interval, "report.html").parent


def test_every_number_of_a_real_page_is_of_a_file(undisturbed: Workplace) -> None:
    folder = folder_of(undisturbed, SHOP_INTERVAL)
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = read_page(text)
    assert_figures_are_of(texts_of(folder), page)
    channels = {row["channel_name"] for row in read_report(folder / "channel_summary.csv")} - {"total"}
    assert {name.replace("\n", "\ufffd").replace("\r", "\ufffd") for name in channels} <= {*page.names}
    assert str(undisturbed.folder) not in text
    assert (folder.parent / "latest" / "report.html").read_text(encoding="utf-8") == text
    assert read_report(folder / "changes.csv") == []
    assert "There is nothing to compare with" in page.text


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, undisturbed: Workplace) -> Workplace:
    """The shop after the reports of two days and of the two before, in this order, and of the former again."""
    place = undisturbed.copy(tmp_path_factory.mktemp("twice") / "shop")
    place.report(SECOND).succeeded()
    return place


def test_a_report_is_compared_with_the_days_before(twice: Workplace) -> None:
    *channels, total = read_report(folder_of(twice, SECOND) / "changes.csv")
    assert (total["before"], total["now"]) == (FIRST, SECOND)
    twice.report(FIRST).succeeded()
    for when, interval in (("before", FIRST), ("now", SECOND)):
        for row in read_report(folder_of(twice, interval) / "channel_summary.csv"):
            changed = (
                total
                if row["is_total"] == "1"
                else next(of for of in channels if of["channel_name"] == row["channel_name"])
            )
            for amount in ("spend", "orders", "revenue"):
                assert math.isclose(float(changed[f"{amount}_{when}"]), float(row[amount]), abs_tol=1e-9)
    revenue = [float(row["revenue_of_orders"]) + float(row["revenue_of_value"]) for row in channels]
    assert abs(math.fsum(revenue) - float(total["revenue_change"])) < 0.005
    for row in (*channels, total):
        if row["CPO_change"]:
            assert abs(float(row["CPO_of_spend"]) + float(row["CPO_of_orders"]) - float(row["CPO_change"])) < 0.005
    page = read_page((folder_of(twice, SECOND) / "report.html").read_text(encoding="utf-8"))
    assert_figures_are_of(texts_of(folder_of(twice, SECOND)), page)
    assert "Why it changed" in page.text


def test_days_that_were_corrected_are_compared_with_anew(twice: Workplace) -> None:
    lonely = "2023-08-31-2023-09-01"
    twice.report(lonely).succeeded()
    (total,) = [row for row in changes_of(twice, lonely) if row["is_total"] == "1"]
    assert total["before"] == "2023-08-30-2023-08-31"
    change(twice.database, "UPDATE conversions SET revenue = revenue + 10 WHERE conv_date = '2023-08-30'")
    restate = ("luigi", "--module", "pipeline", "Restate", "--date-interval", "2023-08-30", *twice.scheduler)
    twice.start(*restate).end().succeeded()
    twice.report(lonely).succeeded()
    (corrected,) = [row for row in changes_of(twice, lonely) if row["is_total"] == "1"]
    assert float(corrected["revenue_before"]) > float(total["revenue_before"])
    assert corrected["revenue_now"] == total["revenue_now"]
    assert twice.report(lonely).succeeded().built == []


def test_days_that_come_later_or_go_leave_a_report_as_it_is(twice: Workplace) -> None:
    lonely = "2023-09-01-2023-09-02"
    for path in (twice.files / "channel_credit").rglob("2023-08-31.parquet*"):
        path.unlink()
    twice.report(lonely).succeeded()
    assert changes_of(twice, lonely) == []
    twice.report("2023-08-31").succeeded()
    assert twice.report(lonely).succeeded().built == []
    twice.report_file(lonely).unlink()
    assert twice.report(lonely).succeeded().kinds_built == {"Report"}
    assert changes_of(twice, lonely) != []
    for path in (twice.files / "channel_credit").rglob("2023-08-31.parquet*"):
        path.unlink()
    assert twice.report(lonely).succeeded().built == []


def changes_of(place: Workplace, interval: str) -> list[dict[str, str]]:
    return read_report(folder_of(place, interval) / "changes.csv")


def compare(place: Workplace, interval: str, *options: str) -> Outcome:
    told = ("luigi", "--module", "pipeline", "ModelComparison", "--date-interval", interval)
    return place.start(*told, *LOCAL, "--models", "first-touch,linear", *options).end()


def test_a_comparison_is_shown_as_soon_as_it_is_made(twice: Workplace) -> None:
    page = folder_of(twice, SECOND) / "report.html"
    twice.report(SECOND).succeeded()
    before = read_page(page.read_text(encoding="utf-8")).text
    assert "not compared" in before
    compare(twice, SECOND).succeeded()
    shown = read_page(page.read_text(encoding="utf-8"))
    assert_figures_are_of(texts_of(page.parent), shown)
    assert "all models " in shown.text
    assert "not compared" not in shown.text
    orders = read_report(twice.files / "comparison" / "ihc-local" / SECOND / "disagreements.csv")
    assert len({row["conv_id"] for row in orders}) == 3
    for model in ("ihc-local", "first-touch", "linear"):
        credit = [float(row["credit"]) for row in orders if row["model"] == model]
        assert math.isclose(math.fsum(credit), 3.0)
    assert all(row["conv_id"] not in shown.text for row in orders)
    made = page.read_bytes()
    assert twice.report(SECOND).succeeded().built == []
    assert compare(twice, SECOND).succeeded().built == []
    assert page.read_bytes() == made
    twice.report(SECOND, MARGIN="0.001").succeeded()
    assert page.read_bytes() != made
    twice.report(SECOND).succeeded()
    assert page.read_bytes() == made
    models = twice.files / "comparison" / "ihc-local" / SECOND / "models.csv"
    models.unlink()
    assert twice.report(SECOND).succeeded().kinds_built == {"Report"}
    assert read_page(page.read_text(encoding="utf-8")).text == before
    assert twice.report(SECOND).succeeded().built == []


def command(place: Workplace, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    told = {**os.environ, "DATA_DIR": str(place.files), **environment}
    run = [sys.executable, "-m", "pipeline.page.command", *arguments]
    return subprocess.run(run, env=told, cwd=place.folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_opens_the_page_of_the_interval_that_ends_last(undisturbed: Workplace, tmp_path: Path) -> None:
    newest = folder_of(undisturbed, SHOP_INTERVAL) / "report.html"
    printed = command(undisturbed, "open", "--print")
    assert (printed.returncode, printed.stdout, printed.stderr) == (0, f"{newest}\n", "")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    opened = command(undisturbed, "open", BROWSER=f"{browser} %s")
    assert (opened.returncode, opened.stdout) == (0, f"{newest}\n")
    assert (tmp_path / "opened").read_text() == f"{newest.as_uri()}\n"


def test_the_command_says_what_is_wrong(undisturbed: Workplace) -> None:
    lacking = command(undisturbed, "open", "--model", "linear")
    assert (lacking.returncode, lacking.stdout) == (1, "")
    assert lacking.stderr.startswith("ERROR: there is no page of a report of linear below ")
    wrong = command(undisturbed, "close")
    assert wrong.returncode == 40
    assert wrong.stderr.count("\n") == 1


def test_the_books_of_the_page_are_those_of_the_report(undisturbed: Workplace) -> None:
    folder = folder_of(undisturbed, SHOP_INTERVAL)
    books = json.loads((folder / "reconciliation.json").read_bytes())
    text = read_page((folder / "report.html").read_text(encoding="utf-8")).text
    assert f"{books['attributed']:,} of {books['conversions']:,} orders are attributed" in text
