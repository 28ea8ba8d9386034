"""A tree of files by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from targets.errors import UnwritableTargetError
from targets.files import LocalFiles

FILL_DISK = """
import resource, signal, sys
from pathlib import Path
from targets.errors import UnwritableTargetError
from targets.files import LocalFiles
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
files = LocalFiles(Path(sys.argv[1]))
try:
    if sys.argv[2] == "write":
        files.write("big", bytes(20_000))
    else:
        with files.scratch() as folder:
            (folder / "big").write_bytes(bytes(20_000))
except UnwritableTargetError as error:
    print(error)
"""


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "data")


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_what_was_written_is_read(files: LocalFiles) -> None:
    files.write("folder/file", b"old")
    files.write("folder/file", memoryview(b"new"))
    assert files.read("folder/file") == b"new"
    assert files.where("folder/file") == f"{files.root}/folder/file"


def test_a_file_that_is_not_there(files: LocalFiles) -> None:
    assert files.version("folder/file") is None
    assert files.names("folder") == []
    files.delete("folder/file")
    with pytest.raises(FileNotFoundError):
        files.read("folder/file")
    assert not files.root.exists()


def test_each_write_is_another_version(files: LocalFiles) -> None:
    versions = []
    for _ in range(3):
        files.write("file", b"same")
        versions.append(files.version("file"))
        assert files.version("file") == versions[-1]
    assert len({*versions}) == 3
    files.delete("file")
    assert files.version("file") is None


def test_names_are_sorted_and_without_folders_and_temporary_files(files: LocalFiles) -> None:
    for name in ("b", "a", "folder/inside", ".a.123.tmp"):
        files.write(name, b"")
    (files.root / ".left.tmp").touch()
    assert files.names("") == ["a", "b"]
    assert files.names("folder") == ["inside"]
    assert files.names("a") == []


@pytest.mark.parametrize(("mode", "of_folder"), [(0o640, 0o750), (0o600, 0o700), (0o660, 0o770)])
def test_all_that_others_may_see_has_the_rights_asked_for(tmp_path: Path, mode: int, of_folder: int) -> None:
    """Whichever comes first: locks and temporary files are for their owner alone, the folder above them is not."""
    files = LocalFiles(tmp_path / "data", mode)
    with files.lock("a.lock", "owner"), files.scratch() as folder:
        assert rights(folder) == rights(folder.parent) == rights(files.root / "locks") == 0o700
        files.write("sessions/day", b"")
    assert rights(files.root) == rights(files.root / "sessions") == of_folder
    assert rights(files.root / "sessions" / "day") == mode


@pytest.mark.parametrize("inside", ["", "/folder"])
def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("kept")
    files = LocalFiles(Path(f"{tmp_path}/file{inside}"))
    message = rf"^{files.root}/\S+ cannot be written \(Not a directory|File exists\); make room or set DATA_DIR"
    assert files.version("a") is None
    assert files.names("a") == []
    files.delete("a/b")
    with pytest.raises(UnwritableTargetError, match=message):
        files.write("a/b", b"")
    with pytest.raises(UnwritableTargetError, match=message), files.lock("a.lock", "owner"):
        pass
    with pytest.raises(UnwritableTargetError, match=message), files.scratch():
        pass
    assert (tmp_path / "file").read_text() == "kept"


def test_a_name_that_no_file_can_have_is_no_file(files: LocalFiles) -> None:
    files.root.mkdir()
    (files.root / "loop").symlink_to("loop")
    for name in ("x" * 300, "loop", "loop/file"):
        assert files.version(name) is None
    with pytest.raises(UnwritableTargetError, match="File name too long"):
        files.write("x" * 300, b"")


def test_a_folder_in_place_of_a_file_is_not_removed(files: LocalFiles) -> None:
    files.write("folder/file", b"")
    with pytest.raises(UnwritableTargetError, match=rf"^{files.root}/folder cannot be written \("):
        files.delete("folder")


@pytest.mark.parametrize(("what", "name"), [("write", "big"), ("scratch", "tmp")])
def test_a_full_disk_is_told_by_the_name_of_the_file(files: LocalFiles, what: str, name: str) -> None:
    command = [sys.executable, "-c", FILL_DISK, str(files.root), what]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"{files.root}/{name} cannot be written (File too large); make room or set DATA_DIR, and run again\n"
    assert [path for path in files.root.rglob("*") if path.is_file()] == []


class TestLocks:
    def test_a_lock_lies_in_the_data_directory(self, files: LocalFiles) -> None:
        with files.lock("Sessions.lock", "one") as holder:
            assert holder is None
            assert [*(files.root / "locks").iterdir()] == [files.root / "locks" / "Sessions.lock"]
            with files.lock("Sessions.lock", "other") as other:
                assert other == "one"

    def test_locks_of_two_data_directories_are_two(self, tmp_path: Path) -> None:
        with LocalFiles(tmp_path / "a").lock("x", "a") as a, LocalFiles(tmp_path / "b").lock("x", "b") as b:
            assert (a, b) == (None, None)

    def test_a_link_in_place_of_the_lock_file_is_refused(self, files: LocalFiles, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("kept")
        (files.root / "locks").mkdir(parents=True)
        (files.root / "locks" / "a.lock").symlink_to(tmp_path / "precious")
        message = rf"^{files.root}/locks/a\.lock cannot be written \(Too many levels of symbolic links\)"
        with pytest.raises(UnwritableTargetError, match=message), files.lock("a.lock", "owner"):
            pass
        assert (tmp_path / "precious").read_text() == "kept"

    def test_a_pipe_in_place_of_the_lock_file_is_refused(self, files: LocalFiles) -> None:
        (files.root / "locks").mkdir(parents=True)
        os.mkfifo(files.root / "locks" / "a.lock")
        with pytest.raises(UnwritableTargetError, match="Invalid argument"), files.lock("a.lock", "owner"):
            pass

    def test_an_error_of_the_block_is_left_as_it_is(self, files: LocalFiles) -> None:
        with pytest.raises(OSError, match="of the block"), files.lock("a.lock", "owner"):
            raise OSError("of the block")
        with pytest.raises(OSError, match="of the block"), files.scratch():
            raise OSError("of the block")
