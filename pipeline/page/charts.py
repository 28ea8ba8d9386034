"""Charts as SVG; every mark carries the figures that it shows, for people who point at it or hear it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from pipeline.page.figures import written

_EMPTY = Markup("")
_WIDE, _HIGH = 720.0, 96.0
_FEW = 10  # days; fewer do not fill the width
_GAP = 0.18  # of a bar's room
_BAR, _THICK = 24.0, 7.0


def share_bars(spend: float, orders: float, low: float, high: float, most: float, label: str) -> Markup:
    """The share of spend above that of orders, with a whisker from `low` to `high`; `most` is the whole width."""
    scale = 100.0 / most if most > 0 else 0.0
    parts = [_box("spend", 0, 3, _or_0(spend) * scale, _THICK), _box("orders", 0, 13, _or_0(orders) * scale, _THICK)]
    if not math.isnan(low + high):
        ends = [min(bound * scale, 100.0) for bound in (low, high)]
        parts.append(
            Markup('<path class="whisker" d="M{0:.2f} 16.5H{1:.2f}M{0:.2f} 13.5v6M{1:.2f} 13.5v6"/>').format(*ends)
        )
    return _svg("share", 100, _BAR, label, parts)


def phases(values: Sequence[float], label: str) -> Markup:
    """A bar of openers, keepers and closers."""
    total = math.fsum(values)
    if math.isnan(total) or total <= 0:
        return _EMPTY
    at, parts = 0.0, []
    for kind, value in zip(("opener", "keeper", "closer"), values, strict=True):
        wide = 100.0 * value / total
        parts.append(_box(kind, at, 0, wide, 10))
        at += wide
    return _svg("phases", 100, 10, label, parts)


def sparkline(values: Sequence[float], label: str) -> Markup:
    """A line through the days."""
    if not any(values):
        return _EMPTY
    most, step = max(values), 100.0 / max(len(values) - 1, 1)
    points = " ".join(f"{at * step:.1f},{22 - 20 * value / most:.1f}" for at, value in enumerate(values))
    if len(values) == 1:
        points += " " + points.replace("0.0,", "100.0,", 1)
    return _svg("spark", 100, 24, label, [Markup('<polyline points="{}"/>').format(points)])


def day_bars(
    kind: str, dates: Sequence[str], values: Sequence[float], shares: Sequence[float], mature: float, label: str
) -> Markup:
    """A bar a day; hatched where less than `mature` is expected to have arrived."""
    most, room = max([*values, 0.0]), _WIDE / max(len(values), _FEW)
    parts = []
    for at, (date, value, share) in enumerate(zip(dates, values, shares, strict=True)):
        high = _HIGH * max(value, 0.0) / most if most else 0.0
        late = share < mature
        told = f"{date}: {written(value)}" + (f"; {written(share, 'share')} expected to have arrived" if late else "")
        parts.append(
            Markup(
                '<g><rect class="reach" x="{:.2f}" y="0" width="{:.2f}" height="{}"/>'
                '<rect class="{}{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/><title>{}</title></g>'
            ).format(
                *(at * room, room, _HIGH, kind, " late" if late else "", (at + _GAP / 2) * room, _HIGH - high),
                *(room * (1 - _GAP), high, told),
            )
        )
    return _svg("days", _WIDE, _HIGH, label, parts)


def bar(value: float, most: float, kind: str = "orders") -> Markup:
    """One bar beside the figure that it shows, which readers of the page hear already."""
    wide = 100.0 * value / most if most > 0 else 0.0
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(_box(kind, 0, 0, wide, 10))


def _svg(kind: str, wide: float, high: float, label: str, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="{}" viewBox="0 0 {:g} {:g}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(kind, wide, high, label, _EMPTY.join(parts))


def _box(kind: str, x: float, y: float, wide: float, high: float) -> Markup:
    return Markup('<rect class="{}" x="{:.2f}" y="{:g}" width="{:.2f}" height="{:g}"/>').format(
        kind, x, y, max(wide, 0.0), high
    )


def _or_0(value: float) -> float:
    return 0.0 if math.isnan(value) else value
