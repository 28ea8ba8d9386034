"""The first stages: init database, then one file per UTC day of sessions with their costs, and of conversions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import luigi
import pyarrow as pa

from pipeline import result_tables
from pipeline.days import IntervalParameter
from pipeline.once_a_run import once_a_run
from pipeline.source import prepare
from pipeline.source.checks import Rejects, refuse
from pipeline.source.costs import sum_channel_costs
from pipeline.source.extract import Extract, read_conversions, read_sessions, undated_rows
from pipeline.source.schema import CHANNEL_COSTS, CONVERSIONS, SESSIONS
from pipeline.stage import DayBlock, InputSettings, Stage, data_root, settings
from targets.atomic import write_bytes
from targets.database import Database, open_database
from targets.parquet import ParquetTarget
from targets.text import JsonTarget


def source_database() -> Database:
    """The source, read-only when the result tables live elsewhere."""
    return open_database(settings().database_url, read_only=settings().results_database_url is not None)


def results_database() -> Database:
    """The database of the result tables."""
    return open_database(settings().results_database_url or settings().database_url)


class InitDatabase(Stage):
    """The source checked, the data directory claimed for it, the result tables created."""

    def run(self) -> None:
        """Check first, so that a run on a wrong source ends before anything is written."""
        source, results = source_database(), results_database()
        prepare.check_source(source)
        prepare.claim(data_root(), source)
        results.create()
        with results.connect() as connection, connection.transaction():
            result_tables.create(connection)
        prepare.create_indexes(source)
        self.done(f"result tables in {results.name}")

    def complete(self) -> bool:
        """Whether everything is in place. Raises `SourceError` if the data directory is another source's."""
        if not prepare.belongs_to(data_root(), source_database()):
            return False
        results = results_database()
        return not (settings().results_database_url and not Path(results.name).exists()) and result_tables.are_ready(
            results
        )

    def contents(self) -> Iterator[str]:
        """Nothing: the database is where results go, not what they are made from."""
        yield from ()


class DayExtract(InputSettings, Stage):
    """One day of the source, read once and then kept: late rows enter by restating the day."""

    version = 2
    day = luigi.DateParameter()
    folder: ClassVar[str]
    schema: ClassVar[pa.Schema]

    def requires(self) -> Stage:
        """The database has to be prepared."""
        return self.clone(InitDatabase)

    def made_from(self) -> list[Stage]:
        """Nothing that changes after the day was read."""
        return []

    def output(self) -> ParquetTarget:
        """`<DATA_DIR>/<folder>/<day>.parquet`."""
        return ParquetTarget(data_root() / self.folder / f"{self.day}.parquet", self.schema)

    def ingredients(self) -> dict[str, Any]:
        """The day alone: what becomes of bad rows is decided when it is read."""
        return {"stage": self.task_family, "version": self.version, "day": str(self.day)}

    def current(self) -> bool:
        """Whether the day was read, and without setting rows aside where that is not allowed."""
        if not super().current():
            return False
        return self.bad_rows == "set-aside" or not any(self.output().notes()["rejected"].values())

    def keep(self, extract: Extract) -> None:
        """Write the good rows, and beside them those set aside. Raises `BadRowsError` where that is not allowed."""
        if self.bad_rows == "fail":
            refuse(extract.rejects, str(self.day))
        asides = [self._set_aside(table, rejects) for table, rejects in extract.rejects.items()]
        self.output().write(extract.rows, self.fingerprint(), extract.notes())
        self.done(f"{extract.rows.num_rows:,} rows{''.join(asides)}")

    def _set_aside(self, table: str, rejects: Rejects) -> str:
        """Write the CSV of the rows of a table that were set aside, if there are any, and say so."""
        path = data_root() / "rejects" / table / f"{self.day}.csv"
        if not rejects.ids:
            path.unlink(missing_ok=True)
            return ""
        write_bytes(path, rejects.to_csv().encode())
        return f", {len(rejects.ids)} set aside in {path}"


@once_a_run
def _all_costs() -> pa.Table | None:
    return prepare.costs_at_once(source_database())  # one scan for all days


class Sessions(DayExtract):
    """The sessions of a day with their costs, which have no date of their own."""

    folder, schema = "sessions", SESSIONS

    def run(self) -> None:
        """Read, check, keep."""
        self.keep(read_sessions(source_database(), self.day, _all_costs()))


class Conversions(DayExtract):
    """The conversions of a day."""

    folder, schema = "conversions", CONVERSIONS

    def run(self) -> None:
        """Read, check, keep."""
        self.keep(read_conversions(source_database(), self.day))


class ChannelCosts(InputSettings, Stage):
    """The cost and the number of sessions of each channel on a day."""

    day = luigi.DateParameter()

    def requires(self) -> Stage:
        """The day's sessions."""
        return self.clone(Sessions)

    def output(self) -> ParquetTarget:
        """`<DATA_DIR>/channel_costs/<day>.parquet`."""
        return ParquetTarget(data_root() / "channel_costs" / f"{self.day}.parquet", CHANNEL_COSTS)

    def run(self) -> None:
        """Sum the costs by channel."""
        rows = sum_channel_costs(self.input().read(["channel_name", "cost"]))
        self.output().write(rows, self.fingerprint())
        self.done(f"{rows.num_rows} channels")


class SessionBlock(DayBlock):
    """Consecutive days of sessions."""

    stage = Sessions


class ConversionBlock(DayBlock):
    """Consecutive days of conversions."""

    stage = Conversions


class ChannelCostBlock(DayBlock):
    """Consecutive days of channel costs."""

    stage = ChannelCosts


class UndatedRows(Stage):
    """The rows whose date is malformed: they belong to no day, so they are looked for once per interval."""

    date_interval = IntervalParameter()

    def requires(self) -> Stage:
        """The database has to be prepared."""
        return InitDatabase()

    def output(self) -> JsonTarget:
        """`<DATA_DIR>/undated_rows/<interval>.json`: per table, malformed date -> rows."""
        return JsonTarget(data_root() / "undated_rows" / f"{self.date_interval}.json")

    def run(self) -> None:
        """Ask the source for every date it has."""
        undated = undated_rows(source_database())
        self.output().write(undated, self.fingerprint())
        for table, dates in undated.items():
            if dates:
                self.warn(
                    f"{table}: {sum(dates.values())} rows with a malformed date belong to no day and are not in "
                    f"any report: {', '.join(map(repr, [*dates][:5]))}; correct them in the source"
                )
        self.done("looked for rows without a day")
