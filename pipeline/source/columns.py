"""What is read of sessions and conversions: columns, the forms in which they are selected, and days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.source.source import Source
from pipeline.source.times import Times

FLAGS = ("holder_engagement", "closer_engagement", "impression_interaction")

Columns = Mapping[str, tuple[str, str]]
"""Of each column its form, as the dialects know them, and its expression."""


def session_columns(source: Source) -> Columns:
    """What is read of sessions, but for their times."""
    sessions = source.mapping.sessions
    texts = {name: ("text", getattr(sessions, name)) for name in ("session_id", "user_id", "channel_name")}
    return texts | {name: ("flag", getattr(sessions, name)) for name in FLAGS}


def conversion_columns(source: Source) -> Columns:
    """What is read of conversions, but for their times."""
    conversions = source.mapping.conversions
    columns = {name: ("text", getattr(conversions, name)) for name in ("conv_id", "user_id")}
    columns["revenue"] = ("amount", conversions.revenue)
    named = {"currency": conversions.currency, "goal": conversions.goal}
    return columns | {name: ("text", expression) for name, expression in named.items() if expression}


def time_columns(times: Times) -> Columns:
    """The times as they are written."""
    if times.is_plain_utc:
        return {name: ("text", expression) for name, expression in times.expressions.items()}
    if isinstance(times.time, str):
        return {"time_text": ("time", times.time)}
    return {"date_text": ("date", times.time[0]), "time_text": ("text", times.time[1])}


def dated(batches: Iterable[pa.RecordBatch], times: Times) -> Iterator[pa.RecordBatch]:
    """The batches that have rows, with their days. Raises `SourceError` for a time that is no UTF-8."""
    for batch in batches:
        if batch.num_rows:
            for name in times.expressions:
                refuse_damaged_text(batch.select([name]), f"times in {name.removesuffix('_text')}")
            yield times.with_days(batch)


def refuse_damaged_text(rows: pa.Table | pa.RecordBatch, place: str) -> None:
    """Raise `SourceError` for a text that is not UTF-8."""
    try:
        rows.validate(full=True)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{place}: a text is not UTF-8 ({error}); correct it in the source") from error
