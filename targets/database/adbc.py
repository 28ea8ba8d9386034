"""What every ADBC connection does alike."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import closing

import adbc_driver_manager
import pyarrow as pa

from targets.database.interface import Value


def ingest(
    connection: adbc_driver_manager.AdbcConnection,
    table: str,
    rows: pa.Table | pa.RecordBatchReader,
    *,
    temporary: bool,
) -> None:
    """Append rows to an existing table, columns matched by name; a temporary one is created."""
    with closing(adbc_driver_manager.AdbcStatement(connection)) as statement:
        mode = "create" if temporary else "append"
        statement.set_options(**{"adbc.ingest.target_table": table, "adbc.ingest.mode": f"adbc.ingest.mode.{mode}"})
        if temporary:
            statement.set_options(**{"adbc.ingest.temporary": "true"})
        statement.bind_stream(rows.to_reader() if isinstance(rows, pa.Table) else rows)
        statement.execute_update()


def bind(statement: adbc_driver_manager.AdbcStatement, values: Sequence[Value]) -> None:
    """Give a statement its parameters."""
    row = pa.RecordBatch.from_arrays([*map(_alone, values)], names=[*map(str, range(len(values)))])
    statement.bind_stream(pa.RecordBatchReader.from_batches(row.schema, [row]))


def _alone(value: Value) -> pa.Array:
    """An array of one value: `pa.array` would import pandas, a fifth of the time of a run with nothing to do."""
    if value is None:
        return pa.Array.from_buffers(pa.null(), 1, [None])
    if isinstance(value, str):
        text = pa.lib.StringBuilder()
        text.append(value)
        return text.finish()
    kind, form = (pa.float64(), "=d") if isinstance(value, float) else (pa.int64(), "=q")
    number = pa.allocate_buffer(8)
    struct.pack_into(form, number, 0, value)
    return pa.Array.from_buffers(kind, 1, [None, number])
