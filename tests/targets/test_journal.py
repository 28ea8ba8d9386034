from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from targets.atomic import is_locked
from targets.journal import SUFFIX, DamagedRecordError, Journal, read_journal

RECORDS = [b"one", b"", b"three" * 1000, b"\0" * 100]


def written(folder: Path) -> Path:
    with Journal(folder) as journal:
        for record in RECORDS:
            journal.append(record)
            journal.sync()
        (path,) = folder.iterdir()
        assert path.suffix == SUFFIX
        assert path.stat().st_size == journal.size
    return path


def test_records_come_back_in_order(tmp_path: Path) -> None:
    assert read_journal(written(tmp_path / "new" / "folder")) == RECORDS


def test_without_records_there_is_no_file(tmp_path: Path) -> None:
    with Journal(tmp_path):
        pass
    assert [*tmp_path.iterdir()] == []


def test_a_journal_is_locked_until_it_is_closed_and_readable_before(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal, Journal(tmp_path) as other:
        journal.append(b"one")
        (path,) = tmp_path.iterdir()
        assert is_locked(path)
        assert read_journal(path) == [b"one"]
        journal.append(b"two")
        other.append(b"three")
        assert read_journal(path) == [b"one", b"two"]
        assert len([*tmp_path.iterdir()]) == 2
    assert not is_locked(path)


def test_a_record_that_was_cut_off_anywhere_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        whole = read_journal(path)
        assert whole == RECORDS[: len(whole)]
        assert len(whole) < len(RECORDS)
        path.write_bytes(content[:size] + bytes(100))  # as a power cut may leave it
        try:
            assert read_journal(path)[: len(whole)] == whole
        except DamagedRecordError as error:
            assert f"record {len(whole)}" in str(error)  # noqa: PT017 - either is right, by where the cut is


@pytest.mark.parametrize("hole", [2 * 10_016, 6 * 4096], ids=["from a record on", "within it"])
def test_records_of_which_a_power_cut_left_holes_are_left_out(tmp_path: Path, hole: int) -> None:
    records = [bytes([number]) * 10_000 for number in range(1, 6)]
    with Journal(tmp_path) as journal:
        for record in records:
            journal.append(record)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    end = (hole // 4096 + 1) * 4096
    path.write_bytes(content[:hole] + bytes(end - hole) + content[end:])
    assert read_journal(path) == records[:2]
    path.write_bytes(content[:hole] + bytes(100) + content[hole + 100 :])  # no page is lacking
    with pytest.raises(DamagedRecordError, match="record 2"):
        read_journal(path)


def test_what_could_not_be_synced_is_told_whenever_one_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.append(b"one")
    journal.sync()
    journal.append(b"two")

    def fail(_descriptor: int) -> None:  # as of a disk that fails, which the system tells once
        monkeypatch.undo()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fdatasync", fail)
    for go_on in (journal.sync, journal.sync, lambda: journal.append(b"three"), journal.close):
        with pytest.raises(OSError, match="Input/output error"):
            go_on()
    (path,) = tmp_path.iterdir()
    assert not is_locked(path)


def test_after_a_write_that_failed_records_go_to_another_file(tmp_path: Path) -> None:
    limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(tmp_path) as journal:
        journal.append(b"one")
        (path,) = tmp_path.iterdir()
        resource.setrlimit(resource.RLIMIT_FSIZE, (journal.size + 50, hard))  # as a full disk: a part is written
        try:
            with pytest.raises(OSError, match="too large"):
                journal.append(b"two" * 1000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        journal.append(b"three" * 1000)
    (other,) = {*tmp_path.iterdir()} - {path}
    assert read_journal(path) == [b"one"]
    assert read_journal(other) == [b"three" * 1000]


@pytest.mark.parametrize("bit", [1, 128])
def test_a_changed_byte_is_never_taken_for_a_record(tmp_path: Path, bit: int) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    for place in [*range(200), *range(200, len(content), 37)]:
        path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        with pytest.raises(DamagedRecordError, match=r"^record \d has a wrong checksum$"):
            read_journal(path)


def test_records_survive_sigkill(tmp_path: Path) -> None:
    script = """
import sys, pathlib
from targets.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]))
for number in range(10**6):
    journal.append(str(number).encode() * 1000)
    print(number, flush=True)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
    (path,) = tmp_path.iterdir()
    assert not is_locked(path)
    records = read_journal(path)
    assert len(records) > last
    assert records == [str(number).encode() * 1000 for number in range(len(records))]
