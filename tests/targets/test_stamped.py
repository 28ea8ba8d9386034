"""Files with a stamp beside them, whoever dies while writing them and whatever becomes of their bytes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from targets import stamped
from targets.errors import UnreadableTargetError, UnwritableTargetError
from targets.files import LocalFiles
from targets.fingerprint import Stamp, digest
from targets.stamped import StampedTarget

CONTENT = b"what was made\n" * 3
STEPS = ("os.remove", "os.rename", "os.rename")
"""What writing over a file does in turn: the sidecar goes, the file comes, the sidecar comes."""

DIE_AT_STEP = """
import os, sys
from pathlib import Path
from targets.files import LocalFiles
from targets.stamped import StampedTarget

steps = []

def die(event, args):
    if event == "os.rename" or event == "os.remove" and not str(args[0]).endswith(".tmp"):
        steps.append(event)
        if len(steps) == int(sys.argv[2]):
            os._exit(9)

sys.addaudithook(die)
StampedTarget(LocalFiles(Path(sys.argv[1])), "folder/file").write_bytes(sys.argv[3].encode(), sys.argv[4], "logical")
print(steps)
"""


@pytest.fixture
def target(tmp_path: Path) -> StampedTarget:
    return StampedTarget(LocalFiles(tmp_path), "folder/file")


@pytest.fixture
def written(target: StampedTarget) -> StampedTarget:
    target.write_bytes(CONTENT, "of these settings", "logical", {"rejected": 2})
    return target


def path(target: StampedTarget) -> Path:
    return Path(target.files.where(target.name))


def sidecar(target: StampedTarget) -> Path:
    return Path(target.files.where(f"{target.name}.stamp"))


def in_another_process(target: StampedTarget) -> None:
    """As if this one knew nothing of the target."""
    stamped._stamps.pop((target.files, target.name), None)
    stamped._verified.pop((target.files, target.name), None)


def assert_unreadable(target: StampedTarget, reason: str) -> None:
    message = f"{path(target)} is truncated, damaged or not written by this pipeline ({reason}); delete it and rerun"
    for read in (target.read_bytes, target.verified):
        with pytest.raises(UnreadableTargetError, match=f"^{re.escape(message)}, which builds it anew$"):
            read()


def test_what_is_not_there_has_no_stamp(target: StampedTarget) -> None:
    assert not target.exists()
    assert target.stamp() is None
    with pytest.raises(UnreadableTargetError, match=r"folder/file is .*\(it or its \.stamp is missing or damaged\)"):
        target.notes()
    assert_unreadable(target, "it or its .stamp is missing or damaged")


def test_bytes_stamp_and_notes_come_back(written: StampedTarget) -> None:
    for _ in range(2):
        assert written.exists()
        assert written.read_bytes() == CONTENT
        assert written.stamp() == Stamp("of these settings", "logical", digest(CONTENT), {"rejected": 2})
        assert written.notes() == {"rejected": 2}
        assert written.verified() == str(path(written)) == repr(written)
        in_another_process(written)
    assert {found.name for found in path(written).parent.iterdir()} == {"file", "file.stamp"}


def test_another_target_of_the_same_file_says_the_same(written: StampedTarget, tmp_path: Path) -> None:
    other = StampedTarget(LocalFiles(tmp_path), "folder/file")
    assert other.stamp() == written.stamp()


@pytest.mark.parametrize("which", ["file", "file.stamp"])
def test_half_of_it_counts_as_missing(written: StampedTarget, which: str) -> None:
    (path(written).parent / which).unlink()
    assert written.stamp() is None
    assert_unreadable(written, "it or its .stamp is missing or damaged")


def test_removed_is_both(written: StampedTarget) -> None:
    written.remove()
    assert [*path(written).parent.iterdir()] == []
    written.remove()


def test_a_flipped_bit_anywhere_in_the_file_is_found(written: StampedTarget) -> None:
    for place in range(len(CONTENT)):
        for bit in range(8):
            damaged = bytearray(CONTENT)
            damaged[place] ^= 1 << bit
            path(written).write_bytes(damaged)
            in_another_process(written)
            assert_unreadable(written, "its bytes are not those that were written")


@pytest.mark.parametrize("damage", [CONTENT[:-1], b"", CONTENT + b"\n"], ids=["truncated", "empty", "longer"])
def test_other_bytes_are_found_also_by_the_process_that_wrote_them(written: StampedTarget, damage: bytes) -> None:
    written.verified()
    path(written).write_bytes(damage)
    assert_unreadable(written, "its bytes are not those that were written")
    path(written).write_bytes(CONTENT)
    assert written.read_bytes() == CONTENT


def test_a_flipped_bit_anywhere_in_the_sidecar_leaves_no_stamp(written: StampedTarget) -> None:
    """But for what says the same in JSON, such as the case of a letter in an escape."""
    whole, stamp = sidecar(written).read_bytes(), written.stamp()
    refused = 0
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            sidecar(written).write_bytes(damaged)
            in_another_process(written)
            found = written.stamp()
            assert found in (None, stamp), damaged
            refused += found is None
    assert refused > 8 * (len(whole) - 5)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff", b'{"fingerprint": "f"}', b'{"seal": "s"}'])
def test_what_is_no_sidecar_of_ours_is_no_stamp(written: StampedTarget, content: bytes) -> None:
    sidecar(written).write_bytes(content)
    assert written.stamp() is None


def test_a_folder_in_place_of_the_sidecar_is_no_stamp(written: StampedTarget) -> None:
    sidecar(written).unlink()
    sidecar(written).mkdir()
    assert written.stamp() is None


def test_a_folder_in_place_of_the_file_is_named(written: StampedTarget) -> None:
    path(written).unlink()
    path(written).mkdir()
    assert_unreadable(written, "Is a directory")


def test_a_stamp_moved_to_another_file_fits_no_bytes(written: StampedTarget, tmp_path: Path) -> None:
    other = StampedTarget(LocalFiles(tmp_path), "other")
    other.write_bytes(b"something else", "f", "l")
    sidecar(other).write_bytes(sidecar(written).read_bytes())
    in_another_process(other)
    assert_unreadable(other, "its bytes are not those that were written")


def test_the_same_again_writes_nothing(written: StampedTarget) -> None:
    before = path(written).stat().st_ino, sidecar(written).stat().st_ino
    in_another_process(written)
    written.write_bytes(CONTENT, "of these settings", "logical", {"rejected": 2})
    assert (path(written).stat().st_ino, sidecar(written).stat().st_ino) == before


def test_the_same_again_repairs_what_is_damaged(written: StampedTarget) -> None:
    path(written).write_bytes(b"damaged")
    written.write_bytes(CONTENT, "of these settings", "logical", {"rejected": 2})
    assert written.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "change", [{"fingerprint": "other"}, {"logical": "other"}, {"notes": {"rejected": 3}}, {"content": b"other"}]
)
def test_any_change_is_a_new_stamp(written: StampedTarget, change: dict[str, object]) -> None:
    before = written.stamp()
    values = {"content": CONTENT, "fingerprint": "of these settings", "logical": "logical", "notes": {"rejected": 2}}
    written.write_bytes(**{**values, **change})  # type: ignore[arg-type] # of one kind each
    assert written.stamp() != before
    known = written.stamp()
    in_another_process(written)
    assert written.stamp() == known


def die_at_step(target: StampedTarget, step: int, content: bytes, fingerprint: str = "new") -> None:
    """Write in a process that dies before one of its `STEPS`."""
    command = [sys.executable, "-c", DIE_AT_STEP, target.files.where(""), str(step), content.decode(), fingerprint]
    assert subprocess.run(command, check=False).returncode == 9


def test_the_steps_of_a_write_are_these(written: StampedTarget) -> None:
    command = [sys.executable, "-c", DIE_AT_STEP, written.files.where(""), "0", "new", "new"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said == f"{[*STEPS]}\n"


@pytest.mark.parametrize("step", range(1, 1 + len(STEPS)))
def test_a_kill_leaves_the_old_file_or_one_that_counts_as_missing(written: StampedTarget, step: int) -> None:
    before = written.stamp()
    die_at_step(written, step, b"new")
    assert written.stamp() == (before if step == 1 else None)
    assert path(written).read_bytes() == (b"new" if step == 3 else CONTENT)
    written.write_bytes(b"newer", "newer", "l")
    assert written.read_bytes() == b"newer"
    assert {found.name for found in path(written).parent.iterdir()} == {"file", "file.stamp"}


@pytest.mark.parametrize("step", [1, 2])
def test_a_kill_at_the_first_write_leaves_what_counts_as_missing(target: StampedTarget, step: int) -> None:
    die_at_step(target, step + 1, CONTENT)
    assert target.stamp() is None
    assert target.exists() == (step == 2)


def test_what_cannot_be_written_is_named(target: StampedTarget, tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    with pytest.raises(UnwritableTargetError, match=rf"^{path(target)} cannot be written"):
        target.write_bytes(CONTENT, "f", "l")


def test_a_file_without_its_sidecar_is_never_taken_for_written(written: StampedTarget) -> None:
    """The file is the same as before, the process knows it: the sidecar decides all the same."""
    sidecar(written).unlink()
    written.write_bytes(CONTENT, "of these settings", "logical", {"rejected": 2})
    assert sidecar(written).is_file()
    assert written.stamp() is not None
