"""One conversion explained, session by session."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.models import ihc_parameters, load_model
from pipeline.attribution.schema import CREDIT
from pipeline.console import WIDTH
from pipeline.explaining.explain import Rules, explain
from pipeline.explaining.lookup import Conversion, Session, User
from pipeline.explaining.render import render
from pipeline.journeys.schema import JOURNEYS

NOON = dt.datetime(2023, 9, 1, 12, tzinfo=dt.UTC)
CONVERSION = Conversion("order", "user", NOON, 200.0)
ANY = Rules(lookback_days=0, max_sessions=3000, after_previous_conversion=False)
PARAMETERS = ihc_parameters("default")


def session(name: str, hours_before: float, cost: float = 1.0) -> Session:
    return Session(name, NOON - dt.timedelta(hours=hours_before), f"channel of {name}", cost)


def journey(*sessions: Session, cut: int = 0, conv_id: str = "order") -> pa.Table:
    rows = [
        {
            "conv_id": conv_id,
            "conv_time": int(NOON.timestamp()),
            "revenue": 200.0,
            "position": position,
            "session_id": each.session_id,
            "session_time": int(each.time.timestamp()) if each.time else 0,
            "channel_name": each.channel,
            "holder_engagement": 1,
            "closer_engagement": position % 2,
            "impression_interaction": 0,
            "sessions_cut": cut,
        }
        for position, each in enumerate(sessions)
    ]
    return pa.Table.from_pylist(rows, schema=JOURNEYS)


def explained(user: User, journeys: pa.Table, rules: Rules = ANY, model: str = "ihc-local") -> pd.DataFrame:
    credit = attribute_embedded(journeys, load_model(model, "default"))
    parameters = PARAMETERS if model == "ihc-local" else None
    return explain(CONVERSION, user, journeys, credit, rules, parameters).set_index("session_id")


def notes(user: User, journeys: pa.Table, rules: Rules = ANY) -> dict[str, str]:
    notes: dict[str, str] = explained(user, journeys, rules)["note"].to_dict()
    return notes


def test_a_journey_with_a_restart_computed_by_hand() -> None:
    sessions = [session("a", 80), session("b", 20), session("c", 10), session("d", 0)]
    table = explained(User(sessions, []), journey(*sessions))
    assert table["gap"].tolist()[1:] == [60, 10, 10]
    assert table["left"].tolist() == [80, 20, 10, 0]
    assert table["engaged"].tolist() == ["holder", "holder, closer", "holder", "holder, closer"]
    ramp = PARAMETERS.initializer_curve.at(np.array([10.0]))[0]
    assert table["mI"].tolist() == pytest.approx([1, 1, ramp, ramp])  # 60 hours are a restart
    assert table["mC"].tolist() == pytest.approx([0, PARAMETERS.closer_curve.at(np.array([20.0]))[0], 0, 1])
    assert table["note"].tolist() == ["before a restart: a pause of more than 52.7 h follows", "", "", ""]
    assert table["ihc"].tolist()[0] == 0
    for column, total in (("initializer", 1), ("holder", 1), ("closer", 1), ("ihc", 1), ("revenue", 200), ("cost", 4)):
        assert table[column].sum() == pytest.approx(total)


def test_why_a_session_is_left_out() -> None:
    kept = session("kept", 1)
    sessions = [session("old", 49), session("border", 48), kept, session("after", -1 / 3600), Session("?", None, "", 0)]
    user = User(sessions, [NOON])
    assert notes(user, journey(kept), Rules(2, 3000, after_previous_conversion=False)) == {
        "old": "before the look-back window of 2 days",
        "border": "not in the extract of its day: added later, or set aside as bad input",
        "kept": "",
        "after": "after the conversion",
        "?": "its date or time is malformed",
    }


def test_sessions_before_the_previous_conversion_are_left_out_where_that_is_set() -> None:
    kept = session("kept", 1)
    user = User([session("in its second", 5), kept], [NOON - dt.timedelta(hours=5), NOON])
    assert notes(user, journey(kept), Rules(0, 3000, after_previous_conversion=True)) == {
        "in its second": "not after the user's previous conversion",
        "kept": "",
    }


def test_sessions_beyond_the_most_are_said_to_be_cut() -> None:
    sessions = [session("a", 3), session("b", 2), session("c", 2), session("d", 1)]
    assert notes(User(sessions, []), journey(*sessions[2:], cut=2), Rules(0, 2, after_previous_conversion=False)) == {
        "a": "cut: a journey has at most 2 sessions (max_sessions)",
        "b": "cut: a journey has at most 2 sessions (max_sessions)",
        "c": "",
        "d": "",
    }


def test_another_model_has_shares_without_memberships() -> None:
    sessions = [session("a", 3), session("b", 2)]
    table = explained(User(sessions, []), journey(*sessions), model="linear")
    assert table["ihc"].tolist() == [0.5, 0.5]
    assert table["mI"].isna().all()
    assert table["initializer"].isna().all()


def test_a_rejected_journey_has_no_credit() -> None:
    kept = session("kept", 1)
    table = explain(CONVERSION, User([kept], []), journey(kept), CREDIT.empty_table(), ANY, None)
    assert table["note"].tolist() == ["the API rejected the journey"]
    assert "no session has credit: the revenue is unattributed" in render(CONVERSION, table, "ihc-api", None)


def test_a_conversion_without_sessions_is_said_to_be_unattributed() -> None:
    others = journey(session("other", 1), conv_id="another order")
    table = explain(CONVERSION, User([], []), others, CREDIT.empty_table(), ANY, PARAMETERS)
    assert table.empty
    assert "the user has no session: the revenue is unattributed" in render(CONVERSION, table, "ihc-local", PARAMETERS)


def test_the_text_has_a_line_a_session_whatever_its_channel_is_called() -> None:
    odd = Session("odd", NOON - dt.timedelta(hours=2), "two\nlines", 0.5)
    sessions = [odd, session("last", 1), session("late", -1), Session("?", None, "", 0)]
    table = explain(
        CONVERSION,
        User(sessions, []),
        journey(*sessions[:2]),
        attribute_embedded(journey(*sessions[:2]), load_model("ihc-local", "default")),
        ANY,
        PARAMETERS,
    )
    lines = render(CONVERSION, table, "ihc-local", PARAMETERS).splitlines()
    assert lines[1] == "conversion order of user user: 2023-09-01 12:00:00 UTC, 200.00 EUR, model ihc-local"
    assert lines[2].startswith("ihc = 0.323 initializer + 0.374 holder + 0.303 closer")
    assert lines[5].split()[:5] == ["2023-09-01", "10:00:00", "two", "lines", "odd"]
    assert lines[7].endswith("after the conversion")
    assert lines[8].split()[0] == "-"
    assert lines[11] == "ihc sums to 1.000000, credited revenue to 200.00 EUR"


def test_long_ids_and_channels_are_cut_to_fit_a_terminal_unless_all_is_wanted() -> None:
    ids = [f"{number:064x}" for number in range(4)]
    sessions = [
        Session(name, NOON - dt.timedelta(hours=2000 * (4 - place)), "Performance Max, Germany " * 3, 12345.67)
        for place, name in enumerate(ids)
    ]
    conversion = Conversion(ids[0], ids[1], NOON, 123456.78)
    of_conversion = journey(*sessions)
    of_conversion = of_conversion.set_column(0, "conv_id", pa.array([ids[0]] * 4)).cast(JOURNEYS)
    credit = attribute_embedded(of_conversion, load_model("ihc-local", "default"))
    table = explain(conversion, User(sessions, []), of_conversion, credit, ANY, PARAMETERS)
    lines = render(conversion, table, "ihc-local", PARAMETERS).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "000000000000.." in lines[5]
    full = render(conversion, table, "ihc-local", PARAMETERS, full=True)
    assert all(name in full for name in ids)
    assert ("Performance Max, Germany " * 3).strip() in full
