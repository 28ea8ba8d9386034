"""An explanation as text."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.attribution.models.ihc_parameters import IhcParameters
from pipeline.console import WIDTH, columns, on_one_line, shortened, text_table
from pipeline.explaining.explain import MEMBERSHIPS, SHARES
from pipeline.explaining.lookup import Conversion

_ID = 14
_CHANNEL = 24
_LEAST = 8
_TEXTS = ("time", "channel", "session_id")
_DECIMALS = {
    "cost": 2,
    "gap": 2,
    "left": 2,
    **dict.fromkeys((*MEMBERSHIPS, *SHARES[:3]), 2),
    "ihc": 4,
    "revenue": 2,
}
_TITLES = {
    "session_id": "session",
    "engaged": "eng",
    "gap": "gap h",
    "left": "left h",
    "initializer": "init",
    "holder": "hold",
    "closer": "close",
}
_FULL_DECIMALS = {**_DECIMALS, **dict.fromkeys((*MEMBERSHIPS, *SHARES[:3]), 4)}


def render(
    conversion: Conversion,
    sessions: pd.DataFrame,
    model: str,
    parameters: IhcParameters | None,
    *,
    currency: str = "EUR",
    full: bool = False,
) -> str:
    """The conversion, its user's sessions as a table, and their sums; what has no credit has the reason in its place.

    At most 120 columns wide, with ids and channels cut; with `full` nothing is cut.
    """
    conv_id, user_id = (on_one_line(name) if full else shortened(name, _ID) for name in _ids(conversion))
    title = (
        f"conversion {conv_id} of user {user_id}: {conversion.time:%Y-%m-%d %H:%M:%S} UTC, "
        f"{conversion.revenue:,.2f} {currency}, model {model}"
        + ("" if conversion.goal is None else f", goal {on_one_line(conversion.goal)}")
    )
    lines = ["", title]
    if parameters is not None:
        initializer, holder, closer = parameters.phase_weights
        lines.append(
            f"ihc = {initializer:.3f} initializer + {holder:.3f} holder + {closer:.3f} closer, as far as engaged; "
            f"a pause of more than {parameters.restart_gap_hours:g} h restarts"
        )
    if sessions.empty:
        return "\n".join([*lines, "the user has no session: the revenue is unattributed", ""])
    lines += ["", _table(sessions, full=full), ""]
    if parameters is not None:
        lines.append("eng: engaged as holder (h), closer (c); mI, mH, mC: memberships in the three phases")
    if sessions["ihc"].notna().any():
        lines.append(
            f"ihc sums to {sessions['ihc'].sum():.6f}, credited revenue to {sessions['revenue'].sum():,.2f} {currency}"
        )
    else:
        lines.append("no session has credit: the revenue is unattributed")
    return "\n".join([*lines, ""])


def _ids(conversion: Conversion) -> tuple[str, str]:
    return conversion.conv_id, conversion.user_id


def _table(sessions: pd.DataFrame, *, full: bool) -> str:
    decimals = _FULL_DECIMALS if full else _DECIMALS
    rows: list[dict[str, Any]] = sessions.to_dict("records")  # type: ignore[assignment]
    cells = [_cells(row, decimals) for row in rows]
    names = [*_TEXTS, "cost", "engaged", *(name for name in decimals if name != "cost")]
    names = [name for name in names if name in (*_TEXTS, "cost") or any(row[name] for row in cells)]
    if full:
        return _lines(rows, cells, names)
    for row in cells:
        row["session_id"] = shortened(row["session_id"], _ID)
    for width in range(_CHANNEL, _LEAST - 1, -1):
        narrow = [{**row, "channel": shortened(row["channel"], width)} for row in cells]
        text = _lines(rows, narrow, names)
        if max(map(columns, text.splitlines())) <= WIDTH:
            break
    return text


def _cells(row: dict[str, Any], decimals: dict[str, int]) -> dict[str, str]:
    """The cells of a session, empty where nothing applies."""
    cells = {name: "" if pd.isna(row[name]) else f"{row[name]:.{places}f}" for name, places in decimals.items()}
    engaged = "" if pd.isna(row["engaged"]) else row["engaged"]
    return {
        **cells,
        "time": "-" if pd.isna(row["time"]) else f"{row['time']:%Y-%m-%d %H:%M:%S}",
        "channel": on_one_line(row["channel"]),
        "session_id": on_one_line(row["session_id"]),
        "engaged": " ".join(phase[0] for phase in engaged.split(", ") if phase),
    }


def _lines(rows: list[dict[str, Any]], cells: list[dict[str, str]], names: list[str]) -> str:
    """The table; a session with a note has it after its cost, where others have their figures."""
    figures = [
        [row[name] if not noted["note"] or name in (*_TEXTS, "cost") else "" for name in names]
        for noted, row in zip(rows, cells, strict=True)
    ]
    header = [_TITLES.get(name, name) for name in names]
    lines = text_table(header, figures, left=len(_TEXTS), between=" ").splitlines()
    return "\n".join(
        f"{line} {noted['note']}" if noted["note"] else line
        for line, noted in zip(lines, [{"note": ""}, *rows], strict=True)
    )
