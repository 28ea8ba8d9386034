"""What `attribution-source check` shows of a source whose queries the database takes, and every problem of its rows."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.settings import setting_in_force
from pipeline.source.amounts import costs_in_currency
from pipeline.source.bad_values import amiss, doubtful_amount
from pipeline.source.channel_names import clean
from pipeline.source.check_source import query_of
from pipeline.source.checks import Rejects
from pipeline.source.columns import FLAGS
from pipeline.source.doubts import Doubts
from pipeline.source.extract import Extract, check_conversions, check_sessions, scan_conversions, scan_sessions
from pipeline.source.findings import Look, look_at, orphans
from pipeline.source.goals import goals_in_source, listed_goals
from pipeline.source.mapping import Time
from pipeline.source.matching_ids import doubts_about_ids
from pipeline.source.new_customers import read_first_conversions
from pipeline.source.source import Source, channel_costs_query, cost_queries
from pipeline.source.times import EARLIEST
from pipeline.zones import UTC

Say = Callable[[str], None]

_EXAMPLES = 3
_VALUES = 5
_SECTIONS = {"session_sources": "sessions", "conversions": "conversions", "channel_costs": "channel_costs"}
_USERS = {"sessions": "sessions", "conversions": "conversions"}


def examine(source: Source, say: Say) -> Iterator[str]:
    """Print each input, and give what is wrong with it, a line each. Raises `DatabaseError`, `SourceError`."""
    memory_limit = setting_in_force("memory_limit")
    with (
        tempfile.TemporaryDirectory() as folder,
        duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": folder}) as connection,
    ):
        look = look_at(source, connection, negative_cost=setting_in_force("negative_cost"))
        examined = _Examined(source, look, connection, say)
        for name in ("session_sources", "conversions"):
            yield from examined.rows(name)
        yield from examined.costs()
        yield from examined.doubts()


class _Found(NamedTuple):
    """Rows that break a rule: how many, of which days, and a few of them."""

    rows: int
    days: set[dt.date]
    examples: list[str]


class _Examined:
    def __init__(self, source: Source, look: Look, connection: duckdb.DuckDBPyConnection, say: Say) -> None:
        self._source = source
        self._look = look
        self._connection = connection
        self._say = say
        self._doubts = Doubts(source)
        for name in _USERS:
            connection.execute(f"CREATE TABLE {name} (user_id VARCHAR)")

    def rows(self, name: str) -> Iterator[str]:
        """Sessions or conversions."""
        section, days = _SECTIONS[name], self._look.daily[name]
        undated = sum(found.rows for found in self._look.undated[name].values())
        rows = sum(found.rows for found in days.values()) + undated
        self._begin(section)
        self._say(f"  rows: {rows:,}" + (f", days {min(days)} to {max(days)}" if days else ""))
        if section == "conversions" and (goals := goals_in_source(self._source)):
            self._say(f"  goals: {listed_goals(goals)}")
        if not rows:
            yield f"{section} has no rows"
        yield from self._without_a_day(name)
        found = self._of_dated(name)
        if undated:
            found = self._of_undated(name, alone=not days) | found
        for reason, of_reason in found.items():
            yield self._bad_rows(section, reason, of_reason)
        if section == "sessions":
            yield from self._costs_of("sessions")
        elif (doubt := doubtful_amount(self._source, section, "revenue")) is not None:
            yield doubt

    def _of_dated(self, name: str) -> dict[str, _Found]:
        """Show a few good rows, take note of all, and find what is wrong with the others."""
        found: dict[str, _Found] = {}
        shown = 0
        for day, extract in _extracts(self._source, name, sorted(self._look.daily[name])):
            for row in extract.rows.slice(0, _EXAMPLES - shown).to_pylist() if shown < _EXAMPLES else ():
                self._say(f"  row: {_readable(row)}")
                shown += 1
            self._doubts.look_at(extract)
            self._note_users(_SECTIONS[name], extract)
            _add(found, day, extract)
        return found

    def _of_undated(self, name: str, *, alone: bool) -> dict[str, _Found]:
        """What else is wrong with an input that has rows without a day; `alone` where it has no others."""
        found: dict[str, _Found] = {}
        for day, extract in _of_undated(self._source, name):
            _add(found, day, extract, dated=False)
            if alone:
                self._note_users(_SECTIONS[name], extract)
        return found

    def _note_users(self, section: str, extract: Extract) -> None:
        self._connection.register("users", extract.rows.select(["user_id"]))
        self._connection.execute(f"INSERT INTO {section} SELECT user_id FROM users")  # noqa: S608 - a section

    def costs(self) -> Iterator[str]:
        """What sessions and channels cost."""
        for section in ("session_costs", "channel_costs"):
            if section in self._source.mapping.inputs():
                self._begin(section)
                if section == "channel_costs":
                    yield from self._without_a_day(section)
                yield from self._costs_of(section)
        yield from orphans(self._look.document())

    def doubts(self) -> Iterator[str]:
        """What deserves a look in rows that are good by themselves."""
        yield from self._doubts.lines()
        ((meeting,),) = self._connection.execute(
            "SELECT count(*) FROM conversions WHERE user_id IN (SELECT user_id FROM sessions)"
        ).fetchall()
        yield from doubts_about_ids(self._connection, meeting)

    def _begin(self, section: str) -> None:
        self._say(f"\n{section}\n  query: {query_of(self._source, section)}")

    def _without_a_day(self, name: str) -> Iterator[str]:
        found = self._look.undated.get(name, {})
        if rows := sum(of_value.rows for of_value in found.values()):
            shown = ", ".join(map(repr, [*found][:_VALUES]))
            yield (
                f"{_SECTIONS[name]}: {rows:,} row{'s' * (rows > 1)} of no plausible day, such as {shown}: "
                f"{self._look.remedies[name]}"
            )

    def _bad_rows(self, section: str, reason: str, found: _Found) -> str:
        keys = {"revenue": "revenue", **dict(zip(FLAGS, FLAGS, strict=True))}
        key = keys.get(reason.partition(" ")[0], "time[1]" if reason.endswith("HH:MM:SS") else None)
        values = amiss(self._source, section, key) if key is not None else ""
        days = len(found.days)
        of_days = f" on {days} day{'s' * (days > 1)}" if days else ""
        rows = f"{found.rows:,} row{'s' * (found.rows > 1)}{of_days}, such as {', '.join(found.examples)}"
        return (
            f"{section}: {reason}{values and f', {values}'}: {rows}; correct them, write an expression in "
            "SOURCE_MAPPING, or set BAD_ROWS=set-aside"
        )

    def _costs_of(self, section: str) -> Iterator[str]:
        """The costs of an input, summed."""
        query = _cost_query(self._source, section)
        if query is None:
            return
        currency = self._source.currency
        net = setting_in_force("negative_cost") == "net"
        rows, bad, other, total = 0, 0, 0, 0.0
        examples: list[dict[str, object]] = []
        with self._source.connect() as connection, connection.stream(query) as batches:
            for batch in batches:
                if not batch.num_rows:
                    continue
                costs = costs_in_currency(batch, self._source).to_pylist()
                good = [cost for cost in costs if (cost >= 0 or net) and abs(cost) < float("inf")]
                elsewhere = sum(cost != cost for cost in costs)  # noqa: PLR0124 - NaN
                rows, total, other = rows + len(costs), total + sum(good), other + elsewhere
                bad += len(costs) - len(good) - elsewhere
                examples += batch.slice(0, max(0, _EXAMPLES - len(examples))).to_pylist()
                if section == "channel_costs":
                    names = map(clean, pc.unique(batch.column("channel_name").cast(pa.string())).to_pylist())
                    self._doubts.add_channels(name for name in names if name)
        self._say(
            f"  rows: {rows:,}, cost {total:,.2f} {currency}"
            if section != "sessions"
            else f"  cost: {total:,.2f} {currency}"
        )
        for row in examples if section != "sessions" else ():
            self._say(f"  row: {_readable(row)}")
        if bad:
            values = amiss(self._source, section, "cost")
            yield (
                f"{section}: {bad:,} costs are no number of at least 0{values and f', {values}'}; correct them, or set "
                "BAD_ROWS=set-aside"
            )
        if other:
            yield (
                f"{section}: {other:,} costs are in another currency than {currency}: convert them in [{section}] of "
                "SOURCE_MAPPING, and leave the key currency out, or set BAD_ROWS=set-aside"
            )
        if (doubt := doubtful_amount(self._source, section, "cost")) is not None:
            yield doubt


def _cost_query(source: Source, section: str) -> str | None:
    if section == "channel_costs":
        return channel_costs_query(source)
    mapping = source.mapping
    if section == "sessions":
        alone = replace(mapping, session_costs=None)
    else:
        alone = replace(mapping, sessions=replace(mapping.sessions, cost=None))
    return next(iter(cost_queries(replace(source, mapping=alone))), None)


def _extracts(source: Source, name: str, days: Sequence[dt.date]) -> Iterator[tuple[dt.date, Extract]]:
    if not days:
        return
    with tempfile.TemporaryDirectory() as folder:
        if name == "session_sources":
            for day, batches in scan_sessions(source, days, Path(folder)):
                yield day, check_sessions(source, day, batches)
            return
        firsts = read_first_conversions(source, days[-1])
        for day, batches in scan_conversions(source, days, Path(folder)):
            yield day, check_conversions(source, day, batches, firsts)


def _of_undated(source: Source, name: str) -> Iterator[tuple[dt.date, Extract]]:
    """All rows of an input that has some without a day, as if they were of one: what else is wrong with them."""
    mapping = source.mapping
    if name == "session_sources":
        sessions = mapping.sessions
        mapping = replace(mapping, sessions=replace(sessions, time=_of_one_day(sessions.time), timezone=UTC))
    else:
        conversions = mapping.conversions
        mapping = replace(mapping, conversions=replace(conversions, time=_of_one_day(conversions.time), timezone=UTC))
    yield from _extracts(replace(source, mapping=mapping, zone=UTC), name, [EARLIEST])


def _of_one_day(time: Time) -> Time:
    return f"'{EARLIEST}'", "'00:00:00'" if isinstance(time, str) else time[1]


def _add(found: dict[str, _Found], day: dt.date, extract: Extract, *, dated: bool = True) -> None:
    """Add the bad rows of a day by each of their reasons."""
    rejects: Mapping[str, Rejects] = extract.rejects
    for of_table in rejects.values():
        for row_id, reasons in zip(of_table.ids, of_table.reasons, strict=True):
            for reason in reasons.split("; "):
                rows, days, examples = found.get(reason, _Found(0, set(), []))
                if len(examples) < _EXAMPLES:
                    examples.append(f"{row_id or '(no id)'}" + (f" on {day}" if dated else ""))
                found[reason] = _Found(rows + 1, days | {day} if dated else days, examples)


def _readable(row: Mapping[str, object]) -> str:
    def value(name: str, of_row: object) -> str:
        if name.endswith("_time") and isinstance(of_row, int):
            return f"{dt.datetime.fromtimestamp(of_row, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
        if of_row == float("-inf"):
            return "not a number"
        if isinstance(of_row, bytes):
            return repr(of_row.decode(errors="replace"))
        return str(of_row) if isinstance(of_row, int | float) else repr(of_row)

    return ", ".join(f"{name.removeprefix('dimension_')} {value(name, of_row)}" for name, of_row in row.items())
