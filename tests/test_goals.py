"""Goals in settings and in paths."""

from __future__ import annotations

import re

import pytest

from pipeline.goals import goal_name, goal_slug, parse_goal_types, types_of_goals, with_goal

HOSTILE = (
    "latest",
    "Latest",
    "purchase",
    "Purchase",
    "pur chase",
    "pur_chase",
    "pur-chase",
    "..",
    "/",
    "2023-08-29",
    "购买",
)


def test_no_two_goals_share_a_folder_and_none_leaves_it() -> None:
    slugs = [goal_slug(goal) for goal in (*HOSTILE, *map(goal_slug, HOSTILE[1:2]), "x" * 300, "x" * 301)]
    assert len({slug.casefold() for slug in slugs}) == len(slugs)
    assert all(re.fullmatch("[a-z0-9_]+(-[0-9a-f]{6})?", slug) and len(slug) < 60 for slug in slugs)
    assert "latest" not in slugs
    assert with_goal("report/linear", None) == "report/linear"
    assert with_goal("report/linear", "purchase") == "report/linear/purchase"


def test_a_goal_is_cleaned_as_in_the_source() -> None:
    assert goal_name(" Gro\u0308ße\u00a0") == "Größe"
    assert goal_name(" ") is None


def test_pairs_are_read_back_as_they_are_written() -> None:
    pairs = parse_goal_types('"Shop, online = b2c",a=b=c')
    assert types_of_goals(pairs) == {"Shop, online": "b2c", "a=b": "c"}
    assert parse_goal_types(str(pairs)) == pairs
    assert parse_goal_types("") == ()
    with pytest.raises(ValueError, match="'a' has no '='"):
        parse_goal_types("a")
