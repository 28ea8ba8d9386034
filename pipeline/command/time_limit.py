"""The end of a command after MAX_RUN_SECONDS, whatever it is doing."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_is_over = threading.Event()


@contextmanager
def time_limit(seconds: float, last_words: Callable[[], str], code: int) -> Iterator[None]:
    """End the process and the workers that it has forked if the block takes longer; 0: no limit.

    `last_words` are printed; `code` is the exit code.
    """
    if not seconds:
        yield
        return
    os.register_at_fork(after_in_child=lambda: os._exit(code) if _is_over.is_set() else None)
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), _end, (last_words, code))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(last_words: Callable[[], str], code: int) -> None:
    _is_over.set()
    try:
        for _ in range(2):  # one may have been forked while the others were listed
            for worker in multiprocessing.active_children():
                worker.kill()
            time.sleep(0.1)
        os.write(2, last_words().encode(errors="backslashreplace"))  # sys.stderr may be held by the thread that hangs
    finally:
        os._exit(code)
