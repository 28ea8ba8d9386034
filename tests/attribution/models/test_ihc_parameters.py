"""Parameters of ihc-local: what is shipped, and what a file that cannot be used is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.attribution.models.ihc import DEFAULT_PARAMETERS, IhcParameters
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CURVE = {"hours": [0.0, 1.0], "values": [1.0, 0.5]}


def content() -> dict[str, Any]:
    parameters: dict[str, Any] = json.loads(DEFAULT_PARAMETERS.read_text(encoding="utf-8"))
    return parameters


def change(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def apply(parameters: Any) -> None:  # noqa: ANN401 - JSON
        for key in path[:-1]:
            parameters = parameters[key]
        parameters[path[-1]] = to

    return apply


def test_what_is_shipped() -> None:
    shipped = IhcParameters.load(DEFAULT_PARAMETERS)
    assert shipped.restart_gap_hours == 52.7
    assert shipped.phase_weights == (0.323, 0.374, 0.303)
    assert shipped.channel_weights["Direct Traffic"] == (0.6075, 0.9837, 1.28)
    assert len(shipped.channel_weights) == 13
    assert "not the vendor's code" in content()["provenance"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (change("schema_version", to=2), "schema_version must be 1, not 2"),
        (change("restart_gap_hours", to=0), "restart_gap_hours must be above 0"),
        (
            change("restart_gap_hours", to="52"),
            "restart_gap_hours must be a number from 0 to 1000000, not '52'",
        ),
        (
            change("restart_gap_hours", to=True),
            "restart_gap_hours must be a number from 0 to 1000000, not True",
        ),
        (
            change("restart_gap_hours", to=float("nan")),
            "restart_gap_hours must be a number from 0 to 1000000, not nan",
        ),
        (change("phase_weights", "holder", to=0.294), "phase_weights must sum to 1, not 0.92"),
        (
            change("phase_weights", "closer", to=-0.1),
            "phase_weights.closer must be a number from 0 to 1000000, not -0.1",
        ),
        (change("phase_weights", to=[1, 1, 1]), "phase_weights.initializer is missing"),
        (change("initializer_gap_hours", 3, to=2.0), "initializer_gap_hours must ascend"),
        (
            change("initializer_membership", to=[0, 1]),
            "initializer_membership must have a value for each of the 27 hours",
        ),
        (change("initializer_membership", 0, to=1.5), "initializer_membership must be within 0 and 1"),
        (
            change("initializer_membership", 4, to=None),
            "initializer_membership[4] must be a number from 0 to 1000000, not None",
        ),
        (
            change("closer_membership_segments", to=[]),
            "closer_membership_segments must be a list of at least one element",
        ),
        (
            change("closer_membership_segments", 0, to=CURVE | {"hours": [0.1, 1]}),
            "closer_membership_segments[0].hours must begin at 0",
        ),
        (
            change("closer_membership_segments", 1, to=CURVE),
            "closer_membership_segments[1].hours must begin at 0.1",
        ),
        (
            change("closer_membership_segments", 1, to={"hours": [0.1]}),
            "closer_membership_segments[1].values is missing",
        ),
        (change("channel_weights", to=3), "channel_weights must be an object"),
        (change("channel_weights", "A.B", to={}), "channel_weights.A.B.initializer is missing"),
        (
            change("channel_weights", "Referral", "holder", to=1e300),
            "channel_weights.Referral.holder must be a number from 0 to 1000000, not 1e+300",
        ),
    ],
)
def test_what_cannot_be_used_is_named(fault: Callable[[dict[str, Any]], None], message: str, tmp_path: Path) -> None:
    parameters = content()
    fault(parameters)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(parameters), encoding="utf-8")
    with pytest.raises(ModelError) as error:
        IhcParameters.load(path)
    assert str(error.value) == f"{path} does not hold IHC parameters: {message}; correct it or train it again"


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match=r"mine\.json does not hold IHC parameters: .*; correct it"):
        IhcParameters.load(path)
    with pytest.raises(ModelError, match=r"mine does not hold IHC parameters: Expecting value: line 1"):
        IhcParameters.from_json("", "mine")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.json cannot be read as IHC parameters: No such file"):
        IhcParameters.load(tmp_path / "none.json")
