"""The page of text that says what was learned: figures with their intervals, curves drawn, credit by channel."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pipeline.attribution.models.curve import Curve
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS, IhcParameters
from pipeline.training.learning import PHASES

_WIDTH, _HEIGHT = 60, 10
_TRAINED, _SHIPPED, _BOTH = "*", ".", "#"
_LONGEST_NAME = 40


def render_page(document: dict[str, Any]) -> str:
    """The page of a file of `train`. Ends with a line end; holds no path and nothing of the machine."""
    trained = IhcParameters.from_json(json.dumps(document), "the trained document")
    shipped = IhcParameters.load(DEFAULT_PARAMETERS)
    trained_on = document["trained_on"]
    parts = [
        f"{document['conv_type_id']}: parameters of ihc-local",
        document["provenance"],
        "",
        f"conversions of {trained_on['conversions_of']}, sessions {_span(trained_on)}",
        _counted(trained_on),
        *(f"as shipped: {name}, because {reason}" for name, reason in document["fallbacks"].items()),
        f"channel weights: {document['rules']['channel_weights']}",
        "",
        *_figures(document, shipped),
        "",
        *_drawn("initializer: membership by hours since the previous session", trained, shipped, "initializer_curve"),
        "",
        *_drawn("closer: membership by hours until the last session", trained, shipped, "closer_curve"),
        "",
        render_moves(document),
    ]
    return "\n".join(parts)


def render_moves(document: dict[str, Any]) -> str:
    """How the orders of the training journeys move by channel, the largest moves first."""
    orders = document["orders_by_channel"]
    moved = sorted(orders.items(), key=lambda row: (-abs(row[1]["trained"] - row[1]["shipped"]), row[0]))
    names = [_name(name) for name, _ in moved]
    width = max(map(len, ["channel", *names]))
    lines = [
        "ihc of the training journeys by channel, in orders",
        f"{'channel':<{width}}  {'shipped':>10}  {'trained':>10}  {'moves by':>10}",
    ]
    for name, (_, of_channel) in zip(names, moved, strict=True):
        one, other = of_channel["shipped"], of_channel["trained"]
        change = f"{(other - one) / one:+10.1%}" if one else f"{'':>10}"
        lines.append(f"{name:<{width}}  {one:>10,.1f}  {other:>10,.1f}  {change}")
    total = sum(of_channel["shipped"] for of_channel in orders.values())
    changed = sum(abs(of_channel["trained"] - of_channel["shipped"]) for of_channel in orders.values()) / 2
    if total:
        lines.append(f"{changed / total:.1%} of all credit changes its channel, net")
    return "\n".join([*lines, ""])


def _span(trained_on: dict[str, Any]) -> str:
    first, last = trained_on["first_session"], trained_on["last_session"]
    return f"{first} to {last} UTC" if first else "none"


def _counted(trained_on: dict[str, Any]) -> str:
    journeys, several = trained_on["journeys"], trained_on["journeys_of_several_sessions"]
    return f"{journeys:,} journeys, {several:,} of several sessions, which alone teach"


def _name(channel: str) -> str:
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in channel).split())
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 3]}..."


def _figures(document: dict[str, Any], shipped: IhcParameters) -> list[str]:
    """Restart gap, start of the initializer curve and phase weights, with intervals where they are learned."""
    bounds = [document["intervals"].get(bound, {}) for bound in ("lower", "upper")]

    def line(name: str, figure: float, before: float, within: list[float]) -> str:
        interval = f"{within[0]:.3f} to {within[1]:.3f}" if within else "as shipped"
        return f"{name:<24}{figure:>10.3f}  {interval:<22}{before:>10.3f}"

    gaps = [bound["restart_gap_hours"] for bound in bounds if "restart_gap_hours" in bound]
    starts = [bound["initializer_gap_hours"][0] for bound in bounds if "initializer_gap_hours" in bound]
    rows = [
        f"{'':<24}{'trained':>10}  {'95 % of resamples':<22}{'shipped':>10}",
        line("restart gap (h)", document["restart_gap_hours"], shipped.restart_gap_hours, gaps),
        line(
            "initializer starts (h)",
            document["initializer_gap_hours"][0],
            shipped.initializer_curve.hours[0],
            starts,
        ),
    ]
    for phase, before in zip(PHASES, shipped.phase_weights, strict=True):
        within = [bound["phase_weights"][phase] for bound in bounds if "phase_weights" in bound]
        rows.append(line(f"weight of the {phase}", document["phase_weights"][phase], before, within))
    return rows


def _drawn(title: str, trained: IhcParameters, shipped: IhcParameters, name: str) -> list[str]:
    """A curve of both parameters, drawn in characters, up to where the longer one ends."""
    curves: list[Curve] = [getattr(parameters, name) for parameters in (trained, shipped)]
    end = max(curve.hours[-1] for curve in curves)
    hours = np.linspace(0, end, _WIDTH)
    rows = [np.rint(curve.at(hours).clip(0, 1) * _HEIGHT).astype(int) for curve in curves]
    lines = [f"{title} ({_TRAINED} trained, {_SHIPPED} shipped, {_BOTH} both)"]
    for height in range(_HEIGHT, -1, -1):
        marks = (
            _BOTH if own == height == other else _TRAINED if own == height else _SHIPPED if other == height else " "
            for own, other in zip(*rows, strict=True)
        )
        label = f"{height / _HEIGHT:.1f}" if height % 5 == 0 else ""
        lines.append(f"{label:>4} |{''.join(marks)}".rstrip())
    left, right = "0 h", f"{end:.1f} h"
    return [*lines, f"{'':>4} +{'-' * _WIDTH}", f"{'':>6}{left}{right:>{_WIDTH - len(left)}}"]
