"""What a run may ask of the API: the plan, the limit, days packed together, asking again; and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import query
from support.databases import SHOP_INTERVAL, conversion, session, write_database
from support.running import Workplace
from support.servers import Api, sandbox

KEY = "canary-77aa01"
LOCAL = "--local-scheduler"


@pytest.fixture
def api() -> Iterator[Api]:
    with sandbox(key=KEY) as server:
        yield server


def asking(api: Api, **settings: str) -> dict[str, str | None]:
    return {"ATTRIBUTION_MODEL": "ihc-api", "API_URL": api.url, "IHC_API_KEY": KEY, **settings}


def plan(place: Workplace, **settings: str | None) -> dict[str, float]:
    command = ("luigi", "--module", "pipeline", "AttributionPlan", "--date-interval", SHOP_INTERVAL, LOCAL)
    outcome = place.start(*command, **settings).end().succeeded()
    file = place.files / "plan" / f"{SHOP_INTERVAL}.json"
    assert str(file) in outcome.output
    planned: dict[str, float] = json.loads(file.read_bytes())
    return planned


def test_plan_says_what_is_needed_and_sends_nothing_and_then_that_all_is_answered(shop: Workplace, api: Api) -> None:
    before = plan(shop, **asking(api))
    assert api.statistics()["requests"] == 0
    assert (before["answered"], before["requests_left"]) == (0, before["requests"])

    shop.report(SHOP_INTERVAL, **asking(api)).succeeded()
    seen, books = api.statistics(), shop.books(SHOP_INTERVAL, "ihc-api")
    assert (before["journeys"], before["sessions"], before["requests"]) == (
        seen["journeys"],
        seen["sessions"],
        seen["requests"],
    )
    assert books["api_requests"] == before["requests"]

    after = plan(shop, **asking(api))
    assert (after["answered"], after["requests_left"]) == (before["journeys"], 0)


def test_more_requests_than_allowed_are_refused_before_the_first(shop: Workplace, api: Api) -> None:
    few = {"MAX_CUSTOMER_JOURNEYS": "30"}
    refused = shop.report(SHOP_INTERVAL, **asking(api, IHC_MAX_REQUESTS="2", **few))
    assert refused.code == 30
    assert any("3 more requests are needed, max_requests allows 2" in line for line in refused.errors)
    assert "Traceback" not in refused.text
    assert api.statistics()["requests"] == 0

    shop.report(SHOP_INTERVAL, **asking(api, IHC_MAX_REQUESTS="3", **few)).succeeded()
    assert api.statistics()["requests"] == 3


def test_days_are_packed_together_and_another_interval_finds_their_answers(shop: Workplace, api: Api) -> None:
    assert plan(shop, **asking(api))["requests"] == 1
    shop.report(SHOP_INTERVAL, **asking(api)).succeeded()
    assert shop.books(SHOP_INTERVAL, "ihc-api")["api_requests"] == 1
    together = query(shop.database, "SELECT * FROM attribution_customer_journey ORDER BY 1, 2")

    retired = shop.report("2023-08-30", **asking(api, IHC_PACK_DAYS="5")).succeeded()
    assert any("IHC_PACK_DAYS is retired" in line for line in retired.log.splitlines() if line.startswith("WARNING"))
    smaller = shop.report(SHOP_INTERVAL, **asking(api, MAX_CUSTOMER_JOURNEYS="10")).succeeded()
    assert smaller.kinds_built == {"Report"}  # api_requests is another
    assert shop.books(SHOP_INTERVAL, "ihc-api")["api_requests"] == 7
    assert api.statistics()["requests"] == 1
    assert query(shop.database, "SELECT * FROM attribution_customer_journey ORDER BY 1, 2") == together


def test_refresh_asks_again_and_only_when_told_to(shop: Workplace, api: Api) -> None:
    shop.report(SHOP_INTERVAL, **asking(api)).succeeded()
    rows = query(shop.database, "SELECT * FROM attribution_customer_journey ORDER BY 1, 2")
    assert shop.report(SHOP_INTERVAL, **asking(api)).succeeded().built == []
    assert api.statistics()["requests"] == 1
    shop.report(SHOP_INTERVAL, "--refresh", **asking(api)).succeeded()
    assert api.statistics()["requests"] == 2
    assert query(shop.database, "SELECT * FROM attribution_customer_journey ORDER BY 1, 2") == rows


def test_run_counts_what_it_did_and_says_how_far_it_is(shop: Workplace, api: Api) -> None:
    api.suffer(latency=0.2, every={"500": 3}, outage_after=None)
    outcome = shop.report(SHOP_INTERVAL, **asking(api, IHC_CONCURRENCY="1", MAX_CUSTOMER_JOURNEYS="20")).succeeded()
    logs = [json.loads(file.read_bytes()) for file in sorted((shop.files / "log" / "attribution").glob("*.json"))]
    assert sum(log["requests"] for log in logs) == api.statistics()["requests"]
    assert sum(log["retries"].get("HTTP 500", 0) for log in logs) == api.statistics()["statuses"]["500"]
    assert all(log["latency_seconds"]["slowest"] >= 0.2 for log in logs if log["requests"])
    assert "Attribution" in outcome.kinds_built


def test_outage_is_told_while_it_lasts_and_ends_with_its_cause(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    orders = [(f"order-{n}", f"user-{n}", "2023-09-02 09:00:00") for n in range(5)]
    sessions = [session(f"s-{n}", f"user-{n}", "2023-09-02 08:00:00") for n in range(5)]
    write_database(place.database, sessions, [conversion(*order) for order in orders])
    with sandbox("--outage-after", "0", key=KEY) as api:
        # pauses are random: with 16 s the run gives up after 7.75 s at the earliest, when progress was told once
        outcome = place.report("2023-09-02", **asking(api, IHC_RETRY_BUDGET="16"))
    assert outcome.code == 30
    assert any("0 of 5 journeys answered" in line for line in outcome.log.splitlines())
    assert len(outcome.errors) == 1
    assert "retry budget of 16 s" in outcome.errors[0]
    assert "Traceback" not in outcome.text


def test_redistribution_moves_credit_of_the_embedded_model_and_of_the_api_alike(shop: Workplace, api: Api) -> None:
    rule = {"direction": "any_session", "receive_threshold": 0.0, "redistribution_channel_labels": ["Direct Traffic"]}
    moved = shop.folder / "moved.json"
    moved.write_text(json.dumps(dict.fromkeys(("initializer", "holder", "closer"), rule)))
    shares = "SELECT conv_id, session_id, ihc FROM attribution_customer_journey ORDER BY 1, 2"

    shop.report(SHOP_INTERVAL).succeeded()
    plain = query(shop.database, shares)
    shop.report(SHOP_INTERVAL, IHC_REDISTRIBUTION="moved.json", STORE="replace").succeeded()
    embedded = query(shop.database, shares)
    shop.report(SHOP_INTERVAL, **asking(api, IHC_REDISTRIBUTION="moved.json", STORE="replace")).succeeded()
    asked = query(shop.database, shares)

    assert embedded != plain
    assert [row[2] for row in asked] == pytest.approx([row[2] for row in embedded], rel=0, abs=0.0002)

    moved.write_text('{"closer": {"direction": "sideways"}}')
    refused = shop.report(SHOP_INTERVAL, IHC_REDISTRIBUTION="moved.json")
    assert refused.code != 0
    assert any("moved.json" in line and "sideways" in line for line in refused.errors)
    assert "Traceback" not in refused.text


def test_rejected_journey_is_listed_with_its_reason_and_decides_the_exit_code(shop: Workplace, api: Api) -> None:
    refused = query(shop.database, "SELECT conv_id FROM conversions WHERE conv_date = '2023-08-30' ORDER BY 1")[0][0]
    api.suffer(conversions={refused: "422"})
    failed = shop.report(SHOP_INTERVAL, **asking(api))
    assert failed.code == 30
    assert any("rejected 1 of" in line and "MAX_REJECTED_SHARE" in line for line in failed.errors)
    assert "Traceback" not in failed.text
    books = shop.books(SHOP_INTERVAL, "ihc-api")
    assert books["rejected"] == 1
    assert books["conversions"] == books["attributed"] + books["without_sessions"] + 1
    listed = shop.report_file(SHOP_INTERVAL, "unattributed_conversions.csv", "ihc-api").read_text()
    assert f"{refused},2023-08-30," in listed
    (rejects,) = shop.files.glob("rejects/attribution/ihc-api-*/2023-08-30.csv")
    assert f'{refused},"HTTP 422' in rejects.read_text()

    asked = api.statistics()["requests"]
    assert shop.report(SHOP_INTERVAL, **asking(api)).code == 30
    shop.report(SHOP_INTERVAL, **asking(api, MAX_REJECTED_SHARE="0.5")).succeeded()
    assert api.statistics()["requests"] == asked

    api.suffer()
    shop.day_file("attribution", "2023-08-30", "ihc-api-*").unlink()
    shop.report(SHOP_INTERVAL, **asking(api)).succeeded()
    assert api.statistics()["requests"] == asked + 1  # for the journey without an answer alone
    assert shop.books(SHOP_INTERVAL, "ihc-api")["rejected"] == 0
