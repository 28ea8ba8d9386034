"""ExplainConversion as a command, on the small shop."""

from __future__ import annotations

import json
from pathlib import Path

import luigi
import pytest
from support.comparing import query, versions
from support.databases import SHOP_INTERVAL, add_rows, conversion, session, write_database
from support.running import LOCAL, Outcome, Workplace

from pipeline import ExplainConversion
from pipeline.attribution.models import trained_parameters
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS
from pipeline.errors import SourceError
from pipeline.explaining.lookup import find_conversion, find_user
from pipeline.source.source import Source
from targets.database import open_database
from targets.files import LocalFiles


def explain(place: Workplace, conv_id: str, *options: str, **settings: str) -> Outcome:
    command = ("luigi", "--module", "pipeline", "ExplainConversion", "--conv-id", conv_id, *options, *LOCAL)
    return place.start(*command, **settings).end()


def line_of(outcome: Outcome, session_id: str) -> str:
    (line,) = [line for line in outcome.output.splitlines() if f" {session_id} " in line]
    return line


def test_it_shows_what_the_report_has(reported_shop: Workplace) -> None:
    before = versions(reported_shop.files)
    outcome = explain(reported_shop, "conv-ties").succeeded()
    stored = query(
        reported_shop.database,
        "SELECT session_id, ihc FROM attribution_customer_journey WHERE conv_id = 'conv-ties'",
    )
    assert len(stored) == 4
    for session_id, ihc in stored:
        assert f" {ihc:.4f} " in line_of(outcome, session_id)
    assert line_of(outcome, "tie-after").rstrip().endswith("after the conversion")
    assert "ihc sums to 1.000000, credited revenue to 0.10 EUR" in outcome.output
    assert versions(reported_shop.files) == before


def test_it_follows_the_settings(reported_shop: Workplace) -> None:
    outcome = explain(reported_shop, "conv-border", SESSION_LOWER_LIMIT_DATE="2").succeeded()
    assert line_of(outcome, "border-out").rstrip().endswith("before the look-back window of 2 days")
    outcome = explain(reported_shop, "conv-restart").succeeded()
    assert line_of(outcome, "restart-1").rstrip().endswith("before a restart: a pause of more than 52.7 h follows")
    outcome = explain(reported_shop, "conv-again-3", AFTER_PREVIOUS_CONVERSION="true", ATTRIBUTION_MODEL="linear")
    assert line_of(outcome.succeeded(), "again-1").rstrip().endswith("not after the user's previous conversion")


def test_without_a_report_it_builds_what_it_needs(shop: Workplace) -> None:
    outcome = explain(shop, 'Bestellung "7", ü').succeeded()
    assert 'id "quoted", ü' in outcome.output
    assert {"Journeys", "Attribution"} < outcome.kinds_built


def test_a_conversion_without_sessions(reported_shop: Workplace) -> None:
    assert "the user has no session" in explain(reported_shop, "conv-nothing").succeeded().output


def test_late_and_malformed_sessions_are_explained(reported_shop: Workplace) -> None:
    add_rows(
        reported_shop.database,
        [
            session("late-1", "early", "2023-08-29 12:00:00"),
            session("no-time", "early", "2023-08-29 12:00:99"),
            session("no-day", "early", "2023-8-29 12:00:00"),
        ],
    )
    outcome = explain(reported_shop, "conv-early").succeeded()
    assert "not in the extract of its day: added later, or set aside as bad input" in line_of(outcome, "late-1")
    for session_id in ("no-time", "no-day"):
        assert "its date or time is malformed" in line_of(outcome, session_id)


@pytest.mark.parametrize(
    ("conv_id", "message"),
    [
        ("unknown", "no conversion with the conv_id 'unknown'; name one as it stands in conversions"),
        ("twice", "2 conversions with the conv_id 'twice'; name one as it stands in conversions"),
        ("undated", "the conversion 'undated' in .*/source.db has a malformed date, time, user_id or revenue"),
        ("nobody's", 'the conversion "nobody\'s" in .* has a malformed date, time, user_id or revenue'),
    ],
)
def test_what_cannot_be_explained_is_named(conv_id: str, message: str, tmp_path: Path) -> None:
    conversions = [
        *(conversion("twice", "u", f"2023-08-30 00:00:0{second}") for second in (0, 1)),
        conversion("undated", "u", "yesterday 00:00:00"),
        conversion("nobody's", None, "2023-08-30 00:00:00"),
    ]
    path = write_database(tmp_path / "source.db", conversions=conversions)
    with pytest.raises(SourceError, match=message):
        find_conversion(Source(open_database(f"sqlite:///{path}")), conv_id)


def test_costs_of_no_number_count_as_none(tmp_path: Path) -> None:
    sessions = [session(name, "u", f"2023-08-30 00:00:0{9 - place}") for place, name in enumerate("abc")]
    path = write_database(tmp_path / "source.db", sessions, costs=[("a", None), ("b", 2.5), ("another's", 9.0)])
    user = find_user(Source(open_database(f"sqlite:///{path}")), "u")
    assert [(each.session_id, each.cost) for each in user.sessions] == [("c", 0.0), ("b", 2.5), ("a", 0.0)]


@pytest.mark.parametrize(
    ("conv_id", "message"),
    [("unknown", "shop.db has no conversion with the conv_id 'unknown'"), ("future", "holds a day that is not over")],
)
def test_the_command_says_so_in_one_line(conv_id: str, message: str, shop: Workplace) -> None:
    add_rows(shop.database, conversions=[conversion("future", "u", "2999-08-30 00:00:00")])
    outcome = explain(shop, conv_id)
    assert (outcome.code, len(outcome.errors)) == (30, 1)
    assert message in outcome.errors[0]
    assert "Traceback" not in outcome.text
    assert not shop.files.exists()


def test_it_is_of_no_interval(shop: Workplace) -> None:
    outcome = explain(shop, "conv-ties", "--date-interval", SHOP_INTERVAL)
    assert outcome.code != 0
    assert "unrecognized arguments" in outcome.text
    assert not shop.files.exists()


def test_each_run_of_a_process_prints_it_anew(
    reported_shop: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{reported_shop.database}")
    monkeypatch.setenv("DATA_DIR", str(reported_shop.files))
    printed = []
    for _ in range(3):
        assert luigi.build([ExplainConversion(conv_id="conv-ties")], local_scheduler=True, log_level="ERROR")
        printed.append(capsys.readouterr().out)
    assert "ihc sums to 1.000000" in printed[0]
    assert printed == printed[:1] * 3


def test_making_the_task_of_an_unknown_conversion_asks_nothing(
    shop: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{shop.database}")
    monkeypatch.setenv("DATA_DIR", str(shop.files))
    task = ExplainConversion(conv_id="unknown")
    assert (task.requires(), task.complete()) == ([], False)
    with pytest.raises(SourceError, match="no conversion with the conv_id 'unknown'"):
        task.run()


def test_a_trained_conversion_type_is_explained_with_its_parameters(reported_shop: Workplace) -> None:
    parameters = {**json.loads(DEFAULT_PARAMETERS.read_bytes()), "restart_gap_hours": 20.0}
    trained_parameters(LocalFiles(reported_shop.files), "shop").write(parameters, "")
    outcome = explain(reported_shop, "conv-gap", CONV_TYPE_ID="shop").succeeded()
    assert line_of(outcome, "gap-1").rstrip().endswith("before a restart: a pause of more than 20 h follows")
    assert outcome.kinds_built == {"Attribution"}
