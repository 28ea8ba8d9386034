"""What stands in the source in place of an amount, a flag or a time of day, and the line of a mapping that turns it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.source.check_source import expressions
from pipeline.source.columns import FLAGS
from pipeline.source.forms import (
    amount_expression,
    divided_as_real,
    flag_expression,
    in_whole_units,
    time_of_day_expression,
)
from pipeline.source.source import Source
from pipeline.source.times import TIME_OF_DAY

_SHOWN = 3
_DISTINCT = 1_000
_HINTS: Mapping[str, Callable[[str, list[str]], str | None]] = {
    "amount": amount_expression,
    "cost": amount_expression,
    "flag": flag_expression,
    "text": time_of_day_expression,
}
_SETTINGS = {
    "revenue": "REFUNDS=list takes negative ones for refunds",
    "cost": "NEGATIVE_COST=net takes negative ones for corrections",
}


class _Key(NamedTuple):
    """A key of a mapping: its expression, the form that it is selected in, and how the mapping writes a new one."""

    expression: str
    form: str
    line: str


def amiss(source: Source, section: str, key: str) -> str:
    """A few of a key's values that are not what they should be, and what to do: a part of a sentence.

    `key` is revenue, cost, a flag, or `time[1]`, the time of day. Raises `DatabaseError`.
    """
    of_key = _key_of(source, section, key)
    values = _values(source, section, of_key)
    if not values:
        return ""
    shown = ", ".join(map(repr, values[:_SHOWN]))
    if key in _SETTINGS and all(re.fullmatch(r"-\d+(\.\d+)?", value) for value in values):
        return f"such as {shown}; {_SETTINGS[key]}"
    if values == [""]:
        return (
            f"it is NULL or empty; where that means 0, write {of_key.line.format(f'coalesce({of_key.expression}, 0)')}"
        )
    signed = [value for value in values if value]
    hint = _HINTS[of_key.form](of_key.expression, signed)
    remedy = f"; write {of_key.line.format(hint)}" if hint is not None and hint != of_key.expression else ""
    return f"such as {shown}{remedy}"


def _key_of(source: Source, section: str, key: str) -> _Key:
    of_input = source.mapping.inputs()[section]
    expression = expressions(of_input)[key]
    where = f"in [{section}] of SOURCE_MAPPING"
    if key == "time[1]":
        date = expressions(of_input)["time[0]"]
        return _Key(expression, "text", f'time = ["{date}", "{{}}"] {where}')
    form = "flag" if key in FLAGS else {"revenue": "amount", "cost": "cost"}[key]
    return _Key(expression, form, f'{key} = "{{}}" {where}')


def _values(source: Source, section: str, key: _Key) -> list[str]:
    """Distinct values that are not of the form, as texts; negative amounts only where all others are right."""
    table = source.mapping.inputs()[section].table
    sql = source.sql.select({"value": ("text", key.expression), "read": (key.form, key.expression)}, table)
    wrong: dict[str, None] = {}
    negative: dict[str, None] = {}
    with source.connect() as connection, connection.stream(sql) as batches:
        for batch in batches:
            if not batch.num_rows:
                continue
            rows = pa.Table.from_batches([batch])
            _add(wrong, rows.filter(_is_wrong(rows["read"], key.form)))
            if key.form in {"amount", "cost"}:
                _add(negative, rows.filter(pc.less(rows["read"].cast(pa.float64()), 0.0)))
            if len(wrong) >= _DISTINCT:
                break
    return [*wrong] or [*negative]


def _is_wrong(read: pa.ChunkedArray, form: str) -> Any:  # noqa: ANN401 - an Arrow mask
    if form in {"amount", "cost"}:
        return pc.invert(pc.is_finite(read.cast(pa.float64())))
    if form == "flag":
        return pc.less(read.cast(pa.int64()), 0)
    return pc.invert(pc.match_substring_regex(read.cast(pa.string()), TIME_OF_DAY))


def _add(found: dict[str, None], rows: pa.Table) -> None:
    for raw in pc.unique(rows["value"].cast(pa.binary())).to_pylist()[:_DISTINCT]:
        found.setdefault(raw.decode(errors="replace"))


def doubtful_amount(source: Source, section: str, key: str) -> str | None:
    """What is odd about how amounts are calculated: cents taken for euro, whole numbers divided; None for nothing.

    Raises `DatabaseError`.
    """
    of_input = source.mapping.inputs()[section]
    expression = expressions(of_input).get(key)
    if expression is None:
        return None
    where = f"in [{section}] of SOURCE_MAPPING"
    if (units := in_whole_units(expression)) is not None:
        return (
            f"{section}: {key} is {expression}, by its name {units[0]}, and is taken for {source.currency}: write "
            f'{key} = "{units[1]}" {where}, or "1.0 * {expression}" if it is right'
        )
    as_real = divided_as_real(expression)
    if as_real == expression:
        return None
    sums = [0.0, 0.0]
    columns = {"written": ("cost", expression), "as_real": ("cost", as_real)}
    with source.connect() as connection, connection.stream(source.sql.select(columns, of_input.table)) as batches:
        for batch in batches:
            for place, name in enumerate(columns):
                amounts = batch.column(name).cast(pa.float64()).to_pylist() if batch.num_rows else ()
                sums[place] += math.fsum(filter(math.isfinite, amounts))
    if math.isclose(*sums, rel_tol=1e-9):
        return None
    return (
        f"{section}: {key} divides whole numbers, and the database drops what is left over: {sums[0]:,.2f} in sum, not "
        f'{sums[1]:,.2f}; write {key} = "{as_real}" {where}'
    )
