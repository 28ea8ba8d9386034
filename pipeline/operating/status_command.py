"""The console command `attribution-status`: what is there, and whether yesterday's report is."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import sys
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from pipeline.console import on_one_line, text_table
from pipeline.errors import PipelineError
from pipeline.operating.status import lacking, look, report_in_force
from pipeline.places import Places
from pipeline.settings import setting_in_force
from targets.errors import TargetError

_LACKING = 1
_WRONG = 40
_SHOWN = 4
_KINDS = ("damaged", "unsettled", "stale", "missing")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"ERROR: {message}; `attribution-status --help` lists the options\n")
        sys.exit(_WRONG)


def main(arguments: Sequence[str] | None = None) -> None:
    """Say what is there; with --check one line, and 1 unless yesterday's report is there."""
    options = _parser().parse_args(arguments)
    logging.getLogger("luigi-interface").setLevel(logging.ERROR)
    try:
        zone, places = str(setting_in_force("report_timezone")), Places.in_force()
        report = report_in_force(zone)
        if options.check:
            _check(lacking(report, _expected(zone, options.grace)), _expected(zone, options.grace))
            return
        document = look(places, report, dt.datetime.now(dt.UTC))
        lines = [json.dumps(document, indent=2, ensure_ascii=False)] if options.json else _lines(document)
    except (PipelineError, TargetError) as error:
        sys.stderr.write(f"ERROR: {' '.join(str(error).split())}\n")
        sys.exit(_WRONG)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="attribution-status",
        description="Says what the data directory and the result tables hold, by the settings in force. It builds "
        "nothing, takes no lock and opens no source but to read result tables that lie in it.",
        allow_abbrev=False,
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--check",
        action="store_true",
        help="a dead-man's switch: one line, and exit code 1 unless yesterday's report is there",
    )
    kind.add_argument("--json", action="store_true", help="everything as one JSON document")
    parser.add_argument(
        "--grace",
        type=_hours,
        default=0.0,
        metavar="HOURS",
        help="with --check: so long after midnight (REPORT_TIMEZONE) the report of the day before will do",
    )
    return parser


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 <= hours <= 48:  # noqa: PLR2004 - two days
        raise ValueError(text)
    return hours


def _expected(zone: str, grace: float) -> dt.date:
    """The day whose report has to be there."""
    now = dt.datetime.now(zoneinfo.ZoneInfo(zone)) - dt.timedelta(hours=grace)
    return now.date() - dt.timedelta(days=1)


def _check(reason: str | None, expected: dt.date) -> None:
    if reason:
        sys.stdout.write(f"MISSING: {reason}\n")
        sys.exit(_LACKING)
    sys.stdout.write(f"OK: the report of {expected} is there\n")


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The document in words."""
    yield f"data directory  {document['data_dir']}"
    yield f"result tables   {document['results']}"
    yield ""
    header = ("stage", "folder", "first day", "last day", "days", *_KINDS)
    yield text_table(header, [*map(_row, document["stages"]), _row(_as_stage(document["stored"]))], left=4)
    yield ""
    for stage in [*document["stages"], _as_stage(document["stored"])]:
        for kind in _KINDS:
            if stage.get(kind):
                yield f"{stage['stage']}, {kind}: {_listed(stage[kind])}"
    yield from _about_tables(document["stored"])
    yield from _about_reports(document["reports"])
    if document["owed"]:
        yield f"missed and still to be made by attribution-daily: {', '.join(document['owed'])}"
    if document["drifted"]:
        yield f"changed in the source since they were read (Restate reads them again): {_listed(document['drifted'])}"
    for kept in document["answers"]:
        yield f"kept answers: {kept['journeys']:,} journeys of {kept['endpoint']} conv_type_id={kept['conv_type_id']}"
    used = document["disk"]
    yield f"disk: {_size(sum(used.values()))}" + "".join(f", {name} {_size(size)}" for name, size in used.items())
    yield from (f"at work: {name} ({on_one_line(holder)})" for name, holder in (document["locks"] or {}).items())
    if document["locks"] is None:
        yield "at work: not known on this system"
    yield from (f"WARNING: {on_one_line(line)}" for line in document["unreadable"])


def _as_stage(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {"stage": "StoredAttribution", "folder": "(result tables)", "in_force": stored.get("is_mine"), **stored}


def _row(stage: Mapping[str, Any]) -> list[str]:
    counts = ["" if stage.get(kind) is None else f"{len(stage[kind]):,}" for kind in _KINDS]
    name = stage["folder"] + ("" if stage["in_force"] is not False else " (other settings)")
    return [stage["stage"], name, stage["first"] or "", stage["last"] or "", f"{stage['days']:,}", *counts]


def _about_tables(stored: Mapping[str, Any]) -> Iterator[str]:
    if (owner := stored["owner"]) is not None:
        mine = "" if stored["is_mine"] else "; the settings in force are others: see STORE"
        yield f"owner of the result tables: {owner['model']} ({owner['settings']}){mine}"
    if stored.get("of_others"):
        yield f"days of a former owner: {_listed(stored['of_others'])}"


def _about_reports(reports: Mapping[str, Any]) -> Iterator[str]:
    newest = reports["newest"]
    if newest is None:
        yield "reports: none"
        return
    yield (
        f"reports: {reports['number']:,} of {', '.join(reports['models'])}; the newest, {newest['model']} "
        f"{newest['interval']}, was written {newest['age_hours']:,.1f} hours ago"
    )


def _listed(days: Sequence[str]) -> str:
    more = f", and {len(days) - _SHOWN:,} more up to {days[-1]}" if len(days) > _SHOWN else ""
    return ", ".join(days[:_SHOWN]) + more


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


if __name__ == "__main__":
    main()
