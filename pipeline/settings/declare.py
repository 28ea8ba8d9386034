"""How a setting is declared: three functions, by what it decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TypeVar

T = TypeVar("T")

PREFIX = "attribution."
"""What the names of our sections in luigi.cfg begin with; other sections are somebody else's."""


def setting(
    section: str,
    key: str,
    parse: Callable[[str], T],
    default: str,
    env: str,
    meaning: str,
    *,
    changes_results: bool = True,
) -> T:
    """Declare a setting; `default` is written as it would be in luigi.cfg."""
    declared: T = field(
        metadata={
            "section": PREFIX + section,
            "key": key,
            "parse": parse,
            "default": default,
            "env": env,
            "help": meaning,
            "changes_results": changes_results,
        }
    )
    return declared


def location(section: str, key: str, parse: Callable[[str], T], default: str, env: str, meaning: str) -> T:
    """Declare where something is; no option, since options show in process lists and on the dashboard."""
    return setting(section, key, parse, default, env, meaning, changes_results=False)


def manner(section: str, key: str, parse: Callable[[str], T], default: str, env: str, meaning: str) -> T:
    """Declare how a run goes about its work; it changes no result."""
    return setting(section, key, parse, default, env, meaning, changes_results=False)
