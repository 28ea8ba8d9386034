"""Ids as a source stores them: of which digits are lost, and which cannot meet, before anything is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from pipeline.errors import PipelineError, SourceError
from pipeline.source.source import Source

_SAMPLE = 1_000
_REAL = re.compile(r"\d+\.0+")
_WHOLE = re.compile(r"\d+")
_FLOATING = ("real", "double", "float", "double precision")
_EXACT_DIGITS = 15
"""A floating-point number holds every number of fewer digits."""
ID_KEYS = ("session_id", "conv_id", "user_id")
_MEET = (("user_id", "sessions", "conversions"), ("session_id", "sessions", "session_costs"))
"""Ids that have to be the same in two inputs."""
_SOME_IDS = pa.schema([("id", pa.binary()), ("kind", pa.binary())])


class _Ids(NamedTuple):
    """Some ids of one input as texts, and those of them that are stored as floating-point numbers."""

    section: str
    key: str
    expression: str
    ids: list[str]
    floating: list[str]

    def first(self, form: re.Pattern[str]) -> str | None:
        """The first id of a form."""
        return next(filter(form.fullmatch, self.ids), None)


def id_problems(source: Source) -> list[PipelineError]:
    """Ids of which a floating-point number has lost digits, and ids of two inputs that never meet."""
    inputs = source.mapping.inputs()
    keys = [(section, key) for section in inputs for key in ID_KEYS if getattr(inputs[section], key, None) is not None]
    found = {(section, key): _some_ids(source, section, key) for section, key in keys}
    dialect = source.database.dialect
    return [problem for ids in found.values() for problem in _lost_digits(ids, dialect)] or [
        problem
        for key, one, other in _MEET
        if (other, key) in found
        for problem in _never_meet(found[one, key], found[other, key])
    ]


def _some_ids(source: Source, section: str, key: str) -> _Ids:
    of_input = source.mapping.inputs()[section]
    expression = getattr(of_input, key)
    columns = {"id": ("text", expression), "kind": ("text", f"{source.sql.TYPE_OF}({expression})")}
    sql = source.sql.select(columns, of_input.table, limit=_SAMPLE)
    with source.connect() as connection:
        rows = connection.query(sql, schema=_SOME_IDS)
    ids = [raw.decode(errors="replace") for raw in rows["id"].to_pylist()]
    kinds = [raw.decode().lower() for raw in rows["kind"].to_pylist()]
    return _Ids(section, key, expression, ids, [id_ for id_, kind in zip(ids, kinds, strict=True) if kind in _FLOATING])


def _lost_digits(ids: _Ids, dialect: str) -> Iterator[PipelineError]:
    """An error for ids so long that a floating-point number does not hold them: two of them become one."""
    long = next((id_ for id_ in ids.floating if _digits(id_) >= _EXACT_DIGITS), None)
    if long is not None:
        of_csv = f", in read_csv with types = {{'{ids.expression}': 'VARCHAR'}}" if dialect == "duckdb" else ""
        yield SourceError(
            f"{ids.key} is a floating-point number in {ids.section}, such as {long}: it has lost the last digits of "
            f"long ids, so that several become one; have {ids.expression} stored or read as text{of_csv}"
        )


def _digits(number: str) -> int:
    """How many significant digits a number is written with."""
    return len(re.sub(r"[eE].*|\D", "", number).strip("0"))


def _never_meet(one: _Ids, other: _Ids) -> Iterator[PipelineError]:
    """An error for ids that are real numbers on one side and whole ones on the other: as texts they never meet."""
    for wrong, right in ((one, other), (other, one)):
        real, whole = wrong.first(_REAL), right.first(_WHOLE)
        if real is not None and wrong.first(_WHOLE) is None and right.first(_REAL) is None and whole is not None:
            yield SourceError(
                f"{wrong.key} is a real number in {wrong.section}, such as {real}, and a whole one in {right.section}, "
                f'such as {whole}: they never meet; write {wrong.key} = "CAST({wrong.expression} AS INTEGER)" in '
                f"[{wrong.section}] of SOURCE_MAPPING"
            )
