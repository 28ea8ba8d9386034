"""Where a run reads and writes: source, result tables, data directory, API."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import SettingsError
from pipeline.settings import setting_in_force
from targets.database import Database, open_database
from targets.files import Files, LocalFiles

_HOLD_RESULTS = ("sqlite", "postgresql")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]+[a-z0-9](?:/[^/\x00-\x1f]+)*/?")


@dataclass(frozen=True)
class Places:
    """The locations of a run; as text only a short identity of them, since URLs may hold passwords."""

    database_url: str = field(repr=False)
    results_database_url: str | None = field(repr=False)
    data_dir: str = field(repr=False)
    file_mode: int = field(repr=False)
    api_url: str = field(repr=False)
    source_mapping: str | None = field(default=None, repr=False)

    @classmethod
    def in_force(cls) -> Places:
        """The locations by environment, luigi.cfg or default. Raises `SettingsError`."""
        return cls(
            database_url=setting_in_force("database_url"),
            results_database_url=setting_in_force("results_database_url"),
            data_dir=located(setting_in_force("data_dir")),
            file_mode=setting_in_force("file_mode"),
            api_url=setting_in_force("api_url"),
            source_mapping=str(Path(mapping).absolute()) if (mapping := setting_in_force("source_mapping")) else None,
        )

    def __str__(self) -> str:
        source = open_database(self.database_url).name if "://" in self.database_url else self.database_url
        return hashlib.sha256(repr((source, self.data_dir)).encode()).hexdigest()[:8]

    def source(self) -> Database:
        """The source, read-only where the result tables live elsewhere. Raises `DatabaseError`."""
        return open_database(self.database_url, read_only=self.results_database_url is not None)

    def results(self) -> Database:
        """The database of the result tables. Raises `DatabaseError`, and `SettingsError` for one that holds none."""
        database = open_database(self.results_database_url or self.database_url)
        if database.dialect not in _HOLD_RESULTS:
            raise SettingsError(
                f"result tables cannot lie in {database.name}: set RESULTS_DATABASE_URL to sqlite:///folder/file.db, "
                "or STORE=false for a report without them"
            )
        return database

    def results_are_in_source(self) -> bool:
        """Whether the result tables live in the source. Raises `DatabaseError`."""
        url = self.results_database_url
        return url is None or open_database(url).name == self.source().name

    def files(self, folder: str = "") -> Files:
        """The data directory, or a folder in it."""
        if _BUCKET.fullmatch(self.data_dir):
            from targets.object_store import open_files  # noqa: PLC0415 - where a bucket is named

            return open_files(f"{self.data_dir}/{folder}")
        return LocalFiles(Path(self.data_dir) / folder, self.file_mode)

    def local_folder(self, who: str) -> Path:
        """The data directory for what works on a folder of this machine alone. Raises `SettingsError`."""
        if _BUCKET.fullmatch(self.data_dir):
            raise SettingsError(
                f"{who} needs a data directory on this machine, and DATA_DIR is {self.data_dir}; copy it into a folder "
                "and set DATA_DIR to that"
            )
        return Path(self.data_dir)


def located(data_dir: str) -> str:
    """A data directory as `Places` has it: an absolute path, or s3://bucket/prefix. Raises `SettingsError`."""
    if "://" not in data_dir:
        return str(Path(data_dir).absolute())
    if not _BUCKET.fullmatch(data_dir):  # not repeated, since it may hold a password
        raise SettingsError(
            f"DATA_DIR is of the form {data_dir.partition('://')[0]}://…, but must be a folder or s3://bucket/prefix; "
            "keys are taken from AWS_PROFILE and the like"
        )
    if find_spec("botocore") is None:
        raise SettingsError(f"DATA_DIR is {data_dir}, for which botocore lacks here; pip install 'botocore>=1.36'")
    return data_dir.rstrip("/")
