"""The page of a report as a reader without scripts finds it."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import groupby
from operator import itemgetter
from pathlib import Path

VOID = {"meta", "link", "br", "input", "img"}
WORDS = ("time", "bdi", "b", "option", "code", "style", "script")
"""Elements whose text may hold digits that are no figure: dates, names, the model."""


@dataclass
class Figure:
    """A number on the page: its exact value, how it is computed, and what is to be read."""

    value: str
    formula: str
    text: str = ""


@dataclass
class Page(HTMLParser):
    """What stands on a page."""

    figures: list[Figure] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    text: str = ""
    loose: str = ""
    ledgers: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))
        if tag == "data":
            of = dict(attrs)
            self.figures.append(Figure(of["value"] or "", of.get("data-is") or ""))
        if tag == "bdi":
            self.names.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.open]
        if tags and tags[-1] == "data":
            self.figures[-1].text += data
        if tags and tags[-1] == "bdi":
            self.names[-1] += data
        if tags[-1:] == ["script"] and self.open[-1][1].get("id") == "ledgers":
            self.ledgers += data
        if "title" in tags and "svg" in tags:
            self.titles.append(data)
        elif not {"style", "script"} & {*tags}:
            self.text += data
            said = any("told" in (of.get("class") or "") for _, of in self.open)
            if "main" in tags and "data" not in tags and not said and not {*WORDS, "details"} & {*tags}:
                self.loose += data


def read_page(text: str) -> Page:
    """The page; every element that it opens is closed."""
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def texts_of(folder: Path) -> dict[str, str]:
    """The files of a report beside its page, and of the comparison of the same days, if there is one."""
    compared = folder.parents[2] / "comparison" / folder.parent.name / folder.name
    return {
        path.name: path.read_bytes().decode()
        for of in (compared, folder)
        for path in of.glob("*.*")
        if path.suffix in (".csv", ".json")
    }


def assert_figures_are_of(texts: dict[str, str], page: Page) -> None:
    """Every figure of the page is a cell of a file, or what its formula says of cells; and is written as it is."""
    rows = {name: list(csv.DictReader(io.StringIO(text, newline=""))) for name, text in texts.items() if ".csv" in name}
    books = json.loads(texts["reconciliation.json"])
    cells = {cell for of in rows.values() for row in of for cell in row.values()} | {*_numbers(books)}
    totals = [
        _floats(next((row for row in rows[name] if row["is_total"] == "1"), {}))
        for name in ("changes.csv", "channel_summary.csv")
    ]
    sums = _sums(rows)
    for figure in page.figures:
        value = float(figure.value)
        if not figure.formula:
            assert figure.value in cells, figure
        elif figure.formula.startswith("sum "):
            assert any(math.isclose(value, sum_, rel_tol=1e-12, abs_tol=1e-12) for sum_ in sums), figure
        else:
            names = {*re.findall(r"[A-Za-z_]+", figure.formula)}
            values = [eval(figure.formula, {}, of) for of in (*totals, _floats(books)) if names <= {*of}]
            assert any(math.isclose(value, of, rel_tol=1e-12) for of in values), figure
        assert _written(figure.text, value), figure
    _assert_ledgers_are_of(rows, sums, page)
    told = {f"{sum_:,.2f}" for sum_ in sums} | {"0.00"}
    for title in page.titles:
        assert re.match(r"\d{4}-\d\d-\d\d: ([\d,.]+)", title)[1] in told, title
    assert not re.search(r"\d", re.sub(r"95.% bounds|less than 14|fewer than 14|95 %", "", page.loose)), page.loose


def _assert_ledgers_are_of(rows: dict[str, list[dict[str, str]]], sums: set[float], page: Page) -> None:
    """Every entry of a ledger is a row of ledger.csv, every date one of daily.csv; they sum to the summary's row."""
    ledgers, summary = json.loads(page.ledgers), rows["channel_summary.csv"]
    assert len(ledgers) == len(summary)
    for ledger, of in zip(ledgers, summary, strict=True):
        mine = [row for row in rows["ledger.csv"] if [row[key] for key in KEY] == [of[key] for key in KEY]]
        entries = [[*entry[1:2], *entry[3:]] for entry in ledger["entries"]]
        assert entries == [[row[name] for name in ENTRY] for row in mine if row["conv_id"]]
        others = [[row[name] for name in ENTRY[2:]] for row in mine if not row["conv_id"]]
        assert ledger["others"] == others
        for at, name in enumerate(ENTRY[3:]):
            sum_ = math.fsum(float(cells[at - 3]) for cells in (*entries, *others))
            assert math.isclose(sum_, float(of[name] or 0), rel_tol=1e-9, abs_tol=1e-9), (of["channel_name"], name)
        daily = {(row["conv_date"], row["spend"]) for row in rows["daily.csv"] if row["channel_name"] == of[KEY[0]]}
        for date, spend in ledger["spend"]:
            is_there = any(math.isclose(float(spend), sum_, rel_tol=1e-12) for sum_ in sums)
            assert is_there if of["is_total"] == "1" else (date, spend) in daily
        if not ledger["more"]:
            spent = math.fsum(float(spend) for _, spend in ledger["spend"])
            assert math.isclose(spent, float(of["spend"] or 0), rel_tol=1e-9, abs_tol=1e-9)


KEY = ("channel_name", "is_total")
ENTRY = ("conv_date", "session_date", "sessions", "orders", "revenue", "new_customer_orders")


def _sums(rows: dict[str, list[dict[str, str]]]) -> set[float]:
    """Sums by date, and by group."""
    found = {0.0}
    for name, key, columns in (
        ("daily.csv", "conv_date", ("spend", "orders", "revenue")),
        ("channel_reporting.csv", "date", ("cost", "ihc", "ihc_revenue")),
        ("channel_summary.csv", "group", ("spend", "orders", "revenue")),
    ):
        of_key = [row for row in rows[name] if row.get("is_total") != "1"]
        for _, of in groupby(sorted(of_key, key=itemgetter(key)), itemgetter(key)):
            of_value = list(of)
            found |= {math.fsum(float(row[column] or 0) for row in of_value) for column in columns}
    return found


def _floats(of: dict[str, object]) -> dict[str, float]:
    found = {}
    for name, value in of.items():
        try:
            found[name] = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
    return found


def _numbers(document: object) -> list[str]:
    if isinstance(document, dict):
        return [number for value in document.values() for number in _numbers(value)]
    return [repr(document)] if isinstance(document, int | float) else []


def _written(text: str, value: float) -> bool:
    sign = {"+": 1, "\N{MINUS SIGN}": -1}.get(text[0], 1)
    read = sign * float(text.lstrip("+\N{MINUS SIGN}±").rstrip("%").replace(",", "")) / (100 if "%" in text else 1)
    places = len(text.partition(".")[2].rstrip("%")) + (2 if "%" in text else 0)
    return min(abs(read - value), abs(read - abs(value))) <= 0.5 * 10**-places + 1e-9
