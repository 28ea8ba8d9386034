"""Parsers of the values of settings: each raises `ValueError` with the rule that a text breaks."""

from __future__ import annotations

import math
import re
import zoneinfo
from collections.abc import Callable


def text(value: str) -> str:
    """A text that is not empty."""
    if not value:
        raise ValueError("must have a value")
    return value


def optional(value: str) -> str | None:
    """A text, or None."""
    return value or None


def boolean(value: str) -> bool:
    """True or false in one of their spellings."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if value.lower() not in words:
        raise ValueError("must be true or false")
    return words[value.lower()]


def whole(minimum: int, maximum: float = math.inf) -> Callable[[str], int]:
    """A parser of whole numbers within these bounds."""
    allowed = f"of at least {minimum}" if math.isinf(maximum) else f"from {minimum} to {maximum}"

    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = minimum - 1
        if not minimum <= number <= maximum:
            raise ValueError(f"must be a whole number {allowed}")
        return number

    return parse


def number(minimum: float, *, exclusive: bool = False) -> Callable[[str], float]:
    """A parser of finite numbers from a minimum on, or above it."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not (number > minimum if exclusive else number >= minimum) or number == float("inf"):
            raise ValueError(f"must be a number {'above' if exclusive else 'of at least'} {minimum:g}")
        return number

    return parse


def share(value: str) -> float:
    """A number of at least 0 and below 1."""
    share = number(0)(value)
    if share >= 1:
        raise ValueError("must be a number of at least 0 and below 1")
    return share


def choice(*choices: str) -> Callable[[str], str]:
    """A parser of one of these words."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return value

    return parse


def store(value: str) -> str:
    """What becomes of the result tables; a task's parameter may be True or False."""
    words = {"yes": "true", "1": "true", "no": "false", "0": "false"}
    return choice("true", "false", "continue", "replace")(words.get(value.lower(), value.lower()))


def memory(value: str) -> str:
    """An amount of memory, such as 1GB."""
    if not re.fullmatch(r"\d+(\.\d+)? ?([KMGT]i?B|B)", value, re.IGNORECASE):
        raise ValueError("must be a size with its unit, such as 512MB or 1GB")
    return value.replace(" ", "")


def currency(value: str) -> str:
    """The code of a currency, such as EUR."""
    if not re.fullmatch("[A-Z]{3}", value):
        raise ValueError("must be three capital letters such as EUR")
    return value


def timezone(value: str) -> str:
    """The name of a time zone, such as Europe/Berlin."""
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA name such as Europe/Berlin") from None
    return value


def mode(value: str) -> int:
    """Permission bits in octal, at least those of the owner."""
    if not re.fullmatch(r"0?[67][0-7]{2}", value):
        raise ValueError("must be three octal digits such as 640, of which the first is 6 or 7")
    return int(value, 8)
