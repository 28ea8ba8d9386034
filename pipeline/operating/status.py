"""All that `attribution-status` looks at, as one document: nothing is built, no lock taken, the source not opened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pipeline.errors import PipelineError
from pipeline.ihc_api.answers import AnswerStore
from pipeline.operating.day_files import StageDays, stages_of
from pipeline.operating.intervals import days_between_ends, owed, spanning
from pipeline.operating.reports import BOOKS, made_reports
from pipeline.places import Places
from pipeline.reporting.owner import Owner, owner_of
from pipeline.reporting.store import StoredRows, stored_days
from pipeline.reporting.table_tasks import StoredAttribution
from pipeline.reporting.tasks import Report
from pipeline.source.dated import parse_date
from pipeline.source.drift import days_drifted, is_read_anew
from pipeline.source.stored import stored_notes
from pipeline.zones import today
from targets.database import open_database
from targets.errors import TargetError
from targets.files import Files
from targets.listing import one_listing
from targets.table import SLICES
from targets.text import JsonTarget

_ONE = dt.timedelta(days=1)


def report_in_force(zone: str) -> Report:
    """Yesterday's report by the settings in force; it is asked, never run. Raises `PipelineError`."""
    return Report(date_interval=today(zone) - _ONE)


@one_listing()
def look(places: Places, report: Report, now: dt.datetime) -> dict[str, Any]:
    """Everything, JSON-able; what cannot be read is told in `unreadable`."""
    unreadable: list[str] = []
    files = places.files()
    stages = _stages(places, report, unreadable)
    return {
        "data_dir": places.data_dir,
        "results": open_database(places.results_database_url or places.database_url).name,
        "model": report.model,
        "stages": [_document(stage) for stage in stages],
        "stored": _stored(places, report, unreadable),
        "owed": [str(interval) for interval in owed(files)],
        "reports": _reports(report, now),
        "disk": dict(sorted(files.sizes().items(), key=lambda item: (-item[1], item[0]))),
        "answers": _answers(places, unreadable),
        "drifted": [str(day) for day in _drifted(files)],
        "locks": files.held_locks(),
        "unreadable": unreadable,
    }


def lacking(report: Report, yesterday: dt.date) -> str | None:
    """Why the report of yesterday is not there, in one line; None if it is."""
    made = [one for one in made_reports(report.files) if one.model == _folder(report)]
    if made and made[-1].interval.date_b > yesterday:
        return None
    newest = f"the newest of {report.model} is {made[-1].interval}" if made else f"there is none of {report.model}"
    return f"no report of {yesterday} in {report.files.where('report')}: {newest}"


def _folder(report: Report) -> str:
    """The folder below `report/` of the reports with the settings in force: the model, and a goal if there is one."""
    return "/".join(str(report.target(BOOKS).name).split("/")[1:-2])


def _stages(places: Places, report: Report, unreadable: list[str]) -> list[StageDays]:
    try:
        return stages_of(places, report)
    except (PipelineError, TargetError) as error:
        unreadable.append(f"what is stale is not known: {error}")
        return stages_of(places, None)


def _document(stage: StageDays) -> dict[str, Any]:
    listed = {name: _texts(getattr(stage, name)) for name in ("damaged", "unsettled", "missing")}
    return {
        "stage": stage.stage,
        "folder": stage.folder,
        "in_force": stage.is_current,
        **_ends(stage.days),
        **listed,
        "stale": None if stage.stale is None else _texts(stage.stale),
    }


def _stored(places: Places, report: Report, unreadable: list[str]) -> dict[str, Any]:
    """What the result tables hold, read through a connection that cannot write."""
    try:
        results = open_database(places.results_database_url or places.database_url, read_only=True)
        if not results.exists():
            return {"owner": None, **_ends([])}
        with results.connect() as connection:
            if SLICES not in connection.tables():
                return {"owner": None, **_ends([])}
            owner, stored = owner_of(connection), stored_days(connection)
        return _stored_document(report, owner, stored)
    except (PipelineError, TargetError) as error:
        unreadable.append(f"the result tables: {error}")
        return {"owner": None, **_ends([])}


def _stored_document(report: Report, owner: Owner | None, stored: StoredRows) -> dict[str, Any]:
    days = sorted(day for day in map(parse_date, stored.markers) if day is not None)
    there = {*days}
    document = {
        "owner": None if owner is None else {"model": owner.origin.model, "settings": owner.origin.settings[:6]},
        "is_mine": owner is None or report.claim().owns(owner),
        **_ends(days),
        "missing": _texts(day for day in days_between_ends(days) if day not in there),
        "of_others": _texts(
            day for day in days if owner and stored.markers[str(day)].settings != owner.origin.settings
        ),
    }
    if days and report.store != "false" and document["is_mine"]:
        expected = report.clone(StoredAttribution, date_interval=spanning(days)).fingerprints()
        others = {*document["of_others"]}
        document["stale"] = _texts(
            day for day in days if str(day) not in others and not stored.is_current(str(day), expected[day])
        )
    return document


def _reports(report: Report, now: dt.datetime) -> dict[str, Any]:
    made = made_reports(report.files)
    newest = made[-1] if made else None
    return {
        "number": len(made),
        "models": sorted({one.model for one in made}),
        "newest": newest
        and {
            "model": newest.model,
            "interval": str(newest.interval),
            "written": newest.written.isoformat(timespec="seconds"),
            "age_hours": round((now - newest.written).total_seconds() / 3600, 1),
        },
    }


def _answers(places: Places, unreadable: list[str]) -> list[dict[str, Any]]:
    try:
        return [
            {
                "scope": kept.scope.name,
                "endpoint": kept.scope.endpoint,
                "conv_type_id": kept.scope.conv_type_id,
                "journeys": kept.journeys,
                "bytes": kept.bytes,
            }
            for kept in AnswerStore(places.files("answers")).contents()
        ]
    except (TargetError, OSError) as error:
        unreadable.append(f"kept answers: {error}")
        return []


def _drifted(files: Files) -> Sequence[dt.date]:
    """The settled days that had changed in the source when a run last looked, and were not read again since."""
    target = JsonTarget(files, "source_findings.json")
    if target.stamp() is None:
        return []
    with suppress(TargetError, KeyError):
        found = target.read()["drifted"]
        noted = stored_notes(files) if found else {}
        return days_drifted(document for document in found if not is_read_anew(document, noted))
    return []


def _ends(days: Sequence[dt.date]) -> Mapping[str, Any]:
    return {"days": len(days), "first": str(days[0]) if days else None, "last": str(days[-1]) if days else None}


def _texts(days: Iterable[dt.date]) -> list[str]:
    return [str(day) for day in days]
