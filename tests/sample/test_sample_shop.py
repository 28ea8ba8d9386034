"""The shop of the sample shows what it promises: roles, rhythm, growth, a story by model, and faults in its data."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections import Counter
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from pipeline.attribution.models.ihc import DEFAULT_PARAMETERS, IhcParameters, ihc_credit
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.attribution.models.last_touch import last_touch
from pipeline.sample import shop_users
from pipeline.sample.shop import ARRIVALS, CUT_TO, DAYS, LOWER_CASE, WITHOUT_COSTS, caused_orders, write_shop
from pipeline.sample.shop_channels import SHOP_CHANNELS
from pipeline.sample.shop_users import shop

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import Credit

ROLES = {channel.name: channel.role for channel in SHOP_CHANNELS}
PAID = {channel.name for channel in SHOP_CHANNELS if channel.cost}
LOSING, UNDERVALUED = "Display Ads", "FB & IG Ads"


class Session(NamedTuple):
    session_id: str
    user_id: str
    event_date: str
    event_time: str
    channel_name: str
    holder_engagement: int
    closer_engagement: int
    impression_interaction: int
    campaign: str | None

    @property
    def second(self) -> int:
        return int(dt.datetime.fromisoformat(f"{self.event_date}T{self.event_time}+00:00").timestamp())


class Order(NamedTuple):
    conv_id: str
    user_id: str
    conv_date: str
    conv_time: str
    revenue: float


class Database:
    """A shop, read whole; `journeys` are the sessions up to each order, in time order, by conv_id."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            self.sessions = [*map(Session._make, database.execute("SELECT * FROM session_sources"))]
            self.orders = [*map(Order._make, database.execute("SELECT * FROM conversions"))]
            self.costs: dict[str, float | None] = dict(database.execute("SELECT * FROM session_costs").fetchall())
            columns = database.execute("SELECT name FROM pragma_table_info('session_sources')").fetchall()
        self.columns = [name for (name,) in columns]
        self.of_user: dict[str, list[Session]] = {order.user_id: [] for order in self.orders}
        for visit in self.sessions:
            if visit.user_id in self.of_user:
                self.of_user[visit.user_id].append(visit)
        for visits in self.of_user.values():
            visits.sort(key=lambda visit: (visit[2:4], visit.session_id))
        self.journeys = {
            order.conv_id: [visit for visit in self.of_user[order.user_id] if visit[2:4] <= order[2:4]]
            for order in self.orders
        }
        self.spend: Counter[str] = Counter()
        for visit in self.sessions:
            self.spend[visit.channel_name] += self.costs.get(visit.session_id) or 0  # type: ignore[assignment]

    @property
    def lengths(self) -> list[int]:
        return [len(journey) for journey in self.journeys.values() if journey]

    def by_day(self) -> dict[dt.date, int]:
        return Counter(dt.date.fromisoformat(visit.event_date) for visit in self.sessions)

    def arrays(self) -> tuple[JourneyArrays, NDArray[np.float64]]:
        """The journeys for the models, and the revenue of each."""
        journeys = [journey for journey in self.journeys.values() if journey]
        visits = [visit for journey in journeys for visit in journey]
        names = [*dict.fromkeys(visit.channel_name for visit in visits)]
        return (
            JourneyArrays(
                starts=np.append(0, np.cumsum([len(journey) for journey in journeys])).astype(np.int64),
                time=np.array([visit.second for visit in visits]),
                channel=np.array([names.index(visit.channel_name) for visit in visits], np.int32),
                channels=tuple(names),
                holder=np.array([visit.holder_engagement == 1 for visit in visits]),
                closer=np.array([visit.closer_engagement == 1 for visit in visits]),
            ),
            np.array([order.revenue for order in self.orders if self.journeys[order.conv_id]]),
        )


@pytest.fixture(scope="module", params=[1, 2], ids=["seed 1", "seed 2"])
def database(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Database:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    size = write_shop(path, seed=request.param)
    database = Database(path)
    assert size == (len(database.sessions), len(database.orders), 60)
    return database


@pytest.fixture(scope="module")
def credited(database: Database) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
    """By model: the orders and the revenue of each channel."""
    journeys, revenue = database.arrays()
    models: dict[str, Credit] = {
        "ihc-local": ihc_credit(journeys, IhcParameters.load(DEFAULT_PARAMETERS)),
        "last-touch": last_touch(journeys),
    }

    def sums(of_sessions: NDArray[np.float64]) -> dict[str, float]:
        of_channels = np.bincount(journeys.channel, of_sessions, len(journeys.channels))
        return dict(zip(journeys.channels, of_channels.tolist(), strict=True))

    return {name: (sums(credit.ihc), sums(credit.ihc * revenue[journeys.journey])) for name, credit in models.items()}


def test_it_has_sixty_days_and_the_size_of_a_report_of_seconds(database: Database) -> None:
    days = [*map(str, sorted(database.by_day()))]
    assert (len(days), days[0], days[-1]) == (60, "2024-04-01", "2024-05-30")
    assert {order.conv_date for order in database.orders} == {*days}
    assert 60_000 < len(database.sessions) < 120_000
    assert len(database.orders) == pytest.approx(3_000, rel=0.1)
    assert {visit.channel_name for visit in database.sessions} == {*ROLES, LOWER_CASE.lower()}


def test_a_campaign_stands_beside_the_default_schema(database: Database) -> None:
    assert database.columns == [*Session._fields]
    campaigns: dict[str, set[str | None]] = {name: set() for name in ROLES}
    for visit in database.sessions:
        if visit.channel_name in ROLES:
            campaigns[visit.channel_name].add(visit.campaign)
    assert all(len(campaigns[name]) > 1 and None not in campaigns[name] for name in PAID)
    assert campaigns["Direct Traffic"] == {None}
    spring = {visit.event_date for visit in database.sessions if visit.campaign == "spring_sale"}
    assert (min(spring), max(spring)) == ("2024-05-07", "2024-05-24")


def test_rows_are_in_time_order_and_their_ids_are_unique_and_short(database: Database) -> None:
    assert all(earlier[2:4] <= later[2:4] for earlier, later in pairwise(database.sessions))
    assert all(earlier[2:4] <= later[2:4] for earlier, later in pairwise(database.orders))
    ids = [visit.session_id for visit in database.sessions] + [order.conv_id for order in database.orders]
    assert len(set(ids)) == len(ids)
    assert {len(one) for one in ids} == {16}


def test_sundays_are_busy_and_fridays_quiet(database: Database) -> None:
    weekdays: Counter[int] = Counter()
    for day, sessions in database.by_day().items():
        if day < dt.date(2024, 5, 27):  # eight whole weeks
            weekdays[day.weekday()] += sessions
    busiest_first = [day for day, _ in weekdays.most_common()]
    assert busiest_first[0] == 6
    assert busiest_first[-1] == 4
    assert weekdays[6] > 1.25 * weekdays[4]


def test_it_grows(database: Database) -> None:
    by_day = [sessions for _, sessions in sorted(database.by_day().items())]
    assert sum(by_day[-14:]) == pytest.approx(1.37 * sum(by_day[:14]), rel=0.1)
    orders = Counter(order.conv_date for order in database.orders)
    by_day = [count for _, count in sorted(orders.items())]
    assert sum(by_day[-14:]) > 1.15 * sum(by_day[:14])


def test_nights_are_quiet(database: Database) -> None:
    hours = Counter(visit.event_time[:2] for visit in database.sessions)
    assert sum(hours[f"{hour:02}"] for hour in range(1, 6)) < 0.05 * hours.total()


def test_journeys_have_three_sessions_on_average(database: Database) -> None:
    assert 2.5 < sum(database.lengths) / len(database.lengths) < 3.5
    assert max(database.lengths) > 8


def test_channels_open_keep_and_close(database: Database) -> None:
    first, middle, last = Counter[str](), Counter[str](), Counter[str]()
    for journey in database.journeys.values():
        if len(journey) > 1:
            first[journey[0].channel_name] += 1
            middle.update(visit.channel_name for visit in journey[1:-1])
            last[journey[-1].channel_name] += 1
    parts = {"opener": first, "keeper": middle, "closer": last}
    for name, role in ROLES.items():
        shares = {part: counts[name] / counts.total() for part, counts in parts.items()}
        assert max(shares, key=lambda part: shares[part]) == role, (name, shares)


def test_one_channel_loses_money_and_the_others_earn_it(
    database: Database, credited: dict[str, tuple[dict[str, float], dict[str, float]]]
) -> None:
    _, revenue = credited["ihc-local"]
    roas = {name: revenue[name] / database.spend[name] for name in PAID}
    assert roas.pop(LOSING) < 0.8
    assert min(roas.values()) > 1.5
    assert credited["last-touch"][1][LOSING] < revenue[LOSING]


def test_a_last_touch_view_undervalues_the_channel_that_persuades_the_most(
    database: Database, credited: dict[str, tuple[dict[str, float], dict[str, float]]]
) -> None:
    (ihc, revenue), (last, last_revenue) = credited["ihc-local"], credited["last-touch"]
    assert max(ihc, key=lambda name: ihc[name]) == UNDERVALUED
    assert ihc[UNDERVALUED] > 2.5 * last[UNDERVALUED]
    assert sorted(last, key=lambda name: -last[name]).index(UNDERVALUED) > 4
    assert revenue[UNDERVALUED] / database.spend[UNDERVALUED] > 3.5
    assert last_revenue[UNDERVALUED] / database.spend[UNDERVALUED] < 2
    for closer in ("Paid Search Brand", "Direct Traffic"):
        assert last[closer] > 1.5 * ihc[closer]


def test_some_users_order_again_and_some_sessions_come_after_an_order(database: Database) -> None:
    orders = Counter(order.user_id for order in database.orders)
    assert {1, 2} == set(orders.values())
    assert 0.03 < sum(count == 2 for count in orders.values()) / len(orders) < 0.1
    last_order = {order.user_id: order[2:4] for order in database.orders}
    after = sum(visit[2:4] > last_order[user] for user, visits in database.of_user.items() for visit in visits)
    assert after > 300


def test_some_orders_have_no_session(database: Database) -> None:
    without = [order for order in database.orders if not database.of_user[order.user_id]]
    assert 0.01 < len(without) / len(database.orders) < 0.03


def test_some_costs_match_no_session_since_their_ids_are_cut(database: Database) -> None:
    session_ids = {visit.session_id for visit in database.sessions}
    orphans = database.costs.keys() - session_ids
    assert len(orphans) == 45
    assert {len(orphan) for orphan in orphans} == {CUT_TO}
    assert all(database.costs[orphan] for orphan in orphans)
    whole = {session_id[:CUT_TO]: session_id for session_id in session_ids}
    assert not {whole[orphan] for orphan in orphans} & database.costs.keys()


def test_a_channel_has_no_costs_on_one_day(database: Database) -> None:
    with_costs = {
        v.event_date for v in database.sessions if v.channel_name == WITHOUT_COSTS and database.costs.get(v[0])
    }
    days = {visit.event_date for visit in database.sessions if visit.channel_name == WITHOUT_COSTS}
    assert len(days) == 60
    assert days - with_costs == {"2024-05-10"}


def test_a_channel_is_named_in_lower_case_for_a_week(database: Database) -> None:
    lower = Counter(visit.event_date for visit in database.sessions if visit.channel_name == LOWER_CASE.lower())
    assert [*sorted(lower)] == [f"2024-04-{day}" for day in range(25, 31)] + ["2024-05-01"]
    assert 80 < lower.total() < 300


def test_only_paid_channels_have_costs_and_few_of_them_are_lacking(database: Database) -> None:
    assert {name for name, spend in database.spend.items() if spend} == PAID
    assert all(cost is None or cost == round(cost, 4) > 0 for cost in database.costs.values())
    assert None in database.costs.values()
    paid = [visit.session_id for visit in database.sessions if visit.channel_name in PAID]
    assert 0.005 < sum(one not in database.costs for one in paid) / len(paid) < 0.03


def test_the_channel_that_last_touch_undervalues_caused_the_most_orders_and_direct_traffic_none() -> None:
    caused = caused_orders()
    assert max(caused, key=lambda name: caused[name]) == UNDERVALUED
    assert caused["Direct Traffic"] == 0
    assert caused[LOSING] < 25


def test_what_a_channel_caused_is_lost_without_its_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> tuple[int, list[float]]:
        of_four = shop(np.random.default_rng(1), 4 * ARRIVALS, DAYS)
        return len({*of_four.order_user.tolist()}), of_four.caused.tolist()

    with_all, caused = made()
    effect = shop_users._EFFECT
    for number, channel in enumerate(SHOP_CHANNELS):
        monkeypatch.setattr(shop_users, "_EFFECT", np.where(np.arange(len(effect)) == number, 0, effect))
        # The same chances decide; but other users come back to order, and some of them after the period.
        lost = with_all - made()[0]
        assert lost == pytest.approx(caused[number], abs=60 + 4 * caused[number] ** 0.5), channel.name


@pytest.mark.parametrize(("scale", "days"), [(0.01, 60), (0.02, 7), (0.05, 14), (0.2, 365)])
def test_a_small_shop_has_its_days_channels_and_faults(tmp_path: Path, scale: float, days: int) -> None:
    path = tmp_path / "shop.db"
    size = write_shop(path, scale=scale, days=days)
    database = Database(path)
    assert size == (len(database.sessions), len(database.orders), days)
    assert len(database.by_day()) == days
    assert {visit.channel_name for visit in database.sessions} >= {*ROLES}
    orphans = database.costs.keys() - {visit.session_id for visit in database.sessions}
    assert len(orphans) == max(1, round(45 * scale))
    assert len(database.orders) > 10
