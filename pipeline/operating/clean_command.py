"""The console command `attribution-clean`: what would go, and its removal."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from luigi.date_interval import Custom

from pipeline.errors import PipelineError, SettingsError
from pipeline.operating.erasing import erase
from pipeline.operating.intervals import days_stored
from pipeline.operating.selection import STAGES, Order, interval_in, selected
from pipeline.operating.tables import take_out
from pipeline.parameters import IntervalParameter
from pipeline.places import Places
from pipeline.settings import setting_in_force
from pipeline.zones import today
from targets.database import open_database
from targets.errors import TargetError
from targets.files import Files

_HELD = 10
_FAILED = 30
_WRONG = 40
_AGE = re.compile(r"(\d{1,5})d")

_DESCRIPTION = """\
Lists what an order would remove from the data directory, and removes it with --yes alone. The source, kept answers
(attribution-answers prune) and trained parameters never go; result tables only with --tables. What goes is made again
by a run that needs it; a day of sessions, conversions or channel_costs is then read from the source as that is by then.

    attribution-clean --stage report --older-than 400d
    attribution-clean --stage journeys --stage attribution --date-interval 2023-08
    attribution-clean --trials --replaced --older-than 30d --temporary --yes
    attribution-clean --user ID --tables --yes
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"ERROR: {message}; `attribution-clean --help` lists the options\n")
        sys.exit(_WRONG)


class HeldError(PipelineError):
    """A run is at work in the data directory."""


def main(arguments: Sequence[str] | None = None) -> None:
    """List what would go; with --yes remove it."""
    options = _parser().parse_args(arguments)
    try:
        places = Places.in_force()
        order = _order(options)
        places.local_folder("attribution-clean")
        with ExitStack() as alone:
            if options.yes and Path(places.data_dir).is_dir():
                alone.enter_context(_alone(places))
            if options.user is not None:
                lines = erase(places, _user(options.user), options.id or [], tables=options.tables, dry=not options.yes)
            else:
                lines = _clean(places, order, tables=options.tables, dry=not options.yes)
            for line in lines:
                sys.stdout.write(f"{line}\n")
    except HeldError as error:
        _end(error, _HELD)
    except SettingsError as error:
        _end(error, _WRONG)
    except (PipelineError, TargetError, OSError) as error:
        _end(error, _FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="attribution-clean",
        description=_DESCRIPTION,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--yes", action="store_true", help="remove it; without, it is listed")
    parser.add_argument(
        "--stage",
        action="append",
        choices=[*STAGES, "all"],
        metavar="FOLDER",
        help=f"files of days and intervals in one of {', '.join(STAGES)}, or all of these; may be repeated",
    )
    parser.add_argument("--date-interval", metavar="DAYS", help="only days in it, and reports that lie wholly in it")
    parser.add_argument(
        "--older-than", metavar="90d", help="only days, and files without a day, that are so many days old"
    )
    parser.add_argument("--trials", action="store_true", help="what trials (STORE=false) have left")
    parser.add_argument("--replaced", action="store_true", help="what STORE=replace and Restate have put aside")
    parser.add_argument("--temporary", action="store_true", help="what killed processes have left")
    parser.add_argument("--tables", action="store_true", help="also the days in the result tables")
    parser.add_argument(
        "--user",
        metavar="ID",
        help="erase a person, who has to be erased in the source first: random ids take the place of theirs, and all "
        "sums stay; - reads the user_id from the input",
    )
    parser.add_argument(
        "--id", action="append", metavar="ID", help="with --user: another id of theirs, such as of a row set aside"
    )
    return parser


def _order(options: argparse.Namespace) -> Order:
    stages = tuple(options.stage or ())
    others = bool(options.trials or options.replaced or options.temporary)
    if options.user is not None and (stages or others or options.date_interval or options.older_than):
        raise SettingsError("--user goes with --id, --tables and --yes alone")
    if options.id and options.user is None:
        raise SettingsError("--id goes with --user")
    if options.user is None and not (stages or others or options.tables):
        raise SettingsError(
            "nothing is named that is to go: --stage, --trials, --replaced, --temporary, --tables or --user"
        )
    if options.date_interval and not (stages or options.tables):
        raise SettingsError("--date-interval goes with --stage or --tables: trials and leftovers have no days")
    return Order(
        stages=STAGES if "all" in stages else stages,
        trials=options.trials,
        replaced=options.replaced,
        temporary=options.temporary,
        interval=_interval(options.date_interval),
        before=_before(options.older_than),
    )


def _interval(text: str | None) -> Custom | None:
    if text is None:
        return None
    try:
        return IntervalParameter().parse(text)
    except PipelineError as error:
        raise SettingsError(str(error)) from None


def _before(text: str | None) -> dt.date | None:
    if text is None:
        return None
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise SettingsError(f"--older-than must be a number of days such as 90d, not {text!r}")
    return today(str(setting_in_force("report_timezone"))) - dt.timedelta(days=int(found[1]))


def _user(text: str) -> str:
    user_id = sys.stdin.readline().rstrip("\n") if text == "-" else text
    if not user_id:
        raise SettingsError("--user must name a person by their user_id")
    return user_id


@contextmanager
def _alone(places: Places) -> Iterator[None]:
    """Hold every lock of the data directory for the block. Raises `HeldError` where a run holds one."""
    files, me = places.files(), f"attribution-clean, process {os.getpid()}"
    with ExitStack() as held:
        for owner, names in (
            (files, {*files.names("locks"), "daily.lock", "InitDatabase.lock", "result-tables.lock"}),
            (places.files("answers"), {*files.names("answers/locks")}),
        ):
            for name in sorted(name for name in names if name.endswith(".lock")):
                with ExitStack() as stack:
                    if (holder := stack.enter_context(owner.lock(name, me))) is not None:
                        raise HeldError(f"{holder} is at work in {places.data_dir} ({name}); clean when it has ended")
                    if not name.startswith("command-"):  # whose command has ended: a leftover
                        held.push(stack.pop_all())
        yield


def _clean(places: Places, order: Order, *, tables: bool, dry: bool) -> Iterator[str]:
    """Remove what the order names, unless it is a dry run; yields what, in words. Raises `TargetError`."""
    root, files = Path(places.data_dir), places.files()
    found = selected(root, order, _spared(places))
    days = [day for day in days_stored(places) if order.takes(day, day + dt.timedelta(days=1))] if tables else []
    yield f"{'to remove from' if dry else 'removed from'} {root}:"
    if days:
        if not dry:
            take_out(places, days)
        yield f"  result tables: {len(days):,} days, {days[0]} to {days[-1]}"
    elif tables:
        yield "  result tables: no day"
    for name, paths in found.items():
        yield f"  {_described(name, root, paths)}"
        if not dry:
            _remove(files, root, paths)
    if dry:
        yield "nothing was removed; the same with --yes removes it"


def _spared(places: Places) -> frozenset[Path]:
    """The files of source, results and mapping, wherever they are."""
    named = [Path(places.source_mapping)] if places.source_mapping else []
    for url in filter(None, (places.database_url, places.results_database_url)):
        with suppress(TargetError):
            name = open_database(url).name
            named += [Path(name + ending) for ending in ("", "-wal", "-shm", "-journal")]
    return frozenset(path.resolve() for path in named)


def _described(name: str, root: Path, paths: Sequence[Path]) -> str:
    if not paths:
        return f"{name}: nothing"
    size = sum(path.lstat().st_size for path in paths)
    days = [found for path in paths for part in path.relative_to(root).parts if (found := interval_in(part))]
    between = f", {min(days)[0]} to {max(end for _, end in days) - dt.timedelta(days=1)}" if days else ""
    return f"{name}: {len(paths):,} files, {size / 1e6:,.1f} MB{between}"


def _remove(files: Files, root: Path, paths: Sequence[Path]) -> None:
    """Remove files, and the folders below the data directory that are empty then."""
    for path in paths:
        files.delete(str(path.relative_to(root)))
    for folder in sorted({parent for path in paths for parent in path.relative_to(root).parents}, reverse=True):
        if str(folder) not in {".", "locks", "tmp"}:
            with suppress(OSError):
                (root / folder).rmdir()


def _end(error: Exception, code: int) -> NoReturn:
    sys.stderr.write(f"ERROR: {' '.join(str(error).split())}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
