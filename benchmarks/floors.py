"""The least that a large shop's report could take: each part of the work alone, without anything around it.

`python benchmarks/floors.py scan FOLDER` does one part in a folder that holds `shop.db`, and prints its seconds without
imports and preparation. `journeys` needs the files of `scan`, and `store` those of `journeys`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import adbc_driver_manager
import adbc_driver_sqlite
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

TABLES = ("session_sources", "session_costs", "conversions")
BATCH_ROWS = 65_536
MEMORY_LIMIT = "1GB"

# The journeys of all conversions: of every user the sessions up to the order, `{lookback}` days back, in their order.
JOURNEYS = """
WITH sessions AS (
    SELECT session_id, user_id, channel_name, holder_engagement, closer_engagement, impression_interaction,
           epoch((event_date || ' ' || event_time)::TIMESTAMP)::BIGINT AS session_time
    FROM '{folder}/session_sources.parquet'
),
orders AS (
    SELECT conv_id, user_id, revenue, epoch((conv_date || ' ' || conv_time)::TIMESTAMP)::BIGINT AS conv_time
    FROM '{folder}/conversions.parquet'
)
SELECT conv_id, conv_time, revenue,
       row_number() OVER (PARTITION BY conv_id ORDER BY session_time, session_id) - 1 AS position,
       session_id, session_time, channel_name, holder_engagement, closer_engagement, impression_interaction
FROM orders JOIN sessions USING (user_id)
WHERE session_time <= conv_time AND ({lookback} = 0 OR session_time >= conv_time - {lookback} * 86400)
"""

CREDIT = """
SELECT conv_id, session_id, (1 / (position + 1.5))::DOUBLE AS ihc
FROM '{folder}/journeys.parquet' ORDER BY conv_id, session_id
"""

TABLE = """
CREATE TABLE attribution_customer_journey (
    conv_id TEXT NOT NULL, session_id TEXT NOT NULL, ihc REAL NOT NULL, PRIMARY KEY (conv_id, session_id)
) WITHOUT ROWID
"""


def scan(folder: Path, lookback: int) -> tuple[float, int]:  # noqa: ARG001 - one signature for all parts
    """`SELECT *` of the three tables, each into one Parquet file."""
    rows = 0
    started = time.perf_counter()
    with closing(_open(folder / "shop.db")) as connection:
        for table in TABLES:
            with closing(adbc_driver_manager.AdbcStatement(connection)) as statement:
                statement.set_options(**{"adbc.sqlite.query.batch_rows": BATCH_ROWS})
                statement.set_sql_query(f"SELECT * FROM {table}")  # noqa: S608 - own names
                stream, _ = statement.execute_query()
                reader = pa.RecordBatchReader.from_stream(stream)
                path = folder / f"{table}.parquet"
                with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
                    for batch in reader:
                        writer.write_batch(batch)
                        rows += batch.num_rows
    return time.perf_counter() - started, rows


def journeys(folder: Path, lookback: int) -> tuple[float, int]:
    """The bare SQL over all days, from these files into one."""
    output = folder / "journeys.parquet"
    sql = f"COPY ({JOURNEYS.format(folder=folder, lookback=lookback)}) TO '{output}' (COMPRESSION zstd)"
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(folder / "spill"),
    }
    with duckdb.connect(config=settings) as database:
        started = time.perf_counter()
        database.execute(sql)
        seconds = time.perf_counter() - started
    return seconds, pq.read_metadata(output).num_rows


def store(folder: Path, lookback: int) -> tuple[float, int]:  # noqa: ARG001 - as above
    """A bulk insert of a share for each of their rows, in key order, in one transaction."""
    database = folder / "results.db"
    database.unlink(missing_ok=True)
    with duckdb.connect() as engine:
        rows = engine.sql(CREDIT.format(folder=folder)).to_arrow_table()
    started = time.perf_counter()
    with closing(_open(database)) as connection:
        for statement in (TABLE, "BEGIN IMMEDIATE"):
            _execute(connection, statement)
        with closing(adbc_driver_manager.AdbcStatement(connection)) as ingest:
            ingest.set_options(
                **{
                    "adbc.ingest.target_table": "attribution_customer_journey",
                    "adbc.ingest.mode": "adbc.ingest.mode.append",
                }
            )
            ingest.bind_stream(rows.to_reader())
            ingest.execute_update()
        _execute(connection, "COMMIT")
    return time.perf_counter() - started, rows.num_rows


FLOORS: dict[str, Callable[[Path, int], tuple[float, int]]] = {"scan": scan, "journeys": journeys, "store": store}


def _execute(connection: adbc_driver_manager.AdbcConnection, sql: str) -> None:
    with closing(adbc_driver_manager.AdbcStatement(connection)) as statement:
        statement.set_sql_query(sql)
        statement.execute_update()


def _open(path: Path) -> adbc_driver_manager.AdbcConnection:
    driver = adbc_driver_sqlite._driver_path()  # noqa: SLF001 - the driver's documented entry
    return adbc_driver_manager.AdbcConnection(adbc_driver_manager.AdbcDatabase(driver=driver, uri=str(path)))


def main() -> None:
    """Do one part, and print its seconds and rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=FLOORS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lookback", type=int, default=30, help="days; 0: no limit (default: 30)")
    arguments = parser.parse_args()
    seconds, rows = FLOORS[arguments.part](arguments.folder, arguments.lookback)
    print(json.dumps({"seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
