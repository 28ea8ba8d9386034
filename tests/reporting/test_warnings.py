"""What a report warns of although its books balance."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pipeline.attribution.choice import ModelChoice
from pipeline.model_options import ModelOptions
from pipeline.reporting.warnings import warnings_of
from targets.files import LocalFiles

LINEAR = ModelChoice(
    name="linear",
    conv_type_id="default",
    options=ModelOptions(),
    redistribution_file=None,
    api_url="http://127.0.0.1",
    files=LocalFiles(Path("nowhere")),
)


def warned(*channels: str) -> list[str]:
    return [*warnings_of(channels, {"dead_feeds": []}, LINEAR, (), "lower(source)")]


def test_names_that_differ_in_case_or_blanks_alone_are_joined_by_the_mapping() -> None:
    (line,) = warned("LinkedIn", "linkedin ", "linkedin\u00a0", "Email")
    assert line == (
        "channel names differ in case, blanks or punctuation alone: 'LinkedIn', 'linkedin ', 'linkedin\\xa0'; to join "
        "them write channel_name = \"CASE lower(source) WHEN 'linkedin ' THEN 'LinkedIn' WHEN 'linkedin\u00a0' THEN "
        "'LinkedIn' ELSE lower(source) END\" in [sessions] of SOURCE_MAPPING"
    )


def test_other_names_are_not() -> None:
    assert warned("A", "B", "ab", "Email") == []


def test_a_redistribution_of_channels_without_a_session_is_warned_of(tmp_path: Path) -> None:
    rule = {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": ["Direct", "Dierct"]}
    path = tmp_path / "redistribution.json"
    path.write_text(json.dumps({"closer": rule}))
    ihc = replace(LINEAR, name="ihc-local", redistribution_file=str(path))
    (line,) = warnings_of(["Direct", "Email"], {"dead_feeds": []}, ihc, ())
    assert line == "the redistribution names channels without a session: Dierct; are they mistyped?"
