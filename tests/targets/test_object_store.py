"""Objects of a real server: whole writes, one listing a look, few requests, and locks that expire."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from support.object_store import BUCKET, Store, object_store

from targets.errors import UnwritableTargetError
from targets.listing import one_listing
from targets.object_store import bucket, lock, memory, open_files
from targets.object_store.files import ObjectFiles
from targets.object_store.holder import is_dead, this_process
from targets.text import TextTarget


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with object_store() as started:
        yield started


@pytest.fixture
def files(store: Store, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[ObjectFiles]:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    bucket._clients.clear()
    yield open_files(f"s3://{BUCKET}/{request.node.name}")
    bucket._clients.clear()


@pytest.fixture
def requests(files: ObjectFiles) -> list[str]:
    """The operations that are asked of the store from now on."""
    asked: list[str] = []
    files.version("nothing")
    (client,) = bucket._clients.values()
    client.meta.events.register("before-send.s3", lambda event_name, **_: asked.append(event_name.rpartition(".")[2]))
    return asked


def test_names_folders_and_contents(files: ObjectFiles) -> None:
    for name in ("a/b/1.txt", "a/2.txt", "a/.hidden", "3.txt", "a b/ü.txt"):
        files.write(name, name.encode())
    assert files.names("") == ["3.txt"]
    assert files.names("a") == ["2.txt"]
    assert files.folders("") == ["a", "a b"]
    assert files.below("a") == ["a/2.txt", "a/b/1.txt"]
    assert files.read("a b/ü.txt") == "a b/ü.txt".encode()
    assert time.time() - 60 < files.written("3.txt") <= time.time() + 1
    files.delete("a/2.txt")
    files.delete("a/2.txt")
    assert files.version("a/2.txt") is None
    with pytest.raises(FileNotFoundError):
        files.read("a/2.txt")


def test_a_version_changes_with_the_content(files: ObjectFiles) -> None:
    assert files.version("x") is None
    files.write("x", b"1")
    before = files.version("x")
    files.write("x", b"2")
    assert before != files.version("x") is not None


def test_a_look_at_many_stamps_takes_a_few_requests(
    files: ObjectFiles, requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [TextTarget(files, f"days/{number}.txt") for number in range(40)]
    with one_listing():
        for number, target in enumerate(targets):
            target.write_text(str(number), f"print {number}")
    with one_listing():
        files.expect(f"days/{number}.txt.stamp" for number in range(40))
    assert files.version("days/.stamps") is not None

    for known in ("_stamps", "_others"):  # as in a new process
        monkeypatch.setattr(memory, known, type(getattr(memory, known))())
    requests.clear()
    with one_listing():
        files.expect(f"days/{number}.txt.stamp" for number in range(40))
        assert all(files.read(f"days/{number}.txt.stamp") for number in range(40))
    assert sorted(requests) == ["GetObject", "ListObjectsV2"]

    # a sidecar that was written since is read itself
    files.write("days/7.txt.stamp", b"another")
    monkeypatch.setattr(memory, "_stamps", {})
    requests.clear()
    with one_listing():
        files.expect(f"days/{number}.txt.stamp" for number in range(40))
        assert files.read("days/7.txt.stamp") == b"another"
    assert sorted(requests) == ["GetObject", "GetObject", "ListObjectsV2"]


def test_copies_for_engines_follow_the_objects(files: ObjectFiles) -> None:
    files.write("sessions/1.parquet", b"old")
    (path,) = files.local(["sessions/1.parquet"])
    with open(path, "rb") as copy:  # noqa: PTH123
        assert copy.read() == b"old"
    files.write("sessions/1.parquet", b"new")
    assert files.local(["sessions/1.parquet"]) == [path]
    with open(path, "rb") as copy:  # noqa: PTH123
        assert copy.read() == b"new"


def test_a_lock_is_held_by_one(files: ObjectFiles) -> None:
    with files.lock("stage.lock", "the first") as holder:
        assert holder is None
        with files.lock("stage.lock", "the second") as other:
            assert other == "the first"
    assert files.version("locks/stage.lock") is None
    with files.lock("stage.lock", "the second") as holder:
        assert holder is None


def test_held_locks_and_sizes_are_told(files: ObjectFiles) -> None:
    assert (files.held_locks(), files.sizes()) == ({}, {})
    with files.lock("stage.lock", "the holder"):
        files.write("locks/first-session-day.json", b"{}")
        assert files.held_locks() == {"stage": "the holder"}
        files.write("days/1.txt", b"123")
        files.write("days/deeper/2.txt", b"45")
        files.write("beside.txt", b"6")
        used = files.sizes()
    assert {name: used[name] for name in used if name != "locks"} == {"days": 5}
    assert files.held_locks() == {}


def test_of_many_at_once_one_holds_the_lock(files: ObjectFiles) -> None:
    held, ready, done = [], threading.Barrier(6), threading.Barrier(6)

    def take(number: int) -> None:
        ready.wait()
        with files.lock("stage.lock", str(number)) as holder:
            if holder is None:
                held.append(number)
            done.wait()

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 1


def test_a_lock_is_renewed_and_expires_without(files: ObjectFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "EXPIRES", 2.0)  # the store's clock tells whole seconds
    monkeypatch.setattr(lock, "is_dead", lambda _: False)
    with files.lock("stage.lock", "the holder"):
        time.sleep(4)
        with files.lock("stage.lock", "another") as holder:
            assert holder == "the holder"
    # its holder is gone without a word
    files.write("locks/stage.lock", b'{"owner": "the dead", "process": "elsewhere 1 2"}')
    with files.lock("stage.lock", "another") as holder:
        assert holder == "the dead"
    assert files.held_locks() == {"stage": "the dead"}
    time.sleep(3.2)
    assert files.held_locks() == {}
    with files.lock("stage.lock", "another") as holder:
        assert holder is None


def test_who_has_lost_a_lock_writes_no_more(files: ObjectFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "EXPIRES", 2.0)
    with files.lock("stage.lock", "the holder"):
        files.write("x", b"1")
        thief = b'{"owner": "the thief", "process": ""}'
        files.bucket.put(f"{files.prefix}/locks/stage.lock", thief)
        time.sleep(lock.EXPIRES + 1)  # by then the renewal has noticed, or was too late
        with pytest.raises(UnwritableTargetError, match="another run may be at work; run again"):
            files.write("x", b"2")
    assert files.read("x") == b"1"
    assert files.read("locks/stage.lock") == thief


def test_processes_are_known_to_be_dead_on_this_machine_alone() -> None:
    machine, number, start = this_process().split(" ")
    assert not is_dead(this_process())
    assert is_dead(f"{machine} {number} 1")
    assert not is_dead(f"elsewhere {number} {start}")
    assert not is_dead("")
