"""The page in a real browser: sorting, filtering, expanding, switching, downloading; no request, no error."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from made_files import about, made_files

from pipeline.page.page import build_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

CHANNELS = ("Radio", "=1+1", 'say "a,b"', "<script>document.title='run'</script>", "Émail")
SHOWN = "[...document.querySelectorAll('tbody.channel:not([hidden])')].map(body => body.dataset.name)"


async def look(folder: Path) -> dict[str, Any]:
    """What the page says after each step of a reader."""
    texts = made_files(CHANNELS, 14, group="Paid", campaigns=["spring", "autumn"])
    page = folder / "report.html"
    page.write_text(build_page(texts, about(14, dimensions={"campaign": "campaign_summary.csv"})), encoding="utf-8")
    seen: dict[str, Any] = {"summary": texts["channel_summary.csv"]}
    async with Browser(folder) as browser:
        await browser.tell(
            "Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True
        )
        await browser.open(page)
        await browser.tell("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        seen["width"] = await browser.run("document.documentElement.scrollWidth")
        seen["first"] = await browser.run(SHOWN)
        for key in ("name", "spend"):
            await browser.run(f"document.querySelector('[data-sort={key}]').click()")
            seen[key] = await browser.run(SHOWN)
        seen["sorted"] = await browser.run("document.querySelector('[data-sort=spend]').parentElement.ariaSort")
        parts = "document.querySelectorAll('tr.part:not([hidden])').length"
        seen["parts"] = [await browser.run(parts)]
        for button in (".more", "#expand", "#expand"):
            await browser.run(f"document.querySelector('{button}').click()")
            seen["parts"].append(await browser.run(parts))
        await browser.run("document.querySelector('[data-basis=touch]').click()")
        seen["bases"] = await browser.run("['order', 'touch'].map(of => document.getElementById('basis-' + of).hidden)")
        seen["late"] = await browser.run(
            "getComputedStyle(document.querySelector('#basis-touch rect.orders.late')).fill"
        )
        await browser.run("(filter.value = 'A', filter.dispatchEvent(new Event('input')))")
        seen["filtered"] = [await browser.run(SHOWN), await browser.run("count.textContent")]
        await browser.run("document.querySelector('tbody:not([hidden]) [data-key=orders] .figure').click()")
        seen["ledger"] = await browser.run("[ledger.open, ledger.innerText]")
        await browser.run("document.getElementById('ledger-close').click()")
        await browser.run("document.querySelector('tfoot [data-key=CPO] .figure').click()")
        seen["total"] = await browser.run("ledger.innerText")
        seen["dates"] = await browser.run("ledger.querySelectorAll('table:last-child tbody tr').length")
        await browser.run("document.getElementById('ledger-close').click()")
        seen["closed"] = await browser.run("!ledger.open")
        await browser.run("download.click()")
        saved = folder / "channels.csv"
        async with asyncio.timeout(20):
            while not saved.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)
        seen["saved"] = saved.read_bytes().decode()
        seen["title"] = await browser.run("document.title")
        image = "<img src=data:,x onerror='document.title=1'>"
        await browser.run(f'document.querySelector("main").insertAdjacentHTML("beforeend", "{image}")')
        seen["unasked"] = await browser.run("new Promise(done => setTimeout(() => done(document.title), 100))")
        seen["events"] = browser.events
    return seen


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return asyncio.run(look(tmp_path_factory.mktemp("browser")))


def test_it_sorts(seen: dict[str, Any]) -> None:
    rows = {row["channel_name"]: row for row in csv.DictReader(io.StringIO(seen["summary"], newline=""))}
    assert seen["first"] == sorted(CHANNELS, key=lambda name: -float(rows[name]["orders"]))
    assert sorted(seen["name"]) == sorted(CHANNELS)
    assert seen["name"].index("Émail") < seen["name"].index("Radio")
    assert [float(rows[name]["spend"]) for name in seen["spend"]] == sorted(
        (float(rows[name]["spend"]) for name in CHANNELS), reverse=True
    )
    assert seen["sorted"] == "descending"


def test_it_filters_and_saves_what_it_shows(seen: dict[str, Any]) -> None:
    shown, said = seen["filtered"]
    assert sorted(shown) == sorted(name for name in CHANNELS if "a" in name.lower())
    assert said == f"{len(shown)} of {len(CHANNELS)} channels"
    header, *rows = csv.reader(io.StringIO(seen["saved"], newline=""))
    lines = [*csv.reader(io.StringIO(seen["summary"], newline=""))]
    assert header == lines[0]
    assert [row[0] for row in rows] == shown
    assert all(row in lines for row in rows)


def test_it_expands_and_switches_the_date(seen: dict[str, Any]) -> None:
    assert seen["parts"] == [0, 2, 2 * len(CHANNELS), 0]
    assert seen["bases"] == [True, False]
    assert "late-orders" in seen["late"]


def test_a_figure_opens_its_ledger(seen: dict[str, Any]) -> None:
    rows = {row["channel_name"]: row for row in csv.DictReader(io.StringIO(seen["summary"], newline=""))}
    is_open, text = seen["ledger"]
    first = rows[seen["filtered"][0][0]]
    assert is_open
    assert "…on-one" in text
    assert "all others" in text
    assert text.count(f"{float(first['orders']):,.2f}") >= 2  # in the title and as the sum
    assert f"{float(rows['total']['spend']):,.2f} spend / {float(rows['total']['orders']):,.2f} orders" in seen["total"]
    assert seen["dates"] == 14
    assert seen["closed"]


def test_it_fits_a_phone(seen: dict[str, Any]) -> None:
    assert seen["width"] <= 390


def test_it_asks_nobody_and_runs_no_other_script(seen: dict[str, Any]) -> None:
    asked = [of["params"]["request"]["url"] for of in seen["events"] if of["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []
    assert [url.rpartition("/")[2] for url in asked if url.startswith("file:")] == ["report.html"]
    assert seen["title"].startswith("Attribution report")
    assert seen["unasked"] == seen["title"]
    logged = [of["params"]["entry"]["text"] for of in seen["events"] if of["method"] == "Log.entryAdded"]
    assert all("violates" in text for text in logged)  # of the image that the test puts there
