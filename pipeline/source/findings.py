"""What of the source is in no report: rows without a day, costs that match no session; and what each date holds."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import BadRowsError
from pipeline.source.amounts import PARTS, costs_in_currency
from pipeline.source.channel_spend import ChannelSpend, read_channel_spend, spend_remedy
from pipeline.source.dated import Tally, dated_inputs, tally, undated_remedy
from pipeline.source.source import Source, cost_queries
from pipeline.source.streaming import engine_errors, streamed

_SHOWN = 5
_LISTED = 100
_SESSION_DAYS = pa.schema([("id", pa.binary()), ("day", pa.int32())])
_COST_ROWS = pa.schema([("id", pa.binary()), ("cost", pa.float64()), ("origin", pa.int8())])
_AMOUNTS = {"session_sources": "cost", "conversions": "revenue", "channel_costs": "cost"}
_NO_DAY = -(10**6)
_EPOCH = dt.date(1970, 1, 1)

# Hashes alone are kept: the ids of all sessions would not fit into memory. The table of them is what is looked into,
# since a stream tells nobody how long it is.
_SEEN = "CREATE TEMP TABLE seen AS SELECT hash(id) AS digest, day FROM session_days WHERE octet_length(id) > 0"
_MATCHED = """
CREATE TEMP TABLE matched AS
SELECT day, digest, origin, cost, CASE WHEN day IS NULL THEN id END AS orphan
FROM (SELECT hash(id) AS digest, id, origin, cost FROM cost_rows) LEFT JOIN seen USING (digest)
"""
_ORPHANS = """
SELECT count(*), coalesce(sum(CASE WHEN abs(cost) < 1e20 THEN CAST(round(cost * $parts) AS HUGEINT) END), 0),
       list(DISTINCT orphan ORDER BY orphan)[:$shown]
FROM matched WHERE orphan IS NOT NULL AND cost <> 0
"""
_SPEND = """
SELECT day, sum(CAST(round(cost * $parts) AS HUGEINT))
FROM (SELECT day, digest, origin, cost FROM matched WHERE orphan IS NULL GROUP BY ALL)
WHERE abs(cost) < 1e20 AND (cost >= 0 OR $net) GROUP BY day ORDER BY day
"""


class Counted(NamedTuple):
    """The rows of a date, and their revenue or cost in euro."""

    rows: int
    amount: float


class Look(NamedTuple):
    """What a look at the source has found.

    Attributes:
        daily: of each input (the name of its table) its dates, with rows and revenue of sessions and conversions.
        undated: of each input what stands in place of a date, likewise.
        spend: of each session date the costs of its sessions, each identical row once.
        spend_without_a_day: the costs of sessions without a date.
        orphans: costs other than 0 that match no session, and their sum.
        examples: a few of their ids.
        remedies: of each input what to do about rows without a day.

    """

    daily: Mapping[str, Mapping[dt.date, Counted]]
    undated: Mapping[str, Mapping[str, Counted]]
    spend: Mapping[dt.date, float]
    spend_without_a_day: float
    orphans: Counted
    examples: list[str]
    remedies: Mapping[str, str] = {}

    def document(self) -> dict[str, Any]:
        """What belongs to no date, JSON-able."""
        return {
            "rows_without_a_day": {
                table: {
                    "rows": sum(found.rows for found in values.values()),
                    "amount": math.fsum(found.amount for found in values.values())
                    + (self.spend_without_a_day if table == "session_sources" else 0.0),
                    "remedy": self.remedies[table],
                    "values": {
                        value: values[value].rows
                        for value in sorted(values, key=lambda value: (-values[value].rows, value))[:_LISTED]
                    },
                }
                for table, values in self.undated.items()
            },
            "costs_without_a_session": {**self.orphans._asdict(), "examples": self.examples},
        }


def look_at(source: Source, connection: duckdb.DuckDBPyConnection, *, negative_cost: str = "refuse") -> Look:
    """Read every time, every session's id and every cost once. Raises `DatabaseError`, `SourceError`."""
    sessions = dated_inputs(source)["session_sources"]
    tallies = {"session_sources": Tally(source, sessions), "conversions": tally(source, "conversions")}

    def with_days(batch: pa.RecordBatch, _: int) -> pa.RecordBatch:
        days = tallies["session_sources"].add(batch)
        numbers = np.where(np.isnat(days), _NO_DAY, days.astype(np.int64)).astype(np.int32)
        return pa.record_batch([batch.column("id").cast(pa.binary()), numbers], schema=_SESSION_DAYS)

    def costs(batch: pa.RecordBatch, number: int) -> pa.RecordBatch:
        columns = [batch.column("session_id").cast(pa.binary()), costs_in_currency(batch, source)]
        return pa.record_batch([*columns, pa.array(np.full(batch.num_rows, number, np.int8))], schema=_COST_ROWS)

    with engine_errors("costs and sessions of the source cannot be compared", "raise MEMORY_LIMIT"):
        connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
        with streamed(source, [sessions.sql(source, with_id=True)], _SESSION_DAYS, with_days) as session_days:
            connection.register("session_days", session_days)
            connection.execute(_SEEN)
        with streamed(source, cost_queries(source, every=True), _COST_ROWS, costs) as cost_rows:
            connection.register("cost_rows", cost_rows)
            connection.execute(_MATCHED)
        (unmatched,) = connection.execute(_ORPHANS, {"parts": PARTS, "shown": _SHOWN}).fetchall()
        spent = connection.execute(_SPEND, {"parts": PARTS, "net": negative_cost == "net"}).fetchall()
    spend = {_EPOCH + dt.timedelta(day): parts / PARTS for day, parts in spent if day != _NO_DAY}
    undated = {name: {value: Counted(*of) for value, of in found.undated.items()} for name, found in tallies.items()}
    remedies = {name: undated_remedy(source, name, found.undated) for name, found in tallies.items()}
    if (of_channels := read_channel_spend(source)) is not None:
        undated["channel_costs"] = {value: Counted(*of) for value, of in of_channels.undated.items()}
        remedies["channel_costs"] = spend_remedy(source, undated["channel_costs"])
        _add_spend(spend, of_channels, negative_cost)
    count, parts, examples = unmatched
    return Look(
        daily={name: {day: Counted(*of) for day, of in found.days.items()} for name, found in tallies.items()},
        undated=undated,
        spend=spend,
        spend_without_a_day=math.fsum(parts / PARTS for day, parts in spent if day == _NO_DAY),
        orphans=Counted(count, parts / PARTS),
        examples=[_text(name) for name in examples or ()],
        remedies=remedies,
    )


def _add_spend(spend: dict[dt.date, float], of_channels: ChannelSpend, negative_cost: str) -> None:
    """Add to the spend of each day what no session carries."""
    is_amount = pc.is_finite(of_channels.rows["cost"])
    if negative_cost != "net":
        is_amount = pc.and_(is_amount, pc.greater_equal(of_channels.rows["cost"], 0.0))
    amounts = of_channels.rows.filter(is_amount).group_by("date", use_threads=False).aggregate([("cost", "sum")])
    for day, amount in zip(amounts["date"].to_pylist(), amounts["cost_sum"].to_pylist(), strict=True):
        spend[day] = spend.get(day, 0.0) + amount


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def refuse_undated(document: Mapping[str, Any]) -> None:
    """Raise `BadRowsError` naming table, values and remedy, if rows of the source have no day."""
    if found := _undated(document):
        raise BadRowsError(f"{'. '.join(found)}. Or set BAD_ROWS=set-aside to go on without them")


def warnings(document: Mapping[str, Any]) -> list[str]:
    """What a person should know of the source, a line each; nothing of a source that is in order."""
    lines = [f"{line}; they are in no report" for line in _undated(document)]
    lines += orphans(document)
    lines += [
        f"{table}: {rows:,} row{'s' * (rows != 1)} beside the first of its kind, identical in every column, not counted"
        for table, rows in document["duplicates"].items()
        if rows
    ]
    return lines


def orphans(document: Mapping[str, Any]) -> list[str]:
    """What to say of costs that match no session: a line, or nothing."""
    unmatched = document["costs_without_a_session"]
    count = unmatched["rows"]
    if not count:
        return []
    shown = ", ".join(map(repr, unmatched["examples"])) + ", ..." * (count > len(unmatched["examples"]))
    return [
        (
            f"session_costs: {count:,} cost{'s' * (count != 1)} of {unmatched['amount']:,.2f} in sum match"
            f"{'es' * (count == 1)} no session, in no report: {shown}; correct the session_id, or add the sessions"
        )
    ]


def _undated(document: Mapping[str, Any]) -> list[str]:
    """Of each table its rows without a day, in words."""
    lines = []
    for table, found in document["rows_without_a_day"].items():
        if not found["rows"]:
            continue
        values = [*found["values"].items()]
        shown = ", ".join(f"{value!r} ({rows:,})" for value, rows in values[:_SHOWN])
        more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
        of_amount = f" and {found['amount']:,.2f} of {_AMOUNTS[table]}" if found["amount"] else ""
        rows = f"{found['rows']:,} row{'s' * (found['rows'] != 1)}"
        lines.append(f"{table}: {rows}{of_amount} without a plausible day: {shown}{more}; {found['remedy']}")
    return lines
