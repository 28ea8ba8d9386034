"""Builds a notebook from its text form: `python notebooks/build.py notebooks/training.py` writes `training.ipynb`.

The cells are executed from top to bottom in the working directory, with the settings of the environment.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from traitlets.config import Config

from targets.atomic import write_bytes

CELL_TIMEOUT = 1800  # seconds; the first cell builds what is not there yet


def build(source: Path, target: Path) -> None:
    """Execute the notebook and write it with its outputs. Raises `CellExecutionError`, and then writes nothing."""
    notebook = jupytext.read(source)
    here = {"metadata": {"path": Path.cwd()}}
    by_socket_file = Config({"KernelManager": {"transport": "ipc"}})  # no port that others on the machine could reach
    NotebookClient(
        notebook, timeout=CELL_TIMEOUT, kernel_name="python3", resources=here, config=by_socket_file
    ).execute()
    write_bytes(target, jupytext.writes(notebook, fmt="ipynb").encode())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the text form, such as notebooks/training.py")
    parser.add_argument("target", type=Path, nargs="?", help="the notebook; by default beside the text form")
    options = parser.parse_args()
    target = options.target or options.source.with_suffix(".ipynb")
    build(options.source, target)
    print(target)


if __name__ == "__main__":
    main()
