"""What every ADBC connection does alike."""

from __future__ import annotations

from contextlib import closing

import adbc_driver_manager
import pyarrow as pa


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
