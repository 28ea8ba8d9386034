"""The end of a command after MAX_RUN_SECONDS, whatever it is doing."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from luigi.worker import fork_lock

_LONGEST_FORK = 2.0  # seconds


@contextmanager
def time_limit(seconds: float, last_words: Callable[[], str], code: int) -> Iterator[None]:
    """End the process and the workers that it has forked if the block takes longer; 0: no limit.

    `last_words` are printed; `code` is the exit code.
    """
    if not seconds:
        yield
        return
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), _end, (last_words, code))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(last_words: Callable[[], str], code: int) -> None:
    fork_lock.acquire(timeout=_LONGEST_FORK)  # Luigi forks no more workers
    try:
        words = last_words().encode(errors="backslashreplace")
        for worker in multiprocessing.active_children():
            worker.kill()
        os.write(2, words)  # sys.stderr may be held by a thread that hangs
    finally:
        os._exit(code)
