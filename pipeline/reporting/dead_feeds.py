"""Days on which a feed was dead: no sessions, no costs, or next to none of what is usual."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.errors import DeadFeedError

FEW = 0.1
"""The share of the usual number of sessions up to which a day counts as dead."""

_WEEKS = 4
_LONGEST_GAP = 7  # days without a cost; after a longer time nothing was spent
_SHOWN = 10
_NONE_THERE = "no conversion in the interval"


@dataclass(frozen=True)
class DayFeed:
    """What came in on a day: how many sessions, and what they and the day's channels cost."""

    sessions: int
    spend: float


def dead_feeds(
    feeds: Mapping[dt.date, DayFeed], days: Sequence[dt.date], conversions: int, none_there: str = _NONE_THERE
) -> list[dict[str, str]]:
    """The dead feeds of `days`, each with its date (or first and last date), feed and reason, by date.

    Takes the feeds of all days that were extracted, and how many conversions `days` have in all, and
    what to say if there is none. A day is dead if it
    has no session; if it has at most a tenth of the usual number, the median of that weekday over the four weeks
    before, as far as extracted; or if it has no cost while the days around it have, unless that weekday has none.
    """
    found = []
    for day in days:
        feed, before = feeds[day], _weekday_before(feeds, day)
        usual = median(of.sessions for of in before) if before else 0
        if not feed.sessions:
            found.append(_dead(day, "sessions", "no session at all"))
        elif feed.sessions <= FEW * usual:
            found.append(_dead(day, "sessions", f"{feed.sessions:,} sessions, where {usual:,.0f} are usual"))
        if feed.sessions and not feed.spend and _lacks_costs(feeds, day, before):
            found.append(_dead(day, "costs", "no cost, while the days around it have costs"))
    if not conversions:
        found.append({"date": f"{days[0]}..{days[-1]}", "feed": "conversions", "reason": none_there})
    return found


def describe(found: Sequence[Mapping[str, str]]) -> str:
    """The dead feeds in a line, those of the same reason together."""
    dates: dict[str, list[str]] = {}
    for dead in found:
        dates.setdefault(dead["reason"], []).append(dead["date"])
    return "; ".join(
        f"{', '.join(of_reason[:_SHOWN])}{f' and {len(of_reason) - _SHOWN} more' * (len(of_reason) > _SHOWN)}: {reason}"
        for reason, of_reason in dates.items()
    )


def refuse_dead_feeds(found: Sequence[Mapping[str, str]]) -> None:
    """Raise `DeadFeedError` if there are any."""
    if found:
        raise DeadFeedError(
            f"a feed looks dead: {describe(found)}; complete the source, or set DEAD_FEED=warn to report all the same"
        )


def _dead(day: dt.date, feed: str, reason: str) -> dict[str, str]:
    return {"date": day.isoformat(), "feed": feed, "reason": reason}


def _weekday_before(feeds: Mapping[dt.date, DayFeed], day: dt.date) -> list[DayFeed]:
    """The same weekday of the four weeks before, as far as known."""
    dates = (day - dt.timedelta(weeks=weeks) for weeks in range(1, _WEEKS + 1))
    return [feeds[date] for date in dates if date in feeds]


def _lacks_costs(feeds: Mapping[dt.date, DayFeed], day: dt.date, before: Sequence[DayFeed]) -> bool:
    """Whether the days on both sides, as far as known, have costs, and no more than a week lies between them."""
    if len(before) > 1 and not any(of.spend for of in before):
        return False
    sides = [_days_to_cost(feeds, day, step) for step in (-1, 1)]
    known = [away for away in sides if away is not None]
    return bool(known) and sum(known) <= _LONGEST_GAP + 1


def _days_to_cost(feeds: Mapping[dt.date, DayFeed], day: dt.date, step: int) -> float | None:
    """How many days away the nearest day with a cost is; infinite if far away, None if none is known up to the end."""
    for away in range(1, _LONGEST_GAP + 2):
        feed = feeds.get(day + dt.timedelta(days=step * away))
        if feed is None:
            return None
        if feed.spend:
            return away
    return math.inf
