"""The same shop in other databases and files: each kind writes it and says how it is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa

_TYPES = {"revenue": "DOUBLE", "cost": "DOUBLE", "event_date": "DATE", "conv_date": "DATE"}
_TYPES |= dict.fromkeys(("event_time", "conv_time"), "TIME")
_TYPES |= dict.fromkeys(("holder_engagement", "closer_engagement", "impression_interaction"), "BOOLEAN")
_TABLES = ("session_sources", "conversions", "session_costs")

MAPPING = """
[sessions]
from = {session_sources}
session_id = "session_id"
user_id = "user_id"
time = ["event_date", "event_time"]
channel_name = "channel_name"
holder_engagement = "holder_engagement"
closer_engagement = "closer_engagement"
impression_interaction = "impression_interaction"
[conversions]
from = {conversions}
conv_id = "conv_id"
user_id = "user_id"
time = ["conv_date", "conv_time"]
revenue = "revenue"
[session_costs]
from = {session_costs}
session_id = "session_id"
cost = "cost"
"""

Settings = Mapping[str, str]


def load(shop: Path, target: Path | str = ":memory:") -> duckdb.DuckDBPyConnection:
    """A DuckDB database with the tables of an SQLite source, typed as their meaning is."""
    connection = duckdb.connect(str(target), config={"threads": 1})  # which keep the order of rows
    with closing(sqlite3.connect(shop)) as database:
        for table in _TABLES:
            rows = database.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in rows.description]
            columns = zip(*rows.fetchall(), strict=True)
            texts = pa.table({name: [*map(_text, column)] for name, column in zip(names, columns, strict=True)})
            connection.register("texts", texts)
            typed = ", ".join(f"CAST({name} AS {_TYPES.get(name, 'VARCHAR')}) AS {name}" for name in names)
            connection.execute(f"CREATE TABLE {table} AS SELECT {typed} FROM texts")
            connection.unregister("texts")
    return connection


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def write_duckdb_file(shop: Path, folder: Path) -> Settings:
    """A DuckDB file with the tables of the default schema."""
    load(shop, folder / "shop.duckdb").close()
    return {"DATABASE_URL": "duckdb:///shop.duckdb"}


def write_parquet(shop: Path, folder: Path) -> Settings:
    """A folder with two Parquet files for each table; times are timestamps."""
    with load(shop) as connection:
        for table in _TABLES:
            (folder / table).mkdir()
            for half in (0, 1):
                count = f"SELECT count(*) // 2 FROM {table}"
                rows = f"SELECT * FROM {table} WHERE (rowid >= ({count})) = ({half} = 1)"
                connection.execute(f"COPY ({rows}) TO '{folder}/{table}/{half}.parquet'")
    settings = _mapped(folder, "\"read_parquet('{table}/*.parquet')\"")
    mapping = folder / "mapping.toml"
    text = mapping.read_text(encoding="utf-8")
    for name in ("event", "conv"):
        text = text.replace(f'["{name}_date", "{name}_time"]', f'"{name}_date + {name}_time"')
    mapping.write_text(text, encoding="utf-8")
    return settings


def write_folders_by_date(shop: Path, folder: Path) -> Settings:
    """Parquet files in a folder a day, as a lake has them, whose date stands in the folder's name alone."""
    with load(shop) as connection:
        for table, date in (("session_sources", "event_date"), ("conversions", "conv_date")):
            connection.execute(f"COPY {table} TO '{folder}/{table}' (FORMAT parquet, PARTITION_BY ({date}))")
        (folder / "session_costs").mkdir()
        connection.execute(f"COPY session_costs TO '{folder}/session_costs/all.parquet'")
    return _mapped(folder, "\"read_parquet('{table}/**/*.parquet', hive_partitioning = true)\"")


def write_csv(shop: Path, folder: Path) -> Settings:
    """A CSV file for each table, read as texts."""
    with load(shop) as connection:
        for table in _TABLES:
            flags = ", ".join(f"CAST({name} AS TINYINT) AS {name}" for name in _TYPES if _TYPES[name] == "BOOLEAN")
            rows = f"SELECT * REPLACE ({flags}) FROM {table}" if table == "session_sources" else f"FROM {table}"
            connection.execute(f"COPY ({rows}) TO '{folder}/{table}.csv' (HEADER)")
    return _mapped(folder, "\"read_csv('{table}.csv', all_varchar = true, header = true)\"")


def _mapped(folder: Path, form: str) -> Settings:
    mapping = MAPPING.format(**{table: form.format(table=table) for table in _TABLES})
    (folder / "mapping.toml").write_text(mapping, encoding="utf-8")
    return {"DATABASE_URL": "duckdb:", "SOURCE_MAPPING": "mapping.toml"}


KINDS: Mapping[str, Callable[[Path, Path], Settings]] = {
    "a DuckDB file": write_duckdb_file,
    "Parquet files": write_parquet,
    "folders by date": write_folders_by_date,
    "CSV files": write_csv,
}
