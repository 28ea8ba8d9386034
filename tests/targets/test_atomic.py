"""Files are whole or not there, whoever dies while writing them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from targets import atomic
from targets.atomic import atomic_path, sweep, write_bytes

WRITE_HALF = """
import sys
from pathlib import Path
from targets.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    print("written", flush=True)
    sys.stdin.read()
    temporary.write_bytes(b"whole")
"""

WRITE_OFTEN = """
import sys
from pathlib import Path
from targets.atomic import write_bytes
for _ in range(100):
    write_bytes(Path(sys.argv[1]), sys.argv[2].encode() * 50_000)
"""


@contextmanager
def another_writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has written half of `path` and ends when its input does."""
    command = [sys.executable, "-c", WRITE_HALF, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield process


def temporary_files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_what_the_block_wrote_becomes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "whole"
    assert [*path.parent.iterdir()] == [path]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"a longer one")
    with path.open("rb") as reader:
        write_bytes(path, b"new")
        assert reader.read() == b"a longer one"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("before", [None, b"before"])
def test_an_exception_leaves_everything_as_it_was(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [found.read_bytes() for found in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_block_that_removes_its_file_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "file") as temporary:
        temporary.unlink()
    assert not [*tmp_path.iterdir()]


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with another_writer(path) as writer:
        writer.kill()
    assert writer.returncode == -signal.SIGKILL
    assert temporary_files(tmp_path)
    assert not path.exists()
    write_bytes(tmp_path / "another file", b"")
    assert [*tmp_path.iterdir()] == [tmp_path / "another file"]


def test_a_living_writer_keeps_its_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with another_writer(path) as writer:
        sweep(tmp_path)
        write_bytes(path, b"of another process")
        assert len(temporary_files(tmp_path)) == 1
        writer.communicate("")
    assert writer.returncode == 0
    assert path.read_bytes() == b"whole"
    assert not temporary_files(tmp_path)


def test_a_sweep_before_the_lock_is_held_costs_a_second_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = atomic._lock

    def swept_first(descriptor: int) -> bool:
        monkeypatch.undo()
        sweep(tmp_path)
        assert not temporary_files(tmp_path)
        return lock(descriptor)

    monkeypatch.setattr(atomic, "_lock", swept_first)
    write_bytes(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_sweep_leaves_what_is_not_a_temporary_file(tmp_path: Path) -> None:
    kept = {".hidden", "visible.tmp", "file"}
    for name in kept:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_processes_that_write_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    writers = [subprocess.Popen([sys.executable, "-c", WRITE_OFTEN, str(path), letter]) for letter in "abc"]
    while None in [writer.poll() for writer in writers]:
        if path.exists():
            assert path.read_bytes() in (b"a" * 50_000, b"b" * 50_000, b"c" * 50_000)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert [*tmp_path.iterdir()] == [path]


def test_the_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_bytes(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode
