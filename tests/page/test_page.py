"""The page: every number is one of a file, names are text, and it asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from made_files import about, made_comparison, made_files
from support.page_reader import assert_figures_are_of, read_page

from pipeline.page.page import build_page

HOSTILE = (
    *("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "{{ 7 * 7 }}"),
    *(
        '=HYPERLINK("x")',
        "a,b",
        "\u202eright to left",
        "\x1b[31mred",
        "two\nlines",
        "', --",
        "&amp;",
        "שלום",
        "👩‍👧 family",
    ),
    *("x" * 300, "total", "data-is=", "]]>", "<!--"),
)
DIMENSIONS = {"campaign": "campaign_summary.csv"}


@pytest.mark.parametrize(("channels", "days"), [(1, 1), (3, 13), (14, 60), (200, 14)])
def test_every_number_is_of_a_file(channels: int, days: int) -> None:
    texts = made_files([f"Channel {chr(97 + at % 26)}" * (1 + at // 26) for at in range(channels)], days, group="Paid")
    text = build_page(texts, about(days))
    page = read_page(text)
    assert_figures_are_of(texts, page)
    assert len(page.figures) > 6 * channels + 6 * days
    assert len(text) < 3_000_000


def test_a_comparison_is_shown() -> None:
    texts = made_files(["Radio", "Mail", "Free", "Print"], 14, group="Paid")
    alone = read_page(build_page(texts, about(14)))
    assert alone.text.count("not compared") == 4
    assert "all models " not in alone.text
    both = {**texts, **made_comparison(texts)}
    page = read_page(build_page(both, about(14)))
    assert_figures_are_of(both, page)
    assert "all models " in page.text
    assert "not compared" not in page.text
    assert page.text.count("firm: gains") >= 1
    assert "Where models disagree most" in page.text
    assert page.text.count("12.50 EUR") == 3
    assert [page.text.count(share) >= 3 for share in ("25.0%", "75.0%")] == [True, True]
    dear = read_page(build_page(both, about(14, margin=0.25)))
    assert_figures_are_of(both, dear)
    assert "depends on the" in dear.text


def test_ids_are_shortened_unless_they_are_asked_for() -> None:
    texts = made_files(["Radio"], 3)
    short, whole = (build_page(texts, about(3, show_ids=show)) for show in (False, True))
    assert "conversion-one" not in short
    assert "session-one" not in short
    assert "conversion-one" in whole
    assert_figures_are_of(texts, read_page(whole))


def test_an_empty_report_has_a_page() -> None:
    texts = made_files([], 5)
    page = read_page(build_page(texts, about(5)))
    assert_figures_are_of(texts, page)
    assert "No channel has sessions, spend or orders" in page.text
    assert "There is nothing to compare with" in page.text
    assert "nan" not in page.text.lower()


@pytest.fixture(scope="module")
def hostile() -> str:
    texts = made_files(HOSTILE, 14, group="<b>group</b>", campaigns=HOSTILE)
    told = about(14, goal="<i>goal</i>", warnings=["<u>warning</u>\x1b[2J"], dimensions=DIMENSIONS)
    return build_page(texts, told)


def test_hostile_names_are_text(hostile: str) -> None:
    page = read_page(hostile)
    assert not {"img", "i", "u"} & page.tags
    assert not [of for of in page.attributes if of[1].startswith("on")]
    shown = {*page.names}
    for name in HOSTILE:
        assert re.sub("[\u202e\x1b\n]", "\ufffd", name) in shown
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", hostile)
    assert page.text.count("<b>group</b>") > 1
    assert "<u>warning</u>\ufffd[2J" in page.text


def test_nothing_but_its_own_script_runs_and_nobody_is_asked(hostile: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", hostile, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", hostile, re.DOTALL)
    assert (len(scripts), len(styles)) == (1, 1)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', hostile)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'")
    assert allowed.startswith("default-src 'none'; ")
    for text in (*scripts, *styles):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed
    page = read_page(hostile)
    asked = [of for of in page.attributes if of[1] in ("src", "href", "srcset", "action", "style")]
    assert all(value.startswith("#") for _, _, value in asked)
    assert not re.search(r"https?:|url\((?!#)|@import", hostile.replace("&#58;", ":"))


def test_the_download_has_the_cells_of_the_file(hostile: str) -> None:
    found = re.search(r'<script type="application/json" id="summary">(.*?)</script>', hostile, re.DOTALL)
    assert found is not None
    header, *rows = json.loads(found[1])
    assert header[:2] == ["channel_name", "is_total"]
    assert [row[0] for row in rows] == [*HOSTILE, "total"]


def test_readers_who_hear_the_page_find_what_it_shows(hostile: str) -> None:
    page = read_page(hostile)
    heads = [value for tag, name, value in page.attributes if tag == "th" and name == "scope"]
    assert len(heads) == hostile.count("<th ")
    drawn = len([of for of in page.attributes if of[:2] == ("svg", "role")])
    named = [of for of in page.attributes if of[:2] == ("svg", "aria-label")]
    hidden = [of for of in page.attributes if of[:2] == ("svg", "aria-hidden")]
    assert drawn == len(named)
    assert drawn + len(hidden) == hostile.count("<svg")
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len({*ids})
    assert {value for _, name, value in page.attributes if name == "aria-labelledby"} <= {*ids}


def test_what_deserves_a_look_is_said() -> None:
    page = read_page(build_page(made_files(["Radio"], 14), about(14, warnings=["look here"])))
    for told in (
        "2 orders without any session",
        "no cost, <b>while</b> others",
        "2 refunds of 5.00 EUR",
        "3 sessions and 0 costs have rows that cannot be used",
        "6 of conversions",
        "4 sessions beyond MAX_SESSIONS",
        "look here",
        "50.0%",
    ):
        assert told in page.text
