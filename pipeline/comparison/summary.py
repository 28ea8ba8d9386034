"""What a person sees at the end of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def render_comparison(
    comparison: pd.DataFrame, correlations: pd.DataFrame, sensitivity: pd.DataFrame, title: str, files: Sequence[str]
) -> str:
    """Orders by channel and model, the models' likeness to the primary, and what other windows would change."""
    primary, models = comparison["model"].iloc[0] if len(comparison) else "", comparison["model"].unique()
    orders = comparison.pivot_table("attributed_conversions", "channel_name", "model")[models]
    orders.index = pd.Index([" ".join(name.splitlines()) for name in orders.index])
    orders = orders.rename_axis(None).rename_axis(None, axis=1)
    if len(orders):
        orders = orders.sort_values(primary, ascending=False, kind="stable")
    parts = ["", f"{title}: attributed conversions", orders.to_string(float_format="{:,.1f}".format), ""]
    alike = correlations[correlations["model"] == primary].set_index("other_model")["spearman"]
    if len(alike):
        parts += [f"rank correlation (Spearman) with {primary}: " + _listed(alike, "{:.3f}"), ""]
    moved = sensitivity["share_difference"].abs().groupby(sensitivity["lookback_days"], sort=False).max()
    if len(moved):
        moved.index = pd.Index([f"{days} days" if days else "no limit" for days in moved.index])
        parts += ["largest change of a channel's share under another look-back window: " + _listed(moved, "{:.1%}"), ""]
    return "\n".join([*parts, *files, ""])


def _listed(values: pd.Series[float], form: str) -> str:
    return ", ".join(f"{name} {form.format(value)}" for name, value in values.items())
