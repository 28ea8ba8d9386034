"""Small databases as hypothesis draws them: every shape of rows, of tables and of settings, mixed at random.

A new input or setting has four places: what is drawn of it (`Visit`, `Sale` or `Run`, and its strategy), its column in
`_TABLES` and `write_shop_of`, its line in `_mapping`, and its variable in `Run.environment`.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import zoneinfo
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from support.databases import ODD_CHANNELS
from support.plain_rows import Model, Touch

MAPPING = "mapping.toml"
CHANNELS = (*ODD_CHANNELS, "Direct Traffic", "SEA", "a > b", "Gr\u00f6\u00dfe", "Gro\u0308\u00dfe", "\u00a0SEA\u2003")
PLACEMENTS = (None, "", "A", " A", "b", "Gr\u00f6\u00dfe", "Gro\u0308\u00dfe")
GOALS = (None, "", "purchase", "purchase", " purchase", "Gr\u00f6\u00dfe", "Gro\u0308\u00dfe")
STARTS = ("2023-09-01", "2023-03-24", "2023-10-27")
"""First days; over the second and third the clocks of Berlin change."""

BEFORE = 2
"""Days before the first one that also have rows."""

BERLIN = "Europe/Berlin"
_SECONDS = st.sampled_from([0, 0, 1, 3600, 43_200, 43_200, 79_200, 86_399]) | st.integers(0, 86_399)
_PLACEMENT = 'placement = "placement"'
_CENTS = st.integers(0, 9_999).map(lambda cents: cents / 100)


class Visit(NamedTuple):
    """A session: its costs stand in the table of costs and in its own row; None is NULL, `absent` no row."""

    user: int
    day: int
    second: int
    channel: str
    flags: tuple[int, int, int]
    cost: float | str | None
    own_cost: float | None
    times: int
    placement: str | None


class Sale(NamedTuple):
    """A conversion, or a refund."""

    user: int
    day: int
    second: int
    revenue: float
    times: int
    goal: str | None


class Spend(NamedTuple):
    """Spend of a channel and day."""

    day: int
    channel: str
    cost: float | None
    placement: str | None


class Run(NamedTuple):
    """The settings of a run, and how the source writes its rows: `form` of times, None for the default schema."""

    form: str | None
    zone: str
    model: str
    lookback_days: int
    max_sessions: int
    after_previous: bool
    own_costs: bool
    has_spend: bool
    dimension_of: str
    """Whose rows a mapping gives a dimension: nobody's, those of sessions, or also those of spend."""

    goal: str | None
    """The one that is reported, where a mapping names goals; empty for all, None where it names none."""

    @property
    def wanted(self) -> str | None:
        """The goal of the report; the default schema has none."""
        return None if self.form is None else self.goal or None

    @property
    def report_folder(self) -> str:
        """Where its reports lie, below the data directory."""
        return f"report/{self.model}" + (f"/{self.wanted}" if self.wanted else "")

    def environment(self, folder: Path) -> dict[str, str]:
        """The variables that say so."""
        return {
            "DATABASE_URL": f"sqlite:///{folder / 'shop.db'}",
            "DATA_DIR": str(folder / "files"),
            "SOURCE_MAPPING": "" if self.form is None else str(folder / MAPPING),
            "REPORT_TIMEZONE": self.zone,
            "ATTRIBUTION_MODEL": self.model,
            "SESSION_LOWER_LIMIT_DATE": str(self.lookback_days),
            "MAX_SESSIONS": str(self.max_sessions),
            "AFTER_PREVIOUS_CONVERSION": str(self.after_previous).lower(),
            "GOAL": self.wanted or "",
            "BAD_ROWS": "set-aside",
            "REFUNDS": "list",
            "NEGATIVE_COST": "net",
        }

    def plain(self, folder: Path) -> dict[str, Any]:
        """The same for `plain_report`."""
        return {
            "mapping": None if self.form is None else folder / MAPPING,
            "zone": self.zone,
            "refunds": "list",
            "lookback_days": self.lookback_days,
            "max_sessions": self.max_sessions,
            "after_previous": self.after_previous,
            "model": MODELS[self.model],
            "goal": self.wanted,
        }


@dataclass(frozen=True)
class DrawnShop:
    """A database, a run, and the days at which its interval begins, is cut, and ends."""

    start: str
    days: int
    cut: int
    visits: list[Visit]
    sales: list[Sale]
    spend: list[Spend]
    orphans: list[float | None]
    run: Run

    def interval(self, first: int, end: int) -> str:
        """An interval of days since the first one."""
        begin = dt.date.fromisoformat(self.start)
        return f"{begin + dt.timedelta(days=first)}-{begin + dt.timedelta(days=end)}"


def _only(place: Callable[[list[Touch]], int]) -> Model:
    return lambda journey: [float(at == place(journey)) for at in range(len(journey))]


def _last_non_direct(journey: list[Touch]) -> int:
    direct = {"direct", "direct traffic"}
    places = [place for place, touch in enumerate(journey) if touch.channel.casefold() not in direct]
    return places[-1] if places else len(journey) - 1


MODELS: dict[str, Model | None] = {
    "ihc-local": None,
    "linear": lambda journey: [1 / len(journey)] * len(journey),
    "first-touch": _only(lambda _: 0),
    "last-touch": _only(lambda journey: len(journey) - 1),
    "last-non-direct": _only(_last_non_direct),
}
"""Models that are not fitted to an interval, so that parts of it add up by channel."""


@st.composite
def drawn_shops(draw: st.DrawFn) -> DrawnShop:
    """Shops of 1 to 6 days with up to 30 sessions and 12 conversions."""
    days = draw(st.integers(1, 6))
    day = st.integers(-BEFORE, days)
    user = st.integers(0, 4)
    channels = draw(st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=4))
    channel = st.sampled_from(channels)
    flag = st.integers(0, 1)
    odd_flags = st.just((7, 0, 0))
    flags = st.tuples(flag, flag, flag) | st.tuples(flag, flag, flag) | st.tuples(flag, flag, flag) | odd_flags
    cost = st.sampled_from(["absent", None, 0.0]) | _CENTS | _CENTS | _CENTS.map(lambda cents: -cents)
    own = st.none() | _CENTS
    times = st.sampled_from([1, 1, 1, 2])
    placement = st.sampled_from(PLACEMENTS)
    visits = st.lists(st.builds(Visit, user, day, _SECONDS, channel, flags, cost, own, times, placement), max_size=30)
    goal = st.sampled_from(GOALS)
    revenue = st.just(0.0) | _CENTS | _CENTS | _CENTS.map(lambda cents: -cents)
    sales = st.lists(st.builds(Sale, user, day, _SECONDS, revenue, times, goal), max_size=12)
    spend = st.lists(st.builds(Spend, day, channel, st.none() | _CENTS, placement), max_size=6)
    run = st.builds(
        Run,
        form=st.sampled_from([None, "text", "seconds", "local"]),
        zone=st.sampled_from(["UTC", BERLIN]),
        model=st.sampled_from(["ihc-local", "ihc-local", *MODELS]),
        lookback_days=st.sampled_from([0, 0, 1, 2, 30]),
        max_sessions=st.sampled_from([1, 2, 3, 3000]),
        after_previous=st.booleans(),
        own_costs=st.booleans(),
        has_spend=st.booleans(),
        dimension_of=st.sampled_from(["nobody", "sessions", "spend"]),
        goal=st.sampled_from([None, None, "", "purchase"]),
    )
    start, cut = draw(st.sampled_from(STARTS)), draw(st.just(0) | st.just(0) | st.integers(0, days))
    orphans = st.lists(st.none() | _CENTS, max_size=2)
    return DrawnShop(start, days, cut, *(draw(part) for part in (visits, sales, spend, orphans, run)))


_TABLES = {
    "visits": "visit, customer, cookie, at, day, clock, source, h, c, i, click_cost, placement",
    "orders": "id, customer, at, day, clock, amount, kind",
    "clicks": "visit, cost",
    "ad_spend": "day, source, cost, placement",
}


def write_shop_of(shop: DrawnShop, folder: Path) -> Path:
    """Write the database and its mapping; the user 0 is missing."""
    default = shop.run.form is None
    visits, orders, clicks = [], [], []
    for number, visit in enumerate(shop.visits):
        when = _times(shop, visit.day, visit.second)
        user = f"u{visit.user}" if visit.user else None
        cookie = user if number % 2 else None
        names = (f"s{number}", user, when[1], when[2], visit.channel, *visit.flags)
        row = (
            names
            if default
            else (names[0], None if cookie else user, cookie, *when, *names[4:], visit.own_cost, visit.placement)
        )
        # a row with a flag that cannot be read is not known to be identical with another
        visits += [row] * (1 if visit.flags[0] == 7 else visit.times)
        if visit.cost != "absent":
            clicks += [(f"s{number}", visit.cost)] * (1 + number % 5 // 4)
    for number, sale in enumerate(shop.sales):
        when = _times(shop, sale.day, sale.second)
        user = f"u{sale.user}" if sale.user else None
        of_sale = (when[1], when[2], sale.revenue) if default else (*when, sale.revenue, sale.goal)
        orders += [(f"c{number}", user, *of_sale)] * sale.times
    clicks += [(f"orphan{number}", cost) for number, cost in enumerate(shop.orphans)]
    spend = [(_times(shop, of.day, 0, zone="UTC")[1], of.channel, of.cost, of.placement) for of in shop.spend]
    path = folder / "shop.db"
    with closing(sqlite3.connect(path)) as database, database:
        if default:
            _create_default(database)
            tables = {"session_sources": visits, "conversions": orders, "session_costs": clicks}
        else:
            for name, columns in _TABLES.items():
                database.execute(f"CREATE TABLE {name} ({columns})")
            tables = {"visits": visits, "orders": orders, "clicks": clicks, "ad_spend": spend}
            (folder / MAPPING).write_text(_mapping(shop.run), encoding="utf-8")
        for name, rows in tables.items():
            for row in rows:
                database.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)
    return path


def _create_default(database: sqlite3.Connection) -> None:
    flags = "holder_engagement, closer_engagement, impression_interaction"
    database.execute(
        f"CREATE TABLE session_sources (session_id, user_id, event_date, event_time, channel_name, {flags})"
    )
    database.execute("CREATE TABLE conversions (conv_id, user_id, conv_date, conv_time, revenue)")
    database.execute("CREATE TABLE session_costs (session_id, cost)")


def _times(shop: DrawnShop, day: int, second: int, zone: str = "") -> tuple[Any, str, str]:
    """A time as one value, and as a date and a time of day."""
    begin = dt.datetime.combine(dt.date.fromisoformat(shop.start), dt.time(), dt.UTC)
    moment = begin + dt.timedelta(days=day, seconds=second)
    local = moment.astimezone(zoneinfo.ZoneInfo(zone or (BERLIN if shop.run.form == "local" else "UTC")))
    one = int(moment.timestamp()) if shop.run.form == "seconds" else moment.astimezone(zoneinfo.ZoneInfo(BERLIN))
    return (one if isinstance(one, int) else one.isoformat()), str(local.date()), f"{local:%H:%M:%S}"


def _mapping(run: Run) -> str:
    time = '["day", "clock"]' if run.form == "local" else '"at"'
    zone = f'timezone = "{BERLIN}"' if run.form == "local" else ""
    lines = [
        *("[sessions]", 'from = "visits"', 'session_id = "visit"', 'user_id = "coalesce(customer, cookie)"'),
        *(f"time = {time}", zone, 'channel_name = "source"', 'holder_engagement = "h"', 'closer_engagement = "c"'),
        'cost = "click_cost"' if run.own_costs else "",
        "" if run.dimension_of == "nobody" else f"[sessions.dimensions]\n{_PLACEMENT}",
        *("[conversions]", 'from = "orders"', 'conv_id = "id"', 'user_id = "customer"', f"time = {time}", zone),
        'revenue = "amount"',
        "" if run.goal is None else 'goal = "kind"',
        *("[session_costs]", 'from = "clicks"', 'session_id = "visit"', 'cost = "cost"'),
    ]
    if run.has_spend:
        lines += ["[channel_costs]", 'from = "ad_spend"', 'date = "day"', 'channel_name = "source"', 'cost = "cost"']
        if run.dimension_of == "spend":
            lines += ["[channel_costs.dimensions]", _PLACEMENT]
    return "\n".join(lines)
