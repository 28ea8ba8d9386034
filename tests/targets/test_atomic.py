"""Files are whole or not there, whoever dies while writing them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from targets import atomic
from targets.atomic import atomic_path, locked, make_folder, sweep, write_bytes

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

HOLD_LOCK = """
import sys
from pathlib import Path
from targets.atomic import locked
with locked(Path(sys.argv[1]), "the other run") as holder:
    print(holder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(code: str, path: Path, first_line: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has come to its first line of output, and ends when its input does."""
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{first_line}\n"
        yield process


def another_writer(path: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process that has written half of `path`."""
    return another_process(WRITE_HALF, path, "written")


def temporary_files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


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


def test_bytes_may_lie_in_memory_of_somebody_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", memoryview(b"whole"))
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize(("durable", "syncs"), [(True, ["file", "folder"]), (False, [])])
def test_a_durable_file_is_on_disk_before_it_has_its_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    durable: bool,  # noqa: FBT001
    syncs: list[str],
) -> None:
    path, seen = tmp_path / "file", []

    def sync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        assert path.exists() == is_folder
        seen.append("folder" if is_folder else "file")

    monkeypatch.setattr(os, "fsync", sync)
    write_bytes(path, b"whole", durable=durable)
    assert (path.read_bytes(), seen) == (b"whole", syncs)


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


def test_what_only_looks_like_a_temporary_file_does_not_stop_a_write(tmp_path: Path) -> None:
    (tmp_path / ".folder.tmp").mkdir()
    (tmp_path / ".link.tmp").symlink_to("nowhere")
    os.mkfifo(tmp_path / ".pipe.tmp")
    write_bytes(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert (tmp_path / ".folder.tmp").is_dir()


def test_processes_that_write_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    writers = [subprocess.Popen([sys.executable, "-c", WRITE_OFTEN, str(path), letter]) for letter in "abc"]
    while None in [writer.poll() for writer in writers]:
        if path.exists():
            assert path.read_bytes() in (b"a" * 50_000, b"b" * 50_000, b"c" * 50_000)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(("mode", "of_folder"), [(0o640, 0o750), (0o600, 0o700), (0o664, 0o775)])
def test_files_and_new_folders_have_the_rights_asked_for_whatever_the_umask(
    tmp_path: Path, mode: int, of_folder: int
) -> None:
    before = os.umask(0o077)
    try:
        write_bytes(tmp_path / "new" / "folder" / "file", b"", mode)
    finally:
        os.umask(before)
    assert rights(tmp_path / "new" / "folder" / "file") == mode
    assert rights(tmp_path / "new" / "folder") == rights(tmp_path / "new") == of_folder


def test_a_folder_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o711)
    make_folder(tmp_path / "folder" / "new", 0o600)
    assert rights(tmp_path / "folder") == 0o711


class TestLocks:
    def test_the_second_learns_who_the_first_is(self, tmp_path: Path) -> None:
        path = tmp_path / "locks" / "Sessions.lock"
        with locked(path, "the first, a long name") as holder:
            assert holder is None
            with locked(path, "the second") as other:
                assert other == "the first, a long name"
        with locked(path, "the third") as holder:
            assert holder is None
            with locked(path, "the fourth") as other:
                assert other == "the third"

    def test_a_lock_file_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        with locked(tmp_path / "locks" / "a.lock", "owner"):
            assert (rights(tmp_path / "locks"), rights(tmp_path / "locks" / "a.lock")) == (0o700, 0o600)

    def test_a_holder_that_has_not_said_its_name_yet_is_another_process(self, tmp_path: Path) -> None:
        with locked(tmp_path / "a.lock", ""), locked(tmp_path / "a.lock", "other") as holder:
            assert holder == "another process"

    def test_a_lock_ends_with_its_process_whatever_ends_that(self, tmp_path: Path) -> None:
        path = tmp_path / "a.lock"
        with another_process(HOLD_LOCK, path, "None") as other:
            with locked(path, "ours") as holder:
                assert holder == "the other run"
            other.kill()
        with locked(path, "ours") as holder:
            assert holder is None

    def test_an_exception_in_the_block_releases_it(self, tmp_path: Path) -> None:
        path = tmp_path / "a.lock"
        with pytest.raises(KeyboardInterrupt), locked(path, "ours"):
            raise KeyboardInterrupt
        with locked(path, "ours") as holder:
            assert holder is None

    @pytest.mark.parametrize("target", ["precious", "nowhere"])
    def test_a_link_in_its_place_is_not_followed(self, tmp_path: Path, target: str) -> None:
        (tmp_path / "precious").write_text("kept")
        (tmp_path / "a.lock").symlink_to(tmp_path / target)
        with pytest.raises(OSError, match="symbolic links"), locked(tmp_path / "a.lock", "ours"):
            pass
        assert (tmp_path / "precious").read_text() == "kept"
        assert not (tmp_path / "nowhere").exists()

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
    def test_neither_is_a_file_of_another_kind(self, tmp_path: Path, make: object) -> None:
        assert callable(make)
        make(tmp_path / "a.lock")
        with pytest.raises(OSError, match=r"a\.lock|Invalid argument"), locked(tmp_path / "a.lock", "ours"):
            pass
