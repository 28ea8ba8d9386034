"""The data directory belongs to one source, mapping and time zone: recorded at first use, checked ever after."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.source.source import Source
from pipeline.zones import UTC
from targets.files import Files

RECORD = "source.json"
_REMEMBERED = 20  # conversions by which a database is known again
_IDS = pa.schema([("id", pa.binary())])


def belongs_to(files: Files, source: Source) -> bool:
    """Whether the data directory is recorded as this source's, with conversions that the source still has.

    Raises `SourceError` if it is another source's: of another name, mapping or time zone, or without any of the
    recorded conversions.
    """
    try:
        record = json.loads(files.read(RECORD))
        name, remembered = record["source"], [*record.get("conversions", ())]  # an earlier version wrote none
        mapping, zone = record.get("mapping", ""), record.get("timezone", UTC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{files.where(RECORD)} is damaged; delete it if {files.where('')} holds files of {source.name}"
        ) from error
    moved = f"(if the database is the same, delete {files.where(RECORD)})"
    if name != source.name:
        raise SourceError(
            f"{files.where('')} holds files of {name}, not of {source.name}; set DATA_DIR to another folder {moved}"
        )
    if mapping != source.mapping.digest:
        raise SourceError(
            f"{files.where('')} holds files that were made with another source mapping; set DATA_DIR to another "
            "folder, or SOURCE_MAPPING to what it was"
        )
    if zone != source.zone:
        raise SourceError(
            f"{files.where('')} holds days of the time zone {zone}, not of {source.zone}; set DATA_DIR to another "
            f"folder, or REPORT_TIMEZONE to {zone}"
        )
    if not remembered:
        return not _some_conversions(source)
    still_there = _how_many_of(source, remembered)
    if not still_there:
        raise SourceError(
            f"{source.name} has none of the conversions that it had when {files.where('')} was last used: it is "
            f"another database; set DATA_DIR to another folder {moved}"
        )
    return 2 * still_there >= len(remembered)


def claim(files: Files, source: Source) -> None:
    """Record that the data directory belongs to this source.

    Raises `SourceError` if it is another one's, `UnwritableTargetError` if it is no folder.
    """
    if not belongs_to(files, source):
        record: dict[str, Any] = {"source": source.name, "conversions": _some_conversions(source)}
        if source.mapping.digest:
            record["mapping"] = source.mapping.digest
        if source.zone != UTC:
            record["timezone"] = source.zone
        files.write(RECORD, (json.dumps(record) + "\n").encode())


def _some_conversions(source: Source) -> list[str]:
    conversions = source.mapping.conversions
    with source.connect() as connection:
        sql = source.sql.some_ids(conversions.conv_id, conversions.table)
        found = connection.query(sql, _REMEMBERED, schema=_IDS)
    # an id that is no text is refused by the checks of its day
    return [conv_id for conv_id in (raw.decode(errors="ignore") for raw in found["id"].to_pylist()) if conv_id]


def _how_many_of(source: Source, remembered: list[str]) -> int:
    conversions = source.mapping.conversions
    with source.connect() as connection:
        sql = source.sql.how_many_of(conversions.conv_id, conversions.table)
        return int(connection.query(sql, json.dumps(remembered))["rows"][0].as_py())
