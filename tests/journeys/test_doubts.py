"""Conversions that find no session: what is said, and when nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.databases import conversion, session, write_database
from support.stages import make, places_of

from pipeline.journeys.tasks import Journeys

DAY = "2023-09-01"


def said(folder: Path, sessions: list[str], orders: list[str], caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings about the ids of some users' sessions and orders."""
    path = write_database(
        folder / "source.db",
        [session(f"s{n}", user, f"{DAY} 10:00:00", "Ads") for n, user in enumerate(sessions)],
        [conversion(f"c{n}", user, f"{DAY} 12:00:00") for n, user in enumerate(orders)],
    )
    make(Journeys(places=places_of(path, folder / "data"), date_interval=DAY))
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("Journeys")]


def test_ids_that_differ_in_case_or_blanks_are_shown_from_both_sides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (line,) = said(tmp_path, ["Anna", "bob\r", "c"], ["anna", "bob", "c"], caplog)
    assert line.endswith(
        "2 user ids of conversions are written otherwise in sessions, such as 'anna' and 'Anna', and do not meet; "
        'write both alike in SOURCE_MAPPING, as user_id = "lower(trim(user_id))"'
    )


def test_fewer_than_a_tenth_are_shown_from_both_sides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (line,) = said(tmp_path, ["cookie-1"], [f"customer-{n}" for n in range(20)], caplog)
    assert line.endswith(
        "0 of 20 conversions have a session, fewer than a tenth: the user_id of conversions, such as 'customer-0', has "
        "to be that of sessions, such as 'cookie-1'"
    )


@pytest.mark.parametrize("orders", [[], ["a"], ["a", "b", "c", "nobody"]])
def test_where_most_have_one_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, orders: list[str]
) -> None:
    assert said(tmp_path, ["a", "b", "c"], orders, caplog) == []
