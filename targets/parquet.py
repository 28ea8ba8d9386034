"""Parquet files of one schema, the same content for the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from targets.files import Files
from targets.fingerprint import digest_of_rows
from targets.stamped import StampedTarget

_ROW_GROUP = 131_072
_SAMPLE = 4_096

_rows: dict[tuple[Files, str], tuple[str, int]] = {}
"""Of each file that this process has written the digest of its bytes and how many rows they are."""


class ParquetTarget(StampedTarget):
    """A Parquet file of one schema."""

    def __init__(self, files: Files, name: str, schema: pa.Schema) -> None:
        super().__init__(files, name)
        self.schema = schema

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, with the target's columns or some of them. Raises `UnreadableTargetError`."""
        content = self.read_bytes()
        wanted = self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns])
        try:
            rows = pq.ParquetFile(pa.BufferReader(content)).read(wanted.names, use_threads=False)
            return rows if rows.schema.equals(wanted, check_metadata=True) else rows.select(wanted.names).cast(wanted)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise self.unreadable(str(error)) from error

    def rows(self) -> int:
        """How many rows the file has; 0 where there is none."""
        stamp, known = self.stamp(), _rows.get((self.files, self.name))
        if stamp is not None and known is not None and known[0] == stamp.bytes:
            return known[1]
        try:
            return int(pq.read_metadata(*self.files.local([self.name])).num_rows)
        except (pa.ArrowException, OSError):
            return 0

    def write(self, rows: pa.Table, fingerprint: str, notes: Mapping[str, Any] | None = None) -> None:
        """Write `rows`, with `notes` beside them. Raises `UnwritableTargetError`."""
        table = rows.select(self.schema.names).cast(self.schema)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", use_dictionary=_repetitive(table), row_group_size=_ROW_GROUP)
        self.write_bytes(memoryview(sink.getvalue()), fingerprint, digest_of_rows(table), notes)
        stamp = self.stamp()
        if stamp is not None:
            _rows[self.files, self.name] = (stamp.bytes, table.num_rows)


def _repetitive(table: pa.Table) -> list[str]:
    """The text columns whose values recur, which alone gain from a dictionary: on ids it doubles the time to write."""
    texts = [field.name for field in table.schema if field.type == pa.string()]
    beginning = table.select(texts).slice(0, _SAMPLE)
    return [name for name in texts if 2 * len(pc.unique(beginning[name])) <= beginning.num_rows]
