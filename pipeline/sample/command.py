"""Writes a SQLite database of made-up sessions, conversions and costs, shaped like the reference data set."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from pipeline.sample.database import (
    CONVERSIONS,
    DAYS,
    DAYS_ALLOWED,
    DEFAULT_SEED,
    FIRST_DAY,
    SCALES,
    SESSIONS,
    journals,
    write_sample,
)


def main(argv: Sequence[str] | None = None) -> None:
    """The command `attribution-sample`: exit code 2 for wrong arguments, 1 for an unwritable file."""
    parser = argparse.ArgumentParser(prog="attribution-sample", description=__doc__)
    parser.add_argument("path", type=Path, metavar="PATH", help="the database to write")
    parser.add_argument(
        "--scale", type=float, default=1, help=f"times {SESSIONS:,} sessions and {CONVERSIONS:,} conversions"
    )
    parser.add_argument("--days", type=int, default=DAYS, help=f"days from {FIRST_DAY} (default: {DAYS})")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help=f"default: {DEFAULT_SEED}")
    parser.add_argument("--force", action="store_true", help="replace a database that is there")
    arguments = parser.parse_args(argv)
    path = arguments.path.absolute()
    if not SCALES[0] <= arguments.scale <= SCALES[1]:
        parser.error(f"--scale must be between {SCALES[0]} and {SCALES[1]}, not {arguments.scale:g}")
    if not DAYS_ALLOWED[0] <= arguments.days <= DAYS_ALLOWED[1]:
        parser.error(f"--days must be between {DAYS_ALLOWED[0]} and {DAYS_ALLOWED[1]}, not {arguments.days}")
    if arguments.seed < 0:
        parser.error(f"--seed must not be negative, not {arguments.seed}")
    if path.is_dir():
        parser.error(f"{path} is a folder; name a file in it")
    there = [file for file in (path, *journals(path)) if file.exists()]
    if there and not arguments.force:
        parser.error(f"{there[0]} is there already; name another file, or replace it with --force")
    try:
        sample = write_sample(path, scale=arguments.scale, seed=arguments.seed, days=arguments.days)
    except (OSError, sqlite3.Error) as error:
        parser.exit(1, f"{parser.prog}: error: cannot write {path}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: interrupted; {path} is as it was\n")
    print(f"{path}: {sample.sessions} sessions, {sample.conversions} conversions, {sample.days} days")


if __name__ == "__main__":
    main()
