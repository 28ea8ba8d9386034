"""A copy of the result tables before they are emptied."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.result_tables import ATTRIBUTION, CHANNELS, RESULTS
from targets.database import Connection
from targets.files import Files
from targets.table import SLICES, Origin

OWNER = "owner.json"
_TYPES = {"TEXT": pa.string(), "REAL": pa.float64()}
_DAYS = f"SELECT slice, model, settings FROM {SLICES} WHERE table_name = '{ATTRIBUTION}' ORDER BY slice"
_DAY = pa.schema([(name, pa.string()) for name in ("slice", "model", "settings")])


def keep_copy(connection: Connection, files: Files, origin: Origin, described: Mapping[str, Any]) -> str:
    """Write what the result tables hold to `replaced/<model>-<6 hex digits>/`; the caller holds a transaction.

    There are `attribution_customer_journey.parquet` and `channel_reporting.parquet` with the columns of the tables,
    sorted by key, and `owner.json`: the owner's settings, and of each conversion day whose it is. The digits are of the
    contents: the same tables give the same folder, others one of their own. Returns its name. Raises `TargetError`.
    """
    days = connection.query(_DAYS, schema=_DAY).to_pylist()
    named = {name: value for name, value in described.items() if name != "endpoint"}  # no file holds a host
    owner = {"model": origin.model, "settings": origin.settings, "described": named, "days": days}
    text = json.dumps(owner, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    digest = hashlib.sha256(text)
    with files.scratch() as scratch:
        copies = {f"{table}.parquet": scratch / f"{table}.parquet" for table in (ATTRIBUTION, CHANNELS)}
        for table, copy in zip((ATTRIBUTION, CHANNELS), copies.values(), strict=True):
            digest.update(_copy_table(connection, table, copy))
        folder = f"replaced/{origin.model}-{digest.hexdigest()[:6]}"
        for name, copy in copies.items():
            with copy.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                files.write(f"{folder}/{name}", memoryview(content))
        files.write(f"{folder}/{OWNER}", text)
    return folder


def _copy_table(connection: Connection, table: str, path: Path) -> bytes:
    """Write the rows of a table as Parquet, a batch at a time; returns the digest of the file."""
    columns, key = RESULTS[table]
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
    sql = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(key)}"
    with pq.ParquetWriter(path, schema, compression="zstd") as writer, connection.stream(sql) as batches:
        for batch in batches:
            rows = pa.Table.from_batches([batch])
            if rows.num_rows:
                writer.write_table(rows.cast(schema))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
