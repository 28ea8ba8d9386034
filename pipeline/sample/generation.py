"""Whether a file is the shop as this generator writes it: `python -m pipeline.sample.generation FILE`."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from pipeline.sample.shop import GENERATION


def is_current(path: Path) -> bool:
    """Whether the file is a database of the present `GENERATION`; False for any file that is none.

    Raises `sqlite3.OperationalError` where it cannot be told: the file cannot be opened, or another process writes it.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            (generation,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # not a database
        return False
    return bool(generation == GENERATION)


def main(path: str) -> int:
    """Print `yes` or `no`."""
    try:
        sys.stdout.write("yes\n" if is_current(Path(path)) else "no\n")
    except sqlite3.OperationalError as error:
        sys.stderr.write(f"ERROR: cannot read {path}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
