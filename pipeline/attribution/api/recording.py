"""Answers on their way to disk, beside the requests and not in their way."""

from __future__ import annotations

import asyncio

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.attribution.api.answers import AnswerJournal

_Answers = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


class Recorder:
    """Keeps answers in a thread; those that arrive during one write share the next, so a disk sync serves many."""

    def __init__(self, journal: AnswerJournal, digests: pa.Array) -> None:
        self._journal = journal
        self._digests = digests
        self._waiting: list[tuple[_Answers, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, journeys: NDArray[np.int64], lengths: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
        """Keep the answers for `journeys`, numbers of the digests; returns once they are on disk.

        Raises `AttributionError` if they cannot be.
        """
        written = asyncio.get_running_loop().create_future()
        self._waiting.append(((journeys, lengths, shares), written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await written

    async def _write(self) -> None:
        while self._waiting:
            answers, written = zip(*self._waiting, strict=True)
            self._waiting = []
            journeys, lengths, shares = zip(*answers, strict=True)
            try:
                await asyncio.to_thread(
                    self._journal.keep,
                    self._digests.take(pa.array(np.concatenate(journeys))),
                    np.concatenate(lengths),
                    np.concatenate(shares, axis=1),
                )
            except Exception as error:  # noqa: BLE001 - handed to whoever waits for the write
                for future in written:
                    future.set_exception(error)
            else:
                for future in written:
                    future.set_result(None)
        self._writing = None
