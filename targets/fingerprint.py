"""Fingerprints: what decides whether a target is current, instead of file times."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stamp:
    """What a target says of itself.

    Attributes:
        fingerprint: digest of the settings, schema version and input contents that determine its bytes.
        content: digest of its contents, for the fingerprints of what is derived from it.

    """

    fingerprint: str
    content: str


def fingerprint(ingredients: Mapping[str, Any]) -> str:
    """The digest of JSON-able ingredients, independent of their order."""
    canonical = json.dumps(ingredients, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return digest(canonical.encode())


def digest(content: bytes) -> str:
    """The digest of a file's bytes: 32 hex characters of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:32]
