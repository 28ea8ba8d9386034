"""The stages that fill the result tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pipeline.attribution.tasks import Attribution, ModelSettings
from pipeline.errors import OwnerError, SettingsError
from pipeline.reporting.daily_tasks import ChannelCredit
from pipeline.reporting.owner import Claim, Owner
from pipeline.reporting.store import (
    refresh_channel_reporting,
    store_days,
    stored_channels,
    stored_days,
)
from pipeline.result_tables import ATTRIBUTION, CHANNELS
from pipeline.source.repeated import refuse_repeated
from pipeline.source.tasks import ChannelCosts, Conversions, InitDatabase, Sessions
from pipeline.source.version import own_writes
from pipeline.sql_session import sql_session
from pipeline.stage import Part, Stage, counted
from targets.database import Connection
from targets.errors import TargetError
from targets.fingerprint import fingerprint
from targets.stamped import verified_paths
from targets.table import Marker, Origin, TableSlice


class StoringSettings(ModelSettings):
    """The settings of a stage that stores, or requires one that does: refused where the tables are another owner's."""

    def deps(self) -> list[Any]:
        """What Luigi asks of a task that is to be built, before anything is. Raises `OwnerError`."""
        try:
            self.refuse()
        except OwnerError as error:
            if not self.runs_as_command:  # a command prints its causes; a service finds the line in its log
                self.warn(str(error))
            raise
        return list(super().deps())

    def origin(self) -> Origin:
        """The model, and a digest of it and of all settings that change results, whatever the interval."""
        return Origin(self.model, fingerprint(self.identity()))

    def claim(self) -> Claim:
        """What the run wants of the result tables."""
        of_model = {**self.journey_settings(), "model": self.choice.identity()}
        formerly = frozenset(fingerprint({**of_model, "bad_rows": rule}) for rule in ("fail", "set-aside"))
        mine = Owner(self.origin(), self.described())
        return Claim(mine, formerly, self.store, self.places.files(), self.places.results().name)

    def refuse(self) -> None:
        """Raise `OwnerError` if the result tables hold days of another owner and `store` is `true`.

        Also if the credit of a day would be another one in the report of another interval.
        """
        if self.choice.fits_interval and self.store != "false":
            raise OwnerError(
                f"{self.model} is fitted to the interval of each report, so that days of different reports do not mix, "
                "and the result tables take none of it; choose STORE=false (a trial that writes files alone), or make "
                f"a fit that all reports share (task TrainedModel --model {self.model} --conv-type-id <name>) and set "
                "CONV_TYPE_ID=<name>"
            )
        if self.store != "true":
            return
        reason = None
        with suppress(TargetError):  # what is no database has no owner; the stages say what is wrong with it
            results = self.places.results()
            if results.exists():
                with results.connect() as connection:
                    reason = self.claim().refusal(connection)
        if reason:
            raise OwnerError(reason)


class TableStage(StoringSettings):
    """A stage whose parts are slices of a result table."""

    table: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        """Raise `SettingsError` in a trial, which has no tables."""
        super().__init__(*args, **kwargs)
        if self.store == "false":
            raise SettingsError(
                f"{self.task_family} fills the result tables, which STORE=false leaves alone; make a Report"
            )

    def target(self, part: Part) -> TableSlice:
        """The slice of the table."""
        return TableSlice(self.places.results(), self.table, str(part))

    @property
    def lock_name(self) -> str:
        """One run at a time writes the tables."""
        return "result-tables"

    def settings(self) -> Mapping[str, Any]:
        """The owner of the rows."""
        return {"origin": self.origin().settings}

    def run_once(self) -> None:
        """Write the slices; where results lie in the source, that does not count as a change of it."""
        with own_writes(self.places):
            super().run_once()


class StoredAttribution(TableStage):
    """Each conversion day in `attribution_customer_journey`."""

    table = ATTRIBUTION

    def requires(self) -> list[Stage]:
        """The tables, and the days' credit."""
        return [self.clone(InitDatabase), self.clone(Attribution), self.clone(ChannelCredit)]

    def inputs(self) -> Mapping[Part, Any]:
        """Of each day its credit, by session and by channel."""
        credit, channels = self.clone(Attribution).contents(), self.clone(ChannelCredit).contents()
        return {day: [credit[day], channels[day]] for day in self.days}

    def stale(self) -> dict[Part, str]:
        """The days that are not stored as they would be now, or of which rows are gone. Raises `DatabaseError`.

        Days that a former owner has stored stay, unless their rows in the source have changed.
        """
        with self.places.results().connect() as connection:
            if self.claim().is_due(connection):
                return self.fingerprints()
            return self._not_stored(connection, self.fingerprints())

    def contents_now(self) -> dict[Part, str]:
        """The fingerprints: a day's rows follow from them."""
        return self.fingerprints()

    def make(self, stale: Mapping[Part, str]) -> str:
        """Replace the days' rows. Raises `SourceError` for a conversion that stands on two days of the interval."""
        conversions, credit, channels = (self.clone(stage) for stage in (Conversions, Attribution, ChannelCredit))
        claim, sources = self.claim(), self._sources()
        with (
            sql_session(self.files, self.memory_limit) as sql,
            self.places.results().connect() as connection,
        ):
            extracts = verified_paths(map(conversions.target, self.days))
            refuse_repeated(sql, extracts, "conv_id", conversions.source_table)
            days = stale if self.store == "replace" else self._not_stored(connection, stale)
            rows, moved = store_days(
                connection,
                sql,
                dict(zip(map(str, days), verified_paths(map(credit.target, days)), strict=True)),
                {str(day): channels.target(day).read() for day in days},
                {str(day): Marker(print_, 0, sources[day]) for day, print_ in days.items()},
                self.origin(),
                claim.take,
            )
        if moved:
            left = ", ".join(moved)
            self.warn(
                f"conversions that were stored for {left} are now of other days; the result tables are without the "
                f"rest of {left} until a report of it is made again"
            )
        return counted(len(days), rows)

    def _not_stored(self, connection: Connection, days: Mapping[Part, str]) -> dict[Part, str]:
        """Those of the days that are neither current nor kept of a former owner."""
        stored, sources, settings = stored_days(connection), self._sources(), self.origin().settings
        return {
            day: print_
            for day, print_ in days.items()
            if not stored.is_current(str(day), print_) and not stored.is_kept(str(day), sources[day], settings)
        }

    def _sources(self) -> dict[Part, str]:
        """Of each day the digest of its own rows in the source, whatever the model and its window make of them."""
        sessions, conversions = self.clone(Sessions).contents(), self.clone(Conversions).contents()
        return {day: fingerprint({"made_from": [sessions[day], conversions[day]]}) for day in self.days}


class ChannelReportingTable(TableStage):
    """The table `channel_reporting`, recomputed from all stored days."""

    table = CHANNELS

    def requires(self) -> list[Stage]:
        """The stored days of the interval, and the costs of every session day."""
        return [self.clone(StoredAttribution), self.reached(ChannelCosts)]

    def parts(self) -> Sequence[Part]:
        """The interval."""
        return [str(self.date_interval)]

    def inputs(self) -> Mapping[Part, Any]:
        """The stored days and the costs."""
        contents = [list(stage.contents().values()) for stage in self.made_from()]
        return dict.fromkeys(self.parts(), contents)

    def stale(self) -> dict[Part, str]:
        """The interval, unless the table shows it and no row of it is gone. Raises `DatabaseError`."""
        with self.places.results().connect() as connection:
            stored = stored_channels(connection)
        return {
            part: print_ for part, print_ in self.fingerprints().items() if not stored.is_current(str(part), print_)
        }

    def make(self, stale: Mapping[Part, str]) -> str:
        """Recompute the table."""
        costs = self.reached(ChannelCosts)
        of_days = {day: costs.target(day).read() for day in costs.days}
        origin, check = self.origin(), self.claim().check
        with self.places.results().connect() as connection:
            for interval, print_ in stale.items():
                rows = refresh_channel_reporting(connection, str(interval), self.days, of_days, print_, origin, check)
        return f"{rows:,} rows in {CHANNELS}"
