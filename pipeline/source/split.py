"""Rows in any order, split by day in bounded memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

_FEW_RUNS = 8


def split_by_day(
    batches: Iterable[pa.RecordBatch], column: str, days: Collection[dt.date], folder: Path, memory: int
) -> Iterator[tuple[dt.date, list[pa.RecordBatch]]]:
    """Of each of `days`, in order, the rows that have it in `column`, in the order of the batches.

    The column holds dates, as such or as texts YYYY-MM-DD.

    About `memory` bytes are held at a time; the rest waits in files of `folder`.
    """
    wanted = {written: day for day in days for written in (day, day.isoformat())}
    held: dict[dt.date, list[pa.RecordBatch]] = {}
    waiting = _Waiting(folder)
    size = 0
    for batch in batches:
        for date, rows in _by_value(batch, column):
            if day := wanted.get(date):
                held.setdefault(day, []).append(rows)
                size += rows.nbytes
        if size > memory:
            waiting.put(held)
            held, size = {}, 0
    for day in sorted(days):
        yield day, [*waiting.take(day), *held.pop(day, [])]


def _by_value(batch: pa.RecordBatch, column: str) -> Iterator[tuple[dt.date | str, pa.RecordBatch]]:
    """The rows of each value of a column of texts or dates, in their order."""
    encoded = batch.column(column).dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    values = encoded.dictionary.to_pylist()
    if not len(codes):
        return
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    if len(starts) > _FEW_RUNS * len(values):  # in no order of days: gathered once
        order = np.argsort(codes, kind="stable")
        batch, codes = batch.take(pa.array(order)), codes[order]
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(codes)], strict=True):
        yield values[codes[start]], batch.slice(start, end - start)


class _Waiting:
    """Rows by day in files, each of which holds what was in memory at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[dt.date, list[tuple[Path, list[int]]]] = {}

    def put(self, rows: dict[dt.date, list[pa.RecordBatch]]) -> None:
        path = self._folder / f"{len(list(self._folder.glob('*.rows')))}.rows"
        schema = next(iter(rows.values()))[0].schema
        number = 0
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for day, batches in rows.items():
                for batch in batches:
                    writer.write_batch(batch)
                numbers = list(range(number, number + len(batches)))
                self._places.setdefault(day, []).append((path, numbers))
                number += len(batches)

    def take(self, day: dt.date) -> Iterator[pa.RecordBatch]:
        for path, numbers in self._places.pop(day, []):
            with pa.OSFile(str(path), "rb") as source, pa.ipc.open_file(source) as reader:
                for number in numbers:
                    yield reader.get_batch(number)


def one_table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The batches as a table with the columns and types of `schema`, in one chunk a column."""
    table = pa.Table.from_batches(batches).select(schema.names) if batches else schema.empty_table()
    return table.cast(schema).combine_chunks()
