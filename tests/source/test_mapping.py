"""The source mapping: what it says, and what is wrong with one, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.comparison.by_dimension import FIGURES
from pipeline.errors import SettingsError
from pipeline.reporting.channel_summary import SUMMARY
from pipeline.source.mapping import DEFAULT, RESERVED, SessionsInput, load_mapping

SESSIONS = """
[sessions]
from = "analytics.visits"
session_id = "visit_id"
user_id = "coalesce(customer_id, cookie)"
time = "started_at"
channel_name = "utm_source || ' / ' || utm_medium"
"""
CONVERSIONS = """
[conversions]
from = "(SELECT * FROM orders WHERE state = 'paid')"
conv_id = "id"
user_id = "customer_id"
time = ["day", "clock"]
revenue = "amount / 100.0"
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_without_a_file_it_is_the_default_schema() -> None:
    assert load_mapping(None) == DEFAULT
    assert DEFAULT.digest == ""


def test_what_may_be_left_out_has_its_default(tmp_path: Path) -> None:
    mapping = load_mapping(written(tmp_path, SESSIONS + CONVERSIONS))
    assert mapping.sessions == SessionsInput(
        "analytics.visits",
        "visit_id",
        "coalesce(customer_id, cookie)",
        "started_at",
        "utm_source || ' / ' || utm_medium",
        timezone="UTC",
        holder_engagement="0",
        closer_engagement="0",
        impression_interaction="0",
        cost=None,
        dimensions=(),
    )
    assert mapping.conversions.time == ("day", "clock")
    assert (mapping.session_costs, mapping.channel_costs) == (None, None)


def test_everything_may_be_said(tmp_path: Path) -> None:
    text = f"""{SESSIONS}timezone = "Europe/Berlin"
holder_engagement = "pages > 3"
closer_engagement = 1
cost = "click_cost"
[sessions.dimensions]
campaign = "utm_campaign"
{CONVERSIONS}goal = "kind"
currency = "currency"
[session_costs]
from = "clicks"
session_id = "visit_id"
cost = "cost"
[channel_costs]
from = "ad_spend"
date = "day"
channel_name = "channel"
cost = "eur"
currency = "'EUR'"
"""
    mapping = load_mapping(written(tmp_path, text))
    assert (mapping.sessions.timezone, mapping.sessions.closer_engagement) == ("Europe/Berlin", "1")
    assert mapping.sessions.dimensions == (("campaign", "utm_campaign"),)
    assert (mapping.conversions.goal, mapping.conversions.currency) == ("kind", "currency")
    assert mapping.channel_costs is not None
    assert mapping.channel_costs.currency == "'EUR'"
    assert [*mapping.inputs()] == ["sessions", "conversions", "session_costs", "channel_costs"]


def test_its_digest_is_that_of_its_content(tmp_path: Path) -> None:
    first = load_mapping(written(tmp_path, SESSIONS + CONVERSIONS)).digest
    assert load_mapping(written(tmp_path, f"# a comment\n{CONVERSIONS}{SESSIONS}")).digest == first
    assert load_mapping(written(tmp_path, SESSIONS.replace("visit_id", "id") + CONVERSIONS)).digest != first


ALL = SESSIONS + CONVERSIONS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SESSIONS, "there is no section [conversions]; add it"),
        (f"{ALL}[session]\n", "unknown section [session]; did you mean sessions?"),
        (f"sessions = 1\n{CONVERSIONS}", "sessions is a section: write [sessions] and its keys below it"),
        (ALL.replace("user_id", "userid", 1), "[sessions] has an unknown key userid; did you mean user_id?"),
        (ALL.replace('revenue = "amount / 100.0"', ""), "[conversions] lacks the key revenue; it is required"),
        (ALL.replace('from = "analytics.visits"', ""), "[sessions] lacks the key from; it is required"),
        (ALL.replace('"visit_id"', "true"), "[sessions] session_id must be a column or an SQL expression in quotes,"),
        (ALL.replace('"visit_id"', '["a"]'), "[sessions] session_id must be a column or an SQL expression in quotes,"),
        (ALL.replace('"visit_id"', '" "'), "[sessions] session_id is empty; write a column or an SQL expression"),
        (ALL.replace('"visit_id"', '"a; DROP TABLE b"'), "[sessions] session_id holds a semicolon; write one"),
        (ALL.replace('"day", ', ""), "[conversions] time must be one expression, or a list of two: [date, time"),
        (f'{ALL}timezone = "Berlin"\n', "[conversions] timezone must be an IANA name such as Europe/Berlin, not"),
        (f'{ALL}[sessions.dimensions]\n"Camp" = "a"\n', "[sessions] dimensions has a dimension 'Camp'; its name must"),
        (
            ALL + "[sessions.dimensions]\n" + "".join(f'd{n} = "a"\n' for n in range(9)),
            "[sessions] dimensions has 9 dimensions; at most 8 are allowed",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_section_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        load_mapping(path)
    assert str(refused.value).startswith(f"{path}: {message}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        (
            '[sessions.dimensions]\nspend = "x"',
            "[sessions] dimensions has a dimension 'spend', which is a name of the re",
        ),
        ('[sessions.dimensions]\nchannel = "x"', "[sessions] dimensions has a dimension 'channel', which is a name of"),
        (
            f'[sessions.dimensions]\n{"a" * 41} = "x"',
            f"[sessions] dimensions has a dimension '{'a' * 41}', which has mo",
        ),
        ('[sessions.dimensions]\n"../up" = "x"', "[sessions] dimensions has a dimension '../up'; its name must be"),
        (
            '[channel_costs]\nfrom = "ads"\ndate = "d"\nchannel_name = "c"\ncost = "x"\ndimensions = {campaign = "x"}',
            "[channel_costs.dimensions] has campaign, which sessions do not have; write it below",
        ),
    ],
)
def test_names_of_dimensions_that_would_be_mistaken_are_refused(tmp_path: Path, dimensions: str, message: str) -> None:
    path = written(tmp_path, f"{SESSIONS}{dimensions}\n{CONVERSIONS}")
    with pytest.raises(SettingsError) as refused:
        load_mapping(path)
    assert str(refused.value).startswith(f"{path}: {message}")


def test_no_dimension_has_the_name_of_a_column_beside_it() -> None:
    columns = {*SUMMARY, *FIGURES, "model", "channel_name"}
    assert {name.lower() for name in columns} <= RESERVED
    assert "channel" in RESERVED  # whose file would be the summary of channels


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"^SOURCE_MAPPING: {tmp_path / 'no'} cannot be read: No such file"):
        load_mapping(str(tmp_path / "no"))


def test_what_is_no_toml_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, "[sessions\n")
    with pytest.raises(SettingsError, match=rf"^SOURCE_MAPPING: {path} is not TOML: .*line 1"):
        load_mapping(path)
