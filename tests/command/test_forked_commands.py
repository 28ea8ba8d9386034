"""A command that is a fork of the tests' server is what a start of it is."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from journeys_command import held_up, start_journeys, wait_until_it_waits
from support.fork_server import ForkedCommand, starts_alike
from support.running import Workplace

pytestmark = pytest.mark.skipif(not starts_alike(os.environ), reason="every command is started here")


@pytest.mark.parametrize(
    "command",
    [
        ("luigi", "--module", "pipeline", "--help"),
        ("luigi", "--module", "pipeline", "Journeys", "--no-such-option"),
        ("luigi", "--module", "pipeline", "Journeys", "--date-interval", "2023-09-02", "--local-scheduler"),
        ("luigi", "--module", "no_such_module", "Journeys"),
        ("attribution-sample", "--no-such-option"),
        ("attribution-source", "check"),
    ],
    ids=["help", "wrong option", "no source", "no module", "another command", "a command of the folder"],
)
def test_it_prints_and_ends_as_a_start_does(tmp_path: Path, command: tuple[str, ...]) -> None:
    program = str(Path(sys.executable).with_name(command[0]))
    environment = {**Workplace(tmp_path).environment, "DATA_DIR": "of_forks"}
    forked = ForkedCommand([program, *command[1:]], tmp_path, environment)
    output, log = forked.communicate()
    started = subprocess.run(
        [program, *command[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (forked.returncode, output) == (started.returncode, started.stdout)
    ended, of_start = (re.sub(r"\d{4}-[\dT:-]+Z", "<time>", printed) for printed in (log, started.stderr))
    assert ended.splitlines()[-1:] == of_start.splitlines()[-1:]


def test_a_signal_ends_it_alone(shop: Workplace, tmp_path: Path) -> None:
    other = shop.copy(tmp_path / "other")
    with held_up(shop), held_up(other):
        killed, ended, last = start_journeys(shop), start_journeys(other), start_journeys(other, "--no-lock")
        for command in (killed, ended, last):
            wait_until_it_waits(command)
        assert killed.process.poll() is None
        killed.kill()
        assert killed.end().code == -signal.SIGKILL
        ended.process.send_signal(signal.SIGTERM)
        assert ended.end().code == 128 + signal.SIGTERM
        with pytest.raises(subprocess.TimeoutExpired):
            last.process.communicate(timeout=0.1)
        last.kill_group()
        assert last.end().code == -signal.SIGKILL


def test_full_pipes_do_not_hold_it_up(tmp_path: Path) -> None:
    begun = time.monotonic()
    script = tmp_path / "script"
    script.write_text("import sys\nsys.stderr.write('e' * 300_000)\nsys.stdout.write('o' * 300_000)\nsys.exit(7)\n")
    command = ForkedCommand([script], tmp_path, os.environ)
    output, log = command.communicate(timeout=60)
    assert (command.returncode, len(output), len(log)) == (7, 300_000, 300_000)
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    "changed", [{"PYTHONPATH": "/somewhere"}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"COVERAGE_FILE": "x"}]
)
def test_what_python_reads_when_it_starts_needs_a_start(changed: dict[str, str]) -> None:
    assert not starts_alike({**os.environ, **changed})
