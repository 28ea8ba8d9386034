"""The console command `attribution-source`: what the pipeline reads of a source, and a mapping to begin with."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.places import Places
from pipeline.settings import setting_in_force
from pipeline.source.check_source import query_of, source_problems
from pipeline.source.examine import examine
from pipeline.source.file_tables import columns_of_files
from pipeline.source.guess import guess_mapping
from pipeline.source.source import Source, open_source
from targets.errors import TargetError


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the source in force, or write a mapping for it; exit code 1 for problems."""
    options = _parser().parse_args(arguments)
    try:
        source = source_in_force(mapped=options.command == "check")
        if options.command == "check":
            sys.exit(_check(source))
        _init(source, options.path, options.files, force=options.force)
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
    init.add_argument(
        "--from",
        dest="files",
        nargs="+",
        default=[],
        metavar="FILES",
        help="Parquet, CSV or JSON files in place of tables, also as 'folder/*.csv'; with DATABASE_URL=duckdb:",
    )
    init.add_argument("--force", action="store_true", help="replace a file that is there")
    return parser


def _init(source: Source, path: Path | None, files: Sequence[str], *, force: bool) -> None:
    if files and source.database.dialect != "duckdb":
        sys.exit("attribution-source: --from needs DATABASE_URL=duckdb:, which reads files")
    with source.connect() as connection:
        tables = columns_of_files(connection, files) or {
            name: [*columns] for name, columns in connection.tables().items()
        }
    text = guess_mapping(tables, source.name, are_sql=bool(files) or source.database.dialect == "postgresql")
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
        problems = [*examine(source, _say)]
    else:
        for section in source.mapping.inputs():
            _say(f"\n{section}\n  query: {query_of(source, section)}")
    _say("")
    for problem in problems:
        _say(f"PROBLEM: {problem}")
    _say(f"{len(problems)} problem{'s' * (len(problems) != 1)} found" if problems else "no problem found")
    return 1 if problems else 0


def _say(line: str) -> None:
    print(line)  # noqa: T201 - a console command prints


if __name__ == "__main__":
    main()
