"""Answers on their way to disk, beside the requests and not in their way."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.attribution.api.answer_files import AnswerJournal


class _Answers(NamedTuple):
    journeys: NDArray[np.int64]
    lengths: NDArray[np.int64]
    shares: NDArray[np.float64]
    written: asyncio.Future[None]


class Recorder:
    """Keeps answers in a thread; those that arrive during one write share the next, so a disk sync serves many.

    The writer reports to the loop by one callback, not through a task: a busy loop takes milliseconds for
    each turn, and a request's place in flight is free only when its answer is on disk.
    """

    def __init__(self, journal: AnswerJournal, digests: pa.Array) -> None:
        self._journal = journal
        self._digests = digests
        self._waiting: list[_Answers] = []
        self._is_writing = False

    async def keep(self, journeys: NDArray[np.int64], lengths: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
        """Keep the answers for `journeys`, numbers of the digests; returns once they are on disk.

        Raises `AttributionError` if they cannot be.
        """
        written = asyncio.get_running_loop().create_future()
        self._waiting.append(_Answers(journeys, lengths, shares, written))
        if not self._is_writing:
            self._write_waiting()
        await written

    def _write_waiting(self) -> None:
        answers, self._waiting = self._waiting, []
        self._is_writing = bool(answers)
        if answers:
            loop = asyncio.get_running_loop()
            loop.run_in_executor(None, self._write, answers, loop)

    def _write(self, answers: list[_Answers], loop: asyncio.AbstractEventLoop) -> None:
        problem = None
        try:
            journeys, lengths, shares, _ = zip(*answers, strict=True)
            digests = self._digests.take(pa.array(np.concatenate(journeys)))
            self._journal.keep(digests, np.concatenate(lengths), np.concatenate(shares, axis=1))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the write
            problem = error
        loop.call_soon_threadsafe(self._written, answers, problem)

    def _written(self, answers: list[_Answers], problem: Exception | None) -> None:
        self._write_waiting()
        for answer in answers:
            if answer.written.done():  # nobody waits any more
                continue
            if problem is None:
                answer.written.set_result(None)
            else:
                answer.written.set_exception(problem)
