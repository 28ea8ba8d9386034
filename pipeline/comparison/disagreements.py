"""The orders whose sessions the models credit least alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.reporting.bootstrap import Day, attributed_sessions
from pipeline.zones import UTC, days_of_seconds

ORDERS = 3
_LONGEST = 12  # sessions; longer journeys cannot be read side by side
_EPOCH = dt.date(1970, 1, 1)

DISAGREEMENTS = (
    *("conv_id", "conv_date", "revenue", "position", "session_id", "session_date", "channel_name"),
    *("model", "credit"),
)
"""A row per order, session and model: the session's share of the order; the largest disagreement first."""

Found = tuple[float, int, dt.date, pa.Table, dict[str, np.ndarray]]


class Disagreements:
    """The `ORDERS` orders of at most twelve sessions whose credit moves most between models; the days pass by."""

    def __init__(self, zone: str = UTC) -> None:
        self._zone = zone
        self._found: list[Found] = []
        self._passed = 0

    def seeing(self, days: Iterable[Day]) -> Iterator[Day]:
        """The same days."""
        for day, journeys, credit in days:
            if journeys.num_rows and len(credit) > 1:
                self._look(day, journeys, credit)
            yield day, journeys, credit

    def _look(self, day: dt.date, journeys: pa.Table, credit: Mapping[str, pa.Table]) -> None:
        numbered = journeys.append_column("row", pa.array(np.arange(journeys.num_rows)))
        by_model = {model: np.full(journeys.num_rows, np.nan) for model in credit}
        for model, of_model in credit.items():
            sessions = attributed_sessions(numbered, of_model)
            by_model[model][sessions["row"].to_numpy()] = sessions["ihc"].to_numpy()
        matrix = np.stack([*by_model.values()])
        begins = np.flatnonzero(journeys["position"].to_numpy() == 0)
        lengths = np.diff(begins, append=journeys.num_rows)
        moved = np.add.reduceat(matrix.max(axis=0) - matrix.min(axis=0), begins) / 2  # NaN where a model has none
        moved[(lengths > _LONGEST) | np.isnan(moved)] = 0.0
        for at in np.argsort(-moved, kind="stable")[:ORDERS].tolist():
            if moved[at] > 0:
                rows = slice(int(begins[at]), int(begins[at] + lengths[at]))
                order = journeys.slice(rows.start, rows.stop - rows.start)
                of_order = {model: values[rows] for model, values in by_model.items()}
                self._found.append((-float(moved[at]), self._passed + at, day, order, of_order))
        self._passed += len(begins)
        self._found = sorted(self._found, key=lambda found: found[:2])[:ORDERS]

    def table(self) -> pd.DataFrame:
        """The columns `DISAGREEMENTS`."""
        rows = []
        for _, _, day, order, by_model in self._found:
            dates = days_of_seconds(order["session_time"].to_numpy(), self._zone).tolist()
            for at, (session, date) in enumerate(zip(order.to_pylist(), dates, strict=True)):
                key = (
                    *(session["conv_id"], day.isoformat(), session["revenue"], session["position"]),
                    *(session["session_id"], (_EPOCH + dt.timedelta(days=date)).isoformat(), session["channel_name"]),
                )
                rows += [(*key, model, float(values[at])) for model, values in by_model.items()]
        return pd.DataFrame(rows, columns=[*DISAGREEMENTS])
