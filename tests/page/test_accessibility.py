"""What axe finds on the page: nothing serious, in light and dark, whatever the channels are called."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from made_files import about, made_comparison, made_files
from test_page import DIMENSIONS, HOSTILE

from pipeline.page.page import build_page

_AXE = importlib.util.find_spec("axe_core_python")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
    pytest.mark.skipif(_AXE is None, reason="axe-core-python is not installed"),
]

LOOK = """axe.run(document, {preload: false, resultTypes: ['violations']}).then(found =>
    found.violations.map(of => [of.impact, of.id, of.nodes[0].html.slice(0, 200)]))"""


def pages() -> dict[str, str]:
    """Pages by what is odd about them."""
    found = {}
    for name, channels, days in (("few", ["Radio", "Mail", "Print"], 14), ("none", [], 5), ("one", ["Radio"], 1)):
        texts = made_files(channels, days, group="Paid")
        found[name] = build_page({**texts, **made_comparison(texts)} if channels else texts, about(days))
    many = made_files(HOSTILE, 3, group="<b>group</b>", campaigns=["spring", "\x1b[2J"])
    told = about(3, goal="<i>goal</i>", warnings=["<u>warning</u>"], dimensions=DIMENSIONS)
    found["many"] = build_page({**many, **made_comparison(many)}, told)
    return found


async def look(folder: Path) -> dict[tuple[str, str], Any]:
    """What axe finds, by page and colours."""
    assert _AXE is not None
    axe = (Path(_AXE.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")  # type: ignore[index]
    found = {}
    async with Browser(folder) as browser:
        for name, text in pages().items():
            page = folder / f"{name}.html"
            page.write_text(text, encoding="utf-8")
            for colours in ("light", "dark") if name != "many" else ("light",):
                feature = {"name": "prefers-color-scheme", "value": colours}
                await browser.tell("Emulation.setEmulatedMedia", features=[feature])
                await browser.open(page)
                await browser.tell("Runtime.evaluate", expression=axe)
                await browser.run("document.querySelectorAll('details').forEach(of => { of.open = true; })")
                found[name, colours] = await browser.run(LOOK)
                if name in ("few", "one"):
                    await browser.run("document.querySelector('.figure').click()")
                    found[name, f"{colours}, ledger"] = await browser.run(LOOK)
    return found


def test_nothing_serious_is_found(tmp_path: Path) -> None:
    found = asyncio.run(look(tmp_path))
    assert len(found) == 11
    serious = {page: [of for of in of_page if of[0] in ("serious", "critical")] for page, of_page in found.items()}
    assert {page: of for page, of in serious.items() if of} == {}
