"""PostgreSQL as the source and for the results, by a real server."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.comparing import contents, result_tables
from support.databases import SHOP_INTERVAL
from support.postgres import RESULTS, Server, copy_tables, rows, run, running_server, same_tables, tables_of
from support.running import Workplace

from targets.database import open_database
from targets.errors import DatabaseError


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


_numbers = itertools.count()


@pytest.fixture
def shop_url(server: Server, shop_database: Path) -> str:
    url = server.new_database(f"shop_{next(_numbers)}")
    copy_tables(shop_database, url)
    return url


@pytest.fixture
def place(tmp_path: Path, shop_url: str) -> Workplace:
    return Workplace(tmp_path / "postgres", {"DATABASE_URL": shop_url})


def test_the_same_shop_gives_the_same_files_and_tables(place: Workplace, shop_url: str, undisturbed: Workplace) -> None:
    place.report(SHOP_INTERVAL).succeeded()
    assert contents(place.files) == contents(undisturbed.files)
    same_tables(tables_of(shop_url), result_tables(undisturbed.database))
    assert place.report(SHOP_INTERVAL).succeeded().built == []


def _wait_until(is_so: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in 30 s")


def _rows_of(server: Server, sql: str) -> list[tuple[object, ...]]:
    return rows(server.url(), sql)


def test_a_run_killed_while_it_stores_leaves_nothing_and_the_next_one_completes(
    place: Workplace, server: Server, shop_url: str, undisturbed: Workplace
) -> None:
    place.report(SHOP_INTERVAL, "--store=false").succeeded()
    run(shop_url, "CREATE SCHEMA marketing")
    results = shop_url + "&options=-csearch_path%3Dmarketing"
    name = shop_url.partition("?")[0].rpartition("/")[2]
    waiting = f"SELECT 1 AS one FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
    # the tables are there, and somebody reads channel_reporting while the run wants to fill it
    luigi = ("luigi", "--module", "pipeline", "InitDatabase", "--local-scheduler")
    place.start(*luigi, RESULTS_DATABASE_URL=results).end().succeeded()
    with open_database(results).connect() as reader:
        reader.execute("BEGIN")
        reader.execute("LOCK TABLE channel_reporting IN ACCESS EXCLUSIVE MODE")
        started = place.start_report(SHOP_INTERVAL, RESULTS_DATABASE_URL=results)
        _wait_until(lambda: bool(_rows_of(server, waiting)), "storing")
        started.kill_group()
        started.end()
        run(
            server.url(),
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' "
            "AND wait_event_type = 'Lock'",
        )  # what the system does with a killed client, at the latest when it writes
        reader.execute("ROLLBACK")
    for table in RESULTS:
        assert rows(results, f"SELECT * FROM {table}") == []
    place.report(SHOP_INTERVAL, RESULTS_DATABASE_URL=results).succeeded()
    expected = result_tables(undisturbed.database)
    found = tables_of(results)
    for table in RESULTS:
        if table in expected:
            assert [one[:2] for one in found[table]] == [other[:2] for other in expected[table]]
    assert contents(place.files / "report") == contents(undisturbed.files / "report")
    assert (
        rows(
            shop_url,
            "SELECT relname FROM pg_class WHERE relname LIKE 'pipeline%' AND relkind = 'r' "
            "AND relnamespace <> 'marketing'::regnamespace",
        )
        == []
    )


@pytest.mark.parametrize("end", ["connection", "server"])
def test_a_scan_that_is_cut_says_so_and_the_next_run_completes(
    place: Workplace, server: Server, shop_url: str, undisturbed: Workplace, end: str
) -> None:
    run(
        shop_url,
        "ALTER TABLE session_sources RENAME TO of_sessions",
        "CREATE VIEW session_sources AS SELECT * FROM of_sessions "
        "WHERE session_id <> 'border-in' OR pg_sleep(2) IS NOT NULL",
    )
    name = shop_url.partition("?")[0].rpartition("/")[2]
    scans = (
        f"FROM pg_stat_activity WHERE datname = '{name}' AND query LIKE 'COPY%session_sources%' "
        "AND state = 'active' AND clock_timestamp() - query_start > interval '0.5 s'"
    )
    started = place.start_report(SHOP_INTERVAL)
    _wait_until(lambda: bool(_rows_of(server, f"SELECT pid {scans}")), "a scan")
    if end == "server":
        server.kill()
    else:
        run(server.url(), f"SELECT pg_terminate_backend(pid) {scans}")
    outcome = started.end()
    if end == "server":
        server.start()
    assert outcome.code == 30, outcome.text
    (line,) = outcome.errors
    # of the scan, or of the stage that asks the server next
    assert "run again" in line or (end == "server" and "start the server" in line)
    assert "the database postgresql:///" in line
    run(shop_url, "DROP VIEW session_sources", "ALTER TABLE of_sessions RENAME TO session_sources")
    place.report(SHOP_INTERVAL).succeeded()
    assert contents(place.files) == contents(undisturbed.files)


def test_a_stream_that_breaks_is_an_error_of_the_database(server: Server) -> None:
    with (
        open_database(server.url()).connect() as connection,
        connection.stream(
            "SELECT pg_backend_pid() AS pid, repeat('x', 999) AS text FROM generate_series(1, 300000)"
        ) as batches,
    ):
        pid = batches.read_next_batch()["pid"][0].as_py()
        run(server.url(), f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(DatabaseError, match="run again"):
            batches.read_all()


def test_tables_have_one_owner_and_a_trial_leaves_them(place: Workplace, shop_url: str) -> None:
    place.report(SHOP_INTERVAL).succeeded()
    before = tables_of(shop_url)
    refused = place.report(SHOP_INTERVAL, "--model", "linear")
    assert refused.code == 40
    assert "they have one owner" in refused.errors[-1]
    place.report(SHOP_INTERVAL, "--model", "linear", "--store=false").succeeded()
    assert tables_of(shop_url) == before
    place.report(SHOP_INTERVAL, "--model", "linear", "--store=replace").succeeded()
    assert tables_of(shop_url) != before
    assert len(list(place.files.glob("replaced/*/attribution_customer_journey.parquet"))) == 1
    place.report(SHOP_INTERVAL, "--store=continue").succeeded()


def test_restating_status_and_cleaning(place: Workplace, shop_url: str) -> None:
    place.report(SHOP_INTERVAL).succeeded()
    before = tables_of(shop_url)
    run(shop_url, "UPDATE conversions SET revenue = revenue + 1 WHERE conv_date = '2023-08-30'")
    warned = place.report(SHOP_INTERVAL).succeeded()
    assert "conversions on 2023-08-30 changed since it was read" in warned.log
    luigi = ("luigi", "--module", "pipeline", "Restate", "--date-interval", "2023-08-30", "--local-scheduler")
    place.start(*luigi).end().succeeded()
    place.report(SHOP_INTERVAL).succeeded()
    after = tables_of(shop_url)
    assert after["channel_reporting"] != before["channel_reporting"]
    assert after["attribution_customer_journey"] == before["attribution_customer_journey"]
    status = place.start("attribution-status").end()
    assert status.code == 0, status.text
    assert "2023-08-29" in status.output
    place.start("attribution-clean", "--date-interval", "2023-08-30", "--tables", "--yes").end().succeeded()
    assert rows(shop_url, "SELECT 1 AS one FROM pipeline_conversions WHERE conv_date = '2023-08-30'") == []
    place.report(SHOP_INTERVAL).succeeded()
    assert tables_of(shop_url) == after


def test_transactions_of_two_wait_for_each_other(server: Server) -> None:
    url, order = server.new_database("two"), list[str]()
    holds = threading.Event()

    def second() -> None:
        with open_database(url).connect() as connection:
            holds.wait(10)
            with connection.transaction():
                order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with open_database(url).connect() as connection, connection.transaction():
        holds.set()
        time.sleep(0.5)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
