"""The shop of docs/metrics.md, reported: the page says what the files hold."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from support.databases import conversion, session, write_database
from support.running import DATABASE, REPOSITORY, Workplace

DAY = "2024-03-02"
MODEL = "position-based"


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The summary's rows by channel."""
    place = Workplace(tmp_path_factory.mktemp("metrics"))
    write_database(
        place.folder / DATABASE,
        [
            session("first", "buyer", "2024-03-01 10:00:00", channel="Search"),
            session("second", "buyer", f"{DAY} 10:00:00", channel="Email"),
            session("idle", "other", f"{DAY} 11:00:00", channel="Search"),
        ],
        [conversion("order", "buyer", f"{DAY} 12:00:00", 100.0)],
        [("first", 3.0), ("idle", 4.0)],
    )
    place.report(DAY, ATTRIBUTION_MODEL=MODEL, POSITION_FIRST="0.6", POSITION_LAST="0.4").succeeded()
    (path,) = Path(place.files / "report" / MODEL).glob("2024*/channel_summary.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return {row["channel_name"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("sentence", "channel", "expected"),
    [
        ("4.00 for `Search`", "Search", {"spend": 4.0}),
        ("`Search` 0.6 orders and 60.00", "Search", {"orders": 0.6, "revenue": 60.0}),
        ("`Email` 0.4 orders and 40.00", "Email", {"orders": 0.4, "revenue": 40.0, "spend": 0.0}),
        ("a CPO of 4.00 / 0.6 = 6.67 and a ROAS of 60.00 / 4.00 = 15", "Search", {"CPO": 4.0 / 0.6, "ROAS": 15.0}),
        ("both channels influenced 1 order", "Search", {"influenced_orders": 1}),
        ("both channels influenced 1 order", "Email", {"influenced_orders": 1}),
    ],
)
def test_the_page_says_what_the_summary_holds(
    summary: dict[str, dict[str, str]], sentence: str, channel: str, expected: dict[str, float]
) -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert sentence in " ".join(page.split())
    assert {name: float(summary[channel][name]) for name in expected} == pytest.approx(expected)
