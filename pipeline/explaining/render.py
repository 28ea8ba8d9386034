"""An explanation as text."""

from __future__ import annotations

import pandas as pd

from pipeline.attribution.models.ihc_parameters import IhcParameters
from pipeline.explaining.explain import MEMBERSHIPS, SHARES
from pipeline.explaining.lookup import Conversion

_DECIMALS = {"gap": 2, "left": 2, **dict.fromkeys((*MEMBERSHIPS, *SHARES), 4), "revenue": 2, "cost": 2}
_TITLES = {
    "gap": "gap (h)",
    "left": "left (h)",
    **dict(zip(MEMBERSHIPS, ("m.init", "m.hold", "m.close"), strict=True)),
    "revenue": "revenue (euro)",
    "cost": "cost (euro)",
}


def render(conversion: Conversion, sessions: pd.DataFrame, model: str, parameters: IhcParameters | None) -> str:
    """The conversion, its user's sessions as a table, their sums, and what the columns mean."""
    title = (
        f"conversion {conversion.conv_id} of user {conversion.user_id}: {conversion.time:%Y-%m-%d %H:%M:%S} UTC, "
        f"{conversion.revenue:,.2f} euro, model {model}"
    )
    lines = ["", title]
    if parameters is not None:
        initializer, holder, closer = parameters.phase_weights
        lines.append(
            f"ihc = {initializer:.3f} initializer + {holder:.3f} holder + {closer:.3f} closer, over the phases that a "
            f"session is engaged in; a pause of more than {parameters.restart_gap_hours:g} h restarts the journey"
        )
    if sessions.empty:
        return "\n".join([*lines, "the user has no session: the revenue is unattributed", ""])
    lines += ["", _table(sessions), ""]
    if sessions["ihc"].notna().any():
        lines.append(
            f"ihc sums to {sessions['ihc'].sum():.6f}, credited revenue to {sessions['revenue'].sum():,.2f} euro"
        )
    else:
        lines.append("no session has credit: the revenue is unattributed")
    return "\n".join([*lines, ""])


def _table(sessions: pd.DataFrame) -> str:
    shown = sessions.copy()
    shown["time"] = ["-" if pd.isna(time) else f"{time:%Y-%m-%d %H:%M:%S}" for time in sessions["time"]]
    for column in ("channel", "session_id", "engaged", "note"):
        shown[column] = ["" if pd.isna(text) else " ".join(text.split()) for text in sessions[column]]
    for column, decimals in _DECIMALS.items():
        shown[column] = ["" if pd.isna(number) else f"{number:.{decimals}f}" for number in sessions[column]]
    shown["note"] = shown["note"].str.ljust(int(shown["note"].str.len().max()))
    shown = shown.loc[:, (shown.map(str.strip) != "").any()]
    with pd.option_context("display.max_colwidth", None):
        lines = shown.rename(columns=_TITLES).to_string(index=False).splitlines()
    return "\n".join(map(str.rstrip, lines))
