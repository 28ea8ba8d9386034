"""Goals of conversions: their names in settings and in paths, and the conversion types of their journeys."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from pipeline.model_options import ChannelNames

_SLUG = re.compile("[a-z][a-z0-9_]*")
_LONGEST = 40
_TAKEN = ("latest",)  # a folder beside those of goals


def goal_name(text: str) -> str | None:
    """The goal that a setting names, as goals are cleaned in the source; None for an empty text."""
    return unicodedata.normalize("NFC", text.strip()) or None


def goal_slug(goal: str) -> str:
    """The goal as a folder's name: itself if it is a slug, else a slug with a digest, so that no two goals share one.

    >>> goal_slug("purchase")
    'purchase'
    >>> goal_slug("Sign-up")
    'sign_up-3cc08e'
    """
    if _SLUG.fullmatch(goal) and len(goal) <= _LONGEST and goal not in _TAKEN:
        return goal
    plain = unicodedata.normalize("NFKD", goal).encode("ascii", "ignore").decode().lower()
    slug = re.sub("[^a-z0-9]+", "_", plain).strip("_")[:_LONGEST] or "goal"
    return f"{slug}-{hashlib.sha256(goal.encode()).hexdigest()[:6]}"


def with_goal(folder: str, goal: str | None) -> str:
    """The folder of a goal below another one; that one without a goal."""
    return folder if goal is None else f"{folder}/{goal_slug(goal)}"


def parse_goal_types(text: str) -> ChannelNames:
    """Pairs `goal=conv_type_id` with commas between them, sorted by goal, "quoted" where one holds a comma.

    A goal may hold '=', a conversion type may not. Raises `ValueError`, which names the pair that is wrong.

    >>> parse_goal_types("purchase = shop, lead=b2b")
    ChannelNames(('lead=b2b', 'purchase=shop'))
    """
    rule = "must be goal=conv_type_id pairs with commas between them"
    found: dict[str, str] = {}
    for pair in ChannelNames.parse(text):
        name, _, conv_type_id = pair.rpartition("=")
        goal = goal_name(name)
        if goal is None or not conv_type_id.strip():
            missing = "no '='" if "=" not in pair else "no goal" if goal is None else "no conversion type"
            raise ValueError(f"{rule} ({pair!r} has {missing})")
        if goal in found:
            raise ValueError(f"{rule}, each goal once ({pair!r} is there beside '{goal}={found[goal]}')")
        found[goal] = conv_type_id.strip()
    return ChannelNames(f"{goal}={found[goal]}" for goal in sorted(found))


def types_of_goals(pairs: Iterable[str]) -> dict[str, str]:
    """The conversion type of each goal, from pairs as `parse_goal_types` gives them."""
    return {goal: conv_type_id for goal, _, conv_type_id in (pair.rpartition("=") for pair in pairs)}
