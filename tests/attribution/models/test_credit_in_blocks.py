"""Journeys a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.attribution.models import credit_in_blocks
from pipeline.attribution.models.credit_in_blocks import in_blocks
from pipeline.attribution.models.linear import linear
from pipeline.attribution.models.paths import journeys_of

if TYPE_CHECKING:
    from pipeline.attribution.models.journeys import Credit, JourneyArrays


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 10, 11])
def test_blocks_are_of_whole_journeys_and_leave_none_out(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit_in_blocks, "BLOCK", size)
    seen: list[list[str]] = []

    def credit(part: JourneyArrays) -> Credit:
        codes = [part.channel[a:b] for a, b in zip(part.starts, part.starts[1:], strict=False)]
        seen.append(["".join(part.channels[code] for code in journey) for journey in codes])
        assert len(part.time) == part.starts[-1] < size + 4
        return linear(part)

    journeys = journeys_of("AB", "A", "BBBB", "C", "CA")
    computed = in_blocks(journeys, credit)
    assert [path for part in seen for path in part] == ["AB", "A", "BBBB", "C", "CA"]
    assert computed.ihc.tolist() == linear(journeys).ihc.tolist()


def test_without_journeys_there_is_no_block() -> None:
    assert in_blocks(journeys_of(), linear).ihc.tolist() == []
