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

    def tasks(self, status: str = "") -> list[dict[str, Any]]:
        """The tasks with a status such as DONE; all by default."""
        return [*self.call("task_list", status=status, upstream_status="").values()]


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
    command = [Path(sys.executable).with_name("luigid"), "--address", "127.0.0.1", "--port", str(port)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [*command, "--state-path", folder / "state.pickle"],
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

    @property
    def _root(self) -> str:
        return self.url.removesuffix("/v1/compute_ihc")

    def statistics(self) -> dict[str, Any]:
        """What it saw."""
        with urllib.request.urlopen(f"{self._root}/statistics", timeout=10) as response:
            statistics: dict[str, Any] = json.load(response)
            return statistics

    def suffer(self, **faults: object) -> None:
        """Set its faults, see `pipeline.attribution.sandbox.faults.Faults`."""
        request = urllib.request.Request(f"{self._root}/faults", json.dumps(faults).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass


@contextmanager
def sandbox(*options: str, key: str | None = None) -> Iterator[Api]:
    """Start `ihc-sandbox` with these options; it demands `key`, if there is one."""
    program = "from pipeline.attribution.sandbox import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "--port", "0", *options],
        env={**os.environ, **({"SANDBOX_API_KEY": key} if key else {})},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield Api(process.stdout.readline().split()[-1])
        finally:
            process.kill()
