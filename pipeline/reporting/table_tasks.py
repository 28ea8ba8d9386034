"""The stages that fill the result tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.attribution.tasks import Attribution, ModelSettings
from pipeline.reporting.daily_tasks import ChannelCredit
from pipeline.reporting.store import (
    refresh_channel_reporting,
    store_days,
    stored_channels,
    stored_days,
)
from pipeline.result_tables import ATTRIBUTION, CHANNELS
from pipeline.source.repeated import refuse_repeated
from pipeline.source.tasks import ChannelCosts, Conversions, InitDatabase
from pipeline.source.version import own_writes
from pipeline.sql_session import sql_session
from pipeline.stage import Part, Stage, counted
from targets.fingerprint import fingerprint
from targets.table import Origin, TableSlice


class TableStage(ModelSettings):
    """A stage whose parts are slices of a result table."""

    table: str

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

    def origin(self) -> Origin:
        """The model, and a digest of it and of all settings that change results, whatever the interval."""
        identity = {**self.journey_settings(), "bad_rows": self.bad_rows, "model": self.choice.identity()}
        return Origin(self.model, fingerprint(identity))


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
        """The days that are not stored, of other settings, or of which rows are gone. Raises `DatabaseError`."""
        with self.places.results().connect() as connection:
            stored = stored_days(connection)
        return {day: print_ for day, print_ in self.fingerprints().items() if not stored.is_current(str(day), print_)}

    def contents_now(self) -> dict[Part, str]:
        """The fingerprints: a day's rows follow from them."""
        return self.fingerprints()

    def make(self, stale: Mapping[Part, str]) -> str:
        """Replace the days' rows. Raises `SourceError` for a conversion that stands on two days of the interval."""
        conversions, credit, channels = (self.clone(stage) for stage in (Conversions, Attribution, ChannelCredit))
        with (
            sql_session(self.files, self.memory_limit) as sql,
            self.places.results().connect() as connection,
        ):
            extracts = [conversions.target(day).verified() for day in self.days]
            refuse_repeated(sql, extracts, "conv_id", conversions.source_table)
            rows, moved = store_days(
                connection,
                sql,
                {str(day): credit.target(day).verified() for day in stale},
                {str(day): channels.target(day).read() for day in stale},
                {str(day): print_ for day, print_ in stale.items()},
                self.origin(),
            )
        if moved:
            left = ", ".join(moved)
            self.warn(
                f"conversions that were stored for {left} are now of other days; the result tables are without the "
                f"rest of {left} until a report of it is made again"
            )
        return counted(len(stale), rows)


class ChannelReportingTable(TableStage):
    """The table `channel_reporting`, recomputed from all stored days of the current model and settings."""

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
        with self.places.results().connect() as connection:
            for interval, print_ in stale.items():
                rows = refresh_channel_reporting(connection, str(interval), self.days, of_days, print_, self.origin())
        return f"{rows:,} rows in {CHANNELS}"
