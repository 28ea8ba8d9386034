"""Conversions drawn again and again: the same every time, around the true figures."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.compared_journeys import DAY, Order, day_of, journeys

from pipeline.reporting import bootstrap
from pipeline.reporting.bootstrap import REPLICATES, interval, resample

CHANNELS = ["A", "B", "C"]
MODELS = ["linear", "first-touch"]
NEXT_DAY = DAY + dt.timedelta(days=1)

ORDERS = st.lists(
    st.tuples(st.floats(0, 1000), st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=4)), max_size=5
).map(lambda orders: [(f"c{number}", *order) for number, order in enumerate(orders)])


@settings(max_examples=30, deadline=None)
@given(ORDERS, ORDERS)
def test_every_model_credits_every_drawn_conversion_once(orders: list[Order], tomorrow: list[Order]) -> None:
    days = [
        day_of(journeys(*orders), *MODELS),
        day_of(journeys(*tomorrow, day=NEXT_DAY), *MODELS, day=NEXT_DAY),
    ]
    found = resample(days, MODELS, CHANNELS)
    total = found.conversions.sum(axis=2)
    np.testing.assert_allclose(total[:, 0], total[:, 1], atol=1e-9)
    np.testing.assert_allclose(total, total.round(), atol=1e-9)
    revenue = found.revenue.sum(axis=2)
    np.testing.assert_allclose(revenue[:, 0], revenue[:, 1], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found.share.sum(axis=2), total > 0, atol=1e-9)
    assert found.conversions.min(initial=0) >= 0


def test_the_same_conversions_are_drawn_the_same_whatever_else_is_in_the_interval() -> None:
    today = day_of(journeys(("c1", 10.0, "AB"), ("c2", 20.0, "B")), "linear")
    tomorrow = day_of(journeys(("c3", 5.0, "CA"), day=NEXT_DAY), "linear", day=NEXT_DAY)
    both = resample([today, tomorrow], ["linear"], CHANNELS)
    parts = [resample([day], ["linear"], CHANNELS) for day in (today, tomorrow)]
    np.testing.assert_array_equal(both.conversions, parts[0].conversions + parts[1].conversions)
    np.testing.assert_array_equal(both.revenue, parts[0].revenue + parts[1].revenue)
    np.testing.assert_array_equal(both.influenced, parts[0].influenced + parts[1].influenced)
    again = resample([today, tomorrow], ["linear"], CHANNELS)
    np.testing.assert_array_equal(both.conversions, again.conversions)


def test_two_days_are_drawn_apart() -> None:
    orders = [("c1", 10.0, "A")]
    one, other = (
        resample([day_of(journeys(*orders, day=day), "linear", day=day)], ["linear"], ["A"]).conversions
        for day in (DAY, NEXT_DAY)
    )
    assert (one != other).any()


def test_one_conversion_is_drawn_as_a_poisson_number() -> None:
    found = resample([day_of(journeys(("c", 3.0, "A")), "linear")], ["linear"], ["A"])
    drawn = found.conversions[:, 0, 0]
    assert set(drawn) >= {0.0, 1.0, 2.0, 3.0}
    assert np.mean(drawn == 0) == pytest.approx(np.exp(-1), abs=0.05)
    assert drawn.mean() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(found.revenue[:, 0, 0], 3 * drawn)
    low, high = (bound[0, 0] for bound in interval(found.conversions))
    assert low == 0
    assert 3 <= high <= 4


def test_many_conversions_vary_as_many_independent_ones_do() -> None:
    table = journeys(*((f"{number:04}", 1.0, "AB"[number % 4 == 0]) for number in range(800)))
    found = resample([day_of(table, "linear")], ["linear"], CHANNELS)
    low, high = (bound[0] for bound in interval(found.conversions))
    assert low[0] == pytest.approx(600 - 1.96 * 600**0.5, abs=6)
    assert high[0] == pytest.approx(600 + 1.96 * 600**0.5, abs=6)
    assert (low[2], high[2]) == (0, 0)
    _, share_high = (bound[0] for bound in interval(found.share))
    assert share_high[0] == pytest.approx(0.75 + 1.96 * (0.75 * 0.25 / 800) ** 0.5, abs=0.004)


def test_batches_change_nothing_but_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    table = journeys(*((f"{number:04}", float(number), "ABC"[number % 3]) for number in range(50)))
    whole = resample([day_of(table, "linear")], ["linear"], CHANNELS)
    monkeypatch.setattr(bootstrap, "_BATCH", 7)
    parts = resample([day_of(table, "linear")], ["linear"], CHANNELS)
    assert parts.conversions.shape == whole.conversions.shape == (REPLICATES, 1, 3)
    np.testing.assert_allclose(parts.conversions.mean(axis=0), whole.conversions.mean(axis=0), rtol=0.1)
    np.testing.assert_allclose(parts.conversions.sum(axis=2).mean(), 50, rtol=0.05)


def test_a_conversion_influences_by_every_channel_it_met_however_often() -> None:
    day = day_of(journeys(("c1", 1.0, "ABA"), ("c2", 1.0, "A")), *MODELS)
    assert resample([day], MODELS, CHANNELS).influenced.tolist() == [[2, 1, 0], [2, 1, 0]]


def test_a_conversion_that_one_model_rejected_counts_for_the_others() -> None:
    day, table, credit = day_of(journeys(("c1", 1.0, "AB"), ("c2", 1.0, "B")), *MODELS)
    rejecting = {**credit, "linear": credit["linear"].filter(pc.equal(credit["linear"]["conv_id"], "c2"))}
    found = resample([(day, table, rejecting)], MODELS, CHANNELS)
    assert found.influenced.tolist() == [[0, 1, 0], [1, 2, 0]]
    assert found.conversions[:, 0, 0].max() == 0
    assert found.conversions[:, 1, 0].max() > 0


def test_a_day_without_conversions_adds_nothing() -> None:
    found = resample([day_of(journeys(), *MODELS)], MODELS, CHANNELS)
    assert not found.conversions.any()
    assert not found.share.any()
    assert resample([], MODELS, []).conversions.shape == (REPLICATES, 2, 0)
