"""`report.html`: the files of a report as one self-contained page, which asks nobody for anything."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.page import changed, sections
from pipeline.page.disagreements import disagreements
from pipeline.page.figures import day, plain
from pipeline.page.glossary import GLOSSARY
from pipeline.page.ledger import ledgers
from pipeline.page.tables import SUMMARY, ReportFiles
from pipeline.page.verdicts import cost_ranges, verdicts
from pipeline.page.words import trust
from targets.csv_text import csv_rows

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class About:
    """What a page says of its report beside the files.

    Attributes:
        model: the model's name.
        goal: the goal of the orders, if the report has one.
        days: the days of the interval.
        settings: the settings that decide the figures, by name.
        version: that of the pipeline.
        fingerprint: of all that the report is made from.
        warnings: what deserves a look, in lines.
        dimensions: of each dimension the name of its summary.
        margin: the share of revenue that profit is counted from.
        show_ids: whether ids of orders and sessions stand on the page whole.
        credit_folder: where in the data directory the credit of all sessions is.

    """

    model: str
    goal: str | None
    days: Sequence[dt.date]
    settings: Mapping[str, Any]
    version: str
    fingerprint: str
    warnings: Sequence[str] = ()
    dimensions: Mapping[str, str] = field(default_factory=dict)
    margin: float = 1.0
    show_ids: bool = False
    credit_folder: str = ""


def build_page(texts: Mapping[str, str], about: About) -> str:
    """The page, from the texts of the report's files by their names.

    Names of the source stand in it as text, whatever they hold; the page's policy lets no other script run than its
    own, and lets it ask nobody.
    """
    files = ReportFiles(texts)
    currency = files.books()["currency"]
    style, script = _part("page.css"), _part("page.js")
    compared = changed.spans(files, about.days)
    return (
        _environment()
        .get_template("page.html")
        .render(
            about=about,
            title=f"{plain(about.model)}, {about.days[0]} to {about.days[-1]}",
            goal=plain(about.goal or ""),
            first=day(str(about.days[0])),
            last=day(str(about.days[-1])),
            number_of_days=len(about.days),
            currency=currency,
            style=style,
            script=script,
            policy=f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; img-src data:; "
            "base-uri 'none'; form-action 'none'",
            sentences=changed.sentences(files, compared, currency),
            compared=compared,
            changes=changed.change_table(files),
            trust=trust(files, about.warnings),
            cards=sections.cards(files, currency, changed.beside_totals(files, compared)),
            shares=sections.shares(files),
            channels=sections.channel_table(files, about.dimensions),
            total=sections.total_line(files),
            verdicts=verdicts(files, about.margin),
            cost_ranges=cost_ranges(files),
            disagreements=disagreements(files, show_ids=about.show_ids),
            groups=sections.groups(files),
            group_names=sorted({row["group"] for row in files.rows(SUMMARY) if row["group"]}),
            days=sections.days(files),
            paths=sections.paths(files),
            lags=sections.lags(files),
            settings=[(plain(name), _told(value)) for name, value in about.settings.items()],
            glossary=GLOSSARY,
            summary=_as_json(_cells(texts[SUMMARY])),
            ledgers=_as_json(ledgers(files, show_ids=about.show_ids)),
        )
    )


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


@functools.cache
def _part(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - a file of this folder


def _digest(text: str) -> str:
    """The source of a policy that allows this text alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _told(value: Any) -> str:  # noqa: ANN401 - a setting
    return "none" if value in (None, "", (), []) else plain(value if isinstance(value, str) else json.dumps(value))


def _cells(text: str) -> list[list[str]]:
    return csv_rows(text)


def _as_json(document: object) -> Markup:
    """A document for the script; nothing in it ends the element that holds it."""
    written = (
        json.dumps(document, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")
    )
    return Markup(written.replace("&", "\\u0026"))  # noqa: S704 - no sign of HTML is left
