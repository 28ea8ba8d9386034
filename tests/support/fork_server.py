"""Console commands started by a fork of a process that has imported what they stand on.

A command of the pipeline spends a second on the imports of numpy, pyarrow, pandas, DuckDB and aiohttp. The server
imports them once. Its fork is a process as any other: with a folder, an environment, streams, a process group and an
exit code of its own; it runs the console script itself, and imports Luigi and the pipeline anew, since these look at
the command line, the environment and the folder while they are imported.

What a fork cannot have is what Python reads when it starts: `starts_alike` says which environments need a real start.
"""

from __future__ import annotations

import array
import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

IMPORTED = (
    "adbc_driver_sqlite.dbapi",
    "aiohttp.web",
    "asyncio",
    "concurrent.futures.thread",
    "curses",
    "dateutil.parser",
    "difflib",
    "duckdb",
    "jsonschema",
    "msgspec",
    "multiprocessing",
    "numpy",
    "pandas",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pydoc",
    "requests",
    "statistics",
    "tenacity",
    "tomllib",
    "tornado.web",
    "tqdm",
    "typing_extensions",
    "zoneinfo",
)
"""What the server imports: packages of others, none of which acts while it is imported, as Luigi and ours do."""

_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "COVERAGE_")
_MESSAGE = 1 << 17  # bytes
_STREAMS = 3  # standard output, standard error, and the pipe that tells the process id and the end


def starts_alike(environment: Mapping[str, str]) -> bool:
    """Whether a fork of the server is what a start in the environment would be."""
    ours, its = (
        {name: value for name, value in variables.items() if name.startswith(_READ_AT_START)}
        for variables in (os.environ, environment)
    )
    return sys.platform == "linux" and ours == its and not any(name.startswith("COVERAGE_") for name in ours)


class ForkedCommand:
    """A console command in a process group of its own, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> None:
        pipes = [os.pipe() for _ in range(_STREAMS)]
        order = {"argv": [str(word) for word in command], "cwd": str(folder), "environment": dict(environment)}
        _server().sendmsg(
            [json.dumps(order).encode()],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [written for _, written in pipes]))],
        )
        for _, written in pipes:
            os.close(written)
        self.stdout = os.fdopen(pipes[0][0], encoding="utf-8")
        self.stderr = os.fdopen(pipes[1][0], encoding="utf-8")
        self._status = pipes[2][0]
        self._printed: list[str] = ["", ""]
        self._readers: list[threading.Thread] = []
        self.pid = int(self._told() or 0)
        assert self.pid, "the server forks no more"
        self.returncode: int | None = None

    def _told(self) -> bytes:
        """The next number from the server; nothing where it has ended."""
        number = b""
        while (byte := os.read(self._status, 1)) not in (b"\n", b""):
            number += byte
        return number

    def poll(self) -> int | None:
        """The exit code, as far as there is one."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._told()))
            os.close(self._status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None and not select.select([self._status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a forked command", timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it prints to the end. Raises `subprocess.TimeoutExpired`; asked again, it goes on."""
        end = None if timeout is None else time.monotonic() + timeout

        def read(number: int) -> None:
            with (self.stdout, self.stderr)[number] as stream:
                self._printed[number] = stream.read()

        if not self._readers:
            self._readers = [threading.Thread(target=read, args=[number], daemon=True) for number in (0, 1)]
            for reader in self._readers:
                reader.start()
        for reader in self._readers:
            reader.join(None if end is None else max(0.0, end - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired("a forked command", timeout or 0)
        self.wait(None if end is None else max(0.0, end - time.monotonic()))
        return self._printed[0], self._printed[1]

    def close(self) -> None:
        """End it, and forget what it printed that nobody has read."""
        self.kill()
        self.wait()
        self.stdout.close()
        self.stderr.close()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL it."""
        self.send_signal(signal.SIGKILL)


@functools.cache
def _server() -> socket.socket:
    """The connection to the server of this process, which ends with the connection."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, __file__, str(its.fileno())],
        pass_fds=[its.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,  # not read: the streams of a fork are made for pipes, as those of a command are
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    its.close()

    def end() -> None:
        ours.close()
        process.communicate()

    atexit.register(end)
    return ours


def _serve(orders: socket.socket) -> list[str]:
    """Fork for each order until the connection ends; returns in the forks, with the command line to run."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        ready = select.select([orders, woken], [], [])[0]
        if woken in ready:
            os.read(woken, _MESSAGE)
            for child in [*running]:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    with os.fdopen(running.pop(pid), "wb") as told:
                        told.write(b"%d\n" % status)
        if orders in ready:
            message, streams, _, _ = socket.recv_fds(orders, _MESSAGE, _STREAMS)
            if not message:
                os._exit(0)
            if pid := os.fork():
                running[pid] = streams[2]
                os.close(streams[0])
                os.close(streams[1])
                continue
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (woken, wakes, *running.values()):
                os.close(descriptor)
            orders.close()
            return _become(json.loads(message), streams)


def _become(order: dict[str, object], streams: Sequence[int]) -> list[str]:
    """Take the streams, the process group, the folder and the environment of the order."""
    os.setsid()
    output, errors, told = streams
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.write(told, b"%d\n" % os.getpid())
    for descriptor in streams:
        os.close(descriptor)
    os.chdir(str(order["cwd"]))
    os.environ.clear()
    os.environ.update(order["environment"])  # type: ignore[call-overload]
    time.tzset()
    tempfile.tempdir = None
    argv: list[str] = order["argv"]  # type: ignore[assignment]
    sys.path[0] = str(Path(argv[0]).parent)
    return argv


if __name__ == "__main__":
    for module in IMPORTED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    sys.argv = _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_path(sys.argv[0], run_name="__main__")
