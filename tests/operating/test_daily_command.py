from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.comparing import query
from support.databases import change
from support.recent import day_ago, run, start
from support.running import Started, Workplace

from targets.files import LocalFiles

LOCAL = ("--days", "3", "--local-scheduler")


def reports(place: Workplace, model: str = "ihc-local") -> list[str]:
    return sorted(path.parent.name for path in (place.files / "report" / model).glob("*-*/reconciliation.json"))


def stored(place: Workplace) -> list[str]:
    sql = "SELECT slice FROM pipeline_slices WHERE table_name = 'attribution_customer_journey' ORDER BY slice"
    return [day for (day,) in query(place.database, sql)]


def wait_for(started: Started, words: str) -> str:
    """The log up to a line that holds these words."""
    assert started.process.stderr is not None
    seen = ""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if select.select([started.process.stderr], [], [], 1)[0]:
            line = started.process.stderr.readline()
            seen += line
            if words in line or not line:
                break
    assert words in seen, seen
    return seen


def test_once_makes_the_last_finished_days(reported: Workplace) -> None:
    assert reports(reported) == [f"{day_ago(3)}-{day_ago(0)}"]
    assert stored(reported) == [str(day_ago(number)) for number in (3, 2, 1)]


def test_missed_days_are_made_first_in_as_many_intervals_as_needed_and_failed_ones_again(mine: Workplace) -> None:
    change(mine.database, "DELETE FROM pipeline_slices WHERE slice > ?", str(day_ago(10)))
    change(
        mine.database,
        "INSERT INTO pipeline_slices SELECT 'attribution_customer_journey', ?, model, settings, fingerprint, 0, source "
        "FROM (SELECT 'ihc-local' AS model, settings, 'x' AS fingerprint, '' AS source FROM pipeline_owners)",
        str(day_ago(10)),
    )
    # a bad row in one of the missed intervals
    change(mine.database, "UPDATE conversions SET revenue = -1 WHERE conv_date = ?", str(day_ago(9)))
    first, second = f"{day_ago(9)}-{day_ago(6)}", f"{day_ago(6)}-{day_ago(3)}"
    outcome = run(mine, "daily", *LOCAL)
    assert outcome.code == 30
    assert f"missed, and made first: {first}, {second}\n" in outcome.log
    assert reports(mine) == [second, f"{day_ago(3)}-{day_ago(0)}"]
    # it is owed, though later days are stored by now
    change(mine.database, "UPDATE conversions SET revenue = 1 WHERE conv_date = ?", str(day_ago(9)))
    outcome = run(mine, "daily", *LOCAL).succeeded()
    assert f"missed, and made first: {first}\n" in outcome.log
    assert stored(mine)[-9:] == [str(day_ago(number)) for number in range(9, 0, -1)]
    assert "missed" not in run(mine, "daily", *LOCAL).succeeded().log


def test_it_does_not_overlap_itself(mine: Workplace) -> None:
    with LocalFiles(mine.files).lock("daily.lock", "attribution-daily, process 7") as holder:
        assert holder is None
        outcome = run(mine, "daily", *LOCAL)
    assert outcome.code == 10
    said = (
        r"ERROR: [\dT:-]+Z attribution-daily: the daily run is going on \(attribution-daily, process 7\); wait for .*\n"
    )
    assert re.fullmatch(said, outcome.log)


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        ((), {"REPORT_AT": "3.30"}, "REPORT_AT must be a time of day such as 03:30, not '3.30'"),
        (("--at", "3.30"), {}, "--at must be a time of day such as 03:30, not '3.30'"),
        (("--days", "0"), {}, "--days must be a whole number from 1 to 3660, not '0'"),
        ((), {"REPORT_DAYS": "many"}, "REPORT_DAYS must be a whole number from 1 to 3660, not 'many'"),
        ((), {"REPORT_TIMEZONE": "Mars"}, "REPORT_TIMEZONE must be an IANA name"),
        (("--date-interval", "2023-09"), {}, "attribution-daily chooses the date interval"),
        (("Report",), {}, "attribution-daily takes options alone, not 'Report'"),
        (("--once", "--at", "03:30"), {}, "argument --at: not allowed with argument --once"),
    ],
)
def test_what_is_wrong_is_one_line_and_40(
    tmp_path: Path, options: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    outcome = run(Workplace(tmp_path / "place"), "daily", *options, **settings)
    assert (outcome.code, outcome.output) == (40, "")
    (line,) = outcome.log.splitlines()
    assert re.match(rf"ERROR: [\dT:-]+Z (attribution-daily: )?{re.escape(said)}", line)
    assert not (tmp_path / "place" / "files").exists()


def test_options_are_passed_on_with_luigis_exit_code(mine: Workplace) -> None:
    outcome = run(mine, "daily", "--once", *LOCAL, "--model", "lineer", REPORT_AT="03:30")
    assert outcome.code == 40
    assert "did you mean linear" in outcome.log.splitlines()[-1]
    host = run(mine, "daily", "--days", "3", SCHEDULER_HOST="127.0.0.1", LUIGI_CONFIG_PATH=_unused_port(mine))
    assert host.code == 25
    assert "127.0.0.1:9" in host.log.splitlines()[-1]
    trial = run(mine, "daily", *LOCAL, "--store=false", "--model", "linear").succeeded()
    assert "missed" not in trial.log
    assert len([*mine.files.glob("trials/linear-*/report/linear/*-*/reconciliation.json")]) == 1


def _unused_port(place: Workplace) -> str:
    (place.folder / "luigi.cfg").write_text("[core]\nscheduler_port = 9\nrpc_retry_attempts = 1\nrpc_retry_wait = 1\n")
    return str(place.folder / "luigi.cfg")


def test_a_run_that_stays_survives_a_failed_day_and_ends_at_once_on_term(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "place")  # without a source
    at = time.strftime("%H:%M", time.gmtime(time.time() - 120))
    started = start(place, "daily", "--at", at, *LOCAL)
    wait_for(started, "ended with exit code 30; the next run is at ")
    begun = time.monotonic()
    started.process.terminate()
    assert started.end().code == 143
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_in_mid_run_the_report_ends_too(mine: Workplace, number: signal.Signals, code: int) -> None:
    with LocalFiles(mine.files).lock("SourceFindings.lock", "a test"):
        change(mine.database, "UPDATE conversions SET revenue = 21")
        started = start(mine, "daily", *LOCAL)
        wait_for(started, "waits for another run (a test)")
        children = _children(started.process.pid)
        assert children
        os.kill(started.process.pid, number)
        assert started.end().code == code
        assert [pid for pid in children if _is_alive(pid)] == []


def test_it_ends_on_term_as_process_1(mine: Workplace) -> None:
    if os.geteuid() != 0 or not Path("/usr/bin/unshare").exists():
        pytest.skip("needs root and unshare")
    program = start(mine, "daily", "--help").end()
    assert "as a container's process" in program.output
    with LocalFiles(mine.files).lock("SourceFindings.lock", "a test"):
        change(mine.database, "UPDATE conversions SET revenue = 22")
        command = ["unshare", "--pid", "--fork", "--", *_command("--at", "03:30", *LOCAL)]
        pipe = subprocess.PIPE
        started = Started(
            subprocess.Popen(
                command,
                cwd=mine.folder,
                env=mine.environment,
                stdout=pipe,
                stderr=pipe,
                text=True,
                start_new_session=True,
            )
        )
        wait_for(started, "waits for another run (a test)")
        (inner,) = _children(started.process.pid)
        os.kill(inner, signal.SIGTERM)
        assert started.end().code == 143


def _command(*options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pipeline.operating.daily_command", *options)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
