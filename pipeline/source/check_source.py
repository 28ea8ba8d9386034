"""Whether a source can be read as its mapping says: every table and expression, and ids that can meet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

from pipeline.errors import PipelineError, SettingsError, SourceError
from pipeline.source.check_ids import id_problems
from pipeline.source.columns import FLAGS
from pipeline.source.mapping import Input
from pipeline.source.source import Source
from targets.errors import DatabaseError

OF_THE_PIPELINE = re.compile(r"(\w+\.)?(attribution_customer_journey|channel_reporting|pipeline_.*)")
"""Tables that are no source: the pipeline writes them."""

_LISTED = 30
_OPEN = "?"
"""What attribution-source init writes for what it cannot guess."""


def expressions(of_input: Input) -> dict[str, str]:
    """Every expression of an input by its key; the parts of a list have the key with a number."""
    found: dict[str, str] = {}
    for name, value in vars(of_input).items():
        if name in {"table", "timezone"} or value is None:
            continue
        if name == "dimensions":
            found |= {f"dimensions.{dimension}": expression for dimension, expression in value}
        elif isinstance(value, tuple):
            found |= {f"{name}[{place}]": expression for place, expression in enumerate(value)}
        else:
            found[name] = value
    return found


def check_source(source: Source) -> None:
    """Raise an error that names what of the mapping the database refuses, or ids that cannot meet.

    Raises `SettingsError` for a mapping's file, `SourceError` for the default schema and for ids, `DatabaseError` for a
    database that cannot be opened.
    """
    problems = [*source_problems(source)]
    if problems:
        raise problems[0]


def source_problems(source: Source) -> list[PipelineError]:
    """What `check_source` has to say, all of it. Raises `DatabaseError`."""
    with source.connect() as connection:
        connection.tables()
    inputs = source.mapping.inputs()
    problems = [problem for section in inputs for problem in _problems(source, section, inputs[section])]
    return problems or id_problems(source)


def _problems(source: Source, section: str, of_input: Input) -> list[PipelineError]:
    """What the database refuses of an input, each key by itself, and what is not filled in yet."""
    where = f"{source.mapping.origin}: [{section}]"
    if of_input.table == _OPEN:
        return [SettingsError(f'{where} from is still "?": write a table, or (SELECT ...); {_tables(source)}')]
    keys = expressions(of_input)
    columns = _columns(source, of_input.table)
    open_keys = [key for key, expression in keys.items() if expression == _OPEN]
    taken = {
        key: expression for key, expression in keys.items() if key not in open_keys and _is_text(expression, columns)
    }
    problems: list[PipelineError] = []
    if open_keys:
        are = "is" if len(open_keys) == 1 else "are"
        there = _there(of_input.table, columns)
        line = f'{where} {", ".join(open_keys)} {are} still "?": write a column or an SQL expression{there}'
        problems.append(SettingsError(line))
    problems += [
        SettingsError(f"{where} {key}: there is no column {expression}{_there(of_input.table, columns)}")
        for key, expression in taken.items()
    ]
    rest = {key: expression for key, expression in keys.items() if key not in {*open_keys, *taken}}
    if _refusal(source, [*rest.values()] or ["1"], of_input.table) is None:
        return problems
    if (words := _refusal(source, ["1"], of_input.table)) is not None:
        return [_no_table(source, section, of_input.table, words)]
    refused = {
        key: words for key, expression in rest.items() if (words := _refusal(source, [expression], of_input.table))
    }
    if source.mapping.origin is None:
        return [_no_columns(source, of_input, [key for key in keys if key in refused])]
    refused = refused or {"from": "the expressions cannot be read together"}
    return problems + [
        SettingsError(
            f"{where} {key}: {source.name} says: {words}"
            + (_there(of_input.table, columns) if source.sql.lacks_column(words) else "")
        )
        for key, words in refused.items()
    ]


def _is_text(expression: str, columns: Sequence[str]) -> bool:
    """Whether a name in double quotes is no column's: SQLite takes it for a text, the same in every row."""
    matched = re.fullmatch('"([^"]*)"', expression)
    return matched is not None and bool(columns) and matched[1].lower() not in map(str.lower, columns)


def _columns(source: Source, table: str) -> list[str]:
    """The columns of a table, none of what is no table or view."""
    with source.connect() as connection:
        named = {name.lower(): [*columns] for name, columns in connection.tables().items()}
    return named.get(table.strip('"').lower(), [])


def _there(table: str, columns: Sequence[str]) -> str:
    return f"; {table} has {_listed(columns)}" if columns else ""


def _tables(source: Source) -> str:
    with source.connect() as connection:
        names = [name for name in connection.tables() if not OF_THE_PIPELINE.fullmatch(name)]
    return f"{source.name} has {_listed(names) or 'no table'}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _refusal(source: Source, of_expressions: list[str], table: str) -> str | None:
    """The database's own words where it refuses a query of these expressions."""
    columns = {f"column_{place}": ("text", expression) for place, expression in enumerate(of_expressions)}
    try:
        with source.connect() as connection:
            connection.query(source.sql.select(columns, table, limit=0))
            return cast("str | None", source.sql.unfit(connection, of_expressions, table))
    except DatabaseError as error:
        return str(error).removeprefix(f"the database {source.name}: ").removeprefix("Failed to prepare query: ")


def _no_table(source: Source, section: str, table: str, words: str) -> PipelineError:
    if source.mapping.origin is not None:
        there = f"; {_tables(source)}" if source.sql.lacks_table(words) else ""
        return SettingsError(f"{source.mapping.origin}: [{section}] from: {source.name} says: {words}{there}")
    if not (source.sql.lacks_table(words) and table in words.lower()):  # a view that cannot be read, for one
        return SourceError(f"the table {table} in {source.name} cannot be read: {words}")
    if section == "session_costs":
        return SourceError(
            f"{source.name} has no table {table}; an empty one will do: CREATE TABLE {table} (session_id TEXT, cost "
            "REAL); or set SOURCE_MAPPING to a mapping without costs: then all costs are 0"
        )
    return SourceError(
        f"{source.name} has no table {table}; set DATABASE_URL to a database that has it, or SOURCE_MAPPING to a file "
        "that says where it is (attribution-source init writes one)"
    )


def _no_columns(source: Source, of_input: Input, keys: list[str]) -> PipelineError:
    of_keys = expressions(of_input)
    table = of_input.table
    needed = [of_keys[key] for key in keys if key not in FLAGS]
    columns = needed or [of_keys[key] for key in keys]
    remedy = "add it" if needed else "add it, or set SOURCE_MAPPING to a mapping without it: then it is 0"
    return SourceError(f"the table {table} in {source.name} has no column {', '.join(columns)}; {remedy}")


def query_of(source: Source, section: str) -> str:
    """The query of an input as its mapping says, for people."""
    of_input = source.mapping.inputs()[section]
    columns = ", ".join(f"{expression} AS {_name(key)}" for key, expression in expressions(of_input).items())
    return f"SELECT {columns} FROM {of_input.table}"  # noqa: S608 - shown to people, not run


def _name(key: str) -> str:
    names: Mapping[str, str] = {"time[0]": "date_text", "time[1]": "time_text"}
    return names.get(key, key.rpartition(".")[2])
