"""The files of the interval with the latest end, where other programs find them without knowing it."""

from __future__ import annotations

from collections.abc import Sequence

from targets.files import Files
from targets.listing import one_listing

INTERVAL = "interval.txt"
_DATE = len("YYYY-MM-DD")


def keep_latest(files: Files, folder: str, interval: str, names: Sequence[str]) -> None:
    """Copy the files of `<folder>/<interval>/` to `<folder>/latest/`, unless those there are of a later end.

    `interval.txt` says which interval they are of. Raises `UnwritableTargetError`.
    """
    with one_listing():
        record = f"{folder}/latest/{INTERVAL}"
        files.expect([record, *(f"{folder}/{place}/{name}" for place in (interval, "latest") for name in names)])
        _keep_latest(files, folder, interval, names)


def _keep_latest(files: Files, folder: str, interval: str, names: Sequence[str]) -> None:
    record = f"{folder}/latest/{INTERVAL}"
    if (
        files.version(record) is not None
        and files.read(record).decode(errors="replace").strip()[-_DATE:] > interval[-_DATE:]
    ):
        return
    for name in names:
        content = files.read(f"{folder}/{interval}/{name}")
        copy = f"{folder}/latest/{name}"
        if files.version(copy) is None or files.read(copy) != content:
            files.write(copy, content)
    if files.version(record) is None or files.read(record) != f"{interval}\n".encode():
        files.write(record, f"{interval}\n".encode())


def is_latest(files: Files, folder: str, interval: str) -> bool:
    """Whether the copies in `<folder>/latest/` are of this interval."""
    try:
        return files.read(f"{folder}/latest/{INTERVAL}") == f"{interval}\n".encode()
    except OSError:
        return False
