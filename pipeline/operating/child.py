"""A command as a child process, and the signals that end this process: both work as process 1 of a container."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PATIENCE = 15.0  # seconds, after which a child that was asked to end is killed
_LONGEST_SLEEP = 20.0  # seconds: the clock may be set, or the machine wake up, while nobody looks


class StoppedError(Exception):
    """The process was told to end; its argument is the number of the signal."""


class Signals:
    """The signals of this process, noticed whenever they come: each wait ends at once."""

    def __init__(self, wakes: int) -> None:
        self._wakes = wakes
        self.received: int | None = None

    def wait(self, seconds: float) -> None:
        """Wait until a signal comes or the seconds are over. Raises `StoppedError` after one that ends the process."""
        self._look(min(seconds, _LONGEST_SLEEP))
        self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Raise `StoppedError` if a signal has come that ends the process."""
        self._look(0)
        if self.received is not None:
            raise StoppedError(self.received)

    def run(self, command: Sequence[str]) -> int:
        """Run a command to its end; its exit code, minus the number of the signal that killed it.

        A signal that ends this process is passed on to the command, which then has 15 seconds; `StoppedError` follows.
        """
        self.raise_if_stopped()
        child = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - the caller's; a terminal's ^C comes here
        told = None
        while child.poll() is None:
            self._look(_LONGEST_SLEEP if told is None else 0.2)
            if self.received is not None and told is None:
                told = time.monotonic()
                child.send_signal(signal.SIGINT if self.received == signal.SIGINT else signal.SIGTERM)
            if told is not None and time.monotonic() - told > _PATIENCE:
                child.kill()
        self.raise_if_stopped()
        return child.returncode

    def _look(self, seconds: float) -> None:
        if seconds > 0:
            select.select([self._wakes], [], [], seconds)
        while select.select([self._wakes], [], [], 0)[0]:
            for number in os.read(self._wakes, 64):
                if number in _ENDING and self.received is None:
                    self.received = number


@contextmanager
def heeded_signals() -> Iterator[Signals]:
    """Heed TERM, INT, HUP and the end of children for the block.

    Process 1 gets only signals that it has a handler for; and what arrives between two looks is not lost.
    """
    wakes, sent = os.pipe()
    os.set_blocking(sent, False)
    before_fd = signal.set_wakeup_fd(sent, warn_on_full_buffer=False)
    heeded = [number for number in _ENDING if signal.getsignal(number) != signal.SIG_IGN]  # as nohup wants it
    before = {number: signal.signal(number, lambda *_: None) for number in (*heeded, signal.SIGCHLD)}
    try:
        yield Signals(wakes)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        os.close(wakes)
        os.close(sent)
