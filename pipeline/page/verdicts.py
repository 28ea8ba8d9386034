"""Whether a channel earns its spend whatever one believes: the badge of each channel, and its CPO over all models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from pipeline.page.figures import FREE, figure, plain
from pipeline.page.tables import MODELS, SUMMARY, WINDOWS, ReportFiles, Row, channels_of, number

LABELS = {
    "firm": "firm",
    "model": "depends on the model",
    "window": "depends on the look-back window",
    "uncertain": "uncertain",
    "none": "not compared",
}
_NO_LIMIT = "0"
_FEW_MODELS = 2


class Verdict(NamedTuple):
    """What can be said of the sign of a channel's profit.

    Attributes:
        state: a key of `LABELS`.
        gains: whether the profit is at least 0, by the model of the report.
        told: what speaks against it, in words.

    """

    state: str
    gains: bool
    told: Markup

    @property
    def label(self) -> str:
        """The words of the badge."""
        return f"{LABELS['firm']}: {_sign(self.gains)}" if self.state == "firm" else LABELS[self.state]


def verdicts(files: ReportFiles, margin: float) -> dict[str, Verdict]:
    """Of each channel the verdict on `margin` of its revenue less its spend.

    It is firm only if the sign is the same at both 95 % bounds, under every model and every look-back window of the
    comparison. What the bounds leave open is uncertain, before a model or a window is asked.
    """
    models = _by_channel(files.rows(MODELS), "model")
    windows = _by_channel(files.rows(WINDOWS), "lookback_days")
    return {
        row["channel_name"]: verdict(
            row, models.get(row["channel_name"], {}), windows.get(row["channel_name"], {}), margin
        )
        for row in channels_of(files.rows(SUMMARY))
    }


def verdict(row: Row, models: Mapping[str, float], windows: Mapping[str, float], margin: float) -> Verdict:
    """The verdict on a row of the summary; takes the channel's revenue by model and by window."""
    spend = number(row["spend"])
    gains = _gains(number(row["revenue"]), spend, margin)
    if len(models) < _FEW_MODELS:
        return Verdict("none", gains, Markup(""))
    against = {name: plain(name) for name, revenue in models.items() if _gains(revenue, spend, margin) != gains}
    other = [name for name, revenue in windows.items() if _gains(revenue, spend, margin) != gains]
    told = []
    bounds = [_gains(number(row[f"ROAS_{end}"]) * spend, spend, margin) for end in ("low", "high")] if spend else []
    if any(bound != gains for bound in bounds):
        told.append(Markup("its bounds reach from loss to gain"))
    if against:
        told.append(_told(not gains, "under", [Markup("<bdi>{}</bdi>").format(name) for name in against.values()]))
    if other:
        told.append(_told(not gains, "with a window of", [_window(name) for name in other]))
    if not windows:
        told.append(Markup("its look-back windows are not compared"))
    state = "firm"
    if any(bound != gains for bound in bounds):
        state = "uncertain"
    elif against:
        state = "model"
    elif other:
        state = "window"
    elif not windows:
        state = "none"
    return Verdict(state, gains, Markup("; ").join(told))


def cost_ranges(files: ReportFiles) -> dict[str, Markup]:
    """Of each channel the least and the greatest CPO of all models of the comparison; nothing without one."""
    found: dict[str, list[Row]] = {}
    for row in files.rows(MODELS):
        found.setdefault(row["channel_name"], []).append(row)
    return {channel: _range(rows) for channel, rows in found.items() if len(rows) >= _FEW_MODELS}


def _range(rows: Sequence[Row]) -> Markup:
    if all(number(row["cost"]) == 0 for row in rows):
        return FREE
    priced = sorted((row for row in rows if row["CPO"]), key=lambda row: number(row["CPO"]))
    if not priced:
        return Markup("")
    least, most = priced[0]["CPO"], priced[-1]["CPO"]
    if len(priced) < len(rows):  # a model that gives it no order knows no price
        return Markup("at least {}").format(figure(least))
    if least == most:
        return figure(least)
    return Markup("{}&#8202;&ndash;&#8202;{}").format(figure(least), figure(most))


def _gains(revenue: float, spend: float, margin: float) -> bool:
    return margin * revenue - spend >= 0


def _sign(gains: bool) -> str:  # noqa: FBT001 - a fact
    return "gains" if gains else "loses"


def _told(gains: bool, how: str, names: Iterable[Markup]) -> Markup:  # noqa: FBT001 - a fact
    return Markup("{} {} {}").format(_sign(gains), how, Markup(", ").join(names))


def _window(days: str) -> Markup:
    return Markup("any length") if days == _NO_LIMIT else Markup("{} days").format(figure(days, "count"))


def _by_channel(rows: Iterable[Row], key: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row["channel_name"], {})[row[key]] = number(row["attributed_revenue"])
    return found
