"""A data directory in a bucket: the same files as in a folder, whatever is killed, delayed, damaged or locked."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import contents, result_tables
from support.databases import SHOP_INTERVAL
from support.object_store import BUCKET, Store, delayed, object_store, result_files
from support.running import Workplace
from support.servers import sandbox

LOCK_HELD = 10
FAILED = 30
WRONG = 40


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with object_store() as started:
        yield started


@pytest.fixture
def bucket_shop(shop: Workplace, store: Store, request: pytest.FixtureRequest) -> Workplace:
    """The small shop with its data directory in a folder of the bucket."""
    prefix = re.sub("[^a-z0-9]+", "-", request.node.name)
    return Workplace(shop.folder, {**store.environment, "DATA_DIR": f"s3://{BUCKET}/{prefix}"})


def files_of(place: Workplace, store: Store) -> dict[str, bytes]:
    return result_files(store, place.environment["DATA_DIR"])


def assert_undisturbed(place: Workplace, store: Store, undisturbed: Workplace) -> None:
    assert files_of(place, store) == contents(undisturbed.files)
    assert result_tables(place.database) == result_tables(undisturbed.database)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_same_files_and_tables_as_in_a_folder(
    bucket_shop: Workplace, store: Store, undisturbed: Workplace, workers: str
) -> None:
    outcome = bucket_shop.report(SHOP_INTERVAL, "--workers", workers).succeeded()
    assert "s3cr3t" not in outcome.text
    assert_undisturbed(bucket_shop, store, undisturbed)
    assert not bucket_shop.files.exists()
    assert not [name for name in store.objects("") if "s3cr3t" in name]

    again = bucket_shop.report(SHOP_INTERVAL, "--workers", workers).succeeded()
    assert again.built == []
    assert_undisturbed(bucket_shop, store, undisturbed)


def test_rerun_after_kills_leaves_what_an_undisturbed_run_does(
    bucket_shop: Workplace, store: Store, undisturbed: Workplace
) -> None:
    chance = random.Random(3)
    for lines in (1, 3, 5):
        started = bucket_shop.start_report(SHOP_INTERVAL)
        started.lines_of_log(lines)
        time.sleep(chance.uniform(0, 0.3))
        started.kill_group()
        assert started.end().code == -signal.SIGKILL
    bucket_shop.report(SHOP_INTERVAL).succeeded()  # at once: the locks of dead processes of this machine are free
    assert_undisturbed(bucket_shop, store, undisturbed)


def test_kept_answers_are_objects(bucket_shop: Workplace, store: Store) -> None:
    with sandbox(key="canary-5f1d8c") as api:
        asking = {"ATTRIBUTION_MODEL": "ihc-api", "API_URL": api.url, "IHC_API_KEY": "canary-5f1d8c"}
        bucket_shop.report(SHOP_INTERVAL, **asking).succeeded()
        asked = api.statistics()["requests"]
        assert asked > 0
        # a trial makes its credit anew, and shares the answers
        again = bucket_shop.report(SHOP_INTERVAL, **asking, STORE="false", CSV_BOM="true").succeeded()
        assert {"Attribution", "Report"} <= again.kinds_built
        assert api.statistics()["requests"] == asked
    reported = bucket_shop.start("attribution-answers", "list").end().succeeded()
    assert api.url in reported.output
    assert [name for name in files_of(bucket_shop, store) if name.startswith("answers/") and name.endswith(".arrow")]


def test_damaged_object_is_named(bucket_shop: Workplace, store: Store) -> None:
    bucket_shop.report(SHOP_INTERVAL).succeeded()
    prefix = bucket_shop.environment["DATA_DIR"].removeprefix(f"s3://{BUCKET}/")
    (day, content), *_ = (
        (name, content)
        for name, content in sorted(store.objects(prefix).items())
        if name.startswith("sessions/") and name.endswith(".parquet")
    )
    flipped = bytes([*content[:100], content[100] ^ 1, *content[101:]])
    store.client().put_object(Bucket=BUCKET, Key=f"{prefix}/{day}", Body=flipped)
    outcome = bucket_shop.report(SHOP_INTERVAL, MAX_SESSIONS="3", STORE="false")
    assert outcome.code == FAILED
    assert f"s3://{BUCKET}/{prefix}/{day} is truncated, damaged" in outcome.log


def test_two_runs_at_once_meet_at_the_lock(bucket_shop: Workplace, store: Store, undisturbed: Workplace) -> None:
    with delayed(store, 0.02) as slow:
        first = bucket_shop.start_report(SHOP_INTERVAL, **slow.environment)
        first.lines_of_log(2)
        second = bucket_shop.report(SHOP_INTERVAL)
        assert first.end().code == 0
    assert second.code == LOCK_HELD
    assert "the same command is running" in second.log
    assert_undisturbed(bucket_shop, store, undisturbed)


def test_lock_of_another_machine_holds(bucket_shop: Workplace, store: Store) -> None:
    prefix = bucket_shop.environment["DATA_DIR"].removeprefix(f"s3://{BUCKET}/")
    lock = {"owner": "the nightly run", "process": "elsewhere 1 2", "token": "", "renewed": 0}
    store.client().put_object(Bucket=BUCKET, Key=f"{prefix}/locks/Sessions.lock", Body=json.dumps(lock).encode())
    outcome = bucket_shop.report(SHOP_INTERVAL, LOCK_SECONDS="0")
    assert outcome.code == FAILED
    assert "another run holds the stage (the nightly run)" in outcome.log


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"DATA_DIR": "s3://no-such-bucket/shop"}, FAILED, "there is no such bucket; create it"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, FAILED, "cannot be reached"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, FAILED, "there are no credentials"),
        ({"DATA_DIR": "s3://key:s3cr3t@bucket/shop"}, WRONG, "must be a folder or s3://bucket/prefix"),
        ({"DATA_DIR": "gs://bucket/shop"}, WRONG, "must be a folder or s3://bucket/prefix"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    bucket_shop: Workplace, change: dict[str, str | None], code: int, named: str
) -> None:
    outcome = bucket_shop.report(SHOP_INTERVAL, **change)
    assert outcome.code == code
    assert named in outcome.errors[-1]
    assert "Traceback" not in outcome.text
    assert "s3cr3t" not in outcome.text


def test_the_status_is_told_as_of_a_folder(bucket_shop: Workplace, undisturbed: Workplace) -> None:
    bucket_shop.report(SHOP_INTERVAL).succeeded()
    document, of_folder = (
        json.loads(place.start("attribution-status", "--json").end().succeeded().output)
        for place in (bucket_shop, undisturbed)
    )
    for told in (document, of_folder):
        for place in ("data_dir", "results"):
            del told[place]
        for changing in ("written", "age_hours"):
            del told["reports"]["newest"][changing]
    used, of_folder_used = document.pop("disk"), of_folder.pop("disk")
    assert document == of_folder
    assert document["locks"] == {}
    assert used["report"] > 0
    assert {*used} - {"tmp"} == {*of_folder_used} - {"tmp"}
    text = bucket_shop.start("attribution-status").end().succeeded().output
    assert f"data directory  {bucket_shop.environment['DATA_DIR']}\n" in text


def test_the_page_is_opened_from_a_copy_that_stays(bucket_shop: Workplace) -> None:
    lacking = bucket_shop.start("attribution-report", "open").end()
    assert lacking.code == 1
    assert f"below {bucket_shop.environment['DATA_DIR']}/report; the task" in lacking.errors[-1]
    bucket_shop.report(SHOP_INTERVAL).succeeded()
    printed = bucket_shop.start("attribution-report", "open", "--print").end().succeeded().output
    place = f"{bucket_shop.environment['DATA_DIR']}/report/"
    assert re.fullmatch(f"{place}ihc-local/{SHOP_INTERVAL}/report.html\n", printed)
    opened = bucket_shop.start("attribution-report", "open", BROWSER="true %s").end().succeeded().output
    named, copied = opened.splitlines()
    assert f"{named}\n" == printed
    assert "</html>" in Path(copied.removeprefix("copied to ")).read_text(encoding="utf-8")


def test_commands_that_need_a_folder_say_so(bucket_shop: Workplace) -> None:
    outcome = bucket_shop.start("attribution-clean", "--temporary").end()
    assert outcome.code == WRONG
    assert "needs a data directory on this machine" in outcome.errors[-1]
