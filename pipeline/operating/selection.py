"""Which files of a data directory an order to clean names; the source is none, nor is what others have written."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from luigi.date_interval import Custom

from pipeline.errors import IntervalError
from pipeline.parameters import IntervalParameter

STAGES = (
    *("sessions", "conversions", "channel_costs", "journeys", "attribution", "channel_credit", "conversion_books"),
    *(
        "dimension_costs",
        "paths",
        "fits",
        "report",
        "comparison",
        "lookback_credit",
        "restated",
        "training",
        "plan",
        "log",
        "rejects",
    ),
)
"""The folders that hold files of days or intervals."""

_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?![\d-]*\d{4}-)")
_INTERVAL = re.compile(r"\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d")
_ONE = dt.timedelta(days=1)


@dataclass(frozen=True)
class Order:
    """What is to go.

    Attributes:
        stages: of `STAGES`, files of days and intervals.
        trials, replaced, temporary: of these folders what is old enough; of temporary files those of dead processes.
        interval: days alone that lie in it, and reports that lie wholly in it.
        before: days alone before it; of what has no day, files that were written before it.

    """

    stages: tuple[str, ...] = ()
    trials: bool = False
    replaced: bool = False
    temporary: bool = False
    interval: Custom | None = None
    before: dt.date | None = None

    def takes(self, first: dt.date, end: dt.date) -> bool:
        """Whether days from `first` to before `end` are of the order."""
        is_within = self.interval is None or (self.interval.date_a <= first and end <= self.interval.date_b)
        return is_within and (self.before is None or end <= self.before)


def selected(root: Path, order: Order, spared: frozenset[Path]) -> dict[str, list[Path]]:
    """The files to remove by what they are of, in the order in which to remove them: a sidecar before its file.

    `spared` are real paths that never go, such as the source's. Links are not followed.
    """
    found: dict[str, list[Path]] = {}
    for stage in order.stages:
        found[stage] = [path for path in _files(root / stage) if _is_dated(path, root / stage, order)]
    for name, wanted in (("trials", order.trials), ("replaced", order.replaced)):
        if wanted:
            found[name] = [path for folder in _units(root / name) for path in _if_old(folder, order.before)]
    if order.temporary:
        found["temporary"] = [*_leftovers(root)]
    spare = {path.resolve() for path in spared}
    return {
        name: sorted((path for path in paths if path.resolve() not in spare), key=_sidecar_first)
        for name, paths in found.items()
    }


def interval_in(name: str) -> tuple[dt.date, dt.date] | None:
    """First day and exclusive end of the day or interval that a file's or folder's name begins with."""
    if found := _INTERVAL.match(name):
        with suppress(IntervalError):
            interval = IntervalParameter().parse(found[0])
            return interval.date_a, interval.date_b
    if found := _DAY.match(name):
        with suppress(ValueError):
            day = dt.date.fromisoformat(found[1])
            return day, day + _ONE
    return None


def _is_dated(path: Path, folder: Path, order: Order) -> bool:
    """Whether a file lies in a folder of, or is named for, days of the order."""
    for part in path.relative_to(folder).parts:
        if part == "latest":  # copies of the report that interval.txt names
            with suppress(OSError):
                part = (path.parent / "interval.txt").read_text(encoding="utf-8").strip()  # noqa: PLW2901
        if (days := interval_in(part)) is not None:
            return order.takes(*days)
    return False


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names if not (Path(parent) / name).is_symlink())


def _units(folder: Path) -> Iterator[Path]:
    """What goes as a whole: each folder and file directly in a folder, and each file of days that were replaced."""
    if folder.is_dir() and not folder.is_symlink():
        for entry in sorted(folder.iterdir()):
            yield from entry.iterdir() if entry.name in STAGES and entry.is_dir() else [entry]


def _if_old(unit: Path, before: dt.date | None) -> list[Path]:
    """The files of a unit, unless one was written on `before` (UTC) or later."""
    if unit.is_symlink():
        return []
    files = [*_files(unit)] if unit.is_dir() else [unit]
    if before is None:
        return files
    begins = dt.datetime.combine(before, dt.time(), dt.UTC).timestamp()
    return files if all(path.lstat().st_mtime < begins for path in files) else []


def _leftovers(root: Path) -> Iterator[Path]:
    """Temporary files whose writers are dead, and locks of commands that were killed."""
    for folder in (*STAGES, "trials", "replaced", "answers", "models"):
        yield from (path for path in _files(root / folder) if _is_temporary(path) and _is_free(path))
    for path in root.iterdir() if root.is_dir() else ():
        if path.is_file() and _is_temporary(path) and _is_free(path):
            yield path
    for scratch in [*(root / "tmp").iterdir()] if (root / "tmp").is_dir() else []:
        if scratch.is_dir() and not scratch.is_symlink() and _is_free(scratch):
            yield from _files(scratch)
    yield from (path for path in sorted((root / "locks").glob("command-*.lock")) if _is_free(path))


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".tmp")


def _is_free(path: Path) -> bool:
    """Whether no living process holds a lock on a file or folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _sidecar_first(path: Path) -> tuple[Path, bool, str]:
    return path.parent, not path.name.endswith(".stamp"), path.name
