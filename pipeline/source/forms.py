"""How companies write dates, times and amounts that the pipeline does not read, and the SQL that turns them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_DAY_FIRST = re.compile(r"(\d\d)([./-])(\d\d)\2\d{4}(.*)", re.DOTALL)
_COMPACT = re.compile(r"(?:19|20)\d{6}")
_SLASHES = re.compile(r"\d{4}/\d\d/\d\d.*", re.DOTALL)
_MOST_MONTHS = 12
_FRACTIONS_OF_SECONDS = (("milli", 1_000, re.compile(r"\d{13}(\.\d*)?")), ("micro", 1_000_000, re.compile(r"\d{16}")))
_AMOUNT = re.compile(r"([^\d.,+-]*)([+-]?\d[\d.,]*)(\D*)", re.DOTALL)
_AMOUNTS: Sequence[tuple[str, str]] = (
    (r"[+-]?\d+(\.\d+)?", "{0}"),
    (r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", "replace({0}, ',', '')"),
    (r"[+-]?\d+,\d+", "replace({0}, ',', '.')"),
    (r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?|[+-]?\d+(,\d+)?", "replace(replace({0}, '.', ''), ',', '.')"),
)


def date_expression(expression: str, values: Iterable[str]) -> str | None:
    """The SQL that writes dates, with what follows them, as YYYY-MM-DD; None where nobody can tell how.

    Of dates such as 03/04/2024 the day comes first with points, the month with slashes, unless a number tells.
    """
    written = [value.strip() for value in values]
    some = [value for value in written if value]
    if not some or len(some) < min(2, len(written)):  # one beside blanks tells too little
        return None
    if all(map(_SLASHES.fullmatch, some)):
        return f"replace({expression}, '/', '-')"
    if all(map(_COMPACT.fullmatch, some)):
        return _joined(expression, (1, 4), (5, 2), (7, 2))
    found = [_DAY_FIRST.fullmatch(value) for value in some]
    matched = [date for date in found if date is not None]
    if len(matched) < len(found):
        return None
    firsts, seconds = (max(int(date[place]) for date in matched) for place in (1, 3))
    month_first = seconds > _MOST_MONTHS or (firsts <= _MOST_MONTHS and matched[0][2] == "/")
    day, month = ((4, 2), (1, 2)) if month_first else ((1, 2), (4, 2))
    rest = f" || substr({expression}, 11)" if any(date[4] for date in matched) else ""
    return _joined(expression, (7, 4), month, day) + rest


def _joined(expression: str, *parts: tuple[int, int]) -> str:
    return " || '-' || ".join(f"substr({expression}, {start}, {length})" for start, length in parts)


def seconds_expression(expression: str, values: Iterable[str]) -> tuple[str, str] | None:
    """What fractions of seconds values seem to count, and the SQL of seconds; None where they are something else."""
    some = [*values]
    for unit, factor, form in _FRACTIONS_OF_SECONDS:
        if some and any(map(form.fullmatch, some)):
            return f"{unit}seconds", f"{expression} / {factor}"
    return None


def time_of_day_expression(expression: str, values: Iterable[str]) -> str | None:
    """The SQL that writes times of day as HH:MM:SS; None where nobody can tell how."""
    forms = (
        (r"\d\d:\d\d", "{0} || ':00'"),
        (r"\d{1,2}:\d\d", "substr('0' || {0}, -5) || ':00'"),
        (r"\d{1,2}:\d\d:\d\d", "substr('0' || {0}, -8)"),
        (r"\d\d:\d\d:\d\d\D.*", "substr({0}, 1, 8)"),
    )
    return _first(forms, expression, values)


def amount_expression(expression: str, values: Iterable[str]) -> str | None:
    """The SQL that writes amounts with a decimal point and nothing else; None where nobody can tell how."""
    found = [_AMOUNT.fullmatch(value.strip()) for value in values]
    numbers = [amount[2] for amount in found if amount is not None]
    if len(numbers) < len(found):
        return None
    for name in sorted({affix for amount in found if amount is not None for affix in (amount[1], amount[3]) if affix}):
        if not re.fullmatch("[^']{1,5}", name):
            return None
        expression = f"replace({expression}, '{name}', '')"
    return _first(_AMOUNTS, expression, numbers)


def flag_expression(expression: str, values: Iterable[str]) -> str:
    """The SQL of a flag, as a guess: numbers are true above 0, of texts one of them."""
    some = [*values]
    if all(re.fullmatch(r"-?\d+(\.\d+)?", value) for value in some):
        return f"coalesce({expression}, 0) > 0"
    true = next((value for value in some if value.lower() in {"true", "t", "yes", "y", "ja", "j", "x", "on"}), some[0])
    return f"coalesce({expression}, '') = '{true}'" if true else f"coalesce({expression}, 0)"


def _first(forms: Iterable[tuple[str, str]], expression: str, values: Iterable[str]) -> str | None:
    some = [value.strip() for value in values]
    if not some:
        return None
    return next((sql.format(expression) for form, sql in forms if all(re.fullmatch(form, each) for each in some)), None)


_SUBUNITS = (
    (re.compile(r"\b\w*?(?:(?<=_)|\b)(?:cents?|pence)(?:_\w*)?\b|\b\w+(?:Cents?|Pence)\b"), 100, "cents"),
    (re.compile(r"\b\w*[Mm]icros?\b"), 1_000_000, "millionths"),
)


def in_whole_units(expression: str) -> tuple[str, str] | None:
    """What a column seems to count by its name, such as cents, and the SQL of whole units; None for others.

    An expression that calculates already is left alone.
    """
    if re.search(r"[*/]", expression):
        return None
    for name, factor, unit in _SUBUNITS:
        if name.search(expression):
            return unit, f"{expression} / {factor}.0"
    return None


def divided_as_real(expression: str) -> str:
    """The expression with each division by a whole number written as one by a real number."""
    return re.sub(r"/\s*(\d+)(?![\d.eE])", r"/ \1.0", expression)
