"""The console command `attribution-source`: what the pipeline reads of a source, and a mapping to begin with."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.errors import PipelineError
from pipeline.places import Places
from pipeline.settings import setting_in_force
from pipeline.source.check_source import query_of, source_problems
from pipeline.source.checks import Rejects
from pipeline.source.dated import daily_counts, find_undated, undated_remedy
from pipeline.source.doubts import Doubts
from pipeline.source.extract import Extract, check_conversions, check_sessions, scan_conversions, scan_sessions
from pipeline.source.goals import goals_in_source, listed_goals
from pipeline.source.guess import guess_mapping
from pipeline.source.new_customers import read_first_conversions
from pipeline.source.source import Source, channel_costs_query, cost_queries, open_source
from targets.errors import TargetError

_EXAMPLES = 3
_VALUES = 5
_CHECKED_DAYS = 30
_INPUTS = {"session_sources": "sessions", "conversions": "conversions"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the source in force, or write a mapping for it; exit code 1 for problems."""
    options = _parser().parse_args(arguments)
    try:
        source = source_in_force(mapped=options.command == "check")
        if options.command == "check":
            sys.exit(_check(source))
        _init(source, options.path, force=options.force)
    except (PipelineError, TargetError) as error:
        sys.exit(f"attribution-source: {error}")


def source_in_force(*, mapped: bool = True) -> Source:
    """The source by environment, luigi.cfg or default. Raises `SettingsError`, `DatabaseError`."""
    settings = {name: setting_in_force(name) for name in ("report_timezone", "currency", "refunds")}
    places = Places.in_force()
    if not mapped:
        return Source(places.source())
    return open_source(places, **settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="attribution-source",
        description="Shows what the pipeline reads of the source (DATABASE_URL, SOURCE_MAPPING), and what is wrong.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="connect, show each input's query, rows, days and examples, and every problem")
    init = commands.add_parser("init", help="write a commented mapping from the tables that the database has")
    init.add_argument("path", nargs="?", type=Path, help="the file to write; without one it is printed")
    init.add_argument("--force", action="store_true", help="replace a file that is there")
    return parser


def _init(source: Source, path: Path | None, *, force: bool) -> None:
    with source.connect() as connection:
        tables = {name: [*columns] for name, columns in connection.tables().items()}
    text = guess_mapping(tables, source.name)
    if path is None:
        _say(text.rstrip("\n"))
        return
    if path.exists() and not force:
        sys.exit(f"attribution-source: {path.absolute()} is there already; name another file, or use --force")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        sys.exit(f"attribution-source: {path.absolute()} cannot be written: {error.strerror}")
    _say(f"{path.absolute()}: look at the lines marked with ?, then SOURCE_MAPPING={path} attribution-source check")


def _check(source: Source) -> int:
    _say(f"source: {source.name}")
    _say(f"mapping: {source.mapping.origin or 'none, the default schema'}; days of {source.zone}")
    problems = [str(problem) for problem in source_problems(source)]
    if not problems:
        problems = [*_show(source)]
    else:
        for section in source.mapping.inputs():
            _say(f"\n{section}\n  query: {query_of(source, section)}")
    _say("")
    for problem in problems:
        _say(f"PROBLEM: {problem}")
    _say(f"{len(problems)} problem{'s' * (len(problems) != 1)} found" if problems else "no problem found")
    return 1 if problems else 0


def _show(source: Source) -> Iterator[str]:
    """Print each input, and give what is wrong with it."""
    counts, undated = daily_counts(source), find_undated(source)
    doubts = Doubts(source)
    for name, section in _INPUTS.items():
        days = [*counts[name]]
        without = sum(undated[name].values.values())
        rows = sum(rows for rows, _ in counts[name].values())
        _say(f"\n{section}\n  query: {query_of(source, section)}")
        span = f", days {days[0]} to {days[-1]}" if days else ""
        _say(f"  rows: {rows + without:,}{span}")
        if section == "conversions" and (goals := goals_in_source(source)):
            _say(f"  goals: {listed_goals(goals)}")
        if not rows + without:
            yield f"{section} has no rows"
        if without:
            values = ", ".join(map(repr, [*undated[name].values][:_VALUES]))
            yield (
                f"{section}: {without:,} rows are of no plausible day, such as {values}: "
                f"{undated_remedy(source, name, undated[name].values)}"
            )
        extracts = [*_extracts(source, name, days[-_CHECKED_DAYS:])]
        shown = [row for _, extract in extracts for row in extract.rows.slice(0, _EXAMPLES).to_pylist()][:_EXAMPLES]
        for row in shown:
            _say(f"  row: {_readable(row)}")
        for _, extract in extracts:
            doubts.look_at(extract)
        bad = {day: rejects for day, extract in extracts for rejects in extract.rejects.values() if rejects.ids}
        yield from _bad_rows(section, bad)
    for query, section in _cost_inputs(source):
        _say(f"\n{section}\n  query: {query_of(source, section)}")
        yield from _show_costs(source, section, query)
    yield from doubts.lines()


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


def _cost_inputs(source: Source) -> Iterator[tuple[str, str]]:
    if source.mapping.session_costs is not None:
        yield cost_queries(source)[0], "session_costs"
    if (query := channel_costs_query(source)) is not None:
        yield query, "channel_costs"


def _show_costs(source: Source, section: str, query: str) -> Iterator[str]:
    rows, bad, total = 0, 0, 0.0
    examples: list[dict[str, object]] = []
    with source.connect() as connection, connection.stream(query) as batches:
        for batch in batches:
            if not batch.num_rows:
                continue
            costs = batch.column("cost").cast(pa.float64()).to_pylist()
            good = [cost for cost in costs if 0 <= cost < float("inf")]
            rows, bad, total = rows + len(costs), bad + len(costs) - len(good), total + sum(good)
            examples += batch.slice(0, _EXAMPLES - len(examples)).to_pylist() if len(examples) < _EXAMPLES else []
    _say(f"  rows: {rows:,}, cost {total:,.2f} {source.currency}")
    for row in examples:
        _say(f"  row: {_readable(row)}")
    if bad:
        yield f"{section}: {bad:,} costs are no number of at least 0; correct them, or set BAD_ROWS or NEGATIVE_COST"


def _bad_rows(section: str, bad: Mapping[dt.date, Rejects]) -> Iterator[str]:
    """A line for each reason: how many rows of how many days, and a few of them."""
    by_reason: dict[str, list[tuple[dt.date, str]]] = {}
    for day, rejects in bad.items():
        for row_id, reason in zip(rejects.ids, rejects.reasons, strict=True):
            by_reason.setdefault(reason, []).append((day, row_id or "(no id)"))
    for reason, rows in by_reason.items():
        days = len({day for day, _ in rows})
        shown = ", ".join(f"{row_id} on {day}" for day, row_id in rows[:_EXAMPLES])
        yield (
            f"{section}: {reason}: {len(rows):,} row{'s' * (len(rows) > 1)} on {days} day{'s' * (days > 1)}, such as "
            f"{shown}; correct them, write an expression in SOURCE_MAPPING, or set BAD_ROWS=set-aside"
        )


def _readable(row: dict[str, object]) -> str:
    def value(name: str, of_row: object) -> str:
        if name.endswith("_time") and isinstance(of_row, int):
            return f"{dt.datetime.fromtimestamp(of_row, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
        return str(of_row) if isinstance(of_row, int | float) else repr(of_row)

    return ", ".join(f"{name} {value(name, of_row)}" for name, of_row in row.items())


def _say(line: str) -> None:
    print(line)  # noqa: T201 - a console command prints


if __name__ == "__main__":
    main()
