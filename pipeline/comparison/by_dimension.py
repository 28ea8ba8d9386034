"""The orders and revenue of each value of a dimension by each model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.reporting.bootstrap import Day, attributed_sessions
from pipeline.reporting.channel_report import ratio
from pipeline.reporting.dimension_orders import DimensionOrders
from pipeline.reporting.dimension_summary import spent_by_value

FIGURES = ("cost", "attributed_conversions", "attributed_revenue", "share", "CPO", "ROAS")


class ModelsByDimension:
    """What each model, the primary first, credits the values of dimensions with; the days are seen as they pass."""

    def __init__(self, models: Sequence[str], dimensions: Sequence[str]) -> None:
        self._orders = {
            (dimension, model): DimensionOrders(dimension, with_bounds=False)
            for dimension in dimensions
            for model in models
        }

    def seeing(self, days: Iterable[Day]) -> Iterator[Day]:
        """The same days."""
        if not self._orders:
            yield from days
            return
        for day, journeys, credit in days:
            by_model = {model: attributed_sessions(journeys, of_model) for model, of_model in credit.items()}
            for (_, model), orders in self._orders.items():
                if by_model[model].num_rows:
                    orders.add(day, by_model[model], credit[model])
            yield day, journeys, credit

    def table(self, dimension: str, costs: Sequence[pa.Table]) -> pd.DataFrame:
        """The columns model, channel_name, the dimension's name and `FIGURES`, by model, channel and value.

        Takes `DIMENSION_COSTS` of the days. Each model has a row for every channel and value with sessions, spend or
        credit of some model; value is empty where it is not known. The figures mean what `MODEL_COMPARISON` says.
        """
        key = ["channel_name", dimension]
        spent = spent_by_value(dimension, costs)[[*key, "spend"]]
        orders = {model: found.table() for (name, model), found in self._orders.items() if name == dimension}
        keys = pd.concat([spent[key], *(of_model[key] for of_model in orders.values())]).drop_duplicates()
        keys = keys.sort_values(key, ignore_index=True)
        return pd.concat(
            [_figures(model, keys, spent, of_model) for model, of_model in orders.items()], ignore_index=True
        )[["model", *key, *FIGURES]]


def _figures(model: str, keys: pd.DataFrame, spent: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    names = {"spend": "cost", "orders": "attributed_conversions", "revenue": "attributed_revenue"}
    earned = orders[[*keys.columns, "orders", "revenue"]]
    figures = keys.merge(spent, on=[*keys.columns], how="left").merge(earned, on=[*keys.columns], how="left")
    figures = figures.rename(columns=names).fillna(dict.fromkeys(names.values(), 0.0))
    conversions = figures["attributed_conversions"]
    figures["model"] = model
    figures["share"] = conversions / (conversions.sum() or np.nan)
    figures["CPO"] = ratio(figures["cost"], conversions)
    figures["ROAS"] = ratio(figures["attributed_revenue"], figures["cost"])
    return figures
