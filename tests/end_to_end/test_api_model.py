"""`ihc-api` against the sandbox: the credit of `ihc-local`, every limit kept, no journey asked for twice."""

from __future__ import annotations

import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import contents, query, read_report, result_tables, temporary_files
from support.databases import SHOP_INTERVAL, conversion, session, write_database
from support.running import Workplace
from support.servers import Api, luigid, sandbox

from pipeline.ihc_api.answers import AnswerStore
from targets.files import LocalFiles

CANARY = "canary-5f1d8c"
DAY = "2023-08-30-2023-08-31"
JOURNEYS = "SELECT conv_id, session_id FROM attribution_customer_journey ORDER BY 1, 2"


@pytest.fixture
def api() -> Iterator[Api]:
    with sandbox(key=CANARY) as server:
        yield server


def asking(api: Api, **settings: str) -> dict[str, str | None]:
    """The settings of a run that asks this API."""
    return {"ATTRIBUTION_MODEL": "ihc-api", "API_URL": api.url, "IHC_API_KEY": CANARY, **settings}


def credit(place: Workplace) -> dict[tuple[str, str], float]:
    """The credit of every session."""
    rows = query(place.database, "SELECT conv_id, session_id, ihc FROM attribution_customer_journey")
    return {(conv_id, session_id): ihc for conv_id, session_id, ihc in rows}


def kept_answers(place: Workplace) -> int:
    """The number of journeys with a kept answer."""
    return sum(scope.journeys for scope in AnswerStore(LocalFiles(place.files / "answers")).contents())


def test_api_gives_the_credit_of_the_embedded_model(reported_shop: Workplace, undisturbed: Workplace, api: Api) -> None:
    reported_shop.report(SHOP_INTERVAL, **asking(api), STORE="replace").succeeded()
    assert credit(reported_shop) == pytest.approx(credit(undisturbed), rel=0, abs=0.0002)
    sums = query(reported_shop.database, "SELECT sum(ihc) FROM attribution_customer_journey GROUP BY conv_id")
    assert [total for (total,) in sums] == pytest.approx([1] * len(sums), rel=0, abs=1e-9)

    books, seen = reported_shop.books(SHOP_INTERVAL, "ihc-api"), api.statistics()
    assert books["api_requests"] == seen["requests"] == 1  # the days' journeys together
    assert seen["journeys"] == books["attributed"]
    assert seen["conversions_asked_more_than_once"] == 0
    assert seen["statuses"] == {"200": 1}

    shutil.rmtree(reported_shop.day_file("attribution", "2023-08-30", "ihc-api-*").parent)
    again = reported_shop.report(SHOP_INTERVAL, **asking(api)).succeeded()
    assert "Attribution" in again.kinds_built
    assert api.statistics()["requests"] == 1
    assert reported_shop.books(SHOP_INTERVAL, "ihc-api") == books


def test_long_journey_is_cut_alike_for_every_model_and_fits_a_request(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    sessions = [
        session(
            f"s-{number:04}", "long", f"2023-09-0{1 + number // 2000} {number % 2000 // 100:02}:{number % 60:02}:00"
        )
        for number in range(3500)
    ]
    sessions += [session(f"x-{number}", f"user-{number}", "2023-09-02 08:00:00") for number in range(150)]
    orders = [conversion(f"order-{number}", f"user-{number}", "2023-09-02 09:00:00") for number in range(150)]
    write_database(place.database, sessions, [*orders, conversion("long", "long", "2023-09-02 22:00:00")])

    day = "2023-09-02-2023-09-03"
    for most, models in ((3000, ["ihc-api"]), (200, ["ihc-api", "linear"])):
        with sandbox("--max-sessions", str(most), key=CANARY) as api:
            for model in models:
                settings = asking(api, MAX_SESSIONS=str(most), STORE="replace") | {"ATTRIBUTION_MODEL": model}
                place.report(day, **settings).succeeded()
                books = place.books(day, model)
                assert books["sessions_truncated"] == 3500 - most
                # the long journey fills a request, and of the 150 short ones a request holds 100
                assert books["api_requests"] == (3 if model == "ihc-api" else 0)
                kept = [session_id for conv_id, session_id in query(place.database, JOURNEYS) if conv_id == "long"]
                assert kept == [f"s-{number:04}" for number in range(3500 - most, 3500)]
            seen = api.statistics()
        assert seen["statuses"] == {"200": 3}
        assert seen["conversions_asked_more_than_once"] == 0


def test_answers_on_disk_are_never_asked_for_again_after_kills(shop: Workplace, tmp_path: Path, api: Api) -> None:
    concurrency = 2
    settings = asking(api, IHC_CONCURRENCY=str(concurrency), MAX_CUSTOMER_JOURNEYS="1")
    undisturbed = shop.copy(tmp_path / "undisturbed")
    undisturbed.report(DAY, **settings).succeeded()
    total = asked_before = api.statistics()["journeys"]
    assert total == undisturbed.books(DAY, "ihc-api")["attributed"]

    api.suffer(latency=0.05)
    for kill in range(3):
        chance = random.Random(kill)
        kept_before, until = kept_answers(shop), api.statistics()["requests"] + chance.randrange(1, 6)
        started = shop.start_report(DAY, **settings)
        while api.statistics()["requests"] < until and started.process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.1))
        (started.kill_group if kill % 2 else started.kill)()
        assert started.end().code == -signal.SIGKILL
        asked = api.statistics()["journeys"]
        assert asked - asked_before <= kept_answers(shop) - kept_before + concurrency
        asked_before = asked

    api.suffer()
    left = total - kept_answers(shop)
    assert 0 < left < total
    shop.report(DAY, **settings).succeeded()
    assert api.statistics()["journeys"] - asked_before == left
    assert result_tables(shop.database) == result_tables(undisturbed.database)
    assert temporary_files(shop.folder) == []
    assert results(shop) == results(undisturbed)


def results(place: Workplace) -> dict[str, bytes]:
    """The result files: not the kept answers, which say when they were given, nor the log of what a run asked."""
    return {name: text for name, text in contents(place.files).items() if not name.startswith(("answers/", "log/"))}


def test_rerun_removes_what_a_kill_left_among_the_answers(shop: Workplace, api: Api) -> None:
    shop.report(DAY, **asking(api)).succeeded()
    (scope,) = (folder for folder in (shop.files / "answers").iterdir() if any(folder.glob("*.arrow")))
    # as after a kill while the answers of the last day were merged: all are there, the credit is not
    (scope / ".0-merged.arrow.0123456789ab.tmp").write_bytes(b"ARROW1")
    shutil.rmtree(shop.files / "attribution")
    shop.report(SHOP_INTERVAL, **asking(api)).succeeded()
    assert api.statistics()["requests"] == 2
    assert temporary_files(shop.folder) == []


def test_journey_that_the_api_refuses_is_in_the_books(shop: Workplace, api: Api) -> None:
    api.suffer(conversions={"conv-early": "400"})
    failed = shop.report(DAY, **asking(api))
    assert failed.code == 30
    assert any("rejected 1 of" in error and "MAX_REJECTED_SHARE" in error for error in failed.errors)

    shop.report(DAY, **asking(api, MAX_REJECTED_SHARE="0.5")).succeeded()
    books = shop.books(DAY, "ihc-api")
    assert books["rejected"] == 1
    assert books["attributed"] == books["conversions"] - books["without_sessions"] - 1
    listed = read_report(shop.report_file(DAY, "unattributed_conversions.csv", "ihc-api"))
    assert ("conv-early", "33.33", "rejected") in {(row["conv_id"], row["revenue"], row["reason"]) for row in listed}
    assert books["unattributed_revenue"] == pytest.approx(sum(float(row["revenue"]) for row in listed))
    assert "conv-early" not in {conv_id for conv_id, _ in credit(shop)}
    (rejects,) = shop.files.glob("rejects/attribution/ihc-api-*/2023-08-30.csv")
    assert "conv-early" in rejects.read_text()


def assert_nowhere(place: Workplace, *texts: str) -> None:
    """The key is in no file, no table and no text."""
    found = [path for path in place.folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert found == []
    assert not any(CANARY in text for text in texts)


def test_key_is_nowhere_after_a_run_on_luigid_at_debug_level(shop: Workplace, tmp_path: Path, api: Api) -> None:
    with luigid(tmp_path / "luigid") as server:
        shop.scheduler = server.options
        outcome = shop.report(DAY, "--log-level", "DEBUG", **asking(api)).succeeded()
        known = str(server.tasks())
        log = (tmp_path / "luigid" / "log").read_text()
    assert "DEBUG" in outcome.log
    assert api.statistics()["statuses"] == {"200": 1}
    assert_nowhere(shop, outcome.text, known, log)


@pytest.mark.parametrize(
    ("faults", "key", "says"),
    [
        ({}, CANARY + "-wrong", "key was refused"),
        ({"every": {"503": 1}}, CANARY, "HTTP 503"),
        ({"every": {"302": 1}}, CANARY, "redirect"),
    ],
    ids=["key refused", "unavailable", "redirect"],
)
def test_failure_of_the_api_is_one_line_without_the_key(
    shop: Workplace, api: Api, faults: dict[str, object], key: str, says: str
) -> None:
    api.suffer(**faults)
    outcome = shop.report(DAY, "--log-level", "DEBUG", **asking(api, IHC_API_KEY=key, IHC_RETRY_BUDGET="1"))
    assert outcome.code == 30
    assert "Traceback" not in outcome.text
    assert any(re.match(r"ERROR: \S+Z Attribution 2023-08-30", error) and says in error for error in outcome.errors)
    assert_nowhere(shop, outcome.text)
