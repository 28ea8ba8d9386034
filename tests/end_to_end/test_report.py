"""The report: right, balanced, and made once."""

from __future__ import annotations

from math import isclose
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from support.building import Once
from support.comparing import contents, query, read_report, result_tables, versions
from support.databases import ODD_CHANNELS, SHOP_INTERVAL, change, write_database
from support.plain_report import Books, plain_report
from support.running import DATABASE, Workplace

from pipeline.sample.reference import write_reference

KEYS = {
    "attribution_customer_journey": ("conv_id", "session_id"),
    "channel_reporting": ("channel_name", "date"),
}
SAMPLE_INTERVAL = "2023-08-29-2023-09-08"
LAST_DAY = "2023-09-02-2023-09-03"
FILES = (
    *("unattributed_conversions.csv", "reconciliation.json", "ledger.csv", "lags.csv", "paths.csv", "maturity.csv"),
    *("channel_phases.csv", "changes.csv", "daily.csv", "channel_summary.csv", "report.html", "channel_reporting.csv"),
)
COLUMNS = ["channel_name", "date", "cost", "ihc", "ihc_revenue", "CPO", "ROAS"]
SUMMARY = [
    *("channel_name", "is_total", "group", "spend", "orders", "revenue", "CPO", "ROAS"),
    *("spend_share", "orders_share", "revenue_share", "influenced_orders", "new_customer_orders", "sessions"),
    *("initializer", "holder", "closer", "orders_low", "orders_high", "CPO_low", "CPO_high", "ROAS_low", "ROAS_high"),
]


def assert_csv_is(expected: Books, csv: Path) -> None:
    """The CSV says what the plain computation says."""
    rows = read_report(csv)
    assert [*rows[0]] == COLUMNS
    found = {(row["channel_name"], row["date"]): row for row in rows}
    assert [*found] == sorted(expected.cells)
    for cell, sums in expected.cells.items():
        if sums[0] is None:
            assert [found[cell][name] for name in ("cost", "CPO", "ROAS")] == [""] * 3
            assert [float(found[cell][name]) for name in ("ihc", "ihc_revenue")] == pytest.approx(sums[1:])
            continue
        cost, ihc, revenue = (float(found[cell][name]) for name in ("cost", "ihc", "ihc_revenue"))
        assert (cost, ihc, revenue) == pytest.approx(sums, rel=1e-9, abs=1e-9), cell
        assert found[cell]["CPO"] == (repr(cost / ihc) if ihc else "")
        assert found[cell]["ROAS"] == (repr(revenue / cost) if cost else "")


def assert_others_are(expected: Books, place: Workplace, interval: str) -> None:
    """The files beside the report say what the plain computation says."""

    def rows(name: str) -> list[dict[str, str]]:
        return read_report(place.report_file(interval, name))

    *channels, total = rows("channel_summary.csv")
    assert [*total] == SUMMARY
    assert [row["channel_name"] for row in channels] == sorted(expected.summary)
    assert [(row["is_total"], row["group"]) for row in (*channels, total)] == [("0", "")] * len(channels) + [("1", "")]
    sums = {name: sum(of[name] for of in expected.summary.values()) for name in ("spend", "orders", "revenue")}
    for row in channels:
        figures = expected.summary[row["channel_name"]]
        assert {name: float(row[name]) for name in figures} == pytest.approx(figures, rel=1e-9, abs=1e-9)
        assert row["CPO"] == (repr(float(row["spend"]) / float(row["orders"])) if figures["orders"] else "")
        assert row["ROAS"] == (repr(float(row["revenue"]) / float(row["spend"])) if figures["spend"] else "")
        assert {name: float(row[f"{name}_share"]) * of for name, of in sums.items() if of} == pytest.approx(
            {name: figures[name] for name, of in sums.items() if of}
        )
        assert float(row["orders_low"]) <= figures["orders"] + 1e-9
        assert figures["orders"] <= float(row["orders_high"]) + 1e-9
    assert {name: float(total[name]) for name in sums} == pytest.approx(sums)
    assert float(total["influenced_orders"]) == len(expected.credit)
    daily = {(row["channel_name"], row["conv_date"]): row for row in rows("daily.csv")}
    assert [*daily] == sorted(expected.daily)
    for cell, of_day in expected.daily.items():
        assert [float(daily[cell][name]) for name in ("spend", "orders", "revenue")] == pytest.approx(of_day)
    arrived = rows("maturity.csv")
    assert {row["date"]: float(row["expected_share"]) for row in arrived} == pytest.approx(expected.arrived)
    assert all(float(row["low"]) <= float(row["expected_share"]) <= float(row["high"]) for row in arrived)
    paths = {row["path"]: row for row in rows("paths.csv")}
    assert len(paths) == min(100, len(expected.paths))
    for path, row in paths.items():
        orders, revenue, touches, days = expected.paths[path]
        found = [float(row[name]) for name in ("orders", "revenue", "touches", "days")]
        assert found == pytest.approx([orders, revenue, touches / orders, days / orders])
    least = min(float(row["orders"]) for row in paths.values())
    assert all(of[0] <= least for path, of in expected.paths.items() if path not in paths)
    lags = {(row["kind"], int(row["value"])): [float(row["orders"]), float(row["revenue"])] for row in rows("lags.csv")}
    assert lags.keys() == expected.lags.keys()
    assert all(lags[lag] == pytest.approx(of, abs=1e-9) for lag, of in expected.lags.items())


def assert_is(expected: Books, place: Workplace, interval: str) -> None:
    """The CSV, the credit table and the reconciliation say what the plain computation says."""
    assert_csv_is(expected, place.report_file(interval))
    assert_others_are(expected, place, interval)
    credit: dict[str, dict[str, float]] = {}
    for conv_id, session_id, ihc in query(place.database, "SELECT * FROM attribution_customer_journey"):
        credit.setdefault(conv_id, {})[session_id] = ihc
    assert {conv_id: [*sorted(shares)] for conv_id, shares in credit.items()} == {
        conv_id: [*sorted(shares)] for conv_id, shares in expected.credit.items()
    }
    for conv_id, shares in credit.items():
        assert isclose(sum(shares.values()), 1, abs_tol=1e-9), conv_id
        assert shares == pytest.approx(expected.credit[conv_id], rel=1e-9, abs=1e-9), conv_id

    books = place.books(interval)
    without = len(expected.unattributed)
    assert books["attributed"] == len(expected.credit)
    assert (books["conversions"], books["without_sessions"]) == (len(expected.credit) + without, without)
    assert (books["rejected"], books["input_rejects"]) == (0, 0)
    assert books["sessions_truncated"] == expected.sessions_truncated
    assert books["ihc"] == pytest.approx(len(expected.credit), abs=1e-9)
    assert books["revenue"] == pytest.approx(expected.revenue, abs=1e-6)
    assert books["attributed_revenue"] + books["unattributed_revenue"] == pytest.approx(expected.revenue, abs=0.005)
    assert books["unattributed_revenue"] == pytest.approx(sum(order.revenue for order in expected.unattributed))
    assert books["spend"] == pytest.approx(sum(cost for cost, _, _ in expected.cells.values() if cost), abs=0.005)
    assert books["spend_extracted"] == books["spend"]


def test_report_is_what_a_plain_computation_gives(undisturbed: Workplace) -> None:
    assert_is(plain_report(undisturbed.database, SHOP_INTERVAL), undisturbed, SHOP_INTERVAL)


def test_sample_report_is_what_a_plain_computation_gives(once: Once) -> None:
    def build(folder: Path) -> None:
        write_reference(folder / DATABASE)
        Workplace(folder).report(SAMPLE_INTERVAL).succeeded()

    place = Workplace(once("sample", build))
    expected = plain_report(place.database, SAMPLE_INTERVAL)
    assert (len(expected.credit), len(expected.unattributed), len(expected.cells)) == (1_946, 54, 150)
    assert_is(expected, place, SAMPLE_INTERVAL)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"SESSION_LOWER_LIMIT_DATE": "2", "MAX_SESSIONS": "3"}, {"lookback_days": 2, "max_sessions": 3}),
        (
            {"SESSION_LOWER_LIMIT_DATE": "1", "AFTER_PREVIOUS_CONVERSION": "true"},
            {"lookback_days": 1, "after_previous": True},
        ),
    ],
    ids=["three sessions of two days at most", "sessions of one day after the previous order"],
)
def test_settings_change_journeys_as_a_plain_computation_does(
    reported_shop: Workplace, settings: dict[str, str | None], expected: dict[str, Any]
) -> None:
    reported_shop.report(SHOP_INTERVAL, STORE="replace", **settings).succeeded()
    assert_is(plain_report(reported_shop.database, SHOP_INTERVAL, **expected), reported_shop, SHOP_INTERVAL)


def test_tables_have_their_primary_keys_and_no_null(undisturbed: Workplace) -> None:
    for table, key in KEYS.items():
        columns = query(undisturbed.database, f"SELECT name, pk, \"notnull\" FROM pragma_table_info('{table}')")
        assert tuple(name for name, place, _ in sorted(columns, key=itemgetter(1)) if place) == key
        assert all(not_null for _, _, not_null in columns)


def test_csv_of_a_single_run_equals_the_table(undisturbed: Workplace) -> None:
    table = query(
        undisturbed.database, "SELECT channel_name, date, cost, ihc, ihc_revenue FROM channel_reporting ORDER BY 1, 2"
    )
    rows = [tuple(row[name] for name in COLUMNS[:5]) for row in read_report(undisturbed.report_file(SHOP_INTERVAL))]
    within = [row[1] >= SHOP_INTERVAL[:10] for row in table]
    assert [
        tuple(map(str, row)) if inside else (*row[:2], "", *map(str, row[3:]))
        for row, inside in zip(table, within, strict=True)
    ] == rows
    assert not all(within)


def test_divisions_by_zero_are_empty_not_zero_nor_infinite(undisturbed: Workplace) -> None:
    rows = read_report(undisturbed.report_file(SHOP_INTERVAL))
    assert any(row["CPO"] == "" and float(row["cost"] or 0) > 0 for row in rows)
    assert any(row["ROAS"] == "" and float(row["ihc_revenue"]) > 0 for row in rows)
    text = undisturbed.report_file(SHOP_INTERVAL).read_text(encoding="utf-8")
    assert "inf" not in text.replace("Performance Max", "")
    assert "nan" not in text


def test_second_report_builds_nothing_and_prints_the_path(reported_shop: Workplace) -> None:
    before, tables = versions(reported_shop.files), result_tables(reported_shop.database)
    database = reported_shop.database.read_bytes()
    again = reported_shop.report(SHOP_INTERVAL).succeeded()
    assert again.built == []
    assert str(reported_shop.report_file(SHOP_INTERVAL)) in again.output.splitlines()
    assert versions(reported_shop.files) == before
    assert result_tables(reported_shop.database) == tables
    assert reported_shop.database.read_bytes() == database


def test_report_prints_totals_and_paths(undisturbed: Workplace) -> None:
    lines = (undisturbed.folder / "printed.txt").read_text(encoding="utf-8").splitlines()
    paths = [undisturbed.report_file(SHOP_INTERVAL, name).name for name in FILES]
    assert [Path(line).name for line in lines if line.startswith("/")] == paths
    rows = read_report(undisturbed.report_file(SHOP_INTERVAL))
    spent = [sum(float(row["cost"] or 0) for row in rows if row["channel_name"] == "Performance Max")]
    spent += [sum(float(row["cost"] or 0) for row in rows)]
    amounts = lines[: next(place for place, line in enumerate(lines) if line.startswith("share of"))]
    assert [f"{cost:,.2f}" for cost in spent] == [
        next(reversed([line for line in amounts if line.startswith(name)])).split()[name.count(" ") + 1]
        for name in ("Performance Max", "total")
    ]
    assert max(map(len, (line for line in lines if not line.startswith("/")))) <= 120


def test_channel_called_total_is_printed_beside_the_total(undisturbed: Workplace) -> None:
    lines = (undisturbed.folder / "printed.txt").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.startswith("total ")]) == 4  # two tables


def test_no_result_file_holds_a_path_or_the_host(undisturbed: Workplace) -> None:
    everything = contents(undisturbed.files)
    assert str(undisturbed.folder).encode() in (undisturbed.files / "source.json").read_bytes()
    assert [name for name, content in everything.items() if str(undisturbed.folder.parent).encode() in content] == []


def test_rows_before_the_interval_are_those_that_journeys_reach(undisturbed: Workplace) -> None:
    early = [row for row in read_report(undisturbed.report_file(SHOP_INTERVAL)) if row["date"] < "2023-08-29"]
    assert [(row["channel_name"], row["date"], row["cost"]) for row in early] == [
        ("Radio", "2023-08-28", ""),
        ("Television", "2023-08-28", ""),
    ]


@pytest.mark.parametrize("channel", ODD_CHANNELS, ids=repr)
def test_odd_channel_names_survive_to_the_csv(undisturbed: Workplace, channel: str) -> None:
    found = {row["channel_name"] for row in read_report(undisturbed.report_file(SHOP_INTERVAL))}
    assert channel.strip(" ") in found


def test_interval_without_conversions_gives_a_report_and_a_warning(shop: Workplace) -> None:
    outcome = shop.report(LAST_DAY).succeeded()
    assert any(line.startswith("WARNING") and "no conversion" in line for line in outcome.log.splitlines())
    assert read_report(shop.report_file(LAST_DAY)) == [
        {
            "channel_name": "Radio",
            "date": "2023-09-02",
            "cost": "0.0",
            "ihc": "0.0",
            "ihc_revenue": "0.0",
            "CPO": "",
            "ROAS": "",
        }
    ]
    assert query(shop.database, "SELECT * FROM attribution_customer_journey") == []


def test_channel_that_the_console_cannot_show_does_not_fail_the_run(shop: Workplace) -> None:
    outcome = shop.report("2023-08-30", PYTHONIOENCODING="ascii").succeeded()
    assert str(shop.report_file("2023-08-30-2023-08-31")) in outcome.output
    assert ODD_CHANNELS[0] in {row["channel_name"] for row in read_report(shop.report_file("2023-08-30-2023-08-31"))}


def test_database_without_a_row_gives_an_empty_report(shop: Workplace) -> None:
    shop.database.unlink()
    write_database(shop.database)
    shop.report("2023-09-02").succeeded()
    assert read_report(shop.report_file(LAST_DAY)) == []
    assert shop.books(LAST_DAY)["conversions"] == 0


def test_the_table_is_cumulative_and_the_csv_is_not(shop: Workplace, undisturbed: Workplace) -> None:
    for interval in ("2023-08-31-2023-09-03", "2023-08-29-2023-09-01"):
        shop.report(interval).succeeded()
    assert result_tables(shop.database)["channel_reporting"] == result_tables(undisturbed.database)["channel_reporting"]
    assert_csv_is(plain_report(shop.database, interval), shop.report_file(interval))


def test_results_in_another_database_leave_the_source_as_it_was(shop: Workplace, undisturbed: Workplace) -> None:
    before = shop.database.read_bytes()
    shop.report(SHOP_INTERVAL, RESULTS_DATABASE_URL="sqlite:///results/results.db").succeeded()
    assert shop.database.read_bytes() == before
    assert not [path for path in shop.folder.iterdir() if path.name.startswith("shop.db-")]
    results = shop.folder / "results" / "results.db"
    assert result_tables(results) == result_tables(undisturbed.database)
    assert contents(shop.files) == contents(undisturbed.files)


def test_result_tables_without_keys_are_migrated(shop: Workplace, undisturbed: Workplace) -> None:
    change(shop.database, "CREATE TABLE channel_reporting (channel_name, date, cost, ihc, ihc_revenue)")
    change(shop.database, "CREATE TABLE attribution_customer_journey (conv_id TEXT, session_id TEXT, ihc REAL)")
    change(shop.database, "INSERT INTO attribution_customer_journey VALUES ('conv-gap', 'gap-1', 1.0)")
    shop.report(SHOP_INTERVAL).succeeded()
    assert result_tables(shop.database) == result_tables(undisturbed.database)
    columns = query(shop.database, "SELECT name FROM pragma_table_info('attribution_customer_journey') WHERE pk")
    assert columns == [("conv_id",), ("session_id",)]


def test_users_share_sessions_but_never_cost(undisturbed: Workplace) -> None:
    shared = query(
        undisturbed.database,
        "SELECT session_id FROM attribution_customer_journey GROUP BY session_id HAVING count(*) > 1 "
        "AND session_id IN (SELECT session_id FROM session_costs WHERE cost > 0)",
    )
    assert shared
    (spent,) = query(
        undisturbed.database,
        "SELECT sum(cost) FROM session_costs JOIN session_sources USING (session_id) WHERE event_date >= '2023-08-29'",
    )
    rows = read_report(undisturbed.report_file(SHOP_INTERVAL))
    reported = sum(float(row["cost"]) for row in rows if row["date"] >= "2023-08-29")
    assert all(row["cost"] == "" for row in rows if row["date"] < "2023-08-29")
    assert reported == pytest.approx(spent[0], abs=1e-6)


def test_conversions_without_a_journey_are_listed(undisturbed: Workplace) -> None:
    listed = read_report(undisturbed.report_file(SHOP_INTERVAL, "unattributed_conversions.csv"))
    plain = plain_report(undisturbed.database, SHOP_INTERVAL)
    assert {(row["conv_id"], float(row["revenue"])) for row in listed} == {
        (order.id, order.revenue) for order in plain.unattributed
    }
    assert {row["reason"] for row in listed} == {"without_sessions"}
    assert "conv-nothing" in {row["conv_id"] for row in listed}
