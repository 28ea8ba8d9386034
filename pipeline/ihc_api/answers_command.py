"""The console command `attribution-answers`: what is kept, and forgetting it."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import replace

from pipeline.errors import PipelineError
from pipeline.ihc_api.answers import AnswerStore, ScopeContents
from pipeline.places import Places, located
from targets.errors import TargetError

FOLDER = "answers"
"""Where in DATA_DIR the answers are kept."""


def main(arguments: Sequence[str] | None = None) -> None:
    """List the kept answers, or prune them."""
    options = _parser().parse_args(arguments)
    try:
        places = Places.in_force()
        if options.data_dir:
            places = replace(places, data_dir=located(options.data_dir))
        store = AnswerStore(places.files(FOLDER))
        if options.command == "list":
            _list(store)
        else:
            _prune(store, options.scope, options.before)
    except (PipelineError, TargetError) as error:
        sys.exit(f"attribution-answers: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="attribution-answers",
        description="Answers of the API are kept, since each was paid for, and used instead of asking again.",
    )
    parser.add_argument("--data-dir", help="default: DATA_DIR, else data_dir in luigi.cfg, else data")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show what is kept, by endpoint and conversion type")
    prune = commands.add_parser("prune", help="forget answers, so that their journeys are asked, and paid, for again")
    prune.add_argument("scope", help="its id, as shown by list")
    prune.add_argument(
        "--before", type=_day, metavar="YYYY-MM-DD", help="only those given before that day (UTC); else all"
    )
    return parser


def _day(text: str) -> int:
    day = dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC)
    return int(day.timestamp() * 1000)


def _list(store: AnswerStore) -> None:
    contents = [*store.contents()]
    if not contents:
        _say(f"no answers are kept in {store.where}")
    for kept in contents:
        scope = kept.scope
        redistribution = ", with redistribution" if scope.redistribution else ""
        files = f"{kept.files} file{'s' * (kept.files > 1)}"
        _say(
            f"{scope.name}  {kept.journeys:,} journeys, {kept.bytes / 1e6:.1f} MB in {files}, "
            f"given {_date(kept.oldest)} to {_date(kept.newest)}: "
            f"{scope.endpoint} conv_type_id={scope.conv_type_id}{redistribution}"
        )


def _prune(store: AnswerStore, name: str, before: int | None) -> None:
    kept: dict[str, ScopeContents] = {contents.scope.name: contents for contents in store.contents()}
    if name not in kept:
        sys.exit(f"attribution-answers: no scope {name!r}; kept are {', '.join(kept) or 'none'}")
    _say(f"{store.prune(kept[name].scope, before):,} answers forgotten")


def _date(milliseconds: int) -> str:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).date().isoformat()


def _say(line: str) -> None:
    print(line)  # noqa: T201 - a console command prints
