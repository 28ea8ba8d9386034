"""Request bodies, made a little ahead of need and beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.api.wire import Part, WireJourneys, body

_SESSIONS_A_BLOCK = 12_000  # some 4 MB: encoding them takes so few steps that the thread hardly disturbs the loop
_BLOCKS_AHEAD = 2  # beside the one in use, so that no request waits for its body


class Bodies:
    """The bodies of requests, each request the numbers of its journeys, which are taken in about their order."""

    def __init__(
        self, sheet: WireJourneys, requests: Sequence[NDArray[np.int64]], redistribution: bytes | None
    ) -> None:
        self._sheet = sheet
        self._requests = requests
        self._redistribution = redistribution
        sessions = np.cumsum([sheet.lengths[journeys].sum() for journeys in requests])
        self._block_of = (sessions // _SESSIONS_A_BLOCK).tolist()
        self._blocks: dict[int, list[int]] = {}
        for number, block in enumerate(self._block_of):
            self._blocks.setdefault(block, []).append(number)
        self._made: dict[int, asyncio.Task[dict[int, list[Part]]]] = {}

    async def take(self, number: int) -> list[Part]:
        """The body of a request, which is not kept."""
        block = self._block_of[number]
        for wanted in range(block, block + 1 + _BLOCKS_AHEAD):
            if wanted in self._blocks:
                self._made[wanted] = asyncio.create_task(asyncio.to_thread(self._make, self._blocks.pop(wanted)))
        return (await self._made[block]).pop(number)

    def _make(self, numbers: Sequence[int]) -> dict[int, list[Part]]:
        fragments = self._sheet.fragments(np.concatenate([self._requests[number] for number in numbers]))
        bodies, first = {}, 0
        for number in numbers:
            end = first + len(self._requests[number])
            sessions = fragments.json[fragments.ends[first] : fragments.ends[end]]
            bodies[number] = body(sessions, self._redistribution)
            first = end
        return bodies
