"""The file of channels: to which group each belongs."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SettingsError

HEADER = ["channel_name", "group", "kind"]
KINDS = ("paid", "organic", "owned")


@dataclass(frozen=True)
class ChannelGroup:
    """The group of a channel, and whether it is paid, organic or owned."""

    group: str
    kind: str


def load_channels(path: Path | None) -> dict[str, ChannelGroup]:
    """The channels of a CSV file with the columns `HEADER`, none without a file. Raises `SettingsError`."""
    if path is None:
        return {}
    where = f"CHANNELS names {path.absolute()}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SettingsError(f"{where}, which cannot be read as CSV: {reason}") from None
    if not rows or rows[0] != HEADER:
        raise SettingsError(f"{where}, whose first line is not {','.join(HEADER)}; write it there")
    channels: dict[str, ChannelGroup] = {}
    for number, row in enumerate(rows[1:], start=1):
        if reason := _wrong(row, channels):
            raise SettingsError(f"{where}: row {number} {reason}; correct it")
        name, group, kind = row
        channels[name] = ChannelGroup(group, kind)
    return channels


def _wrong(row: list[str], channels: dict[str, ChannelGroup]) -> str:
    """What is wrong with a row, nothing if it is right."""
    if len(row) != len(HEADER):
        return f"has {len(row)} cells, not {len(HEADER)}"
    name, _, kind = row
    if not name:
        return "has no channel_name"
    if name in channels:
        return f"names the channel {name!r} a second time"
    return "" if kind in KINDS else f"has the kind {kind!r}, not {', '.join(KINDS[:-1])} or {KINDS[-1]}"
