"""Dimensions below the channel: their files, beside a plain computation, and beside the channels' own."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.building import Once
from support.comparing import contents, query, read_report
from support.databases import CONVERSIONS_SECTION, COSTS_SECTION, SHOP_INTERVAL, change
from support.plain_report import plain_report
from support.running import DATABASE, LOCAL, Workplace

MAPPING = f"""
[sessions]
from = "session_sources"
session_id = "session_id"
user_id = "user_id"
time = ["event_date", "event_time"]
channel_name = "channel_name"
holder_engagement = "holder_engagement"
closer_engagement = "closer_engagement"
impression_interaction = "impression_interaction"
DIMENSIONS{CONVERSIONS_SECTION}{COSTS_SECTION}
[channel_costs]
from = "ad_spend"
date = "day"
channel_name = "channel"
cost = "euro"
"""
DIMENSIONS = """[sessions.dimensions]
campaign = "campaign"
order = "substr(session_id, 1, 1)"
"""
OF_COSTS = '[channel_costs.dimensions]\ncampaign = "campaign"\n'
HOSTILE = (
    *("=HYPERLINK(1)", "a,b", 'say "yes"', "\u202eright to left", "two\nlines", " blanks ", "Gro\u0308ße", "😀", "NA"),
    *("total", "@sum", "nan", "1", "line\rreturn"),
)
SUMS = ("spend", "orders", "revenue", "new_customer_orders", "sessions", "initializer", "holder", "closer")
FIRST, LAST = "2023-08-29-2023-08-31", "2023-08-31-2023-09-03"


def prepare(database: Path) -> None:
    """Give the small shop campaigns, spend that no session carries, and a paid session that nobody is known of."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.create_function("campaign_of", 1, lambda row: (*HOSTILE, None, "", None)[row % (len(HOSTILE) + 3)])
        connection.executescript(
            """ALTER TABLE session_sources ADD COLUMN campaign TEXT;
            CREATE TABLE ad_spend (day TEXT, channel TEXT, campaign TEXT, euro REAL);
            INSERT INTO ad_spend VALUES ('2023-08-29', 'Radio', 'morning', 12.34), ('2023-08-31', 'Radio', NULL, 0.01),
                ('2023-09-01', 'Television', 'evening ', 99.99), ('2023-08-30', 'FB & IG Ads', 'a,b', 0.1),
                ('2023-08-30', 'FB & IG Ads', 'a,b', 0.2), ('2023-08-20', 'Radio', 'morning', 1000);
            INSERT INTO session_sources VALUES
                ('anonymous', NULL, '2023-08-30', '10:00:00', 'FB & IG Ads', 0, 0, 0, '@sum');
            INSERT INTO session_costs VALUES ('anonymous', 7.77)"""
        )
        connection.execute("UPDATE session_sources SET campaign = campaign_of(rowid) WHERE session_id <> 'anonymous'")


def settle(place: Workplace, dimensions: str = DIMENSIONS, of_costs: str = OF_COSTS) -> Workplace:
    (place.folder / "mapping.toml").write_text(MAPPING.replace("DIMENSIONS", dimensions) + of_costs, encoding="utf-8")
    place.environment |= {"SOURCE_MAPPING": "mapping.toml", "BAD_ROWS": "set-aside"}
    return place


@pytest.fixture(scope="session")
def made(once: Once, shop_database: Path) -> Workplace:
    """The shop with dimensions after reports of the whole interval and of its parts; not to be changed."""

    def build(folder: Path) -> None:
        shutil.copy(shop_database, folder / DATABASE)
        prepare(folder / DATABASE)
        place = settle(Workplace(folder))
        for interval in (FIRST, LAST, SHOP_INTERVAL):
            place.report(interval).succeeded()

    return settle(Workplace(once("dimensions", build)))


def rows_of(place: Workplace, name: str, interval: str = SHOP_INTERVAL) -> list[dict[str, str]]:
    return read_report(place.report_file(interval, name))


@pytest.mark.parametrize("dimension", ["campaign", "order"])
@pytest.mark.parametrize("interval", [SHOP_INTERVAL, FIRST, LAST])
def test_they_are_what_a_plain_computation_gives(made: Workplace, interval: str, dimension: str) -> None:
    expected = plain_report(made.database, interval, mapping=made.folder / "mapping.toml").values[dimension]
    *rows, total = rows_of(made, f"{dimension}_summary.csv", interval)
    *channels, of_all = rows_of(made, "channel_summary.csv", interval)
    assert [*total] == ["channel_name", dimension, *[*of_all][1:]]
    assert total == {dimension: "", **of_all}
    assert [(row["channel_name"], row[dimension]) for row in rows] == sorted(expected)
    for row in rows:
        figures = expected[row["channel_name"], row[dimension]]
        assert {name: float(row[name]) for name in figures} == pytest.approx(figures, rel=1e-9, abs=1e-9)
        assert row["CPO"] == (repr(float(row["spend"]) / float(row["orders"])) if float(row["orders"]) else "")
        assert row["ROAS"] == (repr(float(row["revenue"]) / float(row["spend"])) if float(row["spend"]) else "")
        assert float(row["spend_share"]) == pytest.approx(float(row["spend"]) / float(total["spend"]))
        assert float(row["orders_low"]) <= figures["orders"] + 1e-9
        assert figures["orders"] <= float(row["orders_high"]) + 1e-9
    for channel in channels:
        name = channel["channel_name"]
        sums = {of: sum(float(row[of]) for row in rows if row["channel_name"] == name) for of in SUMS}
        assert sums == pytest.approx({of: float(channel[of]) for of in SUMS}, abs=1e-9), name
        alone = [row for row in rows if row["channel_name"] == name]
        if len(alone) == 1:  # also the bounds, since the orders are drawn alike
            bounds = ("orders_low", "orders_high", "CPO_low", "CPO_high", "ROAS_low", "ROAS_high")
            assert [alone[0][of][:12] for of in bounds] == [channel[of][:12] for of in bounds]


def test_two_reports_add_up(made: Workplace) -> None:
    for name in ("campaign", "order"):
        parts: dict[tuple[str, str], list[float]] = {}
        whole = {}
        for interval in (FIRST, LAST, SHOP_INTERVAL):
            for row in rows_of(made, f"{name}_summary.csv", interval)[:-1]:
                key, figures = (row["channel_name"], row[name]), [float(row[of]) for of in SUMS]
                if interval == SHOP_INTERVAL:
                    whole[key] = figures
                else:
                    parts[key] = [a + b for a, b in zip(parts.get(key, [0.0] * len(SUMS)), figures, strict=True)]
        assert {key: pytest.approx(of, abs=1e-9) for key, of in whole.items()} == parts


def test_any_value_is_read_back(made: Workplace) -> None:
    found = {row["campaign"] for row in rows_of(made, "campaign_summary.csv")}
    cleaned = {"blanks" if value == " blanks " else value.replace("o\u0308", "ö") for value in HOSTILE}
    assert cleaned | {"", "morning", "evening"} == found
    latest = made.files / "report" / "ihc-local" / "latest"
    for name in ("campaign_summary.csv", "order_summary.csv"):
        assert (latest / name).read_bytes() == made.report_file(SHOP_INTERVAL, name).read_bytes()
    rows = {
        (row["channel_name"], row["campaign"]): float(row["spend"]) for row in rows_of(made, "campaign_summary.csv")
    }
    assert rows["Radio", "morning"] == 12.34
    assert rows["Television", "evening"] == 99.99
    assert rows["FB & IG Ads", "@sum"] >= 7.77


def test_those_without_pay_nothing(made: Workplace, tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    shutil.copy(made.database, place.database)
    settle(place, "", "").report(SHOP_INTERVAL, STORE="false").succeeded()
    (trial,) = (place.files / "trials").iterdir()
    beside = {name: content for name, content in contents(trial).items() if name.startswith("report/")}
    for name, content in beside.items():
        if not name.endswith(("interval.txt", ".stamp", ".json", ".html")) and "/latest/" not in name:
            assert content == (made.files / name).read_bytes(), name
    assert not [name for name in contents(place.files) if "dimension" in name or "campaign" in name]


def test_the_comparison_and_the_explanation_show_them(made: Workplace, tmp_path: Path) -> None:
    place = settle(made.copy(tmp_path / "shop"))
    command = ("luigi", "--module", "pipeline", "ModelComparison", "--date-interval", SHOP_INTERVAL, *LOCAL)
    place.start(*command, "--models", "linear").end().succeeded()
    folder = place.files / "comparison" / "ihc-local" / SHOP_INTERVAL
    rows, models = read_report(folder / "campaign_models.csv"), read_report(folder / "models.csv")
    names = {"cost": "spend", "attributed_conversions": "orders", "attributed_revenue": "revenue"}
    summary = rows_of(place, "campaign_summary.csv")[:-1]
    assert [*rows[0]] == ["model", "channel_name", "campaign", *names, "share", "CPO", "ROAS"]
    for row, of_report in zip(rows, summary, strict=False):
        assert (row["model"], row["channel_name"], row["campaign"]) == (
            "ihc-local",
            of_report["channel_name"],
            of_report["campaign"],
        )
        assert [float(row[name]) for name in names] == pytest.approx([float(of_report[of]) for of in names.values()])
    assert len(rows) == 2 * len(summary)
    for model in models:
        mine = [row for row in rows if all(row[key] == model[key] for key in ("model", "channel_name"))]
        assert sum(float(row["attributed_conversions"]) for row in mine) == pytest.approx(
            float(model["attributed_conversions"])
        )
    explain = ("luigi", "--module", "pipeline", "ExplainConversion", "--conv-id", "conv-odd", *LOCAL)
    full = place.start(*explain, "--full").end().succeeded().output
    assert "campaign" in full
    shown = query(place.database, "SELECT campaign FROM session_sources WHERE session_id LIKE 'odd-%'")
    plain = {value for (value,) in shown if value and value.isascii() and value.isprintable()}
    assert len(plain) > 1
    assert all(f" {value} " in full for value in plain)
    assert "campaign" not in place.start(*explain).end().succeeded().output


def test_what_changes_below_the_channel_alone_is_restated(made: Workplace, tmp_path: Path) -> None:
    place = settle(made.copy(tmp_path / "shop"))
    again = place.report(SHOP_INTERVAL).succeeded()
    assert again.built == []
    channels = place.report_file(SHOP_INTERVAL, "channel_summary.csv").read_bytes()
    before = {(row["channel_name"], row["campaign"]): row for row in rows_of(place, "campaign_summary.csv")}
    change(place.database, "UPDATE ad_spend SET campaign = 'noon' WHERE day = '2023-08-29'")
    change(place.database, "UPDATE session_sources SET campaign = 'noon' WHERE session_id = 'tie-c'")
    restate = ("luigi", "--module", "pipeline", "Restate", "--date-interval", SHOP_INTERVAL, *LOCAL)
    place.start(*restate).end().succeeded()
    rows = {(row["channel_name"], row["campaign"]): row for row in rows_of(place, "campaign_summary.csv")}
    assert float(rows["Radio", "noon"]["spend"]) == float(before["Radio", "morning"]["spend"])
    assert ("Radio", "morning") not in rows
    assert float(rows["Email, fast", "noon"]["orders"]) > 0
    assert place.report_file(SHOP_INTERVAL, "channel_summary.csv").read_bytes() == channels


def test_costs_by_dimension_that_are_gone_or_of_another_reading_are_made_again(made: Workplace, tmp_path: Path) -> None:
    place = settle(made.copy(tmp_path / "shop"))
    summary = place.report_file(SHOP_INTERVAL, "campaign_summary.csv")
    before = summary.read_bytes()
    days = place.files / "dimension_costs"
    (days / "2023-08-30.parquet").unlink()
    shutil.copy(days / "2023-08-29.parquet", days / "2023-08-31.parquet")  # as if killed between two files
    for stamp in days.glob("*2023-08-29*"):
        shutil.copy(stamp, days / stamp.name.replace("08-29", "08-31"))
    summary.unlink()
    outcome = place.report(SHOP_INTERVAL).succeeded()
    assert "ChannelCosts" in outcome.kinds_built
    assert summary.read_bytes() == before


def test_formulas_are_quoted_where_that_is_wanted(made: Workplace, tmp_path: Path) -> None:
    place = settle(made.copy(tmp_path / "shop"))
    outcome = place.report(FIRST, CSV_FORMULAS="quote", CSV_BOM="true").succeeded()
    text = place.report_file(FIRST, "campaign_summary.csv").read_text(encoding="utf-8")
    assert text.startswith("\ufeff")
    assert ",'=HYPERLINK(1)," in text
    assert "begin as formulas do" not in outcome.log


def test_a_shop_without_a_row_has_files_without_rows(tmp_path: Path, made: Workplace) -> None:
    place = settle(Workplace(tmp_path))
    shutil.copy(made.database, place.database)
    for table in ("session_sources", "conversions", "session_costs", "ad_spend"):
        change(place.database, f"DELETE FROM {table}")
    place.report(FIRST).succeeded()
    (total,) = rows_of(place, "campaign_summary.csv", FIRST)
    assert (total["is_total"], total["campaign"], total["sessions"]) == ("1", "", "0")
