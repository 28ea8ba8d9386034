"""The record of a run: the document that run.json holds, its line for a person, and its metrics."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.console import on_one_line
from pipeline.stage import Ran

SUCCEEDED = "succeeded"

_METRIC = "attribution_"


def run_document(
    *,
    start: dt.datetime,
    end: dt.datetime,
    version: str,
    command: Mapping[str, str | None],
    settings: Mapping[str, Any],
    stages: Mapping[str, Ran],
    files: Sequence[str],
    warnings: Sequence[str],
    exit_code: int,
    reasons: Sequence[str],
    figures: Mapping[str, float],
    dead_feeds: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The document: times in UTC, durations in seconds, figures in the currency of the settings.

    `reasons` are the causes of the failure, the one that the log ends with last; none of a run that succeeded.
    """
    return {
        "start": _written(start),
        "end": _written(end),
        "seconds": round((end - start).total_seconds(), 3),
        "version": version,
        "command": dict(command),
        "exit_code": exit_code,
        "reason": on_one_line(reasons[-1]) if reasons else SUCCEEDED,
        "reasons": [*map(on_one_line, reasons)],
        "settings": {name: without_credentials(str(value)) for name, value in settings.items() if value is not None},
        "stages": [
            {"stage": label, **dataclasses.asdict(told), "seconds": round(told.seconds, 3)}
            for label, told in stages.items()
        ],
        "files": [*files],
        "warnings": [*warnings],
        "figures": dict(figures),
        "dead_feeds": [*map(dict, dead_feeds)],
    }


def without_credentials(value: str) -> str:
    """A setting as it may be shown: of a URL neither user and password nor the query, which may hold a key.

    >>> without_credentials("postgresql://ann:pa@ss/word@db.example/shop?sslpassword=x")
    'postgresql://***@db.example/shop?***'
    >>> without_credentials("sqlite:////srv/a@b/shop.db")
    'sqlite:////srv/a@b/shop.db'
    """
    scheme, mark, rest = value.partition("://")
    if not mark:
        return value
    if "@" in rest and not rest.startswith("/"):  # after a third slash comes a path
        rest = f"***@{rest.rpartition('@')[2]}"  # a password that is not encoded may hold any sign
    rest, mark, _ = rest.partition("?")
    return f"{scheme}://{rest}{mark}{'***' * bool(mark)}"


def run_line(document: Mapping[str, Any]) -> str:
    """The run on one line, for a person."""
    command, stages = document["command"], document["stages"]
    named = " ".join(filter(None, (command["task"], command["interval"])))
    end = SUCCEEDED if document["exit_code"] == 0 else f"failed (exit code {document['exit_code']})"
    made = [stage for stage in stages if stage["files"] or stage["days_made"]]
    told = [
        f"{len(made)} of {len(stages)} stages at work",
        f"{sum(stage['days_made'] for stage in stages):,} days made",
        f"{sum(stage['days_reused'] for stage in stages):,} reused",
        f"{sum(stage['rows'] for stage in stages):,} rows",
    ]
    warned = len(document["warnings"])
    told += [f"{warned:,} warning{'s' * (warned != 1)}"]
    return f"run of {named or 'no task'} {end} in {document['seconds']:.1f} s: {', '.join(told)}"


def metrics_text(document: Mapping[str, Any], before: str) -> str:
    """The metrics of a run in Prometheus' text format; `before` are those that the file holds.

    The series of other tasks and models stay as they were; when a run fails, the time of the last success and the
    figures of the marketing too.
    """
    labels = {name: document["command"][name] or "" for name in ("task", "model")}
    own = _labels(labels)
    end = dt.datetime.fromisoformat(document["end"]).timestamp()
    succeeded = document["exit_code"] == 0
    by_stage: dict[str, float] = {}
    for stage in document["stages"]:
        kind = stage["stage"].partition(" ")[0]
        by_stage[kind] = by_stage.get(kind, 0) + stage["seconds"]
    metrics: dict[str, tuple[str, dict[str, object]]] = {
        "exit_code": ("exit code of the last run", {own: document["exit_code"]}),
        "run_timestamp_seconds": ("end of the last run", {own: end}),
        "run_seconds": ("how long the last run took", {own: document["seconds"]}),
        "run_warnings": ("warnings of the last run", {own: len(document["warnings"])}),
        "run_rows": ("rows that the last run made", {own: sum(of["rows"] for of in document["stages"])}),
        "stage_seconds": (
            "seconds of the last run in a stage",
            {_labels({**labels, "stage": kind}): value for kind, value in by_stage.items()},
        ),
        "last_success_timestamp_seconds": ("end of the last run that succeeded", {own: end} if succeeded else {}),
        **{
            f"report_{name}": (f"{name} of the interval of the last report", {own: value})
            for name, value in (document["figures"].items() if succeeded else ())
        },
    }
    for name, meaning, series, value in _kept(before, labels, succeeded=succeeded):
        metrics.setdefault(name, (meaning, {}))[1].setdefault(series, value)
    return "".join(
        f"# HELP {_METRIC}{name} {meaning}\n# TYPE {_METRIC}{name} gauge\n"
        + "".join(f"{_METRIC}{name}{series} {value}\n" for series, value in values.items())
        for name, (meaning, values) in metrics.items()
        if values
    )


def _kept(before: str, labels: Mapping[str, str], *, succeeded: bool) -> Iterator[tuple[str, str, str, str]]:
    """Name, meaning, labels and value of each series that a run with these labels leaves in the file.

    Those of its task without a model are of a command that was refused before its model was known.
    """
    meanings: dict[str, str] = {}
    replaced = [_labels({**labels, "model": model})[:-1] for model in {labels["model"], ""}]
    for line in before.splitlines():
        if found := re.fullmatch(rf"# HELP {_METRIC}(\w+) (.*)", line):
            meanings[found[1]] = found[2]
        elif found := re.fullmatch(rf"{_METRIC}(\w+)(\{{.*\}}) (\S+)", line):
            name, series, value = found.groups()
            is_own = series[:-1] in replaced or re.sub(r',stage="\w*"\}$', "", series) in replaced
            outlives = name.startswith(("last_success", "report_")) and not succeeded
            if name in meanings and (outlives or not is_own):
                yield name, meanings[name], series, value


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        for name, value in labels.items()
        if value
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"


def _written(time: dt.datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
