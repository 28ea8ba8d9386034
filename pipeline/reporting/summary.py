"""What a person sees at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.reporting.channel_report import ratio


def totals_by_channel(report: pd.DataFrame) -> pd.DataFrame:
    """The report's sums by channel, most credited first, and a last row `total`; CPO and ROAS of the sums."""
    totals = report.groupby("channel_name", sort=True)[["cost", "ihc", "ihc_revenue"]].sum()
    totals = totals.sort_values("ihc", ascending=False, kind="stable")
    totals = pd.concat([totals, totals.sum().to_frame("total").T])  # not by label: a channel may be called total
    totals["CPO"] = ratio(totals["cost"], totals["ihc"])
    totals["ROAS"] = ratio(totals["ihc_revenue"], totals["cost"])
    return totals


def render(report: pd.DataFrame, books: Mapping[str, Any], title: str, files: Sequence[str]) -> str:
    """The totals by channel, the books in a line, and the paths of the files."""
    table = totals_by_channel(report).rename(
        columns={"cost": "cost (euro)", "ihc": "orders", "ihc_revenue": "revenue (euro)"}
    )
    table.index = pd.Index([_on_one_line(name) for name in table.index])
    text = table.to_string(float_format=lambda number: f"{number:,.2f}", na_rep="-")
    unattributed = books["without_sessions"] + books["rejected"] + books["input_rejects"]
    summary = (
        f"{books['conversions']:,} conversions: {books['attributed']:,} attributed, {unattributed:,} not "
        f"({books['without_sessions']:,} without sessions, {books['rejected']:,} rejected by the API, "
        f"{books['input_rejects']:,} set aside); revenue {books['revenue']:,.2f} euro: "
        f"{books['attributed_revenue']:,.2f} attributed, {books['unattributed_revenue']:,.2f} not"
    )
    return "\n".join(["", title, text, "", summary, "", *files, ""])


def _on_one_line(name: str) -> str:
    return name.replace("\n", " ").replace("\r", " ")
