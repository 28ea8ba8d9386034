"""The largest orders and sessions that each channel's figures sum, and the sum of all others."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.reporting.bootstrap import Floats, Places

MOST = 20
"""Sessions of a channel, and as many of new customers' orders; orders of all channels."""

LEDGER = (
    *("channel_name", "is_total", "conv_id", "conv_date", "session_id", "session_date"),
    *("sessions", "orders", "revenue", "new_customer_orders"),
)
"""Sessions with their credit, a channel after the other, the largest revenue first; then, without ids, the sum of all
others. The rows of the total are whole orders. Each channel's rows sum to its row of the summary."""

_SUMS = ("orders", "revenue", "new_customer_orders")
_EPOCH = dt.date(1970, 1, 1)

Entry = tuple[float, dt.date, str, str, int, int, float, float]
"""Revenue, order date, conv_id, session_id, session day (since 1970), sessions, orders, orders of new customers."""


class _Largest:
    """The entries of the largest revenue by heading; of equal ones those that came first."""

    def __init__(self, headings: int) -> None:
        self.entries: list[list[Entry]] = [[] for _ in range(headings)]
        self._least = np.full(headings, -np.inf)

    def choose(self, heading: Places, revenue: Floats) -> Places:
        """The rows that may be among the largest."""
        rows = np.flatnonzero(revenue > self._least[heading])
        order = rows[np.lexsort((rows, -revenue[rows], heading[rows]))]
        of_heading = heading[order]
        first = np.flatnonzero(np.diff(of_heading, prepend=-1))
        rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
        chosen: Places = order[rank < MOST]
        return chosen

    def add(self, headings: Sequence[int], entries: Sequence[Entry]) -> None:
        for heading, entry in zip(headings, entries, strict=True):
            self.entries[heading].append(entry)
        for heading in {*headings}:
            kept = sorted(self.entries[heading], key=lambda entry: -entry[0])[:MOST]
            self.entries[heading] = kept
            if len(kept) == MOST:
                self._least[heading] = kept[-1][0]


class LedgerSeen:
    """The ledger, gathered day by day."""

    def __init__(self, channels: Sequence[str]) -> None:
        self._channels = channels
        self._sessions = np.zeros(len(channels), np.int64)
        self._all, self._new, self._orders = _Largest(len(channels)), _Largest(len(channels)), _Largest(1)

    def add(self, day: dt.date, sessions: pa.Table, channel: Places, is_new: Floats, session_day: Places) -> None:
        """Add a day's attributed sessions (with `number`, `ihc`), with the place of their channel."""
        ihc, order_revenue = sessions["ihc"].to_numpy(), sessions["revenue"].to_numpy()
        revenue = ihc * order_revenue
        self._sessions += np.bincount(channel, minlength=len(self._channels))
        of_new = np.flatnonzero(is_new)
        chosen = {
            "all": self._all.choose(channel, revenue),
            "new": of_new[self._new.choose(channel[of_new], revenue[of_new])],
        }
        for kind, largest in (("all", self._all), ("new", self._new)):
            rows = chosen[kind]
            one = np.ones(len(rows), np.int64)
            largest.add(
                channel[rows].tolist(), _entries(day, sessions, rows, session_day, one, ihc, revenue, ihc * is_new)
            )
        number = sessions["number"].to_numpy()
        begins = np.flatnonzero(np.diff(number, prepend=-1))
        rows = begins[self._orders.choose(np.zeros(len(begins), np.int64), order_revenue[begins])]
        length = np.bincount(number)[number[rows]]
        whole = np.ones(len(ihc))
        self._orders.add(
            [0] * len(rows), _entries(day, sessions, rows, session_day, length, whole, order_revenue, is_new)
        )

    def table(self, summary: pd.DataFrame) -> pd.DataFrame:
        """The columns `LEDGER`, of the channels of a summary in its order, the total last."""
        place = {name: at for at, name in enumerate(self._channels)}
        rows: list[tuple[object, ...]] = []
        for of in summary[["channel_name", "is_total", *_SUMS]].to_dict("records"):
            at = place.get(of["channel_name"])
            if of["is_total"]:
                entries, sessions = self._orders.entries[0], int(self._sessions.sum())
            elif at is None:
                continue
            else:
                entries = sorted({*self._all.entries[at], *self._new.entries[at]}, key=lambda entry: (-entry[0], entry))
                sessions = int(self._sessions[at])
            key = (of["channel_name"], of["is_total"])
            for revenue, day, conv_id, session_id, session_day, length, orders, new in entries:
                session_date = "" if of["is_total"] else (_EPOCH + dt.timedelta(days=session_day)).isoformat()
                shown_id = "" if of["is_total"] else session_id
                rows.append((*key, conv_id, day.isoformat(), shown_id, session_date, length, orders, revenue, new))
            others = sessions - sum(entry[5] for entry in entries)
            if others:
                of_orders, of_revenue, of_new = ([entry[at] for entry in entries] for at in (6, 0, 7))
                listed = [math.fsum(cast("list[float]", column)) for column in (of_orders, of_revenue, of_new)]
                rest = [float(of[name]) - sum_ for name, sum_ in zip(_SUMS, listed, strict=True)]
                rows.append((*key, "", "", "", "", others, *rest))
        return pd.DataFrame(rows, columns=[*LEDGER])


def _entries(
    day: dt.date,
    sessions: pa.Table,
    rows: Places,
    session_day: Places,
    length: Places,
    orders: Floats,
    revenue: Floats,
    new: Floats,
) -> list[Entry]:
    taken = sessions.select(["conv_id", "session_id"]).take(pa.array(rows))
    return [
        (revenue_, day, conv_id, session_id, session_day_, length_, orders_, new_)
        for revenue_, conv_id, session_id, session_day_, length_, orders_, new_ in zip(
            revenue[rows].tolist(),
            taken["conv_id"].to_pylist(),
            taken["session_id"].to_pylist(),
            session_day[rows].tolist(),
            length.tolist(),
            orders[rows].tolist(),
            new[rows].astype(np.float64).tolist(),
            strict=True,
        )
    ]
