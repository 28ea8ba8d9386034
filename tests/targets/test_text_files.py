"""Text files with their stamp in a sidecar."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from targets.errors import UnreadableTargetError
from targets.fingerprint import Stamp, digest
from targets.text import CsvTarget, JsonTarget, TextTarget

CRASH_AT_RENAME = """
import os, sys
from pathlib import Path
from targets.text import TextTarget

renames = []

def crash(event, args):
    if event == "os.rename":
        renames.append(args)
        if len(renames) == int(sys.argv[2]):
            os._exit(9)

sys.addaudithook(crash)
TextTarget(Path(sys.argv[1])).write_text(sys.argv[3], "f")
"""

TEXT = 'channel,"Größe\n"\r\n'


@pytest.fixture
def target(tmp_path: Path) -> TextTarget:
    return TextTarget(tmp_path / "folder" / "report.csv")


def sidecar(target: TextTarget) -> Path:
    return target.path.with_name("report.csv.stamp")


def test_a_file_that_is_not_there_has_no_stamp(target: TextTarget) -> None:
    assert not target.exists()
    assert target.stamp() is None


def test_text_comes_back_byte_for_byte_with_its_stamp_beside_it(target: TextTarget) -> None:
    target.write_text(TEXT, "of these settings")
    assert target.path.read_bytes() == TEXT.encode()
    assert target.stamp() == Stamp("of these settings", digest(TEXT.encode()))
    assert {path.name for path in target.path.parent.iterdir()} == {"report.csv", "report.csv.stamp"}
    assert repr(target) == str(target.path)


def test_a_changed_text_has_no_stamp(target: TextTarget) -> None:
    target.write_text(TEXT, "f")
    with target.path.open("a") as file:
        file.write("a note by hand\n")
    assert target.exists()
    assert target.stamp() is None


def test_a_text_that_was_deleted_has_no_stamp(target: TextTarget) -> None:
    target.write_text(TEXT, "f")
    target.path.unlink()
    assert target.stamp() is None


def crash_at_rename(target: TextTarget, number: int, text: str) -> None:
    """Write `text` in a process that dies at its first or second rename."""
    command = [sys.executable, "-c", CRASH_AT_RENAME, target.path, str(number), text]
    assert subprocess.run(command, check=False).returncode == 9


def test_a_crash_before_the_text_is_there_leaves_the_old_one(target: TextTarget) -> None:
    target.write_text("old text", "f")
    stamp = target.stamp()
    crash_at_rename(target, 1, "new text")
    assert target.read_text() == "old text"
    assert target.stamp() == stamp


def test_a_crash_before_the_stamp_is_there_leaves_none(target: TextTarget) -> None:
    target.write_text("old text", "f")
    crash_at_rename(target, 2, "new text")
    assert target.read_text() == "new text"
    assert target.stamp() is None


@pytest.mark.parametrize("rename", [1, 2])
def test_writing_the_same_again_leaves_the_file_complete_all_the_time(target: TextTarget, rename: int) -> None:
    """Two identical commands may run at once: neither may find incomplete what the other has built."""
    target.write_text(TEXT, "f")
    stamp = target.stamp()
    crash_at_rename(target, rename, TEXT)
    assert target.stamp() == stamp is not None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"fingerprint": "f"}'])
def test_damaged_sidecar(target: TextTarget, content: bytes) -> None:
    target.write_text(TEXT, "f")
    sidecar(target).write_bytes(content)
    message = f"{sidecar(target)} is damaged; delete it and rerun"
    with pytest.raises(UnreadableTargetError, match=re.escape(message)):
        target.stamp()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not UTF-8"])
def test_text_that_cannot_be_read(target: TextTarget, content: bytes | None) -> None:
    target.path.parent.mkdir()
    if content is not None:
        target.path.write_bytes(content)
    with pytest.raises(UnreadableTargetError, match=r"report\.csv cannot be read .*; delete it and rerun$"):
        target.read_text()


def test_csv_is_text(tmp_path: Path) -> None:
    target = CsvTarget(tmp_path / "report.csv")
    target.write_text("a,b\n", "f")
    assert target.read_text() == "a,b\n"


def test_json_comes_back_in_the_order_given(tmp_path: Path) -> None:
    target = JsonTarget(tmp_path / "books.json")
    target.write({"b": 1, "a": ["é", None, 0.1]}, "f")
    assert target.path.read_text(encoding="utf-8") == '{\n  "b": 1,\n  "a": [\n    "é",\n    null,\n    0.1\n  ]\n}\n'
    assert target.read() == {"b": 1, "a": ["é", None, 0.1]}


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_json_holds_numbers_alone(tmp_path: Path, number: float) -> None:
    target = JsonTarget(tmp_path / "books.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        target.write({"revenue": number}, "f")
    assert not target.exists()


def test_text_that_is_no_json(tmp_path: Path) -> None:
    target = JsonTarget(tmp_path / "books.json")
    target.write_text("{", "f")
    with pytest.raises(UnreadableTargetError, match=r"books\.json is not JSON .*; delete it and rerun$"):
        target.read()
