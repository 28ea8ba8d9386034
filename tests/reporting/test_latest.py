"""The copies of the latest report."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.reporting.latest import keep_latest
from targets.files import LocalFiles

NAMES = ["a.csv", "b.json"]


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    files = LocalFiles(tmp_path)
    for interval in ("2023-08-29-2023-09-01", "2023-08-01-2023-09-02", "2023-08-30-2023-09-02"):
        for name in NAMES:
            files.write(f"report/linear/{interval}/{name}", f"{name} of {interval}".encode())
    return files


def latest(files: LocalFiles) -> str:
    found = files.read("report/linear/latest/interval.txt").decode().strip()
    assert files.names("report/linear/latest") == ["a.csv", "b.json", "interval.txt"]
    for name in NAMES:
        assert files.read(f"report/linear/latest/{name}").decode() == f"{name} of {found}"
    return found


def test_it_is_the_interval_with_the_latest_end_whatever_was_made_last(files: LocalFiles) -> None:
    for interval, expected in {
        "2023-08-29-2023-09-01": "2023-08-29-2023-09-01",
        "2023-08-01-2023-09-02": "2023-08-01-2023-09-02",
        "2023-08-30-2023-09-02": "2023-08-30-2023-09-02",  # of equal ends the last one made
    }.items():
        keep_latest(files, "report/linear", interval, NAMES)
        assert latest(files) == expected
    keep_latest(files, "report/linear", "2023-08-29-2023-09-01", NAMES)
    assert latest(files) == "2023-08-30-2023-09-02"


def test_what_is_there_already_is_not_written_again(files: LocalFiles) -> None:
    keep_latest(files, "report/linear", "2023-08-30-2023-09-02", NAMES)
    before = [files.version(f"report/linear/latest/{name}") for name in NAMES]
    keep_latest(files, "report/linear", "2023-08-30-2023-09-02", NAMES)
    assert [files.version(f"report/linear/latest/{name}") for name in NAMES] == before
