"""What holds for every model: whole conversions, within their journeys, in whatever order these come."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from journey_cases import CHANNELS, Session, arrays, journeys_of_sessions

from pipeline.attribution.models import EMBEDDED_MODELS, load_model
from pipeline.attribution.models.excluding import excluding
from pipeline.attribution.models.fitted import fit, fitted_credit
from pipeline.attribution.models.markov import markov
from pipeline.attribution.models.paths import journeys_of
from pipeline.attribution.models.weighted_paths import WeightedPaths
from pipeline.model_options import ModelOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.attribution.models.journeys import Credit, JourneyArrays

    Model = Callable[[JourneyArrays], Credit]

NULL_PATHS = WeightedPaths.of(
    journeys_of([CHANNELS[0]], [CHANNELS[3], CHANNELS[1]]),
    journeys_of([CHANNELS[0]], [CHANNELS[1], CHANNELS[4], CHANNELS[1]], ["only here", CHANNELS[2]]),
)

MODELS: dict[str, Model] = {name: load_model(name, "default").credit for name in EMBEDDED_MODELS}
MODELS |= {f"{name} without two channels": excluding(CHANNELS[:2], model) for name, model in MODELS.items()}
MODELS |= {
    "markov of order 2": partial(markov, order=2),
    "shapley with null paths": partial(fitted_credit, channels=fit("shapley", NULL_PATHS, ModelOptions())["channels"]),
}

# each example goes through every model: drawing the journeys takes longer than all the models together
EVERY_MODEL = settings(max_examples=60, deadline=None)


def columns(credit: Credit) -> np.ndarray:
    return np.column_stack([credit.initializer, credit.holder, credit.closer, credit.ihc])


def assert_same(name: str, here: np.ndarray, there: np.ndarray) -> None:
    np.testing.assert_allclose(here, there, rtol=0, atol=1e-12, err_msg=name)


@EVERY_MODEL
@given(journeys_of_sessions(at_least=1))
def test_every_conversion_is_given_out_once(journeys: list[list[Session]]) -> None:
    table = arrays(journeys)
    for name, model in MODELS.items():
        credit = model(table)
        assert len(credit.ihc) == len(table.time), name
        assert (credit.ihc >= 0).all(), name
        assert_same(name, np.add.reduceat(credit.ihc, table.starts[:-1]), np.ones(len(journeys)))


@EVERY_MODEL
@given(journeys_of_sessions(at_least=1))
def test_every_phase_is_given_out_once_or_not_at_all(journeys: list[list[Session]]) -> None:
    table = arrays(journeys)
    for name in ("ihc-local", "ihc-local without two channels"):
        sums = np.add.reduceat(columns(MODELS[name](table)), table.starts[:-1])
        assert_same(name, sums, sums > 0.5)


@EVERY_MODEL
@given(st.data())
def test_the_order_of_journeys_does_not_matter(data: st.DataObject) -> None:
    journeys = data.draw(journeys_of_sessions(at_least=2))
    order = data.draw(st.permutations(range(len(journeys))))
    ends = np.cumsum([len(journey) for journey in journeys])
    for name, model in MODELS.items():
        here = np.split(columns(model(arrays(journeys))), ends[:-1])
        there = columns(model(arrays([journeys[number] for number in order])))
        assert_same(name, np.concatenate([here[number] for number in order]), there)


@EVERY_MODEL
@given(journeys_of_sessions(at_least=1), st.permutations([*CHANNELS, "not here"]))
def test_the_numbering_of_channels_does_not_matter(journeys: list[list[Session]], channels: list[str]) -> None:
    for name, model in MODELS.items():
        assert_same(name, columns(model(arrays(journeys))), columns(model(arrays(journeys, tuple(channels)))))


@EVERY_MODEL
@given(journeys_of_sessions(at_least=1), st.permutations(CHANNELS))
def test_the_names_of_channels_matter_only_where_they_mean_something(
    journeys: list[list[Session]], names: list[str]
) -> None:
    renamed = dict(zip(CHANNELS, names, strict=True))
    others = [[session._replace(channel=renamed[session.channel]) for session in journey] for journey in journeys]
    for name in sorted({*EMBEDDED_MODELS} - {"ihc-local", "last-non-direct"}):
        assert_same(name, columns(MODELS[name](arrays(journeys))), columns(MODELS[name](arrays(others))))


@EVERY_MODEL
@given(journeys_of_sessions(at_least=1))
def test_a_journey_is_credited_as_if_it_were_alone(journeys: list[list[Session]]) -> None:
    # bit for bit, so that it gets the same whatever is computed with it; only markov learns from all journeys
    for name in sorted({*EMBEDDED_MODELS} - {"markov"}):
        together = columns(MODELS[name](arrays(journeys)))
        alone = np.concatenate([columns(MODELS[name](arrays([journey]))) for journey in journeys])
        assert together.tobytes() == alone.tobytes(), name
