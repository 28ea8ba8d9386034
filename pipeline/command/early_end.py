"""The end of a command before its work is done, whatever it is doing: after MAX_RUN_SECONDS, or by a signal."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from luigi.worker import fork_lock

_LONGEST_FORK = 2.0  # seconds
_LONGEST_RECORD = 5.0
_BY_SIGNAL = 128
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


Words = Callable[[str, int], str]
"""What to print, by the reason of the end and the exit code."""


@contextmanager
def early_end(seconds: float, words: Words, last_words: Words, code: int, telling_seconds: float = 0) -> Iterator[None]:
    """End the process and the workers that it has forked if the block takes longer (0: no limit), or at a signal.

    `words` are printed, or `last_words` if these are not there within seconds, as where a disk hangs; after the time
    they may take `telling_seconds` more. `code` is the exit code after the time; that after a signal is the shells'.
    """

    def end(reason: str, code: int) -> None:
        found: list[str] = []
        telling = threading.Thread(target=lambda: found.append(words(reason, code)), daemon=True)
        telling.start()
        telling.join(_LONGEST_RECORD + (telling_seconds if code < _BY_SIGNAL else 0))
        _end(found[0] if found else last_words(reason, code), code)

    # A handler of Python's would wait for the end of a query; the descriptor is written to at once.
    received, sent = os.pipe()
    os.set_blocking(sent, False)
    signal.set_wakeup_fd(sent)
    heeded = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: None) for number in heeded}
    os.register_at_fork(after_in_child=_leave_it_to_the_parent)
    deadline = time.monotonic() + min(seconds or threading.TIMEOUT_MAX, threading.TIMEOUT_MAX)

    def watch() -> None:
        while left := max(0.0, deadline - time.monotonic()):
            if select.select([received], [], [], left)[0]:
                number = os.read(received, 1)[0]
                if number in heeded:
                    end(f"ended by {signal.Signals(number).name}", _BY_SIGNAL + number)
                elif not number:
                    return
        end(f"ended after MAX_RUN_SECONDS, {seconds:g} s", code)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        os.write(sent, b"\0")
        watcher.join()
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_it_to_the_parent() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent ends its workers


def _end(words: str, code: int) -> None:
    fork_lock.acquire(timeout=_LONGEST_FORK)  # Luigi forks no more workers
    try:
        for worker in multiprocessing.active_children():
            worker.kill()
        os.write(2, words.encode(errors="backslashreplace"))  # sys.stderr may be held by a thread that hangs
    finally:
        os._exit(code)
