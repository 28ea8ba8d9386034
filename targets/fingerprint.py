"""Fingerprints: what decides whether a target is current, instead of file times."""

from __future__ import annotations

import builtins
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

_DIGITS = 32
_DROPPED_BITS = 12
"""The bits of a double's mantissa that a digest leaves out; the other 40 are 12 significant decimal digits."""


@dataclass(frozen=True)
class Stamp:
    """The record of what a target was made from.

    Attributes:
        fingerprint: digest of the settings, stage version and input contents that determine its content.
        content: digest of its logical content, for the fingerprints of what is made from it.
        bytes: digest of the file's bytes; empty for what is no file.
        notes: what the writer noted beside the content, JSON-able.

    """

    fingerprint: str
    content: str
    bytes: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> builtins.bytes:
        """The stamp as text, sealed with its own digest."""
        document = {
            "fingerprint": self.fingerprint,
            "content": self.content,
            "bytes": self.bytes,
            "notes": dict(self.notes),
        }
        return json.dumps({**document, "seal": fingerprint(document)}, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_json(cls, text: builtins.bytes) -> Stamp | None:
        """The stamp in a text, None if it is not as it was written."""
        try:
            document = json.loads(text)
            seal = document.pop("seal")
            stamp = cls(**document)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return stamp if seal == fingerprint(document) else None


def fingerprint(ingredients: Mapping[str, Any]) -> str:
    """The digest of JSON-able ingredients, independent of their order."""
    canonical = json.dumps(ingredients, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return digest(canonical.encode())


def digest(content: bytes | memoryview) -> str:
    """The digest of bytes: 32 hex characters of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def digest_of_rows(table: pa.Table) -> str:
    """The digest of a table's logical content: names, types and values in their order, floats to 12 significant digits.

    Neither chunks nor encoding nor the library's version change it. Takes columns of integers, floats, booleans and
    texts without NULL.
    """
    hashing = hashlib.sha256()
    for field_ in table.schema:
        kind = "float" if pa.types.is_floating(field_.type) else str(field_.type)
        hashing.update(f"{field_.name}:{kind}:{table.num_rows};".encode())
        chunks = [chunk for chunk in table[field_.name].chunks if len(chunk)]
        if pa.types.is_string(field_.type):
            offsets = [_offsets(chunk) for chunk in chunks]
            for of_chunk in offsets:  # all lengths first, so that the ends of chunks do not matter
                hashing.update(np.diff(of_chunk).astype("<i4", copy=False).data)
            for chunk, of_chunk in zip(chunks, offsets, strict=True):
                if of_chunk[0] < of_chunk[-1]:
                    hashing.update(memoryview(chunk.buffers()[2])[of_chunk[0] : of_chunk[-1]])
            continue
        for chunk in chunks:
            values = chunk.to_numpy(zero_copy_only=False)
            if pa.types.is_floating(field_.type):
                values = _rounded(values)
            hashing.update(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False)).data)
    return hashing.hexdigest()[:_DIGITS]


def _offsets(texts: pa.StringArray) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Where each text begins in the bytes of all, and where the last one ends."""
    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]


def _rounded(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Doubles as integers that small differences in the last digits leave alike; 0 and -0, and all NaN, are one."""
    normal = np.where(np.isnan(values), np.nan, values + 0.0).astype("<f8")
    half = np.int64(1 << (_DROPPED_BITS - 1))
    return (normal.view("<i8") + half) >> np.int64(_DROPPED_BITS)
