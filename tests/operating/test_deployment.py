"""The files around the pipeline: what hands settings to it, and what starts it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.recent import day_ago
from support.running import REPOSITORY, Workplace

from pipeline.operating.daily_command import REPORT_AT, REPORT_DAYS
from pipeline.settings import SECRETS, declared_settings

EXAMPLE = (REPOSITORY / "attribution.env.example").read_text(encoding="utf-8")
COMPOSE = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")
LINES = dict(re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))


def uncommented(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def test_the_example_has_every_setting_with_its_default_commented_out() -> None:
    settings = {place.metadata["env"]: place.metadata["default"] for place in declared_settings().values()}
    beside = {REPORT_DAYS: "30", REPORT_AT: "03:30"}
    assert {name: value.strip("'") for name, value in LINES.items() if name not in SECRETS} == settings | beside
    assert {*LINES} >= {*SECRETS}
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []


def test_a_shell_reads_the_example_as_it_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "attribution.env"
    file.write_text(re.sub(r"^#(?=[A-Z_]+=)", "", EXAMPLE, flags=re.MULTILINE))
    command = ["env", "-i", "/bin/sh", "-c", f"set -a && . {file} && exec /usr/bin/env"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    read = dict(line.split("=", 1) for line in told.splitlines())
    assert {name: read[name] for name in LINES} == {name: value.strip("'") for name, value in LINES.items()}


# --- containers -------------------------------------------------------------------------------------------------------


def test_every_setting_reaches_the_container_and_the_key_as_a_secret_file() -> None:
    assert re.search(r"env_file:\n +- path: attribution.env\n +required: false\n", COMPOSE)
    assert "IHC_API_KEY_FILE: /run/secrets/ihc_api_key" in COMPOSE
    # what stands under `environment` would win over the file
    environment = re.search(r"environment:\n((?: {6}\w+:.*\n)+)", COMPOSE)
    assert environment is not None
    assert re.findall(r"(\w+): ", environment[1]) == ["SCHEDULER_HOST", "IHC_API_KEY_FILE"]
    for line in ("init: true", "read_only: true", "- /tmp", "luigid-state:/state", '"--state-path", "/state/'):
        assert line in COMPOSE
    assert re.findall(r"^ +- \"(.*)\" ?.*$", COMPOSE, re.MULTILINE) == ["127.0.0.1:8082:8082", "127.0.0.1:8080:8080"]
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"attribution.env", "ihc_api_key", "data"} <= {*ignored}


@pytest.mark.skipif(importlib.util.find_spec("yaml") is None, reason="PyYAML is not installed")
def test_the_compose_file_is_yaml_whose_services_are_as_they_should_be() -> None:
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415

    document: dict[str, Any] = yaml.safe_load(COMPOSE)
    assert {*document["services"]} == {"luigid", "daily", "sandbox"}
    for service in document["services"].values():
        assert (service["init"], service["read_only"], service["tmpfs"]) == (True, True, ["/tmp"])
        assert service["command"][0] in {"luigid", "attribution-daily", "ihc-sandbox"}
    assert document["services"]["daily"]["secrets"] == [*document["secrets"]]
    assert [*document["volumes"]] == ["luigid-state"]


def test_the_image_copies_what_is_there_and_runs_as_nobody_special() -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE) for name in line.split()[:-1]
    ]
    assert [name for name in copied if not (REPOSITORY / name).exists()] == []
    assert dockerfile.index("USER attribution") < dockerfile.index("CMD")
    assert "--require-hashes" in dockerfile


# --- cron and systemd -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(reported: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the documents have it: an environment, a file of settings, the data; the key for its owner alone."""
    folder = tmp_path_factory.mktemp("srv") / "attribution"
    reported.copy(folder)
    scripts = folder / ".venv/bin"
    scripts.mkdir(parents=True)
    for name in ("daily", "status"):
        script = scripts / f"attribution-{name}"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m pipeline.operating.{name}_command "$@"\n')
        script.chmod(0o755)
    (folder / "key").write_text("secret-key\n")
    (folder / "key").chmod(0o600)
    (folder / "attribution.env").write_text(
        f"# a comment\nDATABASE_URL=sqlite:///shop.db\nDATA_DIR='files'\nREPORT_DAYS=2\nREPORT_AT=03:30\n"
        f"DIRECT_CHANNELS='Direct, Direct Traffic'\nIHC_API_KEY_FILE={folder}/key\n"
    )
    return folder


def in_an_empty_environment(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["env", "-i", "/bin/sh", "-c", line.replace("/srv/attribution", str(folder))]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd="/")


def commands_of_cron() -> list[str]:
    lines = uncommented(REPOSITORY / "deploy/crontab")
    assert [line for line in lines if "%" in line or not re.match(r"(?:[\d*]+ ){4}\* +cd ", line)] == []
    return [re.sub(r"^(?:\S+ +){5}", "", line) for line in lines]


def test_the_crontab_works_from_an_empty_environment(server: Path) -> None:
    run, check = commands_of_cron()
    ended = in_an_empty_environment(run, server)
    log = (server / "daily.log").read_text()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", ""), log
    assert (server / f"files/report/ihc-local/{day_ago(2)}-{day_ago(0)}/reconciliation.json").exists()
    assert "secret-key" not in log
    checked = in_an_empty_environment(check, server)
    assert (checked.returncode, checked.stdout) == (0, "")
    shutil.move(server / "files/report", server / "files/report-aside")
    try:
        mailed = in_an_empty_environment(check, server)
    finally:
        shutil.move(server / "files/report-aside", server / "files/report")
    assert mailed.stdout.startswith(f"MISSING: no report of {day_ago(1)}")


def test_the_key_is_read_from_a_file_that_its_owner_alone_can_read(server: Path) -> None:
    """The API of this test answers nobody: the run gets as far as to ask it."""
    run, _ = commands_of_cron()
    model = "--store=false --model=ihc-api"
    settings = "export API_URL=http://127.0.0.1:9 IHC_RETRY_BUDGET=0;"
    ended = in_an_empty_environment(f"{settings} {run.replace(' >>', f' {model} >>')}", server)
    last = (server / "daily.log").read_text().splitlines()[-1]
    assert ended.returncode == 30
    assert "ClientConnectorError" in last
    (server / "key").rename(server / "no-key")
    ended = in_an_empty_environment(f"{settings} {run.replace(' >>', f' {model} >>')}", server)
    (server / "no-key").rename(server / "key")
    assert "(IHC_API_KEY_FILE) cannot be read" in (server / "daily.log").read_text().splitlines()[-1]
    assert "secret-key" not in (server / "daily.log").read_text()


def test_the_systemd_unit_starts_the_same_with_the_same_settings(server: Path) -> None:
    unit = dict(
        line.split("=", 1) for line in uncommented(REPOSITORY / "deploy/attribution-daily.service") if "=" in line
    )
    assert unit["EnvironmentFile"].lstrip("-") == f"{unit['WorkingDirectory']}/attribution.env"
    words = unit["ExecStart"].removeprefix("/srv/attribution/").split()
    assert words == re.findall(r"exec (.*?) >>", commands_of_cron()[0])[0].split()
    settings = f"cd {unit['WorkingDirectory']} && set -a && . ./attribution.env && exec {unit['ExecStart']}"
    assert in_an_empty_environment(f"{settings} --help", server).returncode == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name in ("attribution-daily.service", "attribution-daily.timer"):
        text = (REPOSITORY / "deploy" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/srv/attribution/.venv/bin/attribution-daily", "/bin/true"))
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    verified = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert (verified.returncode, verified.stderr) == (0, "")
