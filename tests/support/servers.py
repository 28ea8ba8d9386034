"""Real servers in processes of their own: luigid, and the sandbox of the attribution API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.fork_server import ForkedCommand, starts_alike
from support.running import REPOSITORY

_STARTS_WITHIN = 30  # seconds


@dataclass(frozen=True)
class Scheduler:
    """A luigid on this machine."""

    port: int

    @property
    def options(self) -> tuple[str, ...]:
        """What makes a run use it."""
        return ("--scheduler-host", "127.0.0.1", "--scheduler-port", str(self.port))

    def call(self, method: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """What a method of its API answers, which is what the dashboard shows."""
        data = urllib.parse.urlencode({"data": json.dumps(arguments)})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/{method}?{data}", timeout=10) as response:
            return json.load(response)["response"]

    def tasks(self) -> dict[str, dict[str, Any]]:
        """The tasks it knows of, by id."""
        tasks: dict[str, dict[str, Any]] = self.call("task_list", status="", upstream_status="")
        return tasks


@contextmanager
def luigid(folder: Path, **changes: str) -> Iterator[Scheduler]:
    """Start a luigid with the repository's luigi.cfg; `changes` are other values of keys that are in it."""
    lines = (REPOSITORY / "luigi.cfg").read_text(encoding="utf-8").splitlines()
    keys = [line.partition(" = ")[0] for line in lines]
    for key, value in changes.items():
        lines[keys.index(key)] = f"{key} = {value}"
    folder.mkdir()
    config = folder / "luigi.cfg"
    config.write_text("\n".join(lines), encoding="utf-8")
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        port: int = reserved.getsockname()[1]
    command = [str(Path(sys.executable).with_name("luigid")), "--address", "127.0.0.1", "--port", str(port)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [*command, "--state-path", str(folder / "state.pickle")],
            cwd=folder,
            env={**os.environ, "LUIGI_CONFIG_PATH": str(config)},
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            _wait_for(port, process)
            yield Scheduler(port)
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < end:
        assert process.poll() is None, "luigid has ended"
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"luigid does not listen after {_STARTS_WITHIN} s")


@dataclass(frozen=True)
class Api:
    """An `ihc-sandbox` on this machine."""

    url: str
    key: str

    def statistics(self) -> dict[str, Any]:
        """What it saw."""
        statistics: dict[str, Any] = self._ask("/statistics")
        return statistics

    def suffer(self, **faults: object) -> None:
        """Set its faults, see `pipeline.ihc_sandbox.faults.Faults`."""
        self._ask("/faults", json.dumps(faults).encode())

    def _ask(self, path: str, body: bytes | None = None) -> Any:  # noqa: ANN401 - JSON
        root = self.url.removesuffix("/v1/compute_ihc")
        request = urllib.request.Request(root + path, body, {"x-api-key": self.key})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


@contextmanager
def sandbox(*options: str, key: str) -> Iterator[Api]:
    """Start `ihc-sandbox` with these options; it demands `key`."""
    command = [Path(sys.executable).with_name("ihc-sandbox"), "--port", "0", *options]
    environment = {**os.environ, "SANDBOX_API_KEY": key}
    if starts_alike(environment):
        with closing(ForkedCommand(command, Path.cwd(), environment)) as forked:
            yield Api(forked.stdout.readline().split()[-1], key)
        return
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Api(process.stdout.readline().split()[-1], key)
        finally:
            process.kill()
