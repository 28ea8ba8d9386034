"""Writes a SQLite database of made-up sessions, conversions and costs."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.sample import reference, shop
from pipeline.sample.source_file import Sample, journals


@dataclass(frozen=True)
class Shape:
    """What can be written: by what, what it is at scale 1, and within which limits."""

    write: Callable[..., Sample]
    about: str
    days: int
    scales: tuple[float, float]
    days_allowed: tuple[int, int]


SHAPES = {
    "shop": Shape(
        shop.write_shop,
        f"a shop of about {shop.SESSIONS:,} sessions and {shop.CONVERSIONS:,} orders in {shop.DAYS} days "
        f"from {shop.FIRST_DAY}, with campaigns and a few faults in its data",
        shop.DAYS,
        shop.SCALES,
        shop.DAYS_ALLOWED,
    ),
    "reference": Shape(
        reference.write_reference,
        f"as the reference data set, {reference.SESSIONS:,} sessions and {reference.CONVERSIONS:,} conversions "
        f"in {reference.DAYS} days from {reference.FIRST_DAY}",
        reference.DAYS,
        reference.SCALES,
        reference.DAYS_ALLOWED,
    ),
}


def main(argv: Sequence[str] | None = None) -> None:
    """The command `attribution-sample`: exit code 2 for wrong arguments, 1 for an unwritable file."""
    parser = argparse.ArgumentParser(prog="attribution-sample", description=__doc__)
    parser.add_argument("path", type=Path, metavar="PATH", help="the database to write")
    shapes = "; ".join(f"{name}: {shape.about}" for name, shape in SHAPES.items())
    parser.add_argument("--shape", choices=SHAPES, default="shop", help=f"{shapes} (default: shop)")
    parser.add_argument("--scale", type=float, default=1, help="times the sessions and conversions of the shape")
    parser.add_argument("--days", type=int, help="days over which they spread (default: those of the shape)")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--force", action="store_true", help="replace a database that is there")
    arguments = parser.parse_args(argv)
    path, shape = arguments.path.absolute(), SHAPES[arguments.shape]
    days = shape.days if arguments.days is None else arguments.days
    if not shape.scales[0] <= arguments.scale <= shape.scales[1]:
        parser.error(f"--scale must be between {shape.scales[0]} and {shape.scales[1]}, not {arguments.scale:g}")
    if not shape.days_allowed[0] <= days <= shape.days_allowed[1]:
        parser.error(f"--days must be between {shape.days_allowed[0]} and {shape.days_allowed[1]}, not {days}")
    if arguments.seed < 0:
        parser.error(f"--seed must not be negative, not {arguments.seed}")
    if path.is_dir():
        parser.error(f"{path} is a folder; name a file in it")
    there = [file for file in (path, *journals(path)) if file.exists()]
    if there and not arguments.force:
        parser.error(f"{there[0]} is there already; name another file, or replace it with --force")
    try:
        sample = shape.write(path, scale=arguments.scale, seed=arguments.seed, days=days)
    except (OSError, sqlite3.Error) as error:
        parser.exit(1, f"{parser.prog}: error: cannot write {path}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: interrupted; {path} is as it was\n")
    print(f"{path}: {sample.sessions} sessions, {sample.conversions} conversions, {sample.days} days")


if __name__ == "__main__":
    main()
