"""What every stage makes of the small shop is what it made before, or its version was raised.

`stage_contents.json` holds of each stage its version and the digest of all it leaves behind: of rows, texts and numbers
to nine significant digits (a stamp has twelve, which a sum in another order may change), so that no library's version
shows. `make golden` writes it anew, and refuses to while a stage's content has changed under its old version: files
that were made before would be taken for current.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.comparing import query
from support.databases import SHOP_INTERVAL
from support.running import DATABASE

from pipeline.comparison.tasks import ModelComparison
from pipeline.places import Places
from pipeline.reporting.tasks import Report
from pipeline.settings import declared_settings
from pipeline.stage import Stage
from pipeline.training.tasks import TrainedModel
from targets.fingerprint import fingerprint
from targets.parquet import ParquetTarget
from targets.table import TableSlice
from targets.text import CsvTarget, JsonTarget, TextTarget

GOLDEN = Path(__file__).with_name("stage_contents.json")
WITHOUT_CONTENT = {"InitDatabase", "AttributionPlan"}
"""The one leaves empty tables, whose columns `test_result_tables.py` holds; the other prints what the API costs."""

Contents = dict[str, dict[str, Any]]
"""Of each stage its `version`, its `digest`, and the stages that it is `made_from`."""


def logical(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A value, JSON-able, with its floats to nine significant digits and twelve places: a sum of 0 may be not quite 0.

    What is called `fingerprint` says nothing of the content.
    """
    if isinstance(value, float):
        return f"{round(value, 12) + 0.0:.9g}"
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: logical(of_key) for key, of_key in value.items() if key != "fingerprint"}
    if isinstance(value, list | tuple):
        return [logical(item) for item in value]
    return value


def number(text: str) -> float | str:
    """A cell of a CSV as a number, if it is one with a decimal point."""
    try:
        return float(text) if "." in text else text
    except ValueError:
        return text


def content_of(target: ParquetTarget | TextTarget | TableSlice, database: Path) -> Any:  # noqa: ANN401 - JSON
    """What a target holds, JSON-able."""
    if isinstance(target, ParquetTarget):
        rows = target.read()
        columns = [f"{column.name} {column.type}" for column in rows.schema]
        return [columns, logical(rows.to_pylist()), logical(target.notes())]
    if isinstance(target, JsonTarget):
        return logical(target.read())
    if isinstance(target, CsvTarget):
        rows = csv.reader(io.StringIO(target.read_text(), newline=""))
        return [[logical(number(cell)) for cell in row] for row in rows]
    if isinstance(target, TextTarget):
        return [logical(number(piece)) for piece in re.split(r"(-?\d+\.\d+)", target.read_text())]
    return logical(sorted(query(database, f"SELECT * FROM {target.table}"), key=repr))


def in_order(stages: Iterable[Stage], seen: dict[str, Stage]) -> dict[str, Stage]:
    """The stages and all that they require, by task id, each after what it requires."""
    for stage in stages:
        if stage.task_id not in seen:
            in_order(stage.requires(), seen)
            seen[stage.task_id] = stage
    return seen


def contents_of(stages: Iterable[Stage], database: Path) -> Contents:
    """What stages have left behind, by the name of their class."""
    found: dict[str, dict[str, Any]] = {}
    classes: dict[str, type[Stage]] = {}
    made_from: dict[str, set[str]] = {}
    for stage in stages:
        name = stage.task_family
        classes[name] = type(stage)
        made_from.setdefault(name, set()).update(other.task_family for other in stage.requires())
        variant = [getattr(stage, setting, "") for setting in ("model", "lookback_days", "date_interval")]
        for part in stage.parts():
            place = "/".join(map(str, [*variant, part]))
            found.setdefault(name, {})[place] = content_of(stage.target(part), database)
    return {
        name: {
            "version": classes[name].version,
            "digest": fingerprint(found[name]),
            "made_from": sorted(made_from[name] & found.keys()),
        }
        for name in sorted(found)
    }


def above(name: str, contents: Contents) -> set[str]:
    """The stages that a stage is made from, directly or not."""
    direct = contents[name]["made_from"]
    return {*direct}.union(*(above(other, contents) for other in direct))


def unversioned(before: Contents, now: Contents) -> list[str]:
    """The stages with other content, though neither their version was raised nor one of what they are made from."""
    raised = {name for name in before.keys() & now.keys() if now[name]["version"] > before[name]["version"]}
    return [
        f"the content of {name} changed: raise its version, which is {now[name]['version']}"
        for name in sorted(before.keys() & now.keys())
        if now[name]["digest"] != before[name]["digest"] and not raised & {name, *above(name, now)}
    ]


def lowered(before: Contents, now: Contents) -> list[str]:
    """The stages whose version is lower than before."""
    return [
        f"{name} was of version {before[name]['version']}, and is of {now[name]['version']}: versions only rise"
        for name in sorted(before.keys() & now.keys())
        if now[name]["version"] < before[name]["version"]
    ]


@pytest.fixture(scope="module")
def contents(shop_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contents]:
    """What the stages make of the small shop now, by default settings."""
    folder = tmp_path_factory.mktemp("contents")
    database = Path(shutil.copy(shop_database, folder / DATABASE))
    with pytest.MonkeyPatch.context() as patch:
        for declared in declared_settings().values():
            patch.delenv(declared.metadata["env"], raising=False)
        places = Places(
            database_url=f"sqlite:///{database}",
            results_database_url=None,
            data_dir=str(folder / "files"),
            file_mode=0o640,
            api_url="http://127.0.0.1",
        )
        asked = [kind(places=places, date_interval=SHOP_INTERVAL) for kind in (Report, ModelComparison)]
        named = {"conv_type_id": "shop", "date_interval": SHOP_INTERVAL}
        asked += [TrainedModel(places=places, model=model, **named) for model in ("ihc-local", "markov")]
        stages = in_order(asked, {})
        for stage in stages.values():
            stage.run()
        yield contents_of(stages.values(), database)


def test_every_stage_has_a_digest(contents: Contents) -> None:
    def kinds(kind: type[Stage]) -> Iterator[type[Stage]]:
        for subclass in kind.__subclasses__():
            yield from kinds(subclass)
            if subclass.__module__.startswith("pipeline.") and subclass.make is not Stage.make:
                yield subclass

    assert {kind.__name__ for kind in kinds(Stage) if not kind.__subclasses__()} - WITHOUT_CONTENT == contents.keys()


def test_contents_are_those_of_the_versions(contents: Contents, request: pytest.FixtureRequest) -> None:
    before = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    assert [*unversioned(before, contents), *lowered(before, contents)] == []
    if request.config.getoption("--golden"):
        GOLDEN.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
    else:
        changed = [name for name in sorted({*before, *contents}) if before.get(name) != contents.get(name)]
        assert changed == [], f"{GOLDEN.name} is of other versions or stages: `make golden` writes it anew"


# --- the judgement itself ---------------------------------------------------------------------------------------------


def shop_of(first: tuple[int, str], second: tuple[int, str]) -> Contents:
    """Two stages, the second made from the first, each with its version and digest."""
    return {
        "First": {"version": first[0], "digest": first[1], "made_from": []},
        "Second": {"version": second[0], "digest": second[1], "made_from": ["First"]},
    }


@pytest.mark.parametrize(
    ("now", "blamed"),
    [
        (shop_of((1, "a"), (1, "b")), []),
        (shop_of((1, "a"), (1, "other")), ["Second"]),
        (shop_of((1, "other"), (1, "other")), ["First", "Second"]),
        (shop_of((2, "other"), (1, "other")), []),
        (shop_of((2, "other"), (1, "b")), []),
        (shop_of((1, "other"), (2, "other")), ["First"]),
        (shop_of((2, "a"), (2, "b")), []),
    ],
)
def test_other_content_needs_another_version(now: Contents, blamed: list[str]) -> None:
    said = unversioned(shop_of((1, "a"), (1, "b")), now)
    assert said == [f"the content of {name} changed: raise its version, which is 1" for name in blamed]


def test_a_version_only_rises() -> None:
    assert lowered(shop_of((2, "a"), (1, "b")), shop_of((1, "a"), (1, "b"))) == [
        "First was of version 2, and is of 1: versions only rise"
    ]


def test_the_last_digits_of_a_number_do_not_show() -> None:
    assert logical({"a": [0.1 + 0.2, -0.0], "fingerprint": "x"}) == logical({"a": [0.3, 0.0]})
    assert logical(0.1 + 0.2 - 0.3) == logical(0.0)
    assert logical(0.3) != logical(0.30000001)
    assert [number("1.50"), number("007"), number("a.b")] == [1.5, "007", "a.b"]
