"""The examples in docstrings run with the tests: none is left out, and they cannot pass by being none."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.running import REPOSITORY

PACKAGES = ("pipeline", "targets")
FLOOR = 19
"""Docstrings with examples; raised with them."""


def docstrings_with_examples(file: Path) -> Iterator[str]:
    """The names of what has an example in its docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, documented) and ">>> " in (ast.get_docstring(node) or ""):
            yield f"{file.relative_to(REPOSITORY)}::{getattr(node, 'name', '')}"


def test_pytest_collects_every_example() -> None:
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--no-header", *PACKAGES],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = [line.rpartition(".")[2] for line in collected.splitlines() if "::" in line]
    files = [file for package in PACKAGES for file in (REPOSITORY / package).rglob("*.py")]
    written = [name for file in files for name in docstrings_with_examples(file)]
    assert sorted(found) == sorted(name.rpartition("::")[2] for name in written)
    assert len(found) >= FLOOR


@pytest.mark.parametrize("package", PACKAGES)
def test_a_run_without_arguments_collects_the_package(package: str) -> None:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        options = tomllib.load(file)["tool"]["pytest"]["ini_options"]
    assert package in options["testpaths"]
    assert "--doctest-modules" in options["addopts"]
