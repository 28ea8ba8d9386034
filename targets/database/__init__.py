"""SQL databases by URL; supporting another kind means adding one file and one line here."""

from __future__ import annotations

from importlib import import_module

from targets.database.interface import Connection, Database
from targets.errors import DatabaseError

__all__ = ["Connection", "Database", "open_database"]

_BACKENDS = {
    "sqlite": "targets.database.sqlite",
    "postgresql": "targets.database.postgresql",
    "postgres": "targets.database.postgresql",
    "duckdb": "targets.database.duckdb",
}


def open_database(url: str, *, read_only: bool = False) -> Database:
    """The database of an SQLAlchemy URL; nothing is opened or created yet. Raises `DatabaseError`."""
    backend = url.partition(":")[0].partition("+")[0]
    if backend not in _BACKENDS:
        # The URL is not repeated: it may hold a password.
        raise DatabaseError(
            f"the database URL begins with {backend!r}, which this version cannot use; "
            f"write it as sqlite:///folder/file.db (known kinds: {', '.join(_BACKENDS)})"
        )
    database: Database = import_module(_BACKENDS[backend]).open_url(url, read_only=read_only)
    return database
