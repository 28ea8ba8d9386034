"""Where the models disagree most: channels by their share of the orders, and single orders side by side."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from pipeline.page.figures import day, figure, name, plain
from pipeline.page.ledger import shortened
from pipeline.page.tables import DISAGREEMENTS, MODELS, ReportFiles, Row, number

_CHANNELS = 8


def disagreements(files: ReportFiles, *, show_ids: bool) -> dict[str, Any] | None:
    """The models, the channels whose share moves most between them, and the orders; None without a comparison."""
    by_channel: dict[str, list[Row]] = {}
    for row in files.rows(MODELS):
        by_channel.setdefault(row["channel_name"], []).append(row)
    models = [row["model"] for row in next(iter(by_channel.values()), [])]
    if len(models) < 2:  # noqa: PLR2004 - one model agrees with itself
        return None
    ordered = sorted(by_channel.items(), key=lambda item: -_moved(item[1]))[:_CHANNELS]
    orders: dict[str, list[Row]] = {}
    for row in files.rows(DISAGREEMENTS):
        orders.setdefault(row["conv_id"], []).append(row)
    return {
        "models": [plain(model) for model in models],
        "channels": [
            {"name": name(channel), "shares": [figure(row["share"], "share") for row in rows]}
            for channel, rows in ordered
            if _moved(rows) > 0
        ],
        "orders": [_order(rows, show_ids=show_ids) for rows in orders.values()],
    }


def _moved(rows: list[Row]) -> float:
    shares = [0.0 if math.isnan(number(row["share"])) else number(row["share"]) for row in rows]
    return max(shares) - min(shares)


def _order(rows: list[Row], *, show_ids: bool) -> dict[str, Any]:
    sessions: dict[str, list[Row]] = {}
    for row in rows:
        sessions.setdefault(row["position"], []).append(row)
    conv_id = rows[0]["conv_id"]
    return {
        "id": Markup("<bdi>{}</bdi>").format(plain(conv_id if show_ids else shortened(conv_id))),
        "date": day(rows[0]["conv_date"]),
        "revenue": figure(rows[0]["revenue"]),
        "models": [plain(row["model"]) for row in next(iter(sessions.values()))],
        "sessions": [
            {
                "date": day(of[0]["session_date"]),
                "channel": name(of[0]["channel_name"]),
                "credit": [figure(row["credit"], "share") for row in of],
            }
            for of in sessions.values()
        ],
    }
