"""The rules by which `ihc-local` could learn, each judged by what is published of the API.

`python benchmarks/training_rules.py` prints its tables from the files in `../shared/real`: whether the reading of
the vendor's API of 2020 gives what that API returned; the rules for restart gap and curves, by the error of `ihc`; the
rules for channel weights, by their distance from two of the vendor's tables and from the sums of a published report.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from api_of_2020 import check_of_2020, end_2020
from numpy.typing import NDArray
from trained_ihc import REAL, published

from pipeline.attribution.models.curve import Curve
from pipeline.attribution.models.ihc import ihc_credit
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS, IhcParameters
from pipeline.attribution.models.journey_arithmetic import firsts, hours_left, lasts, shares
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.training import estimators as rules
from pipeline.training.channel_evidence import ChannelEvidence
from pipeline.training.comparing import Difference
from pipeline.training.evidence import Durations, Evidence, with_several_sessions
from pipeline.training.learning import learn
from pipeline.training.upload import read_csv, to_arrays

Figures = NDArray[np.float64]
SETS = REAL / "training_sets"


# --- restart gap and curves ---


def _line(start: float, end: float) -> Curve:
    return Curve((start, end), (0.0, 1.0))


def _initializer(start: float, gap: float, membership: Figures) -> Curve:
    at = np.linspace(0, 1, len(membership))
    return Curve(tuple(start + at * (gap - start)), tuple(membership))


def _quantiles(start: float, gap: float, durations: Durations) -> Figures:
    """The quantile function of durations between two, at `POSITIONS`, as a share of the way between them."""
    between = durations.after(start).within(0, gap)
    hours = np.concatenate([[start], np.repeat(between.hours, between.times), [gap]])
    return (np.interp(rules.POSITIONS, np.linspace(0, 1, len(hours)), hours) - start) / (gap - start)


def _left_of(closers: Durations, end: float) -> Curve:
    """The closer curve of today's rule."""
    usable = rules.usable_closers(closers, end)
    knots = rules.closer_knots(usable)
    same_visit = rules.SAME_VISIT_HOURS
    return Curve((0.0, same_visit, *knots), (1.0, 1.0, *rules.closer_membership(knots, usable)))


def curve_rules(name_of_set: str = "journeys.csv") -> pd.DataFrame:
    """Each rule trained on half of A's journeys, or all: gap, start and closer end in hours, and the error of `ihc`.

    Phase weights are those of today's rules, channels weigh 1 throughout: no answer of these tells of them.
    """
    path = REAL / name_of_set
    journeys = to_arrays(read_csv(path), path)
    trained = learn(journeys, seed=1).parameters
    evidence = Evidence.of(journeys)
    several, once = evidence.journeys, evidence.once
    pauses, longest, closers = (each.drawn(once) for each in (evidence.pauses, evidence.longest, evidence.closers))
    start, gap = rules.initializer_start(pauses), rules.restart_gap(pauses)
    of_closers = np.maximum.reduceat(np.where(several.closer, hours_left(several), 0), firsts(several))
    gap_2020, _ = end_2020(evidence.longest.hours)
    closer_2020, _ = end_2020(of_closers)
    ramp, lines_2020 = rules.POSITIONS, (_line(start, gap_2020), Curve((0.0, closer_2020), (1.0, 0.0)))
    mixed = rules.initializer_membership(start, gap_2020, longest)
    share = np.array([pauses.hours[pauses.hours <= hours].sum() for hours in start + ramp * (gap - start)])

    def changed(**parameters: object) -> IhcParameters:
        return replace(trained, **parameters)  # type: ignore[arg-type]

    def bent(membership: Figures) -> IhcParameters:
        return changed(initializer_curve=_initializer(start, gap, membership))

    tried = {
        "today's (chosen)": trained,
        "initializer: straight line (2020; ours until now)": bent(ramp),
        "initializer: quantiles of longest pauses": bent(_quantiles(start, gap, longest)),
        "initializer: quantiles of all pauses (the guide's words)": bent(_quantiles(start, gap, pauses)),
        "initializer: line and quantiles of all pauses": bent((ramp + _quantiles(start, gap, pauses)) / 2),
        "initializer: share of the time in pauses": bent((share - share[0]) / (share[-1] - share[0])),
        "initializer: share of the pauses": bent(
            Durations(pauses.after(start).within(0, gap).hours, pauses.after(start).within(0, gap).times).share_upto(
                start + ramp * (gap - start)
            )
        ),
        "closer: straight line to the restart gap": changed(closer_curve=Curve((0.0, gap), (1.0, 0.0))),
        "closer: up to the end of 2020's rule": changed(closer_curve=_left_of(closers, closer_2020)),
        "closer: without an end": changed(closer_curve=_left_of(closers, np.inf)),
        "gap: 2020's rule, curves as today's": changed(
            restart_gap_hours=gap_2020, initializer_curve=_initializer(start, gap_2020, mixed)
        ),
        "all by 2020's rule": changed(
            restart_gap_hours=gap_2020, initializer_curve=lines_2020[0], closer_curve=lines_2020[1]
        ),
    }
    several_of_answers, answered = published()
    rows = []
    for name, parameters in tried.items():
        off = Difference.of(ihc_credit(several_of_answers, parameters).ihc, answered)
        curves = (parameters.initializer_curve.hours[0], parameters.closer_curve.hours[-1])
        rows.append((name, parameters.restart_gap_hours, *curves, off.mean, off.largest))
    shipped = IhcParameters.load(DEFAULT_PARAMETERS)
    fitted = (shipped.restart_gap_hours, shipped.initializer_curve.hours[0], shipped.closer_curve.hours[-1])
    off = Difference.of(ihc_credit(several_of_answers, shipped).ihc, answered)
    rows.append(("A as fitted to answers", *fitted, off.mean, off.largest))
    return pd.DataFrame(rows, columns=["rule", "gap", "start", "closer end", "mean error", "largest"])


# --- channel weights ---


def _by_channel(values: Figures, journeys: JourneyArrays) -> Figures:
    return np.bincount(journeys.channel, values, len(journeys.channels)).astype(np.float64)


def _shrunk(found: Figures, expected: Figures, prior: float) -> Figures:
    return (found + prior) / (expected + prior)


def _of_places(journeys: JourneyArrays, prior: float) -> Figures:
    """How often a channel begins, goes on and ends its journeys, against any order of the same sessions."""
    first, last = (np.zeros(len(journeys.time)) for _ in range(2))
    first[firsts(journeys)] = last[lasts(journeys)] = 1
    middle = 1 - np.maximum(first, last)
    even = shares(np.ones(len(first)), journeys)
    places = (first, middle, last)
    expected = (even, even * np.repeat(np.maximum(journeys.lengths - 2, 0), journeys.lengths), even)
    return np.column_stack(
        [
            _shrunk(_by_channel(place, journeys), _by_channel(by_chance, journeys), prior)
            for place, by_chance in zip(places, expected, strict=True)
        ]
    )


def _of_flags(journeys: JourneyArrays, prior: float) -> Figures:
    """How often a channel's sessions are engaged, against all sessions."""
    sessions = _by_channel(np.ones(len(journeys.time)), journeys)
    holder, closer = (
        _shrunk(_by_channel(flag.astype(float), journeys), sessions * flag.mean(), prior)
        for flag in (journeys.holder, journeys.closer)
    )
    return np.column_stack([np.ones(len(sessions)), holder, closer])


def _of_single_sessions(every: JourneyArrays, journeys: JourneyArrays, prior: float) -> Figures:
    """How often a channel's session brings the order alone: what begins and ends at once; the holder the other way."""
    single = every.take(every.lengths == 1)
    alone, beside = (_by_channel(np.ones(len(of.time)), of) for of in (single, journeys))
    weight = _shrunk(alone, beside * (alone.sum() / beside.sum()), prior)
    return np.column_stack([weight, 1 / weight, weight])


def _of_removal(evidence: ChannelEvidence, prior: float) -> Figures:
    """What of a phase passes to other channels when the channel is removed, against the same if times did not matter.

    Of a journey that is the channel's share times the share of the others: what it has alone passes to nobody.
    """
    journeys = evidence.journeys
    weights = []
    for received, expected in zip(evidence.received, evidence.expected, strict=True):
        key = journeys.journey * len(journeys.channels) + journeys.channel
        own, chance = (
            np.bincount(key, of, len(journeys.lengths) * len(journeys.channels)) for of in (received, expected)
        )
        marginal, by_chance = ((of * (1 - of)).reshape(-1, len(journeys.channels)).sum(axis=0) for of in (own, chance))
        weights.append(_shrunk(marginal, by_chance, prior))
    return np.column_stack(weights)


WeightRule = Callable[[JourneyArrays, JourneyArrays, ChannelEvidence], Figures]
WEIGHT_RULES: dict[str, WeightRule] = {
    "all weights 1 (chosen)": lambda _, journeys, __: np.ones((len(journeys.channels), 3)),
    **{
        f"{name}, {prior:.0f} orders of prior": rule
        for prior in (30.0, 300.0)
        for name, rule in {
            "credit received against engaged": lambda _, __, of, prior=prior: _shrunk_sums(of, prior),
            "place in the journey against chance": lambda _, several, __, prior=prior: _of_places(several, prior),
            "engagement against all": lambda _, several, __, prior=prior: _of_flags(several, prior),
            "orders of single sessions": lambda every, several, __, prior=prior: _of_single_sessions(
                every, several, prior
            ),
            "marginal value by removal": lambda _, __, of, prior=prior: _of_removal(of, prior),
        }.items()
    },
}


def _shrunk_sums(evidence: ChannelEvidence, prior: float) -> Figures:
    once = np.ones(len(evidence.journeys.lengths), np.int64)
    return _shrunk(*evidence.sums(once), prior)


def _weights_of(path: Path) -> dict[str, Figures]:
    """Each rule's weights from a training set, as an array by the names in `channels`."""
    journeys = to_arrays(read_csv(path), path)
    evidence = ChannelEvidence.of(with_several_sessions(journeys), IhcParameters.load(DEFAULT_PARAMETERS))
    return {name: rule(journeys, evidence.journeys, evidence) for name, rule in WEIGHT_RULES.items()}


def _vendors(path: Path) -> dict[str, Figures]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [*csv.reader(file)][1:]
    return {name: np.array(weights, np.float64) for name, *weights in rows}


def _distance(journeys: JourneyArrays, weights: Figures, vendors: dict[str, Figures]) -> float:
    """The mean absolute difference over the channels that are in both, and the phases."""
    off = [np.abs(weights[place] - vendors[name]) for place, name in enumerate(journeys.channels) if name in vendors]
    return float(np.mean(off))


def _largest_cell(journeys: JourneyArrays, weights: Figures) -> tuple[float, float]:
    """The mean and the largest difference of the orders of a channel and date from those of the published report."""
    parameters = replace(
        IhcParameters.load(DEFAULT_PARAMETERS),
        channel_weights={
            name: tuple(of_channel) for name, of_channel in zip(journeys.channels, weights.tolist(), strict=True)
        },
    )
    dates = journeys.time.astype("datetime64[s]").astype("datetime64[D]").astype(str)
    names = np.array(journeys.channels)[journeys.channel]
    found = pd.Series(ihc_credit(journeys, parameters).ihc).groupby([names, dates]).sum()
    sums = pd.read_csv(REAL / "report_sums" / "whole.csv").set_index(["channel", "date"])["ihc"]
    off = (found.reindex(sums.index).fillna(0) - sums).abs()
    return float(off.mean()), float(off.max())


def weight_rules() -> pd.DataFrame:
    """Each rule: its distance from both of the vendor's tables; the report's cells with A's curves and its weights."""
    paths = (REAL / "whole_journeys.csv", SETS / "second_training_set.csv")
    of_a, of_second = (to_arrays(read_csv(path), path) for path in paths)
    shipped = IhcParameters.load(DEFAULT_PARAMETERS)
    a = {name: np.array(weights) for name, weights in shipped.channel_weights.items()}
    second = _vendors(SETS / "second_channel_weights.csv")
    by_a, by_second = map(_weights_of, paths)
    rows = [
        (
            name,
            _distance(of_a, by_a[name], a),
            _distance(of_second, by_second[name], second),
            *_largest_cell(of_a, by_a[name]),
        )
        for name in WEIGHT_RULES
    ]
    vendors = np.array([a.get(name, np.ones(3)) for name in of_a.channels])
    rows.append(("A's own weights", 0.0, np.nan, *_largest_cell(of_a, vendors)))
    return pd.DataFrame(rows, columns=["rule", "from A", "from the second", "mean cell", "largest cell"])


def main() -> None:
    """Print the tables."""
    if not REAL.is_dir():
        print(f"{REAL} is not there: nothing to judge by")
        return
    print("the API of 2020, largest difference from what it returned (days)")
    print("\n".join(f"  {name}: {difference:.1e}" for name, difference in check_of_2020(SETS).items()))
    for name, of_set in (("journeys.csv", "half of A's journeys"), ("whole_journeys.csv", "all of A's journeys")):
        print(f"\nrestart gap and curves, trained on {of_set}: hours, and error of ihc on the published answers")
        print(curve_rules(name).round(5).to_string(index=False))
    print("\nchannel weights: mean distance from the vendor's, and orders of a cell of the report with A's curves")
    print(weight_rules().round(4).to_string(index=False))


if __name__ == "__main__":
    main()
