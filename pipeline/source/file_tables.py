"""Files that DuckDB reads as tables."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import SettingsError
from targets.database import Connection

_READERS = {"parquet": "read_parquet", "csv": "read_csv", "tsv": "read_csv", "json": "read_json"}
_READERS |= {"ndjson": "read_json", "jsonl": "read_json"}
_PACKED = (".gz", ".zst")


def columns_of_files(connection: Connection, files: Sequence[str]) -> dict[str, list[str]]:
    """The columns of files or patterns of files, by the SQL that reads them.

    Raises `DatabaseError`, and `SettingsError` for a kind of file that is not read.
    """
    tables = {}
    for name in files:
        table = f"{_reader(name)}({_text(name)})"
        tables[table] = connection.query(f"SELECT * FROM {table} LIMIT 0").column_names  # noqa: S608 - a person's files
    return tables


def reads_csv(table: str) -> bool:
    """Whether a table is CSV files, in which DuckDB guesses the types of columns."""
    return table.startswith("read_csv(")


def with_texts(table: str, columns: Sequence[str]) -> str:
    """The SQL that reads CSV files with some columns as texts, whatever they look like."""
    types = ", ".join(f"{_text(column)}: 'VARCHAR'" for column in columns)
    return f"{table.removesuffix(')')}, types = {{{types}}})" if types else table


def _reader(name: str) -> str:
    plain = name.lower()
    for end in _PACKED:
        plain = plain.removesuffix(end)
    reader = _READERS.get(plain.rpartition(".")[2])
    if reader is None:
        raise SettingsError(f"{name}: files end in {', '.join(f'.{end}' for end in _READERS)}, packed in .gz or .zst")
    return reader


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
