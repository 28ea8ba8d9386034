"""What changed, taken apart: the parts sum to the change."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.page.changes import COLUMNS, Compared, build_changes, cpo_effects, last_week, revenue_effects

AMOUNT = st.floats(0, 1e7)
AMOUNTS = st.tuples(AMOUNT, st.one_of(st.just(0.0), st.floats(1e-3, 1e6)), AMOUNT)
SPANS = st.dictionaries(st.text(max_size=3), AMOUNTS, max_size=6)
DAYS = [dt.date(2024, 4, 1) + dt.timedelta(days=at) for at in range(20)]


@given(AMOUNTS, AMOUNTS)
def test_the_effects_sum_to_the_change(old: tuple[float, ...], new: tuple[float, ...]) -> None:
    of_spend, of_orders = cpo_effects(old, new)  # type: ignore[arg-type]
    if old[1] and new[1]:
        size = max(*old, *new, 1.0) / min(old[1], new[1], 1.0)
        assert math.isclose(of_spend + of_orders, new[0] / new[1] - old[0] / old[1], rel_tol=1e-9, abs_tol=1e-12 * size)
    else:
        assert math.isnan(of_spend)
        assert math.isnan(of_orders)
    size = max(*old, *new, 1.0) * max(old[1], new[1], 1.0) / min(old[1] or 1.0, new[1] or 1.0, 1.0)
    assert math.isclose(sum(revenue_effects(old, new)), new[2] - old[2], rel_tol=1e-9, abs_tol=1e-12 * size)  # type: ignore[arg-type]


@given(SPANS, SPANS)
def test_the_channels_sum_to_the_total(
    old: dict[str, tuple[float, float, float]], new: dict[str, tuple[float, float, float]]
) -> None:
    table = build_changes(Compared("a", "b", old, new))
    assert tuple(table) == COLUMNS
    assert table["channel_name"] == [*sorted({*old, *new}), "total"]
    *_, total = table["revenue_change"]
    for column in ("revenue_change", "revenue_of_orders", "revenue_of_value"):
        *channels, of_total = table[column]
        assert math.isclose(math.fsum(channels), of_total, rel_tol=1e-9, abs_tol=1e-6)  # type: ignore[arg-type]
    assert math.isclose(math.fsum(of[2] for of in new.values()) - math.fsum(of[2] for of in old.values()), total)  # type: ignore[arg-type]


def test_spend_alone_and_orders_alone() -> None:
    assert cpo_effects((100.0, 10.0, 0.0), (200.0, 10.0, 0.0)) == pytest.approx((10.0, 0.0))
    assert cpo_effects((100.0, 10.0, 0.0), (100.0, 20.0, 0.0)) == pytest.approx((0.0, -5.0))
    assert revenue_effects((0.0, 10.0, 100.0), (0.0, 10.0, 150.0)) == pytest.approx((0.0, 50.0))
    assert revenue_effects((0.0, 0.0, 0.0), (0.0, 10.0, 150.0)) == (150.0, 0.0)


def test_weeks_are_compared_from_fourteen_days_on() -> None:
    daily = [
        {"channel_name": "Radio", "conv_date": str(day), "spend": "1.0", "orders": str(float(at)), "revenue": "2.0"}
        for at, day in enumerate(DAYS)
    ]
    compared = last_week(daily, DAYS)
    assert (compared.before, compared.now) == ("2024-04-07-2024-04-14", "2024-04-14-2024-04-21")
    assert compared.old == {"Radio": (7.0, 63.0, 14.0)}
    assert compared.new == {"Radio": (7.0, 112.0, 14.0)}
    assert build_changes(last_week(daily, DAYS[:13])) == {column: [] for column in COLUMNS}
