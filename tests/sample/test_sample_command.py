"""The command `attribution-sample`: what it prints, refuses, replaces and leaves."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pipeline.sample.command import main

if TYPE_CHECKING:
    from pathlib import Path


def orders(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM conversions").fetchone()[0])


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.sample.command", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_the_path_and_the_size(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "sample.db"
    done = run(str(path), "--shape", "reference", "--scale", "0.01", "--days", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}: 4506 sessions, 20 conversions, 3 days\n"
    assert list(path.parent.iterdir()) == [path]


def test_the_shop_is_the_default(tmp_path: Path) -> None:
    done = run(str(tmp_path / "shop.db"), "--scale", "0.01")
    sizes = re.fullmatch(r".*/shop\.db: (\d+) sessions, (\d+) conversions, 60 days\n", done.stdout)
    assert sizes is not None, done.stdout
    assert int(sizes[1]) == pytest.approx(1_050, rel=0.1)
    assert int(sizes[2]) == orders(tmp_path / "shop.db")


@pytest.mark.parametrize("shape", ["shop", "reference"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, shape: str) -> None:
    for name, seed in (("first", "7"), ("second", "7"), ("third", "8")):
        options = ("--shape", shape, "--scale", "0.05", "--seed", seed)
        assert run(str(tmp_path / name), *options).returncode == 0
    first, second, third = ((tmp_path / name).read_bytes() for name in ("first", "second", "third"))
    assert first == second != third


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_an_existing_database_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    there = tmp_path / f"sample.db{suffix}"
    there.write_text("mine")
    with pytest.raises(SystemExit) as exit_:
        main([str(tmp_path / "sample.db"), "--scale", "0.01"])
    assert exit_.value.code == 2
    assert f"{there} is there already; name another file, or replace it with --force" in capsys.readouterr().err
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [(there, "mine")]


def test_force_replaces_a_database_and_its_journals(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    for suffix in ("", "-wal", "-shm", "-journal"):
        (tmp_path / f"sample.db{suffix}").write_text("old")
    main([str(path), "--shape", "reference", "--scale", "0.01", "--force"])
    assert list(tmp_path.iterdir()) == [path]
    assert orders(path) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.db", "--scale", "0"], "--scale must be between 0.01 and 20, not 0"),
        (["x.db", "--shape", "reference", "--scale", "0"], "--scale must be between 0.005 and 1000, not 0"),
        (["x.db", "--scale", "nan"], "--scale must be between 0.01 and 20, not nan"),
        (["x.db", "--scale", "big"], "argument --scale: invalid float value: 'big'"),
        (["x.db", "--days", "0"], "--days must be between 7 and 3650, not 0"),
        (["x.db", "--shape", "reference", "--days", "0"], "--days must be between 1 and 3650, not 0"),
        (["x.db", "--shape", "round"], "argument --shape: invalid choice: 'round'"),
        (["x.db", "--seed", "-1"], "--seed must not be negative, not -1"),
        (["."], "is a folder; name a file in it"),
        ([], "the following arguments are required: PATH"),
    ],
)
def test_wrong_arguments_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    command = f"ulimit -f 100; exec {sys.executable} -m pipeline.sample.command {path} --scale 0.5"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"attribution-sample: error: cannot write {path}: .+\n", done.stderr)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_leaves_the_old_database_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    path.write_text("old")
    # A shell's background jobs ignore SIGINT, and their children inherit that: take it up again.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from pipeline.sample.command import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, str(path), "--shape", "reference", "--scale", "20", "--force"]
    deadline = time.monotonic() + 30
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while sum(file.stat().st_size for file in tmp_path.iterdir()) < 1_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == f"attribution-sample: interrupted; {path} is as it was\n"
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "old")]
