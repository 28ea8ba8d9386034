from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pipeline.ihc_sandbox import main

COMMAND = [sys.executable, "-c", "from pipeline.ihc_sandbox import main; main()"]


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), **environment},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_says_where_it_serves_and_ends_cleanly(number: signal.Signals) -> None:
    with start("--port", "0", "--every", "500=7", "--latency", "0.1") as sandbox:
        assert sandbox.stdout is not None
        line = sandbox.stdout.readline()
        assert re.fullmatch(r"ihc-sandbox: serving http://127\.0\.0\.1:\d+/v1/compute_ihc\n", line)
        statistics = line.split()[-1].replace("/v1/compute_ihc", "/statistics")
        with urllib.request.urlopen(statistics) as response:
            assert json.load(response)["requests"] == 0
        sandbox.send_signal(number)
        output, errors = sandbox.communicate(timeout=10)
    assert (sandbox.returncode, output, errors) == (0, "", "")


def test_demands_the_key_of_its_environment() -> None:
    with start("--port", "0", SANDBOX_API_KEY="canary-9a") as sandbox:
        assert sandbox.stdout is not None
        line = sandbox.stdout.readline()
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            urllib.request.urlopen(line.split()[-1].replace("/v1/compute_ihc", "/statistics"))
        refused.value.close()
        sandbox.terminate()
        output, errors = sandbox.communicate(timeout=10)
    assert "canary-9a" not in line + output + errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--every", "nonsense=3"], "ihc-sandbox: unknown fault 'nonsense'"),
        (["--host", "256.0.0.1"], "ihc-sandbox: "),
        (["--latency", "-1"], "ihc-sandbox: "),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--port", "0"])
    assert str(ended.value.code).startswith(message)
    assert "\n" not in str(ended.value.code)


@pytest.mark.parametrize("fault", ["500", "500=x", "500=0", "=3"])
def test_a_fault_without_its_number_is_explained(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--every", fault])
    assert "is not FAULT=N, such as 500=7" in capsys.readouterr().err
