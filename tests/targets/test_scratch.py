"""Folders for temporary files."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from targets import scratch
from targets.scratch import scratch_folder

HOLD_FOLDER = """
import sys
from pathlib import Path
from targets.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "file").write_text("much")
    print(folder, flush=True)
    sys.stdin.read()
"""


def another_process(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has a folder with a file in it, and that folder."""
    command = [sys.executable, "-c", HOLD_FOLDER, str(parent)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_there_for_the_block_and_its_owner_alone(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "new" / "tmp") as folder:
        assert folder.parent == tmp_path / "new" / "tmp"
        assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
        (folder / "inside").mkdir()
        (folder / "inside" / "file").touch()
    assert [*(tmp_path / "new" / "tmp").iterdir()] == []


def test_an_exception_removes_it_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path):
        raise KeyboardInterrupt
    assert [*tmp_path.iterdir()] == []


def test_two_at_a_time_have_two_folders(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as one, scratch_folder(tmp_path) as other:
        assert one != other
        assert one.is_dir()


def test_a_folder_of_a_living_process_stays_and_that_of_a_killed_one_goes(tmp_path: Path) -> None:
    process, of_other = another_process(tmp_path)
    with process:
        with scratch_folder(tmp_path):
            assert (of_other / "file").read_text() == "much"
        process.kill()
    assert of_other.is_dir()
    with scratch_folder(tmp_path) as folder:
        assert [*tmp_path.iterdir()] == [folder]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "tmp" / "file").touch()
    with scratch_folder(tmp_path / "tmp"):
        pass
    assert (tmp_path / "precious" / "file").is_file()
    assert (tmp_path / "tmp" / "file").is_file()


def test_a_sweep_before_the_lock_is_held_costs_a_second_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "mkdir", swept_after(Path.mkdir, tmp_path, monkeypatch))
    with scratch_folder(tmp_path) as folder:
        assert folder.is_dir()
        (folder / "file").touch()


def swept_after(mkdir: object, parent: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """`Path.mkdir`, after whose first new folder in `parent` another process removes what has no lock."""

    def made_and_swept(path: Path, *args: object, **kwargs: object) -> None:
        assert callable(mkdir)
        mkdir(path, *args, **kwargs)
        if path.parent == parent:
            monkeypatch.undo()
            scratch._remove_orphans(parent)
            assert not path.exists()

    return made_and_swept


def test_many_at_once_do_not_remove_each_others(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(30):
                with scratch_folder(tmp_path) as folder:
                    (folder / "file").write_text("mine")
                    assert (folder / "file").read_text() == "mine"
        except BaseException as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [*tmp_path.iterdir()] == []
