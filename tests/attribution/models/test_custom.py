"""Rules of one's own: what each section does, that they equal known models, and that wrong files are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from journey_cases import CHANNELS, RANDOM, Session, arrays, journeys_of_sessions

from pipeline.attribution.models import CUSTOM, load_model
from pipeline.attribution.models.custom import Rule, custom
from pipeline.attribution.models.paths import journeys_of
from pipeline.errors import ModelError
from pipeline.model_options import ModelOptions

RULE = """
pass_over = ["own"]
[positions]
first = 2
between = 0.5
last = 0
[engagement]
holder = 1.5
closer = 0
[half_life_hours]
all = 48
"Unknown" = 1
[channels]
own = 3
"Direct Traffic" = 0
[groups]
own = ["Direct Traffic", "Newsletter & Email"]
"""


def rule(text: str) -> Rule:
    return Rule.from_toml(text, "rule.toml")


def credit(text: str, *paths: str) -> list[float]:
    found: list[float] = custom(journeys_of(*paths), rule=rule(text)).ihc.round(9).tolist()
    return found


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("[positions]\nfirst = 3", "ABC", [0.6, 0.2, 0.2]),
        ("[positions]\nfirst = 0\nbetween = 0\nlast = 0", "AB", [0.5, 0.5]),
        ("[positions]\nfirst = 0\nlast = 0", "A", [1]),
        ("[half_life_hours]\nall = 1", "AB", [1 / 3, 2 / 3]),
        ("[half_life_hours]\nA = 1", "ABB", [1 / 9, 4 / 9, 4 / 9]),
        ("[half_life_hours]\nall = 1\nA = 2", "AAB", [1 / (1 + 2**0.5 + 2), 2**0.5 / (3 + 2**0.5), 2 / (3 + 2**0.5)]),
        ("[channels]\nA = 3", "AB", [0.75, 0.25]),
        ("[channels]\ng = 3\nB = 1\n[groups]\ng = ['A', 'B']", "AB", [0.75, 0.25]),
        # last touch that is neither A nor B
        ("pass_over = ['g']\n[positions]\nfirst = 0\nbetween = 0\n[groups]\ng = ['A', 'B']", "CDAB", [0, 1, 0, 0]),
    ],
)
def test_what_each_section_does(text: str, path: str, expected: list[float]) -> None:
    assert credit(text, path) == pytest.approx(expected, abs=1e-9)


def test_engagement_by_flags() -> None:
    table = arrays([[Session(0, closer=False), Session(1, holder=False), Session(2)]])
    found = custom(table, rule=rule("[engagement]\nholder = 2\ncloser = 3"))
    assert found.ihc.tolist() == pytest.approx([2 / 11, 3 / 11, 6 / 11])
    assert np.isnan(found.initializer).all()


@RANDOM
@given(journeys_of_sessions(at_least=1))
def test_every_conversion_is_given_out_once_and_known_models_are_rules(journeys: list[list[Session]]) -> None:
    table = arrays(journeys)
    found = custom(table, rule=rule(RULE)).ihc
    assert (found >= 0).all()
    np.testing.assert_allclose(np.add.reduceat(found, table.starts[:-1]), 1, atol=1e-12)
    known = {
        "last-touch": "[positions]\nfirst = 0\nbetween = 0",
        "time-decay": "[half_life_hours]\nall = 168",
        "linear": "[positions]\nfirst = 1",
        "last-non-direct": f"pass_over = ['{CHANNELS[0]}']\n[positions]\nfirst = 0\nbetween = 0",
    }
    for name, text in known.items():
        options = ModelOptions(direct_channels=(CHANNELS[0],))
        expected = load_model(name, "default", options).credit(table).ihc
        np.testing.assert_allclose(custom(table, rule=rule(text)).ihc, expected, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it says nothing; give at least one of positions, engagement"),
        ("[position]\nfirst = 1", "'position' is unknown; known are positions, engagement"),
        ("[positions]\nmiddle = 1", "[positions] 'middle' is unknown; known are first, between, last"),
        ("[engagement]\nimpression = 1", "[engagement] 'impression' is unknown; known are holder, closer"),
        ("[positions]\nfirst = -1", "[positions] 'first' must be a number of at least 0 and at most 1,000,000, not -1"),
        ("[positions]\nfirst = nan", "[positions] 'first' must be a number of at least 0"),
        ("[positions]\nfirst = true", "[positions] 'first' must be a number"),
        ("[channels]\nA = inf", "[channels] 'A' must be a number"),
        ("[half_life_hours]\nall = 0", "[half_life_hours] 'all' must be a number above 0"),
        ("positions = 3", "positions must be a section, [positions]"),
        ("pass_over = 'A'", "pass_over must be a list of names"),
        ("[groups]\ng = 'A'", "[groups] 'g' must be a list of channel names"),
        ("[positions", "rule.toml is no TOML: "),
    ],
)
def test_a_wrong_rule_is_told_by_section_and_key(text: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        rule(text)
    assert str(error.value).startswith("CUSTOM_MODEL: rule.toml")
    assert message in str(error.value)


def test_the_file_is_the_model(tmp_path: Path) -> None:
    file = tmp_path / "rule.toml"
    with pytest.raises(ModelError, match="custom needs a rule: set CUSTOM_MODEL"):
        load_model(CUSTOM, "default")
    options = ModelOptions(custom_model=str(file))
    with pytest.raises(ModelError, match=r"rule\.toml cannot be read"):
        load_model(CUSTOM, "default", options)
    file.write_text(RULE, encoding="utf-8")
    model = load_model(CUSTOM, "default", options)
    file.write_text(f"# the same rule\n{RULE}", encoding="utf-8")
    assert load_model(CUSTOM, "default", options).fingerprint == model.fingerprint
    file.write_text(RULE.replace("1.5", "2"), encoding="utf-8")
    assert load_model(CUSTOM, "default", options).fingerprint != model.fingerprint
    file.write_bytes(b"\xff")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(CUSTOM, "default", options)
