"""How far trained `ihc-local` is from the published answers of the API, and how sure it is of what it learns.

`python benchmarks/trained_ihc.py` prints two tables: the error of `ihc` by component, for which it needs the published
journeys and answers in `../shared/real`, and the bootstrap intervals on made-up journeys.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, fields, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.attribution.models.curve import Curve
from pipeline.attribution.models.ihc import ihc_credit
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS, IhcParameters
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.attribution.models.linear import linear
from pipeline.sample.buyers import buyers
from pipeline.sample.channels import CHANNELS
from pipeline.training.comparing import Difference, differences
from pipeline.training.learning import PHASES, Learned, learn
from pipeline.training.upload import read_csv, to_arrays

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
SIZES, SEEDS, DAYS = (10_000, 100_000), (1, 2, 3), 90
ORDERS_A_JOURNEY = 2.4  # of several sessions, in the sample


def published() -> tuple[JourneyArrays, NDArray[np.float64]]:
    """The API's journeys of several sessions, and the `ihc` that it answered; within a second in the order sent."""
    journeys = read_csv(REAL / "journeys.csv")
    sent = {key: row for row, key in enumerate(zip(journeys["conversion_id"], journeys["session_id"], strict=True))}
    with (REAL / "responses.csv").open(encoding="utf-8", newline="") as file:
        answers = [((answer["request"], answer["conversion_id"]), answer) for answer in csv.DictReader(file)]
    answers.sort(key=lambda item: item[0])
    rows, journey, ihc = [], [], []
    for number, (_, group) in enumerate(groupby(answers, key=lambda item: item[0])):
        of_journey = [(sent[answer["conversion_id"], answer["session_id"]], answer["ihc"]) for _, answer in group]
        if len(of_journey) > 1:
            of_journey.sort(key=lambda item: (journeys["timestamp"].iloc[item[0]], item[0]))
            rows += [row for row, _ in of_journey]
            ihc += [float(share) for _, share in of_journey]
            journey += [f"{number}"] * len(of_journey)
    asked = journeys.iloc[rows].reset_index(drop=True).assign(conversion_id=journey)
    return to_arrays(asked, REAL / "journeys.csv"), np.array(ihc)


def train_on_published() -> tuple[JourneyArrays, Learned]:
    """The published journeys, and what they teach; the answers play no part in it."""
    path = REAL / "journeys.csv"
    journeys = to_arrays(read_csv(path), path)
    return journeys, learn(journeys, seed=1)


def errors(learned: Learned) -> dict[str, Difference]:
    """The error of `ihc` on the published answers: with each parameter alone trained, with all, and with none.

    And with the restart gap at the bounds of its interval, as other journeys of the same shop might have taught it.
    """
    journeys, answered = published()
    trained = learned.parameters
    shipped = IhcParameters.load(DEFAULT_PARAMETERS)
    alone = {
        f"{field.name} trained, the others shipped": replace(shipped, **{field.name: getattr(trained, field.name)})
        for field in fields(IhcParameters)
    }
    models = {"all shipped (fitted to these answers)": shipped, **alone, "all trained": trained}
    for bound in ("lower", "upper"):
        gap = learned.intervals[bound]["restart_gap_hours"]
        start, end = (trained.initializer_curve.hours[place] for place in (0, -1))
        hours = tuple(
            start + (hour - start) * (gap - start) / (end - start) for hour in trained.initializer_curve.hours
        )
        curve = Curve(hours, trained.initializer_curve.values)
        models[f"all trained, restart gap {gap:.1f} h"] = replace(
            trained, restart_gap_hours=gap, initializer_curve=curve
        )
    credit = {name: ihc_credit(journeys, parameters).ihc for name, parameters in models.items()}
    credit["linear credit"] = linear(journeys).ihc
    return {name: Difference.of(ihc, answered) for name, ihc in credit.items()}


def sample_journeys(journeys: int, seed: int) -> JourneyArrays:
    """At least so many made-up journeys of several sessions, with the shorter ones that come with them."""
    customers = buyers(np.random.default_rng(seed), round(journeys * ORDERS_A_JOURNEY), DAYS)
    last_order = np.zeros(customers.users, np.int64)
    np.maximum.at(last_order, customers.order_user, customers.order_time)
    visits = customers.visits.take(np.lexsort((customers.visits.time, customers.visits.user)))
    visits = visits.take(np.flatnonzero(visits.time <= last_order[visits.user]))
    return JourneyArrays(
        starts=np.append(np.flatnonzero(np.diff(visits.user, prepend=-1)), len(visits.user)).astype(np.int64),
        time=visits.time,
        channel=visits.channel.astype(np.int32),
        channels=tuple(channel.name for channel in CHANNELS),
        holder=visits.holder,
        closer=visits.closer,
    )


def of_several(journeys: JourneyArrays, count: int) -> JourneyArrays:
    """The first `count` journeys of several sessions."""
    several = journeys.lengths > 1
    return journeys.take(several & (np.cumsum(several) <= count))


def stability(sizes: tuple[int, ...] = SIZES, seeds: tuple[int, ...] = SEEDS) -> pd.DataFrame:
    """By size of the training set: the mean width of the intervals, and how far apart the estimates of seeds are.

    Each seed makes other journeys and other resamples. The closer curve's are at the point where they are largest.
    """
    return pd.DataFrame([row for size in sizes for row in _stability(size, seeds)])


def _stability(size: int, seeds: tuple[int, ...]) -> list[dict[str, object]]:
    learned = [learn(of_several(sample_journeys(size, seed), size), seed) for seed in seeds]
    at = np.linspace(0.2, 40, 200)
    figures = np.array([_figures(each.document, at) for each in learned])
    lower, upper = (np.array([_figures(each.intervals[bound], at) for each in learned]) for bound in ("lower", "upper"))
    names = ["restart gap (h)", "initializer start (h)", *(f"{phase} weight" for phase in PHASES), "closer curve"]
    widths, apart = (upper - lower).mean(axis=0), np.ptp(figures, axis=0)
    return [
        {"journeys": size, "parameter": name, "interval width": width, "seeds apart by": distance}
        for name, width, distance in zip(
            names, [*widths[:5], widths[5:].max()], [*apart[:5], apart[5:].max()], strict=True
        )
    ]


def _figures(document: dict[str, object], at: NDArray[np.float64]) -> NDArray[np.float64]:
    closer = document["closer_membership_segments"][1]
    weights = [document["phase_weights"][phase] for phase in PHASES]
    curve = np.interp(at, closer["hours"], closer["values"])
    start, *_, gap = document["initializer_gap_hours"]
    return np.array([gap, start, *weights, *curve])


def _table(rows: dict[str, Difference]) -> str:
    return pd.DataFrame.from_dict({name: asdict(row) for name, row in rows.items()}, "index").round(5).to_string()


def main() -> None:
    """Print both tables."""
    if REAL.is_dir():
        journeys, learned = train_on_published()
        lower, upper = (learned.intervals[bound] for bound in ("lower", "upper"))
        print(f"trained on {learned.counts}, fallbacks: {learned.fallbacks or 'none'}\n")
        for name in ("restart_gap_hours", "phase_weights"):
            print(f"{name}: {learned.document[name]}, in 95 % of resamples {lower[name]} to {upper[name]}")
        print("\nerror of ihc on the published answers (journeys of several sessions)")
        print(_table(errors(learned)))
        shipped = IhcParameters.load(DEFAULT_PARAMETERS)
        print("\ndifference of ihc from the shipped parameters on the training set, by what is trained")
        print(_table(differences(journeys, learned.parameters, shipped)))
    else:
        print(f"{REAL} is not there: no errors on published answers")
    print(f"\nmade-up journeys of several sessions, seeds {SEEDS}")
    print(stability().round(5).to_string(index=False))


if __name__ == "__main__":
    main()
