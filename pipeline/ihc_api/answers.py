"""Kept answers: every journey the API was ever paid for, found again by what was asked.

A request's answer is a file of its own as soon as it has arrived; when a run has ended, small files of one generation
are merged. Files of answers are never changed (`answer_folder.py`); so writers, readers and kills cannot hurt one
another, and a damaged byte is found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import AttributionError
from pipeline.ihc_api.answer_checks import PHASES, Shares
from pipeline.ihc_api.answer_file import ANSWERS, NUMBERS, SESSION_BYTES, rows_of
from pipeline.ihc_api.answer_folder import AnswerFolder, generation_of
from pipeline.ihc_api.request_json import DIGEST, Numbers, spans
from pipeline.ihc_api.settings import Scope
from targets.files import Files
from targets.listing import one_listing

T = TypeVar("T")

_SMALL = 2_000  # journeys: a file with fewer is merged with others, so there is about one file per so many
_MERGED = 20_000  # journeys: about so many are merged at a time, which bounds memory


@dataclass(frozen=True)
class ScopeContents:
    """What is kept of one scope; `oldest` and `newest` are the times of answers in UTC epoch milliseconds."""

    scope: Scope
    journeys: int
    files: int
    bytes: int
    oldest: int
    newest: int


@dataclass(frozen=True)
class _Index:
    """All answers in some files, sorted by digest, then the newest last: the file and row of each."""

    names: Sequence[str]
    digests: NDArray[np.bytes_]
    generation: Numbers
    file: Numbers
    row: Numbers

    def places(self, digests: NDArray[np.bytes_], generation: int) -> Numbers:
        """Where each journey's newest answer is, -1 without one of at least `generation`."""
        place = np.searchsorted(self.digests, digests, side="right") - 1
        if len(self.digests):
            place[(self.digests[place] != digests) | (self.generation[place] < generation)] = -1
        return place


class AnswerStore:
    """The kept answers in `files`, which may hold none yet."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._folder = AnswerFolder(files)
        self._last_index: _Index | None = None  # files never change, so it holds as long as their names do

    @property
    def where(self) -> str:
        """The root, for messages."""
        return self._files.where("").rstrip("/")

    def known(self, scope: Scope, digests: NDArray[np.bytes_], generation: int = 0) -> NDArray[np.bool_]:
        """Whether each journey has an answer of at least `generation`. Raises `UnreadableTargetError`."""
        found: NDArray[np.bool_] = self._index(scope).places(digests, generation) >= 0
        return found

    def find(
        self, scope: Scope, digests: NDArray[np.bytes_], lengths: Numbers, generation: int = 0
    ) -> tuple[NDArray[np.bool_], Shares]:
        """Whether each journey has an answer of at least `generation`, and the newest one, NaN without.

        `lengths` are the journeys' sessions. Raises `UnreadableTargetError` for a damaged file.
        """
        return _undisturbed(partial(self._find, scope, digests, lengths, generation))

    def keep(
        self, scope: Scope, generation: int, digests: NDArray[np.bytes_], lengths: Numbers, shares: Shares
    ) -> None:
        """Keep one answer a journey: when `keep` returns, they are on disk, whole. Raises `UnwritableTargetError`.

        `lengths` and `shares` are as in `find`.
        """
        self._folder.record(scope)
        self._folder.write(scope, generation, rows_of(digests, time.time_ns() // 1_000_000, lengths, shares))

    @contextmanager
    def in_use(self, scope: Scope) -> Iterator[None]:
        """The time in which a run keeps answers of a scope: `prune` refuses to forget any of them meanwhile."""
        with self._files.lock(f"answers-{scope.name}", "a run that keeps answers"):
            yield

    def merge(self, scope: Scope) -> None:
        """Merge small files, so that files do not grow with the requests. Raises as `find` and `keep` do."""
        with suppress(FileNotFoundError):  # another run is merging them
            small: list[tuple[int, int, str]] = []
            with one_listing():
                names = self._folder.names(scope)
                for name, rows in zip(names, self._folder.read_each(names), strict=True):
                    answered_at = rows["answered_at"].to_numpy()
                    if len(answered_at) < _SMALL:
                        small.append((generation_of(name), int(answered_at.min(initial=0)), name))
            # in the order of arrival, which keeps days together: their credit is read from fewer files
            for generation, of_generation in groupby(sorted(small), key=itemgetter(0)):
                together: dict[str, pa.Table] = {}
                for *_, name in of_generation:
                    together[name] = self._folder.read(name)
                    if sum(map(len, together.values())) >= _MERGED:
                        self._merge(scope, generation, together)
                        together = {}
                if len(together) > 1:
                    self._merge(scope, generation, together)

    def _merge(self, scope: Scope, generation: int, files: dict[str, pa.Table]) -> None:
        rows = pa.concat_tables(files.values())
        rows = rows.sort_by([("journey", "ascending"), ("answered_at", "descending")])
        journey = rows["journey"].combine_chunks()
        is_newest = np.append(True, pc.not_equal(journey[1:], journey[:-1]).to_numpy(zero_copy_only=False))
        merged = self._folder.write(scope, generation, rows.filter(pa.array(is_newest)), "zstd")
        for name in files:
            if name != merged:
                self._files.delete(name)

    def begin_refresh(self, run: str) -> int:
        """The generation that the answers of a refreshing run must have at least; for the same `run` always the same.

        A counter that is kept here, so no clock has a part in it. Every generation is higher than that of any answer
        that is kept when it begins.
        """
        return self._folder.begin_refresh(run)

    def contents(self) -> Iterator[ScopeContents]:
        """What is kept, scope by scope. Raises `UnreadableTargetError` for a damaged file."""
        for scope in map(self._folder.scope, self._folder.scopes()):
            contents = _undisturbed(partial(self._contents_of, scope))
            if contents.journeys:
                yield contents

    def prune(self, scope: Scope, before: int | None = None) -> int:
        """Forget the scope's answers, or those given before `before` (UTC epoch milliseconds); their number.

        Raises `AttributionError` while a run keeps answers of the scope, and as `find` and `keep` do.
        """
        forgotten = 0
        with self._files.lock(f"answers-{scope.name}", "attribution-answers prune") as holder:
            if holder is not None:
                folder = self._files.where(scope.name)
                raise AttributionError(f"{holder} is at work in {folder} right now; prune when it has ended")
            for name in self._folder.names(scope):
                rows = self._folder.read(name)
                rest = rows.slice(0, 0) if before is None else rows.filter(pc.field("answered_at") >= before)
                if len(rest) == len(rows):
                    continue
                if len(rest):
                    self._folder.write(scope, generation_of(name), rest, "zstd")
                self._files.delete(name)
                forgotten += len(rows) - len(rest)
        return forgotten

    def _find(
        self, scope: Scope, digests: NDArray[np.bytes_], lengths: Numbers, generation: int
    ) -> tuple[NDArray[np.bool_], Shares]:
        index = self._index(scope)
        place = index.places(digests, generation)
        starts = np.cumsum(lengths) - lengths
        shares = np.full((len(PHASES), int(lengths.sum())), np.nan)
        found = np.flatnonzero(place >= 0)
        file_of = index.file[place[found]]
        for number in np.unique(file_of).tolist():
            name = index.names[number]
            here = found[file_of == number]
            kept = self._folder.read(name)["shares"].combine_chunks()
            offsets = np.frombuffer(kept.buffers()[1], np.int64)
            row = index.row[place[here]]
            if (np.diff(offsets)[row] != lengths[here] * SESSION_BYTES).any():
                raise self._folder.damaged(name, "its answers are not as long as their journeys")
            numbers = np.frombuffer(kept.buffers()[2], dtype=NUMBERS).reshape(-1, len(PHASES))
            kept_starts = offsets[row] // SESSION_BYTES
            shares[:, spans(starts[here], lengths[here])] = numbers[spans(kept_starts, lengths[here])].T
        return place >= 0, shares

    def _contents_of(self, scope: Scope) -> ScopeContents:
        names = self._folder.names(scope)
        rows = pa.concat_tables([ANSWERS.empty_table(), *self._folder.read_each(names)])
        return ScopeContents(
            scope=scope,
            journeys=pc.count_distinct(rows["journey"]).as_py(),
            files=len(names),
            bytes=sum(len(self._folder.content(name)) for name in names),
            oldest=pc.min(rows["answered_at"]).as_py(),
            newest=pc.max(rows["answered_at"]).as_py(),
        )

    def _index(self, scope: Scope) -> _Index:
        return _undisturbed(partial(self._indexed, scope))

    def _indexed(self, scope: Scope) -> _Index:
        names = self._folder.names(scope)
        if self._last_index is not None and self._last_index.names == names:
            return self._last_index
        digests, answered_at = [np.array([], DIGEST)], [np.array([], np.int64)]
        for rows in self._folder.read_each(names):
            # copies, since the columns lie in the content, which would stay in memory with them
            digests.append(
                np.frombuffer(rows["journey"].combine_chunks().buffers()[1] or b"", DIGEST)[: len(rows)].copy()
            )
            answered_at.append(rows["answered_at"].to_numpy().copy())
        sizes = np.array([*map(len, digests[1:])], dtype=np.int64)
        of_all = np.concatenate(digests)
        generation = np.repeat(np.array([generation_of(name) for name in names], dtype=np.int64), sizes)
        order = np.lexsort((np.concatenate(answered_at), generation, of_all))
        self._last_index = _Index(
            names=names,
            digests=of_all[order],
            generation=generation[order],
            file=np.repeat(np.arange(len(names)), sizes)[order],
            row=spans(np.zeros(len(sizes), dtype=np.int64), sizes)[order],
        )
        return self._last_index


def _undisturbed(look: Callable[[], T]) -> T:
    """`look` again as often as another run merges, meanwhile, the files that it has listed."""
    while True:
        try:
            with one_listing():
                return look()
        except FileNotFoundError:
            continue
