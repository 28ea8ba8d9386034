"""Task parameters: settings, places and intervals, each checked where it enters."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

import luigi
from luigi.date_interval import Custom, Date, DateInterval
from luigi.parameter import ParameterVisibility

from pipeline.errors import IntervalError
from pipeline.model_options import ChannelNames
from pipeline.places import Places
from pipeline.settings import declared_settings, parse_setting, setting_in_force

_IN_FORCE = object()
"""The default of a setting's parameter: what holds when the task is made."""


class SettingParameter(luigi.Parameter):
    """A parameter whose default is the setting of the same name: environment, luigi.cfg, built-in."""

    def __init__(self, name: str) -> None:
        self.declared = declared_settings()[name]
        metadata = self.declared.metadata
        described = f"{metadata['help']} [{metadata['env']}, else {metadata['default'] or 'none'}]"
        super().__init__(
            default=_IN_FORCE,
            positional=False,
            significant=metadata["changes_results"],
            description=described.replace("%", "%%"),
        )

    def parse(self, value: str) -> Any:  # noqa: ANN401 - the setting's own type
        """The checked value. Raises `SettingsError`."""
        return parse_setting(self.declared, value, f"--{self.declared.name.replace('_', '-')}")

    def normalize(self, value: Any) -> Any:  # noqa: ANN401 - the setting's own type
        """The value, checked, by default the setting in force; None is a value. Raises `SettingsError`."""
        if value is _IN_FORCE:
            return setting_in_force(self.declared.name)
        return self.parse(value if isinstance(value, str) else self.serialize(value))

    def serialize(self, value: Any) -> str:  # noqa: ANN401 - the setting's own type
        """The value as it is written in an option; nothing for none."""
        if isinstance(value, tuple | list):
            value = ChannelNames(value)
        return "" if value is None else str(value)


def setting(name: str) -> Any:  # noqa: ANN401 - the setting's own type
    """A task parameter that overrides the setting of this name, which is its default."""
    return SettingParameter(name)


class PlacesParameter(luigi.Parameter):
    """Where the task reads and writes; as text a short identity. Not to be set on the command line."""

    def __init__(self) -> None:
        super().__init__(default=None, positional=False, description=argparse.SUPPRESS)

    def normalize(self, value: Places | None) -> Places:
        """The places, by default those in force. Raises `SettingsError`."""
        return Places.in_force() if value is None else value


class HiddenParameter(luigi.Parameter):
    """A parameter for the tasks among themselves: no option, and on the dashboard only where it tells tasks apart."""

    def __init__(self, default: Any, *, significant: bool = False) -> None:  # noqa: ANN401 - as the task needs
        super().__init__(
            default=default,
            positional=False,
            significant=significant,
            visibility=ParameterVisibility.PUBLIC
            if significant
            else ParameterVisibility.PRIVATE,  # as task ids need it
            description=argparse.SUPPRESS,
        )


class IntervalParameter(luigi.DateIntervalParameter):
    """Days, as an interval in any form Luigi accepts, a date or a text; normalised to `first-end`, the end exclusive.

    Raises `IntervalError` for an interval that is malformed, empty or reversed. Whether its days are over is judged by
    the tasks when they run.
    """

    def __init__(self) -> None:
        super().__init__(
            description="days of the conversions, such as 2023-08-29-2023-09-08 (end exclusive) or 2023-09"
        )

    def parse(self, value: str) -> Custom:
        """The interval that `value` writes."""
        try:
            interval = super().parse(value)
        except (ValueError, OverflowError):
            raise _malformed(value) from None
        return self.normalize(interval)

    def normalize(self, interval: DateInterval | dt.date | str) -> Custom:
        """The interval in its one form."""
        if isinstance(interval, str):
            return self.parse(interval)
        try:
            if isinstance(interval, dt.date):
                interval = Date(interval.year, interval.month, interval.day)
            first, end = interval.date_a, interval.date_b
        except (AttributeError, OverflowError):
            raise _malformed(interval) from None
        if first >= end:
            raise IntervalError(
                f"the date interval {first}-{end} holds no day: its end is exclusive and must come later"
            )
        return Custom(first, end)


def _malformed(interval: object) -> IntervalError:
    written = repr(interval) if isinstance(interval, str) else str(interval)
    return IntervalError(
        f"the date interval {written} is malformed; write 2023-08-29-2023-09-08 (end exclusive), "
        "2023-09-01, 2023-W36, 2023-09 or 2023"
    )
