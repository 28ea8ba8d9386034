"""The figures of each channel by each model, and how the models agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from pipeline.comparison.ranking import kendall, ranks, spearman
from pipeline.comparison.schema import METRICS, MODEL_COMPARISON
from pipeline.reporting.bootstrap import Day, Resamples, interval, resample
from pipeline.reporting.channel_report import ratio
from pipeline.reporting.summary import totals_by_channel


def compare_models(reports: Mapping[str, pd.DataFrame], days: Iterable[Day]) -> pd.DataFrame:
    """The columns `MODEL_COMPARISON`, from the channel report of each model, the primary first.

    The figures are the reports' sums by channel; intervals and influenced conversions come from the journeys and credit
    of `days`, the conversion days of the reports.
    """
    channels = sorted({name for report in reports.values() for name in report["channel_name"]})
    resamples = resample(days, [*reports], channels)
    parts = [_figures(report, channels) for report in reports.values()]
    for place, figures in enumerate(parts):
        figures["influenced_conversions"] = resamples.influenced[place]
        _add_differences(figures, parts[0])
        _add_intervals(figures, resamples, place)
        figures.insert(0, "model", [*reports][place])
    return pd.concat(parts, ignore_index=True)[MODEL_COMPARISON.names]


def correlate_ranks(comparison: pd.DataFrame) -> pd.DataFrame:
    """The columns model, other_model, spearman, kendall: a row per pair of models, over their channels' conversions.

    Takes the columns `MODEL_COMPARISON`. A correlation is NaN where a model gives all channels the same.
    """
    conversions = {
        str(model): rows["attributed_conversions"].to_numpy() for model, rows in comparison.groupby("model", sort=False)
    }
    pairs = [
        (model, other, spearman(one, another), kendall(one, another))
        for (model, one), (other, another) in itertools.combinations(conversions.items(), 2)
    ]
    return pd.DataFrame(pairs, columns=["model", "other_model", "spearman", "kendall"])


def _figures(report: pd.DataFrame, channels: list[str]) -> pd.DataFrame:
    totals = totals_by_channel(report).iloc[:-1].reindex(channels)  # the last row is the total
    figures = pd.DataFrame({"channel_name": pd.Series(channels, dtype="str")})
    for name, total in {"cost": "cost", "attributed_conversions": "ihc", "attributed_revenue": "ihc_revenue"}.items():
        figures[name] = totals[total].fillna(0.0).to_numpy(np.float64)
    conversions = figures["attributed_conversions"]
    figures["share"] = conversions / (conversions.sum() or np.nan)
    figures["CPO"] = ratio(figures["cost"], conversions)
    figures["ROAS"] = ratio(figures["attributed_revenue"], figures["cost"])
    figures["rank"] = ranks(conversions.to_numpy())
    return figures


def _add_differences(figures: pd.DataFrame, primary: pd.DataFrame) -> None:
    for name in METRICS:
        figures[f"{name}_difference"] = figures[name] - primary[name]


def _add_intervals(figures: pd.DataFrame, resamples: Resamples, place: int) -> None:
    share = resamples.share
    for name, replicates in {
        "attributed_conversions": resamples.conversions[:, place],
        "attributed_revenue": resamples.revenue[:, place],
        "share": share[:, place],
        "share_difference": share[:, place] - share[:, 0],
    }.items():
        figures[f"{name}_low"], figures[f"{name}_high"] = interval(replicates)
    for bound, opposite in (("low", "high"), ("high", "low")):
        figures[f"CPO_{bound}"] = ratio(figures["cost"], figures[f"attributed_conversions_{opposite}"])
        figures[f"ROAS_{bound}"] = ratio(figures[f"attributed_revenue_{bound}"], figures["cost"])
