"""What `make report` runs, from an empty folder and from one with an older sample."""

from __future__ import annotations

import csv
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.running import REPOSITORY, Outcome, Workplace

from pipeline.sample import generation
from pipeline.sample.reference import write_reference
from pipeline.sample.shop import write_shop
from pipeline.sample.shop_channels import SHOP_CHANNELS

INTERVAL = "2024-04-01-2024-05-31"


def make_report(place: Workplace) -> Outcome:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", str(REPOSITORY / "bin" / "report")],
        cwd=place.folder,
        env={**place.environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path / "place")


def test_an_older_sample_is_moved_aside_and_the_report_is_of_the_shop(place: Workplace) -> None:
    data = place.folder / "data"
    write_reference(data / "sample.db", scale=0.01)
    (data / "sample.db-wal").write_bytes(b"")
    (data / "sample" / "report").mkdir(parents=True)
    done = make_report(place).succeeded()
    (aside,) = data.glob("older-sample-*")
    assert sorted(path.name for path in aside.iterdir()) == ["sample", "sample.db", "sample.db-wal"]
    assert f"data/sample.db is not of the sample that is made now: moved to data/{aside.name}\n" in done.log
    assert (data / "sample" / "report" / "ihc-local" / INTERVAL / "channel_reporting.csv").is_file()
    (roas,) = re.findall(r"^Display Ads(?: +[\d,.]+){4} +([\d.]+)$", done.output, re.MULTILINE)
    assert 0 < float(roas) < 0.8
    with (data / "sample" / "report" / "ihc-local" / INTERVAL / "campaign_summary.csv").open(newline="") as file:
        campaigns = {(row["channel_name"], row["campaign"]) for row in csv.DictReader(file)}
    assert {(one.name, each.name) for one in SHOP_CHANNELS for each in one.campaigns} < campaigns

    again = make_report(place).succeeded()
    assert "moved to" not in again.log
    assert [*data.glob("older-sample-*")] == [aside]
    assert not again.built


def test_a_file_is_current_if_this_generator_wrote_it_as_a_shop(tmp_path: Path) -> None:
    write_shop(tmp_path / "shop.db", scale=0.01)
    write_reference(tmp_path / "reference.db", scale=0.01)
    (tmp_path / "text.db").write_text("no database, but longer than the header of one, which has a hundred bytes" * 3)
    current = {path.name: generation.is_current(path) for path in tmp_path.iterdir()}
    assert current == {"shop.db": True, "reference.db": False, "text.db": False}


def test_a_shop_of_another_generation_is_not_current(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    write_shop(path, scale=0.01)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 77")
    assert not generation.is_current(path)


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generation.main(str(tmp_path / "nowhere.db")) == 1
    assert capsys.readouterr().err == f"ERROR: cannot read {tmp_path}/nowhere.db: unable to open database file\n"


def test_its_channel_file_lists_every_channel_and_who_is_paid() -> None:
    with (REPOSITORY / "bin" / "sample-channels.csv").open(encoding="utf-8", newline="") as file:
        kinds = {row["channel_name"]: row["kind"] for row in csv.DictReader(file)}
    assert {name for name, kind in kinds.items() if kind == "paid"} == {one.name for one in SHOP_CHANNELS if one.cost}
    assert kinds.keys() == {channel.name for channel in SHOP_CHANNELS}
