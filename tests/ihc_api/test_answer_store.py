from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pipeline.ihc_api.answer_files import AnswerJournal, Scope
from pipeline.ihc_api.answers import AnswerStore
from pipeline.errors import AttributionError
from targets.errors import UnreadableTargetError

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


def append(journal: AnswerJournal, some: Answers) -> None:
    journal.keep(np.array(some.digests, "V16"), some.lengths, some.shares)


def keep(store: AnswerStore, *kept: Answers) -> None:
    with store.journal(SCOPE) as journal:
        for some in kept:
            append(journal, some)


def find(
    store: AnswerStore, wanted: Answers, scope: Scope = SCOPE, refresh_before: int | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    return store.find(scope, pa.array(wanted.digests, pa.binary(16)), wanted.lengths, refresh_before)


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers")


def files(store: AnswerStore) -> list[Path]:
    return sorted(store.folder.glob("*/*"))


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
    assert pq.read_metadata(files(store)[0]).num_rows == 20


def test_answers_before_a_moment_are_not_used_when_told_so(store: AnswerStore) -> None:
    keep(store, answers(0, 5))
    time.sleep(0.005)
    moment = time.time_ns() // 1_000_000
    time.sleep(0.005)
    keep(store, answers(3, 5))
    found, _ = find(store, answers(0, 8), refresh_before=moment)
    assert found.tolist() == [False] * 3 + [True] * 5
    digests = pa.array(answers(0, 9).digests, pa.binary(16))
    assert store.known(SCOPE, digests, moment).tolist() == [*found, False]
    assert store.known(SCOPE, digests).tolist() == [True] * 8 + [False]


def test_merging_keeps_every_answer(store: AnswerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ihc_api.answers._SMALL", 40)
    monkeypatch.setattr("pipeline.ihc_api.answers._MERGED", 60)
    kept = answers(0, 200)
    for start in range(0, 200, 10):
        keep(store, part(kept, start))
    store.merge(SCOPE)
    assert [pq.read_metadata(path).num_rows for path in files(store)].count(60) == 3
    assert (find(store, kept)[1] == kept.shares).all()
    before = files(store)
    store.merge(SCOPE)  # what is large enough stays
    assert files(store) == before


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[: len(content) // 2], "truncated, damaged or not written by this pipeline"),
        (lambda _: b"", "truncated, damaged or not written by this pipeline"),
        (lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:], "checksum"),
    ],
)
def test_a_damaged_file_is_named_with_the_remedy(
    store: AnswerStore, damage: Callable[[bytes], bytes], reason: str
) -> None:
    keep(store, answers(0, 100))
    store.merge(SCOPE)
    path = files(store)[0]
    path.write_bytes(damage(path.read_bytes()))
    remedy = "move it away and run again, which asks the API for the journeys in it once more"
    with pytest.raises(UnreadableTargetError, match=rf"^{path} is .*{reason}.*; {remedy}$"):
        find(store, answers(0, 100))


def test_a_foreign_parquet_file_is_named(store: AnswerStore) -> None:
    keep(store, answers(0, 5))
    foreign = files(store)[0].with_name("foreign.parquet")
    pq.write_table(pa.table({"a": [1]}), foreign)
    with pytest.raises(UnreadableTargetError, match=r"foreign\.parquet is .*it is not a file of answers"):
        find(store, answers(0, 5))


def test_an_answer_of_another_length_is_not_used(store: AnswerStore) -> None:
    kept = answers(0, 5)
    keep(store, kept)
    with pytest.raises(UnreadableTargetError, match="not as long as their journeys"):
        find(store, kept._replace(lengths=kept.lengths + 1))


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("a file")
    with pytest.raises(AttributionError, match=r"cannot be kept in .*make room or set DATA_DIR"):
        keep(AnswerStore(tmp_path / "answers"), answers(0, 1))


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


def test_answers_are_found_while_their_run_is_going_on(store: AnswerStore) -> None:
    with store.journal(SCOPE) as journal:
        for start in (0, 5):
            append(journal, answers(start, 5))
            assert find(store, answers(0, 10))[0].sum() == start + 5
        store.merge(SCOPE)  # by another run
        assert [path.suffix for path in files(store)] == [".journal"]
        with pytest.raises(AttributionError, match=r"a run is keeping answers in .* right now; prune them when it has"):
            store.prune(SCOPE)
    store.merge(SCOPE)
    assert [path.suffix for path in files(store)] == [".parquet"]
    assert find(store, answers(0, 10))[0].all()


def test_a_journal_of_which_a_kill_left_a_part_is_used_and_merged(store: AnswerStore) -> None:
    keep(store, answers(0, 5), answers(5, 5))
    (path,) = files(store)
    path.write_bytes(path.read_bytes()[:-1])
    assert find(store, answers(0, 10))[0].tolist() == [True] * 5 + [False] * 5
    store.merge(SCOPE)
    assert find(store, answers(0, 10))[0].tolist() == [True] * 5 + [False] * 5
    assert [path.suffix for path in files(store)] == [".parquet"]


def test_a_journal_without_any_whole_answer_is_removed(store: AnswerStore) -> None:
    keep(store, answers(0, 5))
    (path,) = files(store)
    path.write_bytes(path.read_bytes()[:10])
    assert [*store.contents()] == []
    store.merge(SCOPE)
    assert files(store) == []


def test_a_damaged_journal_is_named_with_the_remedy(store: AnswerStore) -> None:
    keep(store, answers(0, 5), answers(5, 5))
    (path,) = files(store)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableTargetError, match=r"\.journal is .*record 1 has a wrong checksum\); move it away"):
        find(store, answers(0, 5))


def test_a_large_journal_is_followed_by_another(store: AnswerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ihc_api.answer_files._JOURNAL_BYTES", 2_000)
    kept = answers(0, 200)
    with store.journal(SCOPE) as journal:
        for start in range(0, 200, 10):
            append(journal, part(kept, start))
    assert len(files(store)) == 10
    assert (find(store, kept)[1] == kept.shares).all()
    store.merge(SCOPE)
    assert len(files(store)) == 1
    assert (find(store, kept)[1] == kept.shares).all()


WRITER = """
import sys, pathlib
sys.path.insert(0, {here!r})
from test_api_answers import AnswerStore, SCOPE, answers, keep
store = AnswerStore(pathlib.Path(sys.argv[1]))
for start in range(int(sys.argv[2]), int(sys.argv[3]), 10):
    keep(store, answers(start, 10, seed=start))
    print(start, flush=True)
    if start % 50 == 0:
        store.merge(SCOPE)
"""


def start_writer(store: AnswerStore, first: int, end: int) -> subprocess.Popen[str]:
    script = WRITER.format(here=str(Path(__file__).parent))
    command = [sys.executable, "-c", script, str(store.folder), str(first), str(end)]
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
