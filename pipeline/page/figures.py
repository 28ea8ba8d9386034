"""A number, a name, a date as they stand on the page.

A number is a `<data>` whose value is that of a file, unrounded; one that is computed from others of the files says how
in `data-is`.
"""

from __future__ import annotations

import datetime as dt
import math
import unicodedata

from markupsafe import Markup, escape

from pipeline.page.tables import number

NOTHING = Markup('<span class="none" title="no value: the divisor is 0, or the model does not say">&ndash;</span>')
FREE = Markup('<span class="none" title="orders without any spend: no price">free</span>')
_DIRECTION = {*map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C))}
_LOST = "\N{REPLACEMENT CHARACTER}"
_LONG = 80  # signs; what is longer is cut after a few lines


def plain(text: str) -> str:
    r"""The text with its control characters, and those that turn the direction of what follows, made visible.

    >>> plain("a\x1b[2J\u202eb")
    'a�[2J�b'
    """
    return "".join(
        _LOST if sign in _DIRECTION or unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") else sign for sign in text
    )


def name(text: str) -> Markup:
    """A name of the source as text; its direction turns nothing around it.

    >>> print(name("<b>"))
    <bdi>&lt;b&gt;</bdi>
    """
    shown = plain(text)
    if len(shown) > _LONG:
        return Markup('<bdi class="long" title="{0}">{0}</bdi>').format(shown)
    return Markup("<bdi>{}</bdi>").format(shown) if shown else Markup('<span class="none">(empty)</span>')


def written(value: float, kind: str = "amount") -> str:
    """A number as people read it: an amount with cents, a count, a share in percent, a large one without cents.

    >>> written(1234.567), written(12.0, "count"), written(0.0312, "share")
    ('1,234.57', '12', '3.1%')
    """
    if kind == "share":
        return f"{value:.1%}"
    return f"{value:,.0f}" if kind == "count" else f"{value:,.2f}"


def figure(cell: str | float, kind: str = "amount", formula: str = "") -> Markup:
    """A number of a file, or one computed by a formula."""
    value = number(cell) if isinstance(cell, str) else float(cell)
    if math.isnan(value):
        return NOTHING
    exact = cell if isinstance(cell, str) else repr(cell)
    how = Markup(' data-is="{}"').format(formula) if formula else Markup("")
    return Markup('<data value="{}"{}>{}</data>').format(exact, how, written(value, kind))


def change(cell: str | float, kind: str = "amount", formula: str = "") -> Markup:
    """A difference, with its sign."""
    value = number(cell) if isinstance(cell, str) else float(cell)
    if math.isnan(value):
        return NOTHING
    exact = cell if isinstance(cell, str) else repr(cell)
    how = Markup(' data-is="{}"').format(formula) if formula else Markup("")
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else "±"
    return Markup('<data value="{}"{}>{}{}</data>').format(exact, how, sign, written(abs(value), kind))


def moved(cell: str) -> Markup:
    """A difference in words: how far something rose or fell.

    >>> print(moved("-2.0"))
    fell by <data value="-2.0">2.00</data>
    """
    value = number(cell)
    told = Markup('{} <data value="{}">{}</data>')
    return told.format("rose by" if value >= 0 else "fell by", cell, written(abs(value)))


def between(low: str, high: str, kind: str = "amount") -> Markup:
    """The bounds of a number."""
    if not low:
        return Markup("")
    if not high:
        return Markup("at least {}").format(figure(low, kind))
    return Markup("{}&#8202;&ndash;&#8202;{}").format(figure(low, kind), figure(high, kind))


def price(row: dict[str, str], column: str = "CPO") -> Markup:
    """The CPO of a row; of orders without any spend it is no price."""
    if number(row["spend"]) == 0 and number(row["orders"]) > 0:
        return FREE
    return figure(row[column])


def day(text: str) -> Markup:
    """A date in words.

    >>> print(day("2024-04-01"))
    <time datetime="2024-04-01">1 Apr 2024</time>
    """
    date = dt.date.fromisoformat(text)
    return Markup('<time datetime="{}">{}</time>').format(text, f"{date.day} {date:%b %Y}")


def text(value: object) -> Markup:
    """Any text, escaped, with control characters made visible."""
    return escape(plain(str(value)))
