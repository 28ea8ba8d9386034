"""The stamps of a folder in one object, each with the tag of its sidecar: whatever was written since does not count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from targets.errors import TargetError
from targets.object_store.bucket import Bucket, ChangedMeanwhileError, Entry
from targets.object_store.memory import STAMP

NAME = ".stamps"
FEW = 16
"""So many sidecars are read one by one, and so many may be newer than the object."""

Stamps = Mapping[str, tuple[str, bytes]]
"""Of each sidecar its tag and content."""


def read_stamps(bucket: Bucket, key: str) -> dict[str, tuple[str, bytes]]:
    """The stamps in the object; none where it is not there or damaged. Raises `UnwritableTargetError`."""
    with suppress(FileNotFoundError, ValueError, TypeError, AttributeError):
        document = json.loads(bucket.get(key).content)
        return {str(name): (str(tag), str(text).encode()) for name, (tag, text) in document.items()}
    return {}


def write_stamps(bucket: Bucket, key: str, stamps: Stamps) -> Entry | None:
    """Write the object, if that is allowed: it saves requests, nothing depends on it."""
    document = {name: [tag, content.decode(errors="replace")] for name, (tag, content) in sorted(stamps.items())}
    with suppress(TargetError, ChangedMeanwhileError):
        content = json.dumps(document).encode()
        return Entry(bucket.put(key, content), 0.0, len(content))
    return None


def is_worth_writing(entries: Mapping[str, Entry], written: Mapping[str, str]) -> bool:
    """Whether so many sidecars are others than those that were written that the next look is slower for it."""
    newer = sum(1 for name, entry in entries.items() if name.endswith(STAMP) and written.get(name) != entry.tag)
    return newer >= FEW
