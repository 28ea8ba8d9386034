"""Text files with their stamp in a sidecar."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from targets.errors import UnreadableTargetError
from targets.files import LocalFiles
from targets.fingerprint import Stamp, digest
from targets.text import CsvTarget, JsonTarget, TextTarget

CRASH_AT_RENAME = """
import os, sys
from pathlib import Path
from targets.files import LocalFiles
from targets.text import TextTarget

renames = []

def crash(event, args):
    if event == "os.rename" and str(args[1]).startswith(sys.argv[1]):  # not those of a tool that watches the process
        renames.append(args)
        if len(renames) == int(sys.argv[2]):
            os._exit(9)

sys.addaudithook(crash)
TextTarget(LocalFiles(Path(sys.argv[1])), sys.argv[4]).write_text(sys.argv[3], "f")
"""

TEXT = 'channel,"Größe\n"\r\n'


@pytest.fixture
def target(tmp_path: Path) -> TextTarget:
    return TextTarget(LocalFiles(tmp_path), "folder/report.csv")


def path(target: TextTarget) -> Path:
    return Path(target.files.where(target.name))


def sidecar(target: TextTarget) -> Path:
    return path(target).with_name("report.csv.stamp")


def test_a_file_that_is_not_there_has_no_stamp(target: TextTarget) -> None:
    assert not target.exists()
    assert target.stamp() is None


def test_text_comes_back_byte_for_byte_with_its_stamp_beside_it(target: TextTarget) -> None:
    target.write_text(TEXT, "of these settings")
    assert path(target).read_bytes() == TEXT.encode()
    assert target.stamp() == Stamp("of these settings", digest(TEXT.encode()), digest(TEXT.encode()))
    assert {path.name for path in path(target).parent.iterdir()} == {"report.csv", "report.csv.stamp"}
    assert repr(target) == str(path(target))


def test_a_changed_text_has_no_stamp(target: TextTarget) -> None:
    target.write_text(TEXT, "f")
    with path(target).open("a") as file:
        file.write("a note by hand\n")
    assert target.exists()
    assert target.stamp() is None


def test_a_text_that_was_deleted_has_no_stamp(target: TextTarget) -> None:
    target.write_text(TEXT, "f")
    path(target).unlink()
    assert target.stamp() is None


def crash_at_rename(target: TextTarget, number: int, text: str) -> None:
    """Write `text` in a process that dies at its first or second rename."""
    command = [sys.executable, "-c", CRASH_AT_RENAME, target.files.where(""), str(number), text, target.name]
    assert subprocess.run(command, check=False).returncode == 9


def test_a_crash_before_the_text_is_there_leaves_the_old_one_to_be_made_anew(target: TextTarget) -> None:
    target.write_text("old text", "f")
    crash_at_rename(target, 1, "new text")
    assert path(target).read_text() == "old text"
    assert target.stamp() is None


def test_a_crash_before_the_stamp_is_there_leaves_none(target: TextTarget) -> None:
    target.write_text("old text", "f")
    crash_at_rename(target, 2, "new text")
    assert path(target).read_text() == "new text"
    assert target.stamp() is None


@pytest.mark.parametrize("rename", [1, 2])
def test_writing_the_same_again_leaves_the_file_complete_all_the_time(target: TextTarget, rename: int) -> None:
    """Two identical commands may run at once: neither may find incomplete what the other has built."""
    target.write_text(TEXT, "f")
    stamp = target.stamp()
    command = [sys.executable, "-c", CRASH_AT_RENAME, target.files.where(""), str(rename), TEXT, target.name]
    assert subprocess.run(command, check=False).returncode == 0  # it has nothing to rename
    assert target.stamp() == stamp is not None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"fingerprint": "f"}'])
def test_damaged_sidecar(target: TextTarget, content: bytes) -> None:
    target.write_text(TEXT, "f")
    sidecar(target).write_bytes(content)
    assert target.stamp() is None
    with pytest.raises(UnreadableTargetError, match=r"report\.csv is truncated, damaged .*; delete it and rerun"):
        target.read_text()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not UTF-8"])
def test_text_that_cannot_be_read(target: TextTarget, content: bytes | None) -> None:
    path(target).parent.mkdir()
    if content is not None:
        target.write_bytes(content, "f", "l")
    with pytest.raises(UnreadableTargetError, match=r"report\.csv is truncated, .*; delete it and rerun, which builds"):
        target.read_text()


def test_a_text_that_was_changed_is_not_read(target: TextTarget) -> None:
    target.write_text(TEXT, "f")
    path(target).write_text("a note by hand")
    with pytest.raises(UnreadableTargetError, match=r"report\.csv is truncated, damaged"):
        target.read_text()


def test_a_text_opens_as_a_stream_that_changes_no_line_end(target: TextTarget) -> None:
    target.write_text(TEXT, "f")
    with target.open() as stream:
        assert stream.read() == TEXT
    with pytest.raises(ValueError, match="open for reading only"):
        target.open("w")


def test_csv_is_text(tmp_path: Path) -> None:
    target = CsvTarget(LocalFiles(tmp_path), "report.csv")
    target.write_text("a,b\n", "f")
    assert target.read_text() == "a,b\n"


def test_json_comes_back_in_the_order_given(tmp_path: Path) -> None:
    target = JsonTarget(LocalFiles(tmp_path), "books.json")
    target.write({"b": 1, "a": ["é", None, 0.1]}, "f")
    assert path(target).read_text(encoding="utf-8") == '{\n  "b": 1,\n  "a": [\n    "é",\n    null,\n    0.1\n  ]\n}\n'
    assert target.read() == {"b": 1, "a": ["é", None, 0.1]}


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_json_holds_numbers_alone(tmp_path: Path, number: float) -> None:
    target = JsonTarget(LocalFiles(tmp_path), "books.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        target.write({"revenue": number}, "f")
    assert not target.exists()


def test_text_that_is_no_json(tmp_path: Path) -> None:
    target = JsonTarget(LocalFiles(tmp_path), "books.json")
    target.write_text("{", "f")
    with pytest.raises(UnreadableTargetError, match=r"books\.json is not JSON .*; delete it and rerun$"):
        target.read()
