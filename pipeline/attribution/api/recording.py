"""Answers on their way to disk, beside the requests and not in their way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.api.answers import AnswerStore, Scope

_Answers = tuple[Sequence[bytes], NDArray[np.int64], NDArray[np.float64]]


class Recorder:
    """Keeps answers in a thread; those that arrive during one write share the next, so a disk sync serves many."""

    def __init__(self, store: AnswerStore, scope: Scope) -> None:
        self._store = store
        self._scope = scope
        self._waiting: list[tuple[_Answers, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, digests: Sequence[bytes], lengths: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
        """Keep one answer a journey; returns once they are on disk. Raises `AttributionError` if they cannot be."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append(((digests, lengths, shares), written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await written

    async def _write(self) -> None:
        while self._waiting:
            answers, written = zip(*self._waiting, strict=True)
            self._waiting = []
            digests, lengths, shares = zip(*answers, strict=True)
            try:
                await asyncio.to_thread(
                    self._store.keep,
                    self._scope,
                    [digest for some in digests for digest in some],
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
