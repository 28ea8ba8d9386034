"""The day files of each stage: which are there, unsettled, damaged, stale; and which days between them are missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.attribution.tasks import Attribution
from pipeline.journeys.tasks import Journeys
from pipeline.operating.intervals import days_between_ends, spanning
from pipeline.places import Places
from pipeline.reporting.daily_tasks import ChannelCredit, ConversionBooks
from pipeline.reporting.tasks import Report
from pipeline.source.first_day import know_first_day
from pipeline.source.stored import stored_stamps
from pipeline.source.tasks import ChannelCosts, Conversions, Sessions
from targets.files import Files

EXTRACTS = (Sessions, Conversions, ChannelCosts)
DERIVED = {
    "journeys": Journeys,
    "attribution": Attribution,
    "channel_credit": ChannelCredit,
    "conversion_books": ConversionBooks,
}
"""Of each folder the stage whose days lie in it, in folders by settings."""


@dataclass(frozen=True)
class StageDays:
    """The days of a stage.

    Attributes:
        folder: below the data directory; of stages that depend on a model or window, one for each.
        is_current: whether the settings in force would use the folder; None where that is not asked.
        days: that have a file with its stamp.
        damaged: that have a file without a whole stamp, which counts as missing.
        unsettled: that each run reads again.
        stale: that the next run makes anew, None where that was not asked.
        missing: between the first and the last day.

    """

    stage: str
    folder: str
    is_current: bool | None
    days: Sequence[dt.date] = ()
    damaged: Sequence[dt.date] = ()
    unsettled: Sequence[dt.date] = ()
    stale: Sequence[dt.date] | None = None
    missing: Sequence[dt.date] = field(default=())


def stages_of(places: Places, report: Report | None) -> list[StageDays]:
    """The days of every stage; what is stale is judged by the settings of `report`, without the source being opened."""
    files = places.files()
    extracts = [_look(files, kind.__name__, kind.folder) for kind in EXTRACTS]
    if report is not None and extracts[0].days and not report.lookback_days:
        know_first_day(report.source, extracts[0].days[0])
    mine = report.files if report is not None else files
    derived = []
    for folder, kind in DERIVED.items():
        used = _used(kind, report)
        for name in sorted({*mine.folders(folder), *([used] if used else [])}):
            looked = _look(mine, kind.__name__, f"{folder}/{name}", is_current=name == used)
            derived.append(_judged(looked, kind, report) if report is not None and name == used else looked)
    return [*extracts, *derived]


def _look(files: Files, stage: str, folder: str, *, is_current: bool | None = None) -> StageDays:
    days: list[dt.date] = []
    damaged: list[dt.date] = []
    unsettled: list[dt.date] = []
    for day, stamp in stored_stamps(files, folder):
        (damaged if stamp is None else days).append(day)
        if stamp is not None and stamp.notes.get("settled") is False:
            unsettled.append(day)
    there = {*days}
    missing = [day for day in days_between_ends(days) if day not in there]
    return StageDays(stage, folder, is_current, days, damaged, unsettled, None, missing)


def _judged(looked: StageDays, kind: Any, report: Report) -> StageDays:  # noqa: ANN401 - a stage's class
    """The same with the days that are not as the settings and the stages before would have them now."""
    if not looked.days:
        return StageDays(**{**vars(looked), "stale": []})
    stage = report.clone(kind, date_interval=spanning(looked.days))
    expected = stage.fingerprints()
    stamps = {day: stage.target(day).stamp() for day in looked.days}
    stale = [day for day, stamp in stamps.items() if stamp is None or stamp.fingerprint != expected[day]]
    return StageDays(**{**vars(looked), "stale": stale})


def _used(kind: Any, report: Report | None) -> str | None:  # noqa: ANN401 - a stage's class
    """The name of the folder that the settings in force use."""
    if report is None:
        return None
    first = next(iter(report.days))
    return Path(report.clone(kind).target(first).name).parent.name
