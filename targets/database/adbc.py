"""What every ADBC connection does alike."""

from __future__ import annotations

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
    """Give a statement its parameters.

    Arrays put together from buffers would spare the import of pandas, but processes that use them crash.
    """
    statement.bind_stream(pa.table({str(place): [value] for place, value in enumerate(values)}).to_reader())
