from __future__ import annotations

import asyncio
import random

import pytest
from api_cases import make_journeys, reference_lengths

from pipeline.attribution.api.bodies import Bodies
from pipeline.attribution.api.packing import pack
from pipeline.attribution.api.wire import WireJourneys, body


@pytest.mark.parametrize("sessions_a_block", [1, 100, 10**6])
def test_bodies_are_those_of_their_journeys_in_whatever_order_they_are_taken(
    monkeypatch: pytest.MonkeyPatch, sessions_a_block: int
) -> None:
    monkeypatch.setattr("pipeline.attribution.api.bodies._SESSIONS_A_BLOCK", sessions_a_block)
    sheet = WireJourneys(make_journeys(reference_lengths(200)))
    requests = pack(sheet.lengths, 10, 50)
    order = random.Random(1).sample(range(len(requests)), len(requests))

    async def take_all() -> dict[int, bytes]:
        bodies = Bodies(sheet, requests, b'{"x":1}')
        return {number: b"".join(await bodies.take(number)) for number in order}

    taken = asyncio.run(take_all())
    for number, journeys in enumerate(requests):
        assert taken[number] == b"".join(body(sheet.fragments(journeys).json, b'{"x":1}'))
