"""What is in a training set, and whether it passes the checks that the vendor names."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.training.upload import timestamps

ADVISED_JOURNEYS = (10_000, 100_000)


def describe(upload: pd.DataFrame, held_out: pd.DataFrame) -> dict[str, Any]:
    """The statistics of a training set and of what is held out from it, both in the upload form, as text.

    Journeys by length, engaged sessions by flag, sessions and journeys by channel, the time span, and `checks`: of each
    whether it is passed and what was found.
    """
    times = timestamps(upload)
    lengths = upload.groupby("conversion_id", sort=False).size().value_counts().sort_index()
    by_channel = upload.groupby("channel_label")["conversion_id"]
    channels = pd.DataFrame({"sessions": by_channel.size(), "journeys": by_channel.nunique()})
    return {
        "journeys": int(lengths.sum()),
        "sessions": len(upload),
        "held_out_journeys": held_out["conversion_id"].nunique(),
        "first_session": _time(times.min()),
        "last_session": _time(times.max()),
        "journeys_by_length": {str(length): int(count) for length, count in lengths.items()},
        "engaged_sessions": {
            flag: int((upload[flag] == "1").sum())
            for flag in ("holder_engagement", "closer_engagement", "impression_interaction")
        },
        "channels": {str(name): row for name, row in channels.to_dict("index").items()},
        "checks": _checks(upload, times, int(lengths.sum())),
    }


def failed_checks(statistics: dict[str, Any]) -> list[str]:
    """What was found of each check that is not passed."""
    return [f"{check['check']}: {check['found']}" for check in statistics["checks"] if not check["passed"]]


def _checks(upload: pd.DataFrame, times: pd.Series[pd.Timestamp], journeys: int) -> list[dict[str, Any]]:
    least, most = ADVISED_JOURNEYS
    unparsed = int(times.isna().sum())
    ending = upload["conversion"] == "1"
    order_time = times.where(ending).groupby(upload["conversion_id"]).transform("max")
    late = int((times > order_time).sum())
    endings = ending.groupby(upload["conversion_id"]).sum()
    repeated = int(upload.duplicated(["conversion_id", "session_id"]).sum())
    return [
        _check(f"{least:,} to {most:,} journeys", least <= journeys <= most, f"{journeys:,}"),
        _check("timestamps parse", not unparsed, f"{unparsed:,} do not"),
        _check("one session a journey has the conversion", bool((endings == 1).all()), f"{(endings != 1).sum():,} not"),
        _check("no session after the conversion", not late, f"{late:,} are"),
        _check("no session twice in a journey", not repeated, f"{repeated:,} are"),
    ]


def _check(check: str, passed: bool, found: str) -> dict[str, Any]:  # noqa: FBT001 - named by the key it gets
    return {"check": check, "passed": passed, "found": found}


def _time(time: pd.Timestamp) -> str | None:
    return None if pd.isna(time) else str(time)
