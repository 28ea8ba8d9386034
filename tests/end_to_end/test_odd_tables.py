"""The tables of a company that never heard of us: empty, huge users, odd texts, odd numbers, far dates."""

from __future__ import annotations

from pathlib import Path

import luigi
import pytest
from support.comparing import query, read_report
from support.databases import Row, conversion, session, write_database
from support.plain_report import plain_report
from support.running import Workplace

from pipeline import Report

DAY, INTERVAL = "2023-09-01", "2023-09-01-2023-09-02"
CHANNELS = [
    *(
        "",
        "\t",
        "\n",
        '"',
        "'",
        ",",
        ";",
        "\\",
        "%s",
        "{}",
        "../../x",
        "-1",
        "0",
        "1e9",
        "nan",
        "None",
        "NULL",
        "true",
    ),
    *(
        "=cmd()",
        "+1",
        "@x",
        "\u202eabc",
        "\u200b",
        "é",
        "e\u0301",
        "Ω" * 1000,
        "😀",
        "DIRECT",
        "direct",
        "Direct",
        "total",
    ),
]

Tables = tuple[list[Row], list[Row], list[Row]]


def at(second: int) -> str:
    return f"{DAY} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


TABLES: dict[str, Tables] = {
    "empty": ([], [], []),
    "one session": ([session("s", "u", at(0))], [], [("s", 1.0)]),
    "one conversion": ([], [conversion("c", "u", at(0))], []),
    "one of each in one second": ([session("s", "u", at(9))], [conversion("c", "u", at(9))], [("s", 1.0)]),
    "a user with 10,000 sessions": (
        [session(f"s{n}", "u", at(n), f"channel {n % 7}") for n in range(10_000)],
        [conversion("c", "u", at(20_000))],
        [(f"s{n}", 0.01) for n in range(10_000)],
    ),
    "all in one second": (
        [session(f"s{n}", f"u{n % 20}", at(5)) for n in range(200)],
        [conversion(f"c{n}", f"u{n % 20}", at(5)) for n in range(60)],
        [],
    ),
    "dates out of order": (
        [session(f"s{n}", "u", f"2023-{8 + n % 2:02}-{1 + n * 7 % 28:02} 10:00:00") for n in range(56)],
        [conversion("c", "u", at(40_000))],
        [],
    ),
    "conversions before every session": (
        [session(f"s{n}", f"u{n}", at(50_000)) for n in range(5)],
        [conversion(f"c{n}", f"u{n}", at(10)) for n in range(5)],
        [],
    ),
    "ids of every length": (
        [session(f"s{name}", name, at(1)) for name in ("a" * 1_000_000, "a", "ü" * 300, " ", "'; DROP TABLE x; --")],
        [conversion(f"c{name}", name, at(2)) for name in ("a" * 1_000_000, "a", "ü" * 300, " ", "'; DROP TABLE x; --")],
        [],
    ),
    "amounts of every size": (
        [session(f"s{n}", f"u{n}", at(1), f"channel {n}") for n in range(4)],
        [conversion(f"c{n}", f"u{n}", at(2), revenue) for n, revenue in enumerate((1e15, 0.0, 1e-9, 12_345_678.91))],
        [("s0", 1e-9), ("s1", 1e15), ("s2", 0.1), ("s3", None)],
    ),
    "channels of every kind": (
        [session(f"s{n}", f"u{n}", at(n), channel) for n, channel in enumerate(CHANNELS) if channel],
        [conversion(f"c{n}", f"u{n}", at(1000)) for n in range(len(CHANNELS))],
        [(f"s{n}", 1.0) for n in range(len(CHANNELS))],
    ),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    place = Workplace(tmp_path / "place")
    for name in ("DATABASE_URL", "DATA_DIR"):
        monkeypatch.setenv(name, place.environment[name])
    monkeypatch.chdir(place.folder)
    return place


def report(interval: str) -> bool:
    return luigi.build([Report(date_interval=interval)], local_scheduler=True, log_level="CRITICAL")


@pytest.mark.parametrize("tables", TABLES)
def test_the_report_is_what_a_plain_computation_gives(place: Workplace, tables: str) -> None:
    write_database(place.database, *TABLES[tables])
    assert report(DAY)
    expected = plain_report(place.database, INTERVAL)
    rows = {(row["channel_name"], row["date"]): row for row in read_report(place.report_file(INTERVAL))}
    assert [*rows] == sorted(expected.cells)
    for cell, sums in expected.cells.items():
        assert (rows[cell]["cost"] == "") is (sums[0] is None), cell
        found = [float(rows[cell][name] or 0) for name in ("cost", "ihc", "ihc_revenue")]
        assert found == pytest.approx([sums[0] or 0.0, *sums[1:]], rel=1e-9, abs=1e-9), cell
    stored = query(place.database, "SELECT conv_id, sum(ihc) FROM attribution_customer_journey GROUP BY 1")
    assert dict(stored) == pytest.approx(dict.fromkeys(expected.credit, 1), abs=1e-9)
    assert report(DAY)


@pytest.mark.parametrize(
    ("interval", "conversions"),
    [
        ("1970-01-01-1970-01-02", 0),
        ("1000-01-01-1000-01-02", 0),
        pytest.param("2014-01-01-2024-01-01", 1, marks=pytest.mark.slow),  # tens of thousands of files
    ],
)
def test_an_interval_far_from_the_data_or_of_ten_years(place: Workplace, interval: str, conversions: int) -> None:
    write_database(place.database, *TABLES["one of each in one second"])
    assert report(interval)
    assert place.books(interval)["conversions"] == conversions
    assert len(read_report(place.report_file(interval))) == conversions
    assert report(interval)


@pytest.mark.parametrize("user", ["a\0b", "a\0"])
def test_a_user_id_with_a_nul_is_no_other_user(place: Workplace, user: str) -> None:
    write_database(
        place.database,
        [session("s", user, at(1)), session("t", "a", at(1))],
        [conversion("c", user, at(2)), conversion("d", "a", at(2))],
    )
    outcome = place.report(DAY)
    assert outcome.code in (0, 30)
    assert "Traceback" not in outcome.text
    if outcome.code == 30:
        assert "NUL" in outcome.errors[-1]
    else:
        stored = query(place.database, "SELECT conv_id, session_id FROM attribution_customer_journey ORDER BY 1")
        assert stored == [("c", "s"), ("d", "t")]
