"""Who imports whom is what CONTRIBUTING.md draws, and nobody imports in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from support.running import REPOSITORY

PACKAGES = ("pipeline", "targets")

_NAME = r"(?:pipeline|targets)(?:\.\w+)*"
_LINE = re.compile(rf"^({_NAME}): *((?:{_NAME}(?:, *|$))*)(?:nothing)?$", re.MULTILINE)
_BLOCK = re.compile(rf"^```\w*\n({_NAME}:.*?)^```$", re.MULTILINE | re.DOTALL)

Drawing = dict[str, set[str]]
"""Of each room the rooms that it imports. A room is a folder, or a module that lies beside the folders."""


def drawing_in(text: str) -> Drawing:
    """The drawing in a Markdown text: a block of lines `room: room, room`, one for each room."""
    block = _BLOCK.search(text)
    assert block is not None, "no block of lines `room: room, room`"
    lines = [line for line in block[1].splitlines() if line.strip()]
    unread = [line for line in lines if not _LINE.match(line)]
    assert not unread, f"not of the form `room: room, room`: {unread}"
    rooms = {found[1]: set(filter(None, re.split(r", *", found[2]))) for found in map(_LINE.match, lines) if found}
    assert len(rooms) == len(lines), "a room has two lines"
    return rooms


def room_of(module: str, rooms: Mapping[str, object]) -> str | None:
    """The innermost room that holds a module; the line `pipeline` is of `pipeline/__init__.py` alone."""
    parts = module.removesuffix(".__init__").split(".")
    if parts == ["pipeline"]:
        return "pipeline" if "pipeline" in rooms else None
    names = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((name for name in names if name in rooms and name != "pipeline"), None)


def modules_of(root: Path) -> dict[str, Path]:
    """The file of every module of the packages; a package's own is named `package.__init__`."""
    files = (file for package in PACKAGES for file in (root / package).rglob("*.py"))
    return {".".join(file.relative_to(root).with_suffix("").parts): file for file in files}


def imports_of(path: Path, known: Mapping[str, Path]) -> Iterator[tuple[int, str]]:
    """Line and name of each module of ours that a file imports: within functions and for annotations too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parent = name.rpartition(".")[0]
            candidates = (name, f"{name}.__init__", parent, f"{parent}.__init__")
            yield from ((node.lineno, module) for module in list(filter(known.__contains__, candidates))[:1])


def imports_in(root: Path, rooms: Mapping[str, object]) -> dict[tuple[str, str], str]:
    """Each pair of rooms of which the first imports the second, with one place where it does."""
    known = modules_of(root)
    found: dict[tuple[str, str], str] = {}
    for module, path in sorted(known.items()):
        for line, imported in imports_of(path, known):
            pair = (room_of(module, rooms) or module, room_of(imported, rooms) or imported)
            if pair[0] != pair[1]:
                found.setdefault(pair, f"{path.relative_to(root)}:{line} imports {imported}")
    return found


def differences(root: Path, drawing: Drawing) -> list[str]:
    """What the drawing lacks, and what it has that is not so."""
    known, real = modules_of(root), imports_in(root, drawing)
    drawn = {(room, other) for room, others in drawing.items() for other in others}
    return [
        *(f"{module} has no line" for module in sorted(known) if room_of(module, drawing) is None),
        *(f"{room} is no module and no folder" for room in drawing if not {room, f"{room}.__init__"} & {*known}),
        *(f"{room} may not import {other}: {real[room, other]}" for room, other in sorted({*real} - drawn)),
        *(f"{room} imports nothing of {other}" for room, other in sorted(drawn - {*real})),
    ]


def circle_in(root: Path, rooms: Mapping[str, object]) -> list[str]:
    """The rooms of one circle of imports, the first of them again at the end; empty if there is none."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for room, other in imports_in(root, rooms):
        sorter.add(room, other)
    try:
        sorter.prepare()
    except CycleError as error:
        return [*error.args[1]]
    return []


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return drawing_in((REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"))


def test_the_imports_are_those_of_contributing(drawing: Drawing) -> None:
    assert differences(REPOSITORY, drawing) == []


def test_no_rooms_import_each_other_in_a_circle(drawing: Drawing) -> None:
    assert circle_in(REPOSITORY, drawing) == []


def test_targets_knows_nothing_of_attribution(drawing: Drawing) -> None:
    assert drawing["targets"] == set()


# --- the reading itself -----------------------------------------------------------------------------------------------

TEXT = """
```text
targets: nothing
pipeline.low: targets
pipeline.high: pipeline.low, pipeline.low.deep
pipeline.low.deep: targets
pipeline: pipeline.high
```
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A house that is as TEXT draws it."""
    for name, text in {
        "targets/__init__": "",
        "pipeline/__init__": "from pipeline.high import inner",
        "pipeline/low/__init__": "import targets",
        "pipeline/low/deep": "import targets",
        "pipeline/high/__init__": "",
        "pipeline/high/inner": "def late():\n    from pipeline.low import deep\n    import pipeline.low\n",
    }.items():
        (tmp_path / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def test_a_house_as_drawn(house: Path) -> None:
    assert differences(house, drawing_in(TEXT)) == []
    assert circle_in(house, drawing_in(TEXT)) == []


@pytest.mark.parametrize(
    ("module", "line", "said"),
    [
        ("pipeline/low/new", "from pipeline.high.inner import late", "pipeline.low may not import pipeline.high"),
        ("pipeline/low/new", "from pipeline import high", "pipeline.low may not import pipeline.high"),
        ("pipeline/low/new", "import pipeline", "pipeline.low may not import pipeline: "),
        ("pipeline/low/deep", "from pipeline import low", "pipeline.low.deep may not import pipeline.low"),
        ("targets/new", "import pipeline.low.deep", "targets may not import pipeline.low.deep"),
        ("pipeline/new", "", "pipeline.new has no line"),
        ("pipeline/high/inner", "from pipeline.low import deep", "pipeline.high imports nothing of pipeline.low"),
    ],
)
def test_an_import_that_is_not_drawn_is_found(house: Path, module: str, line: str, said: str) -> None:
    (house / f"{module}.py").write_text(line)
    assert [found for found in differences(house, drawing_in(TEXT)) if found.startswith(said)]


def test_a_circle_is_found(house: Path) -> None:
    (house / "targets/new.py").write_text("from pipeline.low import deep")
    assert {*circle_in(house, drawing_in(TEXT))} == {"targets", "pipeline.low.deep"}


@pytest.mark.parametrize(
    "text",
    ["", "```\nmake test\n```", "```\ntargets:\npipeline - targets\n```", "```\ntargets:\ntargets:\n```"],
    ids=["no block", "another block", "another form", "twice"],
)
def test_a_drawing_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(AssertionError):
        drawing_in(text)
