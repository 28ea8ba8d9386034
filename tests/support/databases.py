"""Source databases: a small shop with every edge case, and the means to spoil it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from pipeline.sample.reference import write_reference
from pipeline.sample.schema import SOURCE_TABLES

SHOP_INTERVAL = "2023-08-29-2023-09-03"
"""The days of the small shop's conversions, and one without any; some of its sessions are earlier."""

CONVERSIONS_SECTION = """
[conversions]
from = "conversions"
conv_id = "conv_id"
user_id = "user_id"
time = ["conv_date", "conv_time"]
revenue = "revenue"
"""
COSTS_SECTION = """
[session_costs]
from = "session_costs"
session_id = "session_id"
cost = "cost"
"""
"""Sections of a source mapping, for the tables that `write_database` writes."""

ODD_CHANNELS = (
    'Größe "XL", Zürich',
    "Line\nbreak",
    "Windows\r\nbreak",
    "Old Mac\rbreak",
    "NA",
    "total",
    "  spaces ",
    "😀 'quoted'",
    "=1+1",
)
"""Channel names that CSV writers and readers are known to lose."""

Row = tuple[object, ...]


def session(
    session_id: object,
    user_id: object,
    when: str,
    channel: object = "Direct Traffic",
    flags: tuple[object, object, object] = (1, 0, 0),
) -> Row:
    """A row of `session_sources`; `when` is date and time, the flags are holder, closer, impression."""
    date, _, time = when.partition(" ")
    return (session_id, user_id, date, time, channel, *flags)


def conversion(conv_id: object, user_id: object, when: str, revenue: object = 10.0) -> Row:
    """A row of `conversions`."""
    date, _, time = when.partition(" ")
    return (conv_id, user_id, date, time, revenue)


def write_database(
    path: Path, sessions: Iterable[Row] = (), conversions: Iterable[Row] = (), costs: Iterable[Row] = ()
) -> Path:
    """Write a source database of these rows."""
    with closing(sqlite3.connect(path)) as database, database:
        for create_table in SOURCE_TABLES.values():
            database.execute(create_table)
    add_rows(path, sessions, conversions, costs)
    return path


def add_rows(
    path: Path, sessions: Iterable[Row] = (), conversions: Iterable[Row] = (), costs: Iterable[Row] = ()
) -> None:
    """Add rows to a source database."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany("INSERT INTO session_sources VALUES (?, ?, ?, ?, ?, ?, ?, ?)", sessions)
        database.executemany("INSERT INTO conversions VALUES (?, ?, ?, ?, ?)", conversions)
        database.executemany("INSERT INTO session_costs VALUES (?, ?)", costs)


def change(path: Path, sql: str, *values: object) -> None:
    """Run one statement on a database."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(sql, values)


def write_shop(path: Path) -> Path:
    """Write the small shop: a sample of 60 conversions in 4 days, and by hand what a sample has rarely or never."""
    write_reference(path, scale=0.03, days=4)
    add_rows(path, *_edge_cases())
    return path


def _edge_cases() -> tuple[list[Row], list[Row], list[Row]]:
    sessions = [
        # several sessions in one second: ordered by id, and the last one is the one of the order
        session("tie-c", "ties", "2023-08-31 10:00:00", "Email, fast", (1, 0, 1)),
        session("tie-a", "ties", "2023-08-31 10:00:00", "FB & IG Ads", (0, 1, 0)),
        session("tie-b", "ties", "2023-08-31 10:00:00", "Referral", (1, 1, 0)),
        session("tie-0", "ties", "2023-08-31 09:00:00", "Referral", (1, 1, 0)),
        session("tie-after", "ties", "2023-08-31 10:00:01", "Referral", (1, 1, 0)),
        # exactly at the border of a look-back window of two days, and a second before it
        session("border-in", "border", "2023-08-30 12:00:00", "Paid Search Brand", (0, 0, 0)),
        session("border-out", "border", "2023-08-30 11:59:59", "Microsoft Ads", (1, 1, 1)),
        session("border-last", "border", "2023-09-01 11:00:00", "Newsletter & Email", (0, 0, 0)),
        # a gap of exactly 52.7 hours is no restart, a second more is one
        session("gap-1", "gap", "2023-08-29 00:00:00", "Referral"),
        session("gap-2", "gap", "2023-08-31 04:42:00", "Performance Max"),
        session("restart-1", "restart", "2023-08-29 00:00:00", "Referral"),
        session("restart-2", "restart", "2023-08-31 04:42:01", "Performance Max"),
        # before the interval, and on its last day, which has no conversion
        session("early-1", "early", "2023-08-28 00:00:00", "Radio"),
        session("early-2", "early", "2023-08-28 23:59:59", "Television", (1, 1, 0)),
        session("early-3", "early", "2023-08-29 23:59:59", "Radio", (1, 1, 0)),
        session("early-nobody", "early-nobody", "2023-08-28 12:00:00", "Nobody bought"),
        session("late", "late", "2023-09-02 08:00:00", "Radio"),
        # three orders of one user, two of them in one second, the sessions before them shared
        session("again-1", "again", "2023-08-30 08:00:00", "TikTok Ads"),
        session("again-2", "again", "2023-08-31 09:00:00", "Referral", (1, 1, 0)),
        # ids that are no hex
        session('id "quoted", ü', "Jürgen, Ltd.", "2023-09-01 08:00:00", "Organic Traffic"),
    ]
    for number, channel in enumerate(ODD_CHANNELS):
        when = f"2023-{('08-30', '08-31', '09-01')[number % 3]} 08:00:0{number}"
        sessions.append(session(f"odd-{number}", "odd", when, channel))
    # by minutes before the last one, to where the closer curve jumps
    sessions += [
        session(f"jump-{minutes}", "jumps", f"2023-09-01 10:{59 - minutes:02}:00", flags=(1, 1, 0))
        for minutes in (54, 53, 48, 47, 42, 36, 30, 29, 24, 18, 12, 6, 5)
    ]
    sessions.append(session("jump-last", "jumps", "2023-09-01 10:59:00", "Referral"))
    conversions = [
        conversion("conv-ties", "ties", "2023-08-31 10:00:00", 0.1),
        conversion("conv-border", "border", "2023-09-01 12:00:00", 0.2),
        conversion("conv-gap", "gap", "2023-08-31 05:00:00", 100.0),
        conversion("conv-restart", "restart", "2023-08-31 05:00:00", 100.0),
        conversion("conv-early", "early", "2023-08-30 00:00:00", 33.33),
        conversion("conv-again-1", "again", "2023-08-31 08:00:00", 12.34),
        conversion("conv-again-2", "again", "2023-09-01 08:00:00", 23.45),
        conversion("conv-again-3", "again", "2023-09-01 08:00:00", 34.56),
        conversion("conv-odd", "odd", "2023-09-01 09:00:00", 999.99),
        conversion("conv-jumps", "jumps", "2023-09-01 11:00:00", 0.0),
        conversion('Bestellung "7", ü', "Jürgen, Ltd.", "2023-09-01 23:59:59", 1e6),
        conversion("conv-nothing", "never seen", "2023-08-29 00:00:00", 7.77),
    ]
    costs: list[Row] = [
        ("tie-a", 0.1),
        ("tie-b", 0.2),
        ("tie-c", None),
        ("again-1", 5.5),
        ("again-2", 7.25),
        ("early-1", 2.0),
        ("early-nobody", 3.0),
        ("odd-0", 1.5),
        ("odd-3", 2.5),
        ("a session that is not there", 1000.0),
    ]
    return sessions, conversions, costs
