"""Kept answers: every journey the API was ever paid for, found again by what was asked.

A folder per scope (endpoint, conversion type, redistribution). A run appends its answers to a journal as they
arrive, before the next request goes out. When a run has ended, the journals whose writers
have, also by a kill, are merged into Parquet files, named by the digest of their bytes, which are written
whole and never changed. So writers, readers and kills cannot hurt one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.attribution.api.answer_files import (
    NUMBERS,
    SEGMENT,
    SESSION_BYTES,
    AnswerJournal,
    Scope,
    damaged,
    is_being_written,
    is_journal,
    list_files,
    read_answers,
    scope_of,
    write_answers,
)
from pipeline.attribution.api.verifying import PHASES
from pipeline.attribution.api.wire import byte_offsets, spans
from pipeline.errors import AttributionError
from targets.atomic import sweep

T = TypeVar("T")

_SMALL = 2_000  # journeys: a file with fewer is merged with the others, so there is about one file per so many
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


class AnswerStore:
    """The kept answers in `folder`, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def known(self, scope: Scope, digests: pa.Array, refresh_before: int | None = None) -> NDArray[np.bool_]:
        """Whether each journey has an answer, not older than `refresh_before` (UTC epoch milliseconds).

        Raises `UnreadableTargetError` for a damaged file.
        """
        return _undisturbed(lambda: self._places(scope, digests, refresh_before)[1] >= 0)

    def find(
        self, scope: Scope, digests: pa.Array, lengths: NDArray[np.int64], refresh_before: int | None = None
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Whether each journey has an answer, and the newest one.

        `lengths` are the journeys' sessions. Answers have a row per `PHASES` and a column per session, NaN without.
        Raises `UnreadableTargetError` for a damaged file.
        """
        if (self.folder / scope.name).exists():
            sweep(self.folder / scope.name)
        return _undisturbed(lambda: self._find(scope, digests, lengths, refresh_before))

    def _find(
        self, scope: Scope, digests: pa.Array, lengths: NDArray[np.int64], refresh_before: int | None
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        index, place = self._places(scope, digests, refresh_before)
        starts = np.cumsum(lengths) - lengths
        shares = np.full((len(PHASES), int(lengths.sum())), np.nan)
        found = np.flatnonzero(place >= 0)
        file_of = index.file[place[found]]
        for number in np.unique(file_of).tolist():
            path = index.paths[number]
            here = found[file_of == number]
            kept = read_answers(path, ["shares"])["shares"].combine_chunks()
            offsets = byte_offsets(kept)
            row = index.row[place[here]]
            if (np.diff(offsets)[row] != lengths[here] * SESSION_BYTES).any():
                raise damaged(path, "its answers are not as long as their journeys")
            numbers = np.frombuffer(kept.buffers()[2], dtype=NUMBERS).reshape(-1, len(PHASES))
            kept_starts = offsets[row] // SESSION_BYTES
            shares[:, spans(starts[here], lengths[here])] = numbers[spans(kept_starts, lengths[here])].T
        return place >= 0, shares

    def journal(self, scope: Scope) -> AnswerJournal:
        """A journal to keep answers in as they arrive; `with` closes it."""
        return AnswerJournal(self.folder / scope.name, scope)

    def merge(self, scope: Scope) -> None:
        """Merge small files and journals whose writers have ended, so that files do not grow with the runs."""
        small: dict[Path, pa.Table] = {}
        try:
            for path in self._paths(scope):
                if is_being_written(path):
                    continue
                if is_journal(path) or pq.read_metadata(path).num_rows < _SMALL:
                    small[path] = read_answers(path, SEGMENT.names)
                if sum(map(len, small.values())) >= _MERGED:
                    self._merge(scope, small)
                    small = {}
            if len(small) > 1 or any(map(is_journal, small)):
                self._merge(scope, small)
        except FileNotFoundError:  # another run is merging them
            return

    def _merge(self, scope: Scope, files: Mapping[Path, pa.Table]) -> None:
        rows = pa.concat_tables(files.values())
        rows = rows.sort_by([("journey", "ascending"), ("answered_at", "descending")])
        journey = rows["journey"].combine_chunks()
        is_newest = np.append(True, pc.not_equal(journey[1:], journey[:-1]).to_numpy(zero_copy_only=False))
        merged = None
        if len(rows):
            merged = write_answers(self.folder / scope.name, scope, rows.filter(pa.array(is_newest)))
        for path in files:
            if path != merged:
                path.unlink(missing_ok=True)

    def contents(self) -> Iterator[ScopeContents]:
        """What is kept, scope by scope. Raises `UnreadableTargetError` for a damaged file."""
        for folder in sorted(path for path in self.folder.glob("*") if path.is_dir()):
            paths = list_files(folder)
            index = _Index.of(paths)
            if index.scope is None:
                continue
            yield ScopeContents(
                scope=index.scope,
                journeys=len(index.journey.unique()),
                files=len(paths),
                bytes=sum(path.stat().st_size for path in paths),
                oldest=int(index.answered_at.min()),
                newest=int(index.answered_at.max()),
            )

    def prune(self, scope: Scope, before: int | None = None) -> int:
        """Forget the scope's answers, or those given before `before` (UTC epoch milliseconds); their number."""
        forgotten = 0
        paths = self._paths(scope)
        if any(is_being_written(path) for path in paths):
            folder = (self.folder / scope.name).absolute()
            raise AttributionError(f"a run is keeping answers in {folder} right now; prune them when it has ended")
        for path in paths:
            rows = read_answers(path, SEGMENT.names)
            rest = rows.slice(0, 0) if before is None else rows.filter(pc.field("answered_at") >= before)
            if len(rest) == len(rows):
                continue
            if len(rest):
                write_answers(self.folder / scope.name, scope, rest)
            path.unlink(missing_ok=True)
            forgotten += len(rows) - len(rest)
        return forgotten

    def _paths(self, scope: Scope) -> list[Path]:
        return list_files(self.folder / scope.name)

    def _places(self, scope: Scope, digests: pa.Array, refresh_before: int | None) -> tuple[_Index, NDArray[np.int64]]:
        """The scope's index, and where in it each journey's newest answer is, -1 without."""
        index = _Index.of(self._paths(scope))
        place = pc.index_in(digests, value_set=index.journey).fill_null(-1).to_numpy().astype(np.int64)
        if refresh_before is not None:
            answered_at = np.append(index.answered_at, refresh_before)  # the place -1
            place[answered_at[place] < refresh_before] = -1
        return index, place


@dataclass(frozen=True)
class _Index:
    """All answers of some files of a scope, newest first: where each is; without answers there is no scope."""

    paths: list[Path]
    scope: Scope | None
    journey: pa.Array
    answered_at: NDArray[np.int64]
    file: NDArray[np.int32]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, paths: list[Path]) -> _Index:
        tables = [read_answers(path, ["journey", "answered_at"]) for path in paths]
        rows = pa.concat_tables(tables) if tables else SEGMENT.empty_table()
        sizes = np.array([len(table) for table in tables], dtype=np.int64)
        answered_at = rows["answered_at"].to_numpy()
        newest_first = np.argsort(-answered_at, kind="stable")
        return cls(
            paths=paths,
            scope=next((scope_of(table) for table in tables if len(table)), None),
            journey=rows["journey"].combine_chunks().take(pa.array(newest_first)),
            answered_at=answered_at[newest_first],
            file=np.repeat(np.arange(len(paths), dtype=np.int32), sizes)[newest_first],
            row=spans(np.zeros(len(sizes), dtype=np.int64), sizes)[newest_first],
        )


def _undisturbed(look: Callable[[], T]) -> T:
    """`look` again as often as another run merges, meanwhile, the files that it has listed."""
    while True:
        try:
            return look()
        except FileNotFoundError:
            continue
