"""Journeys with their credit, written down as dicts and made into the tables that reporting reads."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import pyarrow as pa
from hypothesis import strategies as st

from pipeline.attribution.schema import CREDIT
from pipeline.days import epoch
from pipeline.journeys.schema import JOURNEYS
from pipeline.reporting.credit import PHASES
from pipeline.source.schema import CHANNEL_COSTS, CONVERSIONS

DAY = dt.date(2023, 9, 1)
CHANNEL_NAMES = ("Direct Traffic", 'Größe "XL", Zürich', "NA", "007", "total")


@dataclass(frozen=True)
class Touch:
    """A session and its share of the order; `days_before` the day of the order; initializer, holder, closer."""

    channel: str = "Direct Traffic"
    ihc: float = 1.0
    days_before: int = 0
    session_id: str = "session"
    phases: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Order:
    """A conversion; `answered` is False where the API rejected its journey."""

    touches: list[Touch] = field(default_factory=list)
    revenue: float = 10.0
    answered: bool = True
    cut: int = 0


Orders = dict[str, Order]


def conversions(orders: Orders) -> pa.Table:
    rows = [
        {
            "conv_id": name,
            "user_id": "user",
            "conv_time": epoch(DAY) + 43_200,
            "revenue": order.revenue,
            "new_customer": True,
        }
        for name, order in orders.items()
    ]
    return pa.Table.from_pylist(rows, schema=CONVERSIONS)


def journeys(orders: Orders, day: dt.date = DAY) -> pa.Table:
    rows = [
        {
            "conv_id": name,
            "conv_time": epoch(day) + 43_200,
            "revenue": order.revenue,
            "position": position,
            "session_id": touch.session_id,
            "session_time": epoch(day - dt.timedelta(days=touch.days_before)) + 40_000 + position,
            "channel_name": touch.channel,
            **dict.fromkeys(("holder_engagement", "closer_engagement", "impression_interaction"), 0),
            "sessions_cut": order.cut,
        }
        for name, order in sorted(orders.items())
        for position, touch in enumerate(order.touches)
    ]
    return pa.Table.from_pylist(rows, schema=JOURNEYS)


def credit(orders: Orders) -> pa.Table:
    rows = [
        {"conv_id": name, "session_id": touch.session_id, **dict(zip(PHASES, touch.phases, strict=True))}
        | {"ihc": touch.ihc}
        for name, order in sorted(orders.items())
        for touch in order.touches
        if order.answered
    ]
    return pa.Table.from_pylist(rows, schema=CREDIT)


def costs(amounts: dict[str, float]) -> pa.Table:
    """What each channel cost on a day; a channel without cost has sessions all the same."""
    rows = [{"channel_name": name, "cost": cost, "sessions": 1} for name, cost in sorted(amounts.items())]
    return pa.Table.from_pylist(rows, schema=CHANNEL_COSTS)


@st.composite
def random_orders(draw: st.DrawFn, *, prefix: str = "c") -> Orders:
    """Orders of one day whose journeys reach back up to three days, every journey's credit summing to 1."""
    touch = st.tuples(st.sampled_from(CHANNEL_NAMES), st.integers(0, 3), st.floats(0.01, 1))
    orders = {}
    for number, parts in enumerate(draw(st.lists(st.lists(touch, max_size=4), max_size=5))):
        total = sum(share for *_, share in parts)
        parts.sort(key=lambda part: -part[1])
        touches = [
            Touch(channel, share / total, days_before, f"{prefix}{number}-{place}", (share, 0.25, share / total))
            for place, (channel, days_before, share) in enumerate(parts)
        ]
        orders[f"{prefix}{number}"] = Order(touches, draw(st.floats(0, 1000)), draw(st.booleans()), len(parts))
    return orders
