"""Parquet files that carry their own stamp, and the same bytes for the same rows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import luigi
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from targets.atomic import atomic_path
from targets.errors import UnreadableTargetError
from targets.fingerprint import Stamp, digest

_ROW_GROUP = 131_072
_SAMPLE = 4_096
_KEY = b"stamp"
_TAIL = 8  # bytes: the length of the footer, and a magic word
_CHUNK = 2**20

_verified: dict[Path, tuple[int, int, int]] = {}
_read_before: dict[Path, tuple[tuple[int, int, int], tuple[Stamp, dict[str, Any]]]] = {}


class ParquetTarget(luigi.Target):
    """A Parquet file of one schema."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema

    def __repr__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Whether the file is there, whatever its stamp."""
        return self.path.exists()

    def stamp(self) -> Stamp | None:
        """The file's stamp, None without a file. Raises `UnreadableTargetError`."""
        footer = self._footer()
        return None if footer is None else footer[0]

    def notes(self) -> dict[str, Any]:
        """What the writer noted beside the rows. Raises `UnreadableTargetError`."""
        footer = self._footer()
        if footer is None:
            raise UnreadableTargetError(f"{self.path} is missing; rerun to build it")
        return footer[1]

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, with the target's columns or some of them. Raises `UnreadableTargetError`."""
        self._footer()
        try:
            return pq.read_table(
                self.path,
                columns=None if columns is None else list(columns),
                schema=self.schema,
                use_threads=False,
                page_checksum_verification=True,
            ).replace_schema_metadata(None)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(str(error)) from error

    def verified(self) -> Path:
        """The path, for an engine that takes checksums on trust; the bytes are looked at once a process.

        Raises `UnreadableTargetError` unless the rows' bytes are those that were written.
        """
        footer = self._footer()
        if footer is None:
            raise UnreadableTargetError(f"{self.path} is missing; rerun to build it")
        version = _read_before[self.path][0]
        if _verified.get(self.path) == version:
            return self.path
        try:
            pages = _digest_of_pages(self.path)
        except OSError as error:
            raise self._unreadable(str(error)) from error
        if footer[0].content != self._content(pages):
            raise self._unreadable("its bytes are not those that were written")
        _verified[self.path] = version
        return self.path

    def write(self, rows: pa.Table, fingerprint: str, notes: Mapping[str, Any] | None = None) -> None:
        """Write `rows` atomically; the same rows give the same bytes and the same content digest."""
        table = rows.select(self.schema.names).cast(self.schema)
        with atomic_path(self.path) as temporary, temporary.open("wb") as file:
            pages = _Hashing(file)
            with pq.ParquetWriter(
                pages, self.schema, compression="zstd", use_dictionary=_repetitive(table), write_page_checksum=True
            ) as writer:
                writer.write_table(table, row_group_size=_ROW_GROUP)
                content = self._content(pages.hexdigest())
                stamp = {"fingerprint": fingerprint, "content": content, "notes": dict(notes or {})}
                writer.add_key_value_metadata({_KEY: json.dumps(stamp, sort_keys=True).encode()})

    def _content(self, pages: str) -> str:
        """The digest of the content, from that of its pages."""
        return digest(f"{self.schema}\n{pages}".encode())

    def _footer(self) -> tuple[Stamp, dict[str, Any]] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        # Every write makes a new inode, so a file known by inode and size needs no second parse of its footer.
        version = (status.st_ino, status.st_size, status.st_mtime_ns)
        known = _read_before.get(self.path)
        if known is None or known[0] != version:
            known = (version, self._parse_footer())
            _read_before[self.path] = known
        return known[1]

    def _parse_footer(self) -> tuple[Stamp, dict[str, Any]]:
        try:
            metadata = pq.read_metadata(self.path).metadata or {}
            footer = json.loads(metadata[_KEY])
            return Stamp(footer["fingerprint"], footer["content"]), footer["notes"]
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable("it has no stamp of this pipeline") from error

    def _unreadable(self, reason: str) -> UnreadableTargetError:
        reason = " ".join(reason.split())
        return UnreadableTargetError(
            f"{self.path} is truncated, damaged or not written by this pipeline ({reason}); "
            "move it away and rerun, which builds it anew"
        )


def _repetitive(table: pa.Table) -> list[str]:
    """The text columns whose values recur, which alone gain from a dictionary: on ids it doubles the time to write."""
    texts = [field.name for field in table.schema if field.type == pa.string()]
    beginning = table.select(texts).slice(0, _SAMPLE)
    return [name for name in texts if 2 * len(pc.unique(beginning[name])) <= beginning.num_rows]


def _digest_of_pages(path: Path) -> str:
    """The digest of all bytes before the footer."""
    with path.open("rb") as file:
        file.seek(-_TAIL, os.SEEK_END)
        left = file.tell() - int.from_bytes(file.read(4), "little")
        file.seek(0)
        hashing = hashlib.sha256()
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            hashing.update(chunk)
            left -= len(chunk)
    return hashing.hexdigest()


class _Hashing:
    """A file that digests what is written through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.closed = False

    def write(self, chunk: bytes) -> int:
        self._hash.update(chunk)
        return self._file.write(chunk)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
