"""What deserves a look in rows that are good by themselves: told once a run, with an example and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.source.channel_names import spellings
from pipeline.source.extract import Extract
from pipeline.source.source import Source
from pipeline.source.times import at_midnight

_IS_BLANK = np.isin(np.arange(256), [*b" \t\r\n"])
_SHOWN = 3


class Doubts:
    """Gathers them from the extracts of several days; threads may share it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._channels: set[str] = set()
        self._blank: dict[str, tuple[int, str]] = {}
        self._midnight: list[bool] = []
        self._counts: dict[str, int] = {}
        self._refunds = 0.0

    def look_at(self, extract: Extract) -> None:
        """Take note of a day."""
        rows = extract.rows
        section = "sessions" if "session_id" in rows.column_names else "conversions"
        for name in ("session_id", "conv_id", "user_id", "channel_name"):
            if name in rows.column_names and (found := _with_blanks(rows[name])):
                key = f"{name} of {section}"
                count, example = self._blank.get(key, (0, found[1]))
                self._blank[key] = (count + found[0], example)
        if "channel_name" in rows.column_names:
            self._channels.update(pc.unique(rows["channel_name"]).to_pylist())
        elif rows.num_rows:
            self._midnight.append(at_midnight(rows["conv_time"].to_numpy(), self._source.zone))
        for name in ("duplicates", "repeated_hour"):
            self._counts[name] = self._counts.get(name, 0) + extract.counts.get(name, 0)
        refunds = extract.counts.get("refunds", {"count": 0, "amount": 0.0})
        self._counts["refunds"] = self._counts.get("refunds", 0) + refunds["count"]
        self._refunds += refunds["amount"]

    def add_channels(self, names: Iterable[str]) -> None:
        """Take note of channels that costs name."""
        self._channels.update(names)

    def lines(self) -> Iterator[str]:
        """One line a doubt."""
        yield from self.of_rows()
        yield from spellings(self._channels, self._source.mapping.sessions.channel_name)

    def of_rows(self) -> Iterator[str]:
        """One line a doubt, but for spellings of channels: a report tells those of all its days."""
        if count := self._counts.get("duplicates"):
            yield f"{count:,} rows are identical to another one in every column; each counts once"
        if count := self._counts.get("refunds"):
            yield f"{count:,} refunds of {self._refunds:,.2f} {self._source.currency} are no conversions"
        if count := self._counts.get("repeated_hour"):
            yield (
                f"{count:,} rows are of a local hour that occurs twice, when clocks go back; they are taken for the "
                "earlier one"
            )
        for key, (count, example) in sorted(self._blank.items()):
            name = key.partition(" ")[0]
            expression = self._expression(key)
            trimmed = f"trim({expression}, char(9, 10, 13, 32))"
            yield (
                f"{key} begins or ends with a blank or line end in {count:,} rows, such as {example!r}: it is another "
                f'one than {example.strip()!r}; if it should not be, write {name} = "{trimmed}" in SOURCE_MAPPING'
            )
        if self._midnight and all(self._midnight):
            yield (
                "every conversion is of 00:00:00, as if its time were not known: sessions of the same day come after "
                "it, and are in no journey; name a column with the time of day, or write an end of the day such as "
                "'23:59:59' in SOURCE_MAPPING"
            )
        yield from self._currencies()

    def _currencies(self) -> Iterator[str]:
        """A column `currency` that the mapping does not name, and that holds another one."""
        conversions = self._source.mapping.conversions
        if not self._midnight or conversions.currency is not None:
            return
        with self._source.connect() as connection:
            tables = {table.lower(): columns for table, columns in connection.tables().items()}
            if "currency" not in map(str.lower, tables.get(conversions.table.lower(), ())):
                return
            sql = self._source.sql.select({"currency": ("text", "currency")}, conversions.table)
            found = pc.unique(connection.query(sql)["currency"].cast(pa.string())).to_pylist()
        if others := sorted({value for value in found if value.strip().upper() != self._source.currency}):
            yield (
                f"{conversions.table} has a column currency with {', '.join(map(repr, others[:_SHOWN]))}, and all "
                f"revenues are taken for {self._source.currency}: convert them in [conversions] of SOURCE_MAPPING, "
                'revenue = "CASE currency WHEN ... THEN ... END", or write currency = "currency" to have them refused'
            )

    def _expression(self, key: str) -> str:
        name, _, section = key.partition(" of ")
        return str(getattr(self._source.mapping.inputs()[section], name))


def _with_blanks(column: pa.ChunkedArray) -> tuple[int, str] | None:
    """How many texts begin or end with a blank or a line end, and one of them."""
    count, example = 0, ""
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        if data is None or not len(chunk):
            continue
        bounds = np.frombuffer(offsets, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        content = np.frombuffer(data, dtype=np.uint8)
        starts, ends = bounds[:-1], bounds[1:]
        filled = np.flatnonzero(ends > starts)
        blank = _IS_BLANK[content[ends[filled] - 1]] | _IS_BLANK[content[starts[filled]]]
        if blank.any():
            count += int(blank.sum())
            example = example or chunk[int(filled[np.flatnonzero(blank)[0]])].as_py()
    return (count, example) if count else None
