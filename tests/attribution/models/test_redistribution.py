from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.published import needs_published, rows

from pipeline.attribution.models.journeys import Credit, JourneyArrays
from pipeline.attribution.models.redistribution import Direction, PhaseRedistribution, Redistribution, redistribute
from pipeline.errors import SettingsError

WEIGHTS = (0.3, 0.4, 0.3)


def journey(channels: list[str]) -> JourneyArrays:
    names = sorted(set(channels))
    count = len(channels)
    return JourneyArrays(
        starts=np.array([0, count]),
        time=np.arange(count),
        channel=np.array([names.index(channel) for channel in channels], dtype=np.int32),
        channels=tuple(names),
        holder=np.ones(count, dtype=bool),
        closer=np.ones(count, dtype=bool),
    )


def closers(shares: list[float], channels: list[str], direction: Direction, threshold: float) -> list[float]:
    """What becomes of the closer phase when Direct gives it away."""
    zeros = np.zeros(len(shares))
    credit = Credit(zeros, zeros, np.array(shares), np.array(shares))
    rule = Redistribution(closer=PhaseRedistribution(direction, threshold, ("Direct",)))
    result = redistribute(credit, journey(channels), rule, WEIGHTS)
    assert result.ihc == pytest.approx(result.closer)  # the only phase
    moved: list[float] = result.closer.round(12).tolist()
    return moved


@pytest.mark.parametrize(
    ("channels", "shares", "direction", "threshold", "expected"),
    [
        # the example of the docstring
        (["Email", "Google", "Direct"], [0.05, 0.25, 0.7], "earlier_sessions_only", 0.1, [0.05, 0.95, 0]),
        (["Email", "Google", "Direct"], [0.05, 0.25, 0.7], "earlier_sessions_only", 0.0, [1 / 6, 5 / 6, 0]),
        # nobody in that direction: it keeps its share
        (["Email", "Google", "Direct"], [0.05, 0.25, 0.7], "later_sessions_only", 0.0, [0.05, 0.25, 0.7]),
        (["Email", "Google", "Direct"], [0.05, 0.25, 0.7], "earlier_sessions_only", 0.3, [0.05, 0.25, 0.7]),
        (["Direct", "Direct"], [0.4, 0.6], "any_session", 0.0, [0.4, 0.6]),
        # in the middle
        (["Email", "Direct", "Google"], [0.2, 0.5, 0.3], "any_session", 0.0, [0.4, 0, 0.6]),
        (["Email", "Direct", "Google"], [0.2, 0.5, 0.3], "earlier_sessions_only", 0.0, [0.7, 0, 0.3]),
        (["Email", "Direct", "Google"], [0.2, 0.5, 0.3], "later_sessions_only", 0.0, [0.2, 0, 0.8]),
        # two givers, each with its own receivers
        (["Email", "Direct", "Google", "Direct"], [0.1, 0.2, 0.3, 0.4], "earlier_sessions_only", 0.0, [0.4, 0, 0.6, 0]),
        # receivers without any share receive equally, unless there is a threshold
        (["Email", "Google", "Direct"], [0, 0, 1.0], "earlier_sessions_only", 0.0, [0.5, 0.5, 0]),
        (["Email", "Google", "Direct"], [0, 0, 1.0], "earlier_sessions_only", 0.01, [0, 0, 1]),
        (["Email", "Google"], [0.5, 0.5], "any_session", 0.0, [0.5, 0.5]),
    ],
)
def test_shares_move_as_the_names_say(
    channels: list[str], shares: list[float], direction: Direction, threshold: float, expected: list[float]
) -> None:
    assert closers(shares, channels, direction, threshold) == pytest.approx(expected)


def plainly(shares: list[float], channels: list[str], direction: Direction, threshold: float) -> list[float]:
    """The same rule session by session."""
    result = list(shares)
    for giver, channel in enumerate(channels):
        if channel != "Direct":
            continue
        reach = {
            "any_session": range(len(channels)),
            "earlier_sessions_only": range(giver),
            "later_sessions_only": range(giver + 1, len(channels)),
        }[direction]
        receivers = [other for other in reach if channels[other] != "Direct" and shares[other] >= threshold]
        if not receivers:
            continue
        total = sum(shares[other] for other in receivers)
        for other in receivers:
            result[other] += shares[giver] * (shares[other] / total if total else 1 / len(receivers))
        result[giver] -= shares[giver]
    return result


@given(
    sessions=st.lists(
        st.tuples(st.sampled_from(["Direct", "Email", "Google"]), st.integers(0, 5)), min_size=1, max_size=12
    ),
    direction=st.sampled_from(["any_session", "earlier_sessions_only", "later_sessions_only"]),
    threshold=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_any_journey_is_redistributed_as_session_by_session(
    sessions: list[tuple[str, int]], direction: Direction, threshold: float
) -> None:
    channels = [channel for channel, _ in sessions]
    weights = [weight for _, weight in sessions]
    shares = [weight / max(1, sum(weights)) for weight in weights]
    zeros = np.zeros(len(shares))
    rule = Redistribution(initializer=PhaseRedistribution(direction, threshold, ("Direct",)))
    result = redistribute(Credit(np.array(shares), zeros, zeros, zeros), journey(channels), rule, WEIGHTS)
    assert result.initializer.tolist() == pytest.approx(plainly(shares, channels, direction, threshold))


def test_ihc_follows_the_phases_with_their_weights() -> None:
    credit = Credit(np.array([1.0, 0]), np.array([0, 1.0]), np.array([0.2, 0.8]), np.array([0.36, 0.64]))
    rule = Redistribution(holder=PhaseRedistribution("any_session", 0.0, ("Direct",)))
    result = redistribute(credit, journey(["Email", "Direct"]), rule, WEIGHTS)
    assert result.holder.tolist() == [1, 0]
    assert result.ihc.tolist() == pytest.approx([0.3 + 0.4 + 0.06, 0.24])


@needs_published
def test_the_example_of_the_vendor_to_its_four_decimals() -> None:
    sessions = rows("redistribution_example.csv")

    def phase(name: str) -> list[float]:
        return [float(each[name]) for each in sessions]

    names = ("initializer", "holder", "closer", "ihc")
    before = Credit(*(np.array(phase(name)) for name in names))
    rule = PhaseRedistribution("any_session", 0.0, ("Direct", "Not there"))
    labels = [each["channel_label"] for each in sessions]
    after = redistribute(before, journey(labels), Redistribution(rule, rule, rule), (0.331, 0.378, 0.291))
    found = [after.initializer, after.holder, after.closer, after.ihc]
    assert [each.round(4).tolist() for each in found] == [phase(f"{name}_redist") for name in names]


def test_a_journey_that_the_weights_leave_without_credit_keeps_what_it_has() -> None:
    credit = Credit(np.array([1.0, 0]), np.zeros(2), np.array([0.2, 0.8]), np.array([0.5, 0.5]))
    rule = Redistribution(closer=PhaseRedistribution("any_session", 0.0, ("Direct",)))
    result = redistribute(credit, journey(["Email", "Direct"]), rule, (0, 1, 0))
    assert result.closer.tolist() == [1, 0]
    assert result.ihc.tolist() == [0.5, 0.5]


def test_a_file_is_read_and_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "redistribution.json"
    path.write_text(
        '{"closer": {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": ["Direct"]}}'
    )
    loaded = Redistribution.load(path)
    assert loaded.closer == PhaseRedistribution("any_session", 0.0, ("Direct",))
    assert loaded.wire() == (
        b'{"closer":{"direction":"any_session","receive_threshold":0.0,"redistribution_channel_labels":["Direct"]}}'
    )
    assert Redistribution.parse(loaded.wire(), "sent") == loaded
    assert loaded.unknown_channels(["Email"]) == ["Direct"]
    assert loaded.unknown_channels(["Direct", "Email"]) == []


PHASE = '{"direction":"any_session","receive_threshold":0.5,"redistribution_channel_labels":["Direct"]}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"opener":' + PHASE + "}", "Object contains unknown field `opener`"),
        (
            '{"holder":' + PHASE.replace("any", "every") + "}",
            r"Invalid enum value 'every_session' - at `\$\.holder\.direction`",
        ),
        (
            '{"holder":' + PHASE.replace("0.5", "1.5") + "}",
            r"Expected `float` <= 1.0 - at `\$\.holder\.receive_threshold`",
        ),
        ('{"holder":' + PHASE.replace("0.5", "-1") + "}", "Expected `float` >= 0.0"),
        ('{"holder":{"direction":"any_session"}}', "Object missing required field `receive_threshold`"),
        ('{"holder":' + PHASE.replace('["Direct"]', '"Direct"') + "}", "Expected `array`, got `str`"),
    ],
)
def test_a_wrong_file_is_named_with_its_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "redistribution.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=rf"^{path} is not a redistribution: {message}"):
        Redistribution.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"/none\.json cannot be read as a redistribution: No such file"):
        Redistribution.load(tmp_path / "none.json")
