from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pipeline.errors import AttributionError
from pipeline.ihc_api.answer_file import digest_of, from_bytes
from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.settings import Scope
from targets.errors import UnreadableTargetError, UnwritableTargetError
from targets.files import LocalFiles

SCOPE = Scope("https://api.example/v1", "default")


class Answers(NamedTuple):
    digests: list[bytes]
    lengths: NDArray[np.int64]
    shares: NDArray[np.float64]


def answers(first: int, count: int, seed: int = 1) -> Answers:
    lengths = np.arange(first, first + count) % 5 + 1
    shares = np.random.default_rng(seed).random((4, int(lengths.sum())))
    return Answers([number.to_bytes(16, "big") for number in range(first, first + count)], lengths, shares)


def part(kept: Answers, first: int) -> Answers:
    """Ten of the answers."""
    ends = np.append(0, np.cumsum(kept.lengths))
    shares = kept.shares[:, ends[first] : ends[first + 10]]
    return Answers(kept.digests[first : first + 10], kept.lengths[first : first + 10], shares)


def digests_of(some: Answers) -> NDArray[np.bytes_]:
    return np.array(some.digests, "S16")


def keep(store: AnswerStore, *kept: Answers, generation: int = 0) -> None:
    for some in kept:
        store.keep(SCOPE, generation, digests_of(some), some.lengths, some.shares)


def find(
    store: AnswerStore, wanted: Answers, scope: Scope = SCOPE, generation: int = 0
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    return store.find(scope, digests_of(wanted), wanted.lengths, generation)


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(LocalFiles(tmp_path / "answers"))


def files(store: AnswerStore) -> list[Path]:
    return sorted(Path(store.where).glob("*/*.arrow"))


def test_an_empty_store_knows_nothing(store: AnswerStore) -> None:
    found, shares = find(store, answers(0, 5))
    assert not found.any()
    assert np.isnan(shares).all()
    assert [*store.contents()] == []


def test_what_was_kept_is_found_by_journey(store: AnswerStore) -> None:
    kept = answers(0, 100)
    for start in range(0, 100, 10):
        keep(store, part(kept, start))
    found, shares = find(store, kept)
    assert found.all()
    assert (shares == kept.shares).all()
    order = np.random.default_rng(2).permutation(120)
    wanted = answers(0, 120)
    shuffled = Answers([wanted.digests[i] for i in order], wanted.lengths[order], np.empty((4, 0)))
    found, shares = find(store, shuffled)
    assert (found == (order < 100)).all()
    starts = np.cumsum(kept.lengths) - kept.lengths
    expected = [kept.shares[:, starts[i] : starts[i] + kept.lengths[i]] for i in order if i < 100]
    assert (shares[:, np.repeat(found, shuffled.lengths)] == np.concatenate(expected, axis=1)).all()
    assert np.isnan(shares[:, np.repeat(~found, shuffled.lengths)]).all()


def test_scopes_are_apart(store: AnswerStore) -> None:
    keep(store, answers(0, 5))
    for other in (
        Scope("https://other.example/v1", "default"),
        Scope("https://api.example/v1", "mine"),
        Scope("https://api.example/v1", "default", b"{}"),
    ):
        assert not find(store, answers(0, 5), other)[0].any()


def test_the_newest_answer_counts_before_and_after_merging(store: AnswerStore) -> None:
    keep(store, answers(0, 20, seed=1))
    time.sleep(0.005)
    newer = answers(5, 10, seed=2)
    keep(store, newer)
    for _ in range(2):
        assert (find(store, newer)[1] == newer.shares).all()
        store.merge(SCOPE)
    assert len(files(store)) == 1
    assert len(from_bytes(files(store)[0].read_bytes())) == 20


def test_answers_of_an_older_generation_are_not_used_when_told_so(store: AnswerStore) -> None:
    keep(store, answers(0, 5))
    keep(store, answers(3, 5), generation=2)
    for _ in range(2):
        for generation in (1, 2):
            found, _ = find(store, answers(0, 9), generation=generation)
            assert found.tolist() == [False] * 3 + [True] * 5 + [False]
            assert store.known(SCOPE, digests_of(answers(0, 9)), generation).tolist() == found.tolist()
        assert store.known(SCOPE, digests_of(answers(0, 9))).tolist() == [True] * 8 + [False]
        assert not store.known(SCOPE, digests_of(answers(0, 9)), 3).any()
        store.merge(SCOPE)


def test_the_answer_of_the_highest_generation_counts_whatever_the_clock_says(
    store: AnswerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = answers(0, 5, seed=2)
    keep(store, fresh, generation=1)
    monkeypatch.setattr("time.time_ns", lambda: 4_000_000_000 * 10**9)
    keep(store, answers(0, 5, seed=1))
    assert (find(store, fresh)[1] == fresh.shares).all()


def test_a_refresh_begins_once_however_often_its_run_says_so(store: AnswerStore) -> None:
    assert [store.begin_refresh(run) for run in ("one", "one", "two", "one", "two")] == [1, 1, 2, 1, 2]
    assert AnswerStore(LocalFiles(Path(store.where))).begin_refresh("two") == 2
    assert store.begin_refresh("a run with / and \n in its name") == 3


def test_a_clock_that_is_set_back_does_not_disturb_a_refresh(
    store: AnswerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, answers(0, 5))
    monkeypatch.setattr("time.time_ns", lambda: 10**18)
    generation = store.begin_refresh("a run")
    assert not find(store, answers(0, 5), generation=generation)[0].any()
    keep(store, answers(0, 5), generation=generation)
    assert find(store, answers(0, 5), generation=generation)[0].all()


def test_a_lost_counter_never_makes_old_answers_fresh(store: AnswerStore) -> None:
    for run in ("one", "two", "three"):
        keep(store, answers(0, 5), generation=store.begin_refresh(run))
    for path in Path(store.where).glob("refreshes/*"):
        path.unlink()
    generation = store.begin_refresh("four")
    assert generation == 4
    assert not find(store, answers(0, 5), generation=generation)[0].any()


def test_merging_keeps_every_answer(store: AnswerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ihc_api.answers._SMALL", 40)
    monkeypatch.setattr("pipeline.ihc_api.answers._MERGED", 60)
    kept = answers(0, 200)
    for start in range(0, 200, 10):
        keep(store, part(kept, start))
    store.merge(SCOPE)
    assert [len(from_bytes(path.read_bytes())) for path in files(store)].count(60) == 3
    assert (find(store, kept)[1] == kept.shares).all()
    before = files(store)
    store.merge(SCOPE)  # what is large enough stays
    assert files(store) == before


REMEDY = "move it away and run again, which asks the API for the journeys in it once more"


@pytest.mark.parametrize("is_merged", [False, True])
def test_any_flipped_or_cut_byte_is_found_and_the_file_named_with_the_remedy(
    store: AnswerStore,
    is_merged: bool,  # noqa: FBT001
) -> None:
    keep(store, answers(0, 20), answers(20, 20))
    if is_merged:
        store.merge(SCOPE)
    path = files(store)[0]
    content = path.read_bytes()
    damages = [content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :] for place in range(len(content))]
    damages += [content[:-1], content[: len(content) // 2], content[1:], b"", content + b"\0"]
    for damaged in damages:
        path.write_bytes(damaged)
        fresh = AnswerStore(LocalFiles(Path(store.where)))
        with pytest.raises(UnreadableTargetError, match=rf"^{path} is truncated, damaged or not .*; {REMEDY}$"):
            fresh.known(SCOPE, digests_of(answers(0, 1)))
    with pytest.raises(UnreadableTargetError, match=f"{path} is"):  # also after it was listed whole
        find(store, answers(0, 40))
    path.unlink()
    found, _ = find(store, answers(0, 40))
    assert found.sum() == (0 if is_merged else 20)


def test_a_damaged_scope_file_is_named(store: AnswerStore) -> None:
    keep(store, answers(0, 5))
    (path,) = Path(store.where).glob("scopes/*")
    path.write_bytes(path.read_bytes().replace(b"default", b"default2"))
    with pytest.raises(UnreadableTargetError, match=f"{path} is truncated, damaged .* move it away, the next run"):
        [*store.contents()]
    assert find(store, answers(0, 5))[0].all()  # the answers do not depend on it
    path.unlink()
    keep(AnswerStore(LocalFiles(Path(store.where))), answers(5, 5))
    assert [contents.journeys for contents in store.contents()] == [10]


@pytest.mark.parametrize("name", ["foreign.parquet", "1234.journal", "copy of it.arrow"])
def test_a_foreign_file_is_named(store: AnswerStore, name: str) -> None:
    keep(store, answers(0, 5))
    foreign = files(store)[0].with_name(name)
    pq.write_table(pa.table({"a": [1]}), foreign)
    with pytest.raises(UnreadableTargetError, match=f"{name} is .*its bytes have another digest than its name"):
        find(store, answers(0, 5))
    content = foreign.read_bytes()
    foreign.unlink()
    path = foreign.with_name(f"0-{digest_of(content)}.parquet")
    path.write_bytes(content)
    with pytest.raises(UnreadableTargetError, match=f"{path} is .*it is not a file of answers"):
        find(store, answers(0, 5))


def test_files_of_earlier_versions_are_of_generation_0(store: AnswerStore) -> None:
    keep(store, answers(0, 5))
    (path,) = files(store)
    pq.write_table(from_bytes(path.read_bytes()), path)
    path.rename(path.with_name(f"{digest_of(path.read_bytes())}.parquet"))
    assert find(store, answers(0, 5))[0].all()
    assert not find(store, answers(0, 5), generation=1)[0].any()
    keep(store, answers(5, 5))
    store.merge(SCOPE)
    assert find(store, answers(0, 10))[0].all()


def test_an_answer_of_another_length_is_not_used(store: AnswerStore) -> None:
    kept = answers(0, 5)
    keep(store, kept)
    with pytest.raises(UnreadableTargetError, match="not as long as their journeys"):
        find(store, kept._replace(lengths=kept.lengths + 1))


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("a file")
    with pytest.raises(UnwritableTargetError, match=r"cannot be written .*make room or set DATA_DIR"):
        keep(AnswerStore(LocalFiles(tmp_path / "answers")), answers(0, 1))


def test_pruning_forgets_all_or_the_old(store: AnswerStore) -> None:
    keep(store, answers(0, 5))
    time.sleep(0.005)
    moment = time.time_ns() // 1_000_000
    time.sleep(0.005)
    keep(store, answers(5, 5))
    store.merge(SCOPE)
    assert store.prune(SCOPE, before=moment) == 5
    assert find(store, answers(0, 10))[0].tolist() == [False] * 5 + [True] * 5
    assert store.prune(SCOPE, before=moment) == 0
    assert store.prune(SCOPE) == 5
    assert files(store) == []


def test_contents_say_what_is_kept_without_any_key(store: AnswerStore) -> None:
    keep(store, answers(0, 5))
    keep(store, answers(3, 5))
    (contents,) = store.contents()
    assert (contents.scope, contents.journeys, contents.files) == (SCOPE, 8, 2)
    assert contents.bytes == sum(path.stat().st_size for path in files(store))
    assert contents.oldest <= contents.newest <= time.time_ns() // 1_000_000


def test_answers_are_found_merged_and_not_pruned_while_a_run_is_going_on(store: AnswerStore) -> None:
    other = AnswerStore(LocalFiles(Path(store.where)))
    with store.in_use(SCOPE):
        for start in (0, 5):
            keep(store, answers(start, 5))
            assert find(other, answers(0, 10))[0].sum() == start + 5
            other.merge(SCOPE)
            assert find(store, answers(0, 10))[0].sum() == start + 5
        with pytest.raises(AttributionError, match=r"a run that keeps answers is at work in .* right now; prune when"):
            other.prune(SCOPE)
    assert other.prune(SCOPE) == 10


WRITER = """
import sys, pathlib
sys.path.insert(0, {here!r})
from test_answer_store import AnswerStore, SCOPE, answers, keep
from targets.files import LocalFiles
store = AnswerStore(LocalFiles(pathlib.Path(sys.argv[1])))
for start in range(int(sys.argv[2]), int(sys.argv[3]), 10):
    keep(store, answers(start, 10, seed=start))
    print(start, flush=True)
    if start % 50 == 0:
        store.merge(SCOPE)
"""


def start_writer(store: AnswerStore, first: int, end: int) -> subprocess.Popen[str]:
    script = WRITER.format(here=str(Path(__file__).parent))
    command = [sys.executable, "-c", script, store.where, str(first), str(end)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )


def test_two_processes_write_and_merge_at_once(store: AnswerStore) -> None:
    with start_writer(store, 0, 300) as one, start_writer(store, 200, 500) as other:
        while one.poll() is None or other.poll() is None:
            find(store, answers(0, 500))  # and a third reads
    assert (one.returncode, other.returncode) == (0, 0)
    assert find(store, answers(0, 500))[0].all()
    for start in range(0, 500, 10):
        wanted = answers(start, 10, seed=start)
        assert (find(store, wanted)[1] == wanted.shares).all()


def test_what_was_kept_survives_sigkill(store: AnswerStore) -> None:
    for number in range(3):
        with start_writer(store, number * 1000, number * 1000 + 1000) as writer:
            assert writer.stdout is not None
            kept = [int(writer.stdout.readline()) for _ in range(4 + number)]
            writer.send_signal(signal.SIGKILL)
        for start in kept:
            assert find(store, answers(start, 10))[0].all()
    keep(store, answers(9000, 1))
    assert [path for path in files(store) if path.name.startswith(".")] == []
