from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.comparing import contents, query
from support.databases import change
from support.recent import day_ago, run
from support.running import Workplace

from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.request_json import WireJourneys
from pipeline.ihc_api.settings import Scope
from pipeline.journeys.schema import JOURNEYS
from pipeline.operating.person import JOURNAL, new_ids
from pipeline.source.tasks import Sessions
from targets.files import LocalFiles
from targets.parquet import ParquetTarget

EVE = "user-eve"
SETTLED = {"SETTLE_DAYS": "0"}


def erase_in_source(place: Workplace) -> None:
    """Other ids in the place of hers, as the documents advise."""
    change(place.database, "UPDATE session_costs SET session_id = 'x' || session_id WHERE session_id LIKE '%eve'")
    change(
        place.database,
        "UPDATE session_sources SET user_id = 'x', session_id = 'x' || session_id WHERE user_id = ?",
        EVE,
    )
    change(place.database, "UPDATE conversions SET user_id = 'x', conv_id = 'x' || conv_id WHERE user_id = ?", EVE)


def files_that_name(place: Workplace, words: bytes) -> list[str]:
    """Files that hold these bytes, Parquet files decoded."""
    found = []
    for path in sorted(place.files.rglob("*")):
        if path.is_file():
            text = path.read_bytes()
            if path.suffix == ".parquet":
                import pyarrow.parquet as pq  # noqa: PLC0415

                text = json.dumps(pq.ParquetFile(path).read().to_pylist(), default=str).encode()
            if words in text:
                found.append(str(path.relative_to(place.files)))
    return found


@pytest.fixture(scope="module")
def settled(reported: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The shop with days that are settled, an old trial, kept answers, and files of the kinds that name people."""
    place = reported.copy(tmp_path_factory.mktemp("settled") / "shop")
    run(place, "daily", "--days", "3", "--local-scheduler", **SETTLED).succeeded()
    run(place, "daily", "--days", "2", "--local-scheduler", "--store=false", "--model", "linear", **SETTLED).succeeded()
    files = LocalFiles(place.files)
    order, touch = f"order-{day_ago(2):%m%d}-{EVE}", f"session-{day_ago(2):%m%d}-{EVE}"
    files.write("rejects/conversions/2023-09-01.csv", f"id,reason\n{order},repeated\nown-id,x\nother,x\n".encode())
    files.write("training/x/training.json", f'[{{"conversion_id":"{order}", "session_id": "{touch}"}}]'.encode())
    files.write("report/x.html", f"<td>{order}</td><td>{order}-2</td>".encode())
    (path,) = place.files.glob(f"journeys/*/{day_ago(2)}.parquet")
    journeys = ParquetTarget(files, str(path.relative_to(place.files)), JOURNEYS).read()
    scope, wire = Scope("http://api", "default"), WireJourneys.of(journeys)
    digests = wire.digests(scope.canonical())
    shares = np.ones((4, int(wire.lengths.sum())))
    AnswerStore(LocalFiles(place.files / "answers")).keep(scope, 0, digests, wire.lengths, shares)
    assert len(digests) == 3
    return place


@pytest.fixture
def hers(settled: Workplace, tmp_path: Path) -> Workplace:
    return settled.copy(tmp_path / "shop")


def test_a_person_is_erased_and_every_sum_stays(hers: Workplace) -> None:
    before = contents(hers.files)
    sums = [
        query(hers.database, "SELECT * FROM channel_reporting"),
        query(hers.database, "SELECT round(sum(ihc), 9) FROM attribution_customer_journey"),
    ]
    assert "  derived files: " in run(hers, "clean", "--user", EVE).succeeded().output
    assert contents(hers.files) == before
    erase_in_source(hers)
    outcome = run(hers, "clean", "--user", EVE, "--id", "own-id", "--tables", "--yes").succeeded()
    assert "24 sessions and conversions" not in outcome.output  # 12 sessions, and the conversions that were read
    assert "a person with 15 sessions and conversions\n" in outcome.output
    assert "kept answers of the API: 1 forgotten" in outcome.output
    assert EVE not in outcome.text
    assert files_that_name(hers, b"-eve") == []
    assert files_that_name(hers, b"own-id") == []
    assert (
        query(
            hers.database,
            "SELECT * FROM attribution_customer_journey WHERE conv_id LIKE '%eve' OR session_id LIKE '%eve'",
        )
        == []
    )
    assert query(hers.database, "SELECT * FROM pipeline_conversions WHERE conv_id LIKE '%eve'") == []
    assert sums == [
        query(hers.database, "SELECT * FROM channel_reporting"),
        query(hers.database, "SELECT round(sum(ihc), 9) FROM attribution_customer_journey"),
    ]
    # the others' rows, and all figures, are as they were
    for name in ("channel_summary.csv", "daily.csv", "paths.csv", "reconciliation.json"):
        (path,) = hers.files.glob(f"report/ihc-local/{day_ago(3)}-*/{name}")
        assert path.read_bytes() == before[str(path.relative_to(hers.files))]
    rows = ParquetTarget(LocalFiles(hers.files), f"sessions/{day_ago(2)}.parquet", Sessions.schema).read()
    assert sum(user.startswith("user-") for user in rows["user_id"].to_pylist()) == 2
    # nothing is built anew, and she is not read again
    status = json.loads(run(hers, "status", "--json", **SETTLED).output)
    assert [stage["stale"] for stage in status["stages"] if stage["in_force"]] == [[]] * 4
    assert status["stored"]["stale"] == []
    erased = contents(hers.files)
    again = run(hers, "daily", "--days", "3", "--local-scheduler", **SETTLED).succeeded()
    assert "changed since it was read" not in again.log
    days = ("sessions/", "conversions/", "journeys/", "attribution/", "channel_credit/", "report/")
    assert {name: text for name, text in contents(hers.files).items() if name.startswith(days)} == {
        name: text for name, text in erased.items() if name.startswith(days)
    }
    # another model, whose sums are made from the erased days, balances too
    run(hers, "daily", "--days", "3", "--local-scheduler", "--store=false", "--model=last-touch", **SETTLED).succeeded()


def test_records_of_runs_and_what_they_found_forget_her_too(hers: Workplace) -> None:
    day, bad, order = day_ago(9), f"session-{day_ago(9):%m%d}-{EVE}", f"order-{day_ago(2):%m%d}-{EVE}"
    change(hers.database, "UPDATE session_sources SET event_time = '25:61' WHERE session_id = ?", bad)
    change(hers.database, "INSERT INTO session_costs VALUES (?, 1.0)", f"lost-{EVE}")
    command = ("luigi", "--module", "pipeline", "Report", "--date-interval", f"{day}-{day_ago(8)}", *hers.scheduler)
    (hers.files / "sessions" / f"{day}.parquet").unlink()  # so that it is read again
    unsettled = {"SETTLE_DAYS": "99", "STORE": "false"}
    assert hers.start(*command, **unsettled).end().code == 30
    hers.start(*command, **unsettled, BAD_ROWS="set-aside").end().succeeded()
    explain = (*command[:3], "ExplainConversion", "--conv-id", order, *hers.scheduler)
    hers.start(*explain, **SETTLED, BAD_ROWS="set-aside").end().succeeded()
    alerts = {"failed": [{"task": "Report", "model": None, "interval": None, "reason": f"Sessions: {bad} is bad"}]}
    (hers.files / "log" / "alerts.json").write_text(json.dumps(alerts))
    named = files_that_name(hers, EVE.encode())
    assert {name.partition("/")[0] for name in named} >= {"log", "rejects", "source_findings.json", "trials"}
    figures = [json.loads(path.read_bytes()) for path in sorted(hers.files.rglob("reconciliation.json"))]
    erase_in_source(hers)
    own = ("--id", bad, "--id", f"lost-{EVE}")
    run(hers, "clean", "--user", EVE, *own, "--tables", "--yes").succeeded()
    assert files_that_name(hers, EVE.encode()) == []
    assert [name for name in map(str, hers.files.rglob("*")) if EVE in name] == []
    assert [json.loads(path.read_bytes()) for path in sorted(hers.files.rglob("reconciliation.json"))] == figures


def test_without_tables_it_says_what_stays(hers: Workplace) -> None:
    outcome = run(hers, "clean", "--user", EVE, "--yes").succeeded()
    assert "rows STAY: --tables gives them new ids, too\n" in outcome.output
    assert query(hers.database, "SELECT DISTINCT conv_id FROM attribution_customer_journey WHERE conv_id LIKE '%eve'")


def test_an_erasure_that_was_killed_is_taken_up_again(hers: Workplace) -> None:
    before = sorted(contents(hers.files))
    blocked = hers.files / f"sessions/{day_ago(4)}.parquet"
    held = blocked.read_bytes()
    blocked.write_bytes(b"damaged")
    assert run(hers, "clean", "--user", EVE, "--yes").code == 30  # before anything was changed
    assert sorted(contents(hers.files)) == before
    blocked.write_bytes(held)
    files = LocalFiles(hers.files)
    order = f"order-{day_ago(2):%m%d}-{EVE}"
    begun = {"user_id": {EVE: "new-user"}, "session_id": {}, "conv_id": {order: "new-order"}}
    files.write(JOURNAL, json.dumps({"user": EVE, "new_ids": begun}).encode(), private=True)
    other = run(hers, "clean", "--user", "user-ben", "--yes")
    assert (other.code, "the erasure of another person was stopped in its midst" in other.log) == (30, True)
    run(hers, "clean", "--user", EVE, "--tables", "--yes").succeeded()
    assert files_that_name(hers, b"-eve") == []
    assert "conversions/" + f"{day_ago(2)}.parquet" in files_that_name(hers, b"new-order")
    assert not (hers.files / JOURNAL).exists()


@pytest.mark.parametrize("name", ["nobody", "USER-EVE", "user-ev", "'; DROP TABLE x", "*", "../../etc", "\u202e"])
def test_nobody_of_that_name(hers: Workplace, name: str) -> None:
    before = contents(hers.files)
    assert "hold no session and no conversion of this person" in run(hers, "clean", f"--user={name}", "--yes").output
    assert contents(hers.files) == before


def test_new_ids_are_random_and_keep_the_order() -> None:
    ids = [f"id-{number:03}" for number in range(100)]
    first, second = (new_ids({"session_id": ids})["session_id"] for _ in range(2))
    assert [first[one] for one in ids] == sorted(first.values())
    assert not {*first.values()} & {*second.values()}
    assert pa.array([*first.values()]).type == pa.string()
