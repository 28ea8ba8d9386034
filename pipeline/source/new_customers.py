"""Which conversions are the first of their users in the source."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.source.columns import conversion_columns, dated, refuse_damaged_text, time_columns
from pipeline.source.source import Source
from pipeline.source.streaming import ahead
from pipeline.source.times import plausible_days

_SCHEMA = pa.schema(
    [
        ("conv_id", pa.string()),
        ("user_id", pa.string()),
        ("seconds", pa.int64()),
        ("revenue", pa.float64()),
        ("day", pa.date32()),
    ]
)


@dataclass(frozen=True)
class FirstConversions:
    """The ids of the first conversion of each user."""

    ids: pa.Array

    def are_first(self, conv_ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """Of each id whether it is one of these."""
        return pc.is_in(conv_ids, value_set=self.ids)


def first_conversions(rows: pa.Table) -> FirstConversions:
    """The first of each user, ties by conv_id, of rows with the columns conv_id, user_id and seconds."""
    users = rows["user_id"].combine_chunks().dictionary_encode()
    if not rows.num_rows:
        return FirstConversions(pa.array([], pa.string()))
    codes = users.indices.to_numpy(zero_copy_only=False)
    seconds = rows["seconds"].to_numpy()
    earliest = np.full(len(users.dictionary), np.iinfo(np.int64).max)
    np.minimum.at(earliest, codes, seconds)
    places = np.flatnonzero(seconds == earliest[codes])
    ids = rows["conv_id"].take(pa.array(places)).combine_chunks()
    of_user = codes[places]
    tied = np.flatnonzero((np.bincount(of_user) > 1)[of_user])
    first = np.ones(len(places), dtype=bool)
    best: dict[int, tuple[str, int]] = {}
    for place, user, conv_id in zip(tied.tolist(), of_user[tied].tolist(), ids.take(tied).to_pylist(), strict=True):
        first[place] = False
        best[user] = min(best.get(user, (conv_id, place)), (conv_id, place))
    first[[place for _, place in best.values()]] = True
    return FirstConversions(ids.filter(pa.array(first)))


def read_first_conversions(source: Source, last: dt.date) -> FirstConversions:
    """The first conversion of each user whose first one is of a day up to `last`, by one scan.

    A conversion whose revenue is bad is one all the same, so that correcting it changes no other day; a refund is none.
    Raises `DatabaseError`, `SourceError`.
    """
    conversions, times = source.mapping.conversions, source.conversion_times
    columns = {**time_columns(times), **conversion_columns(source)}
    earliest, _ = plausible_days(source.zone)
    where = ""
    if times.is_plain:
        where = source.sql.in_dates("date_text", [str(earliest), str(last)], all_between=True)
    tables = [_SCHEMA.empty_table()]
    sql = source.sql.select(columns, conversions.table, where=where)
    with source.connect() as connection, connection.stream(sql) as batches:
        for batch in dated(ahead(batches), times):
            rows = pa.Table.from_batches([batch]).select(_SCHEMA.names).cast(_SCHEMA)
            refuse_damaged_text(rows, "conversions")
            tables.append(rows.filter(_counts(rows, source, last)))
    return first_conversions(pa.concat_tables(tables))


def _counts(rows: pa.Table, source: Source, last: dt.date) -> pa.ChunkedArray:
    earliest, _ = plausible_days(source.zone)
    conditions = [
        pc.not_equal(rows["conv_id"], ""),
        pc.not_equal(rows["user_id"], ""),
        pc.is_valid(rows["seconds"]),
        pc.greater_equal(rows["day"], pa.scalar(earliest)),
        pc.less_equal(rows["day"], pa.scalar(last)),
    ]
    if source.refunds == "list":
        is_refund = pc.and_(pc.is_finite(rows["revenue"]), pc.less(rows["revenue"], 0.0))
        conditions.append(pc.invert(is_refund))
    return functools.reduce(pc.and_kleene, conditions)
