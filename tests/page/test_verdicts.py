"""The badge of a channel on made cases."""

from __future__ import annotations

import pytest

from pipeline.page.tables import ReportFiles
from pipeline.page.verdicts import Verdict, cost_ranges, verdict

ROW = {"spend": "100.0", "revenue": "200.0", "ROAS_low": "1.5", "ROAS_high": "2.5"}
LOSS = {"spend": "100.0", "revenue": "50.0", "ROAS_low": "0.3", "ROAS_high": "0.7"}
FREE = {"spend": "0.0", "revenue": "50.0", "ROAS_low": "", "ROAS_high": ""}
MODELS = {"linear": 200.0, "first-touch": 110.0}
WINDOWS = {"7": 180.0, "0": 101.0}


@pytest.mark.parametrize(
    ("row", "models", "windows", "margin", "state", "gains"),
    [
        (ROW, MODELS, WINDOWS, 1.0, "firm", True),
        (LOSS, {"linear": 50.0, "first-touch": 99.0}, {"7": 0.0, "0": 99.9}, 1.0, "firm", False),
        (ROW, {**MODELS, "markov": 100.0}, WINDOWS, 1.0, "firm", True),
        (ROW, {**MODELS, "markov": 99.9}, WINDOWS, 1.0, "model", True),
        (LOSS, {"linear": 50.0, "first-touch": 100.0}, {"7": 0.0}, 1.0, "model", False),
        (ROW, MODELS, {**WINDOWS, "14": 99.0}, 1.0, "window", True),
        (ROW, {**MODELS, "markov": 9.0}, {"7": 9.0}, 1.0, "model", True),
        ({**ROW, "ROAS_low": "0.99"}, MODELS, WINDOWS, 1.0, "uncertain", True),
        ({**LOSS, "ROAS_high": "1.01"}, {"linear": 50.0, "markov": 1.0}, {"7": 0.0}, 1.0, "uncertain", False),
        ({**ROW, "ROAS_low": "0.99"}, {**MODELS, "markov": 9.0}, WINDOWS, 1.0, "uncertain", True),
        (ROW, MODELS, WINDOWS, 0.9, "model", True),
        (ROW, MODELS, WINDOWS, 0.6, "uncertain", True),
        (ROW, MODELS, WINDOWS, 0.3, "firm", False),
        (ROW, {"linear": 200.0, "first-touch": 0.0}, {"7": 150.0}, 0.0, "firm", False),
        (FREE, {"linear": 50.0, "first-touch": 0.0}, {"7": 0.0}, 1.0, "firm", True),
        (ROW, {}, {}, 1.0, "none", True),
        (ROW, {"linear": 200.0}, WINDOWS, 1.0, "none", True),
        (ROW, MODELS, {}, 1.0, "none", True),
        (ROW, {**MODELS, "markov": 1.0}, {}, 1.0, "model", True),
    ],
)
def test_the_badge(
    row: dict[str, str],
    models: dict[str, float],
    windows: dict[str, float],
    margin: float,
    state: str,
    gains: bool,  # noqa: FBT001 - a case
) -> None:
    assert verdict(row, models, windows, margin)[:2] == (state, gains)


def test_the_badge_says_what_speaks_against_it() -> None:
    found = verdict({**ROW, "ROAS_low": "0.5"}, {**MODELS, "<b>": 1.0}, {"7": 1.0, "0": 2.0}, 1.0)
    assert found.label == "uncertain"
    assert found.told == (
        "its bounds reach from loss to gain; loses under <bdi>&lt;b&gt;</bdi>; "
        'loses with a window of <data value="7">7</data> days, any length'
    )
    assert Verdict("firm", gains=False, told=found.told).label == "firm: loses"


def test_the_range_of_the_cost_an_order() -> None:
    head = "model,channel_name,cost,attributed_revenue,CPO\n"
    rows = "a,R,10.0,1.0,3.5\nb,R,10.0,1.0,2.25\na,S,10.0,1.0,4.5\nb,S,10.0,0.0,\na,F,0.0,1.0,0.0\nb,F,0.0,0.0,\n"
    ranges = cost_ranges(ReportFiles({"models.csv": head + rows}))
    assert ranges["R"] == '<data value="2.25">2.25</data>&#8202;&ndash;&#8202;<data value="3.5">3.50</data>'
    assert ranges["S"] == 'at least <data value="4.5">4.50</data>'
    assert "free" in ranges["F"]
    assert cost_ranges(ReportFiles({"models.csv": head + "a,R,10.0,1.0,3.5\n"})) == {}
