"""The console command `attribution-report`: the page of the newest report."""

from __future__ import annotations

import argparse
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn

from pipeline.errors import IntervalError, PipelineError
from pipeline.parameters import IntervalParameter
from pipeline.places import Places
from targets.errors import TargetError
from targets.files import Files, LocalFiles

_LACKING = 1
_WRONG = 40
PAGE = "report.html"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"ERROR: {message}; `attribution-report --help` lists the options\n")
        sys.exit(_WRONG)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the path of the newest page and open it; 1 if there is none."""
    options = _parser().parse_args(arguments)
    try:
        files = Places.in_force().files("report")
        page = newest_page(files, options.model)
        if page is None:
            of_model = f" of {options.model}" if options.model else ""
            where = files.where("").rstrip("/")
            sys.stderr.write(
                f"ERROR: there is no page of a report{of_model} below {where}; the task Report makes one\n"
            )
            sys.exit(_LACKING)
        sys.stdout.write(f"{files.where(page)}\n")
        sys.stdout.flush()
        if not options.print and not webbrowser.open(_on_this_machine(files, page).as_uri()):
            sys.stderr.write("WARNING: no browser is found here; open the file in one\n")
    except (PipelineError, TargetError) as error:
        sys.stderr.write(f"ERROR: {' '.join(str(error).split())}\n")
        sys.exit(_WRONG)


def newest_page(files: Files, model: str | None = None) -> str | None:
    """The page of the interval that ends last, of these the one written last; None if there is none."""
    found = []
    for page in map(PurePosixPath, files.below(model or "")):
        if page.name != PAGE:
            continue
        try:
            interval = IntervalParameter().parse(page.parent.name)
        except IntervalError:  # such as latest
            continue
        found.append((interval.date_b, files.written(str(page)), str(page)))
    return max(found)[-1] if found else None


def _on_this_machine(files: Files, page: str) -> Path:
    """The page, or a copy of one in a bucket, which stays when this process has ended: the browser reads it later."""
    if isinstance(files, LocalFiles):
        return files.root / page
    copy = Path(tempfile.mkdtemp(prefix="attribution-report-")) / PAGE
    copy.write_bytes(files.read(page))
    sys.stdout.write(f"copied to {copy}\n")
    return copy


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="attribution-report",
        description="Opens the page of the newest report in the data directory: of those that end last the one that "
        "was written last.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    opening = commands.add_parser(
        "open",
        help="print the path of the newest report.html, and open it in the browser",
        description="Prints the path of the newest report.html, and opens it in the browser.",
        allow_abbrev=False,
    )
    opening.add_argument("--print", action="store_true", help="only print the path")
    opening.add_argument("--model", metavar="NAME", help="of the reports of this model, or model/goal, alone")
    return parser


if __name__ == "__main__":
    main()
