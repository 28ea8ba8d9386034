"""The notebook runs from top to bottom on the sample data, and its figures are pictures on white."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from support.databases import SHOP_INTERVAL
from support.running import REPOSITORY, Workplace

from pipeline.sample.reference import write_reference

EXTRA = ("altair", "ipykernel", "jupytext", "nbclient", "vl_convert")
missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
FIGURES = 7

pytestmark = pytest.mark.skipif(
    bool(missing) and os.environ.get("CI") != "true",
    reason=f"{', '.join(missing)} not installed: pip install -e '.[notebook]'",
)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = Workplace(tmp_path_factory.mktemp("notebook") / "shop")
    write_reference(place.database, scale=0.2, days=4)
    script, source = REPOSITORY / "notebooks" / "build.py", REPOSITORY / "notebooks" / "training.py"
    target = place.folder / "training.ipynb"
    outcome = place.start(
        Path(sys.executable).name, str(script), str(source), str(target), NOTEBOOK_INTERVAL=SHOP_INTERVAL
    )
    assert outcome.end().succeeded().output == f"{target}\n"
    built: dict[str, Any] = json.loads(target.read_bytes())
    return built


def outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def test_every_cell_ran_and_none_complained(notebook: dict[str, Any]) -> None:
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    kinds = {(output["output_type"], output.get("name")) for output in outputs(notebook)}
    assert kinds == {("execute_result", None), ("stream", "stdout")}  # no error, nothing on stderr


def test_it_says_what_the_figures_stand_on(notebook: dict[str, Any]) -> None:
    text = "".join("".join(output["text"]) for output in outputs(notebook) if output["output_type"] == "stream")
    assert "journeys with " in text
    assert "have one session" in text
    assert "fallen back to the shipped parameters: nothing" in text
    assert "/" not in text  # no path of the machine


def test_every_figure_is_a_picture_of_a_size_to_read(notebook: dict[str, Any]) -> None:
    pictures = [
        base64.b64decode(output["data"]["image/png"])
        for output in outputs(notebook)
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == FIGURES
    for picture in pictures:
        width, height = struct.unpack(">II", picture[16:24])
        assert 800 < width < 2400
        assert 400 < height < 2400
        assert len(picture) > 10_000  # more than an empty frame


def test_a_cell_that_fails_leaves_no_notebook(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("# %%\nraise ValueError('wrong')\n", encoding="utf-8")
    place = Workplace(tmp_path / "place")
    script = REPOSITORY / "notebooks" / "build.py"
    outcome = place.start(Path(sys.executable).name, str(script), str(tmp_path / "wrong.py")).end()
    assert outcome.code == 1
    assert "CellExecutionError" in outcome.text
    assert "raise ValueError('wrong')" in outcome.text
    assert not (tmp_path / "wrong.ipynb").exists()
