"""Runs a command as a process of its own, and says what it and each of its stages took.

The process that measures must stay small: Linux counts the memory of a process that starts another as the other's peak.
So nothing is imported here but the standard library.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LOG_LINES_SHOWN = 12

# `INFO: 2023-09-08T03:30:00Z Journeys 2023-08-29-2023-09-08: 10 days, 3,399 rows in 0.3 s`,
# of which all but the name may be missing.
_STAGE_LINE = re.compile(r"^INFO: (?:[\dT:-]+Z )?(?P<stage>[A-Z]\w+)(?: [\d-]+)?: (?P<message>.*)$")
_ROWS = re.compile(r"([\d,]+) (rows|sessions|conversions|channels)\b")
_SECONDS = re.compile(r"\bin ([\d.,]+) s\b")
_TASKS = re.compile(r"^\s*Scheduled (\d+) tasks? of which")
_OURS = re.compile(
    r"(LUIGI|IHC|API|SANDBOX|LOCK|MAX|SESSION|CONV|REPORT|SOURCE|DEAD|DRIFT)_\w+"
    r"|ATTRIBUTION_MODEL|(RESULTS_)?DATABASE_URL|DATA_DIR|BAD_ROWS|STORE|GOAL|MEMORY_LIMIT"
)


class CommandError(Exception):
    """A command that was to be measured failed."""


@dataclass
class Stage:
    """What the log says of one stage, all its lines together.

    `seconds` are those that the log names, or else those that passed since the line before. `cpu_seconds` passed since
    the line before, and `peak_mb` is the most memory in that time: what comes before the first line, such as imports,
    counts to its stage.
    """

    rows: int = 0
    seconds: float = 0
    cpu_seconds: float = 0
    peak_mb: float = 0


@dataclass
class Run:
    """What a command took: wall and CPU seconds, the most memory that one of its processes had, tasks of Luigi."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    tasks: int | None = None
    stages: dict[str, Stage] = field(default_factory=dict)
    output: str = ""


def measure(command: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None) -> Run:
    """Run a command in a folder, with these settings alone. Raises `CommandError` unless it ends with code 0."""
    environment = {name: value for name, value in os.environ.items() if not _OURS.fullmatch(name)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), environment.get("PYTHONPATH")]))
    output = folder / "output.txt"
    started = time.perf_counter()
    with (
        output.open("w") as standard_output,
        subprocess.Popen(
            [*command],
            cwd=folder,
            env={**environment, **(settings or {})},
            stdout=standard_output,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        log = _Log(process.pid)
        assert process.stderr
        for line in process.stderr:
            log.read(line.rstrip("\n"))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CommandError(f"{' '.join(command)}: exit code {process.returncode}", *log.lines[-LOG_LINES_SHOWN:])
    return Run(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=max(usage.ru_maxrss / 1024, *(stage.peak_mb for stage in log.stages.values()), 0),
        tasks=log.tasks,
        stages=log.stages,
        output=output.read_text(encoding="utf-8"),
    )


class _Log:
    """Reads the log of a process that is running."""

    def __init__(self, pid: int) -> None:
        self.lines: list[str] = []
        self.stages: dict[str, Stage] = {}
        self.tasks: int | None = None
        self._process = Path(f"/proc/{pid}")
        self._before = time.perf_counter(), 0.0

    def read(self, line: str) -> None:
        self.lines.append(line)
        if found := _TASKS.match(line):
            self.tasks = int(found[1])
        if found := _STAGE_LINE.match(line):
            self._stage(self.stages.setdefault(found["stage"], Stage()), found["message"])

    def _stage(self, stage: Stage, message: str) -> None:
        now = time.perf_counter(), self._cpu_seconds()
        wall, cpu = (after - before for after, before in zip(now, self._before, strict=True))
        self._before = now
        rows = found[1].replace(",", "") if (found := _ROWS.search(message)) else "0"
        stage.rows += int(rows)
        stage.seconds += float(found[1].replace(",", "")) if (found := _SECONDS.search(message)) else wall
        stage.cpu_seconds += max(cpu, 0)
        stage.peak_mb = max(stage.peak_mb, self._peak_mb_since_the_last_call())

    def _cpu_seconds(self) -> float:
        """User and system time, with that of children that have ended."""
        with suppress(OSError):  # it has ended
            numbers = (self._process / "stat").read_text().rpartition(")")[2].split()
            return sum(map(int, numbers[11:15])) / os.sysconf("SC_CLK_TCK")
        return self._before[1]

    def _peak_mb_since_the_last_call(self) -> float:
        with suppress(OSError, StopIteration, ValueError):
            status = (self._process / "status").read_text().splitlines()
            peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
            (self._process / "clear_refs").write_text("5")  # begins a new peak
            return int(peak) / 1024
        return 0


def median_run(runs: Sequence[Run]) -> Run:
    """The median of each figure."""

    def medians(names: Sequence[str], items: Sequence[Run] | Sequence[Stage]) -> dict[str, float]:
        return {name: statistics.median(getattr(item, name) for item in items) for name in names}

    stages = {
        name: Stage(
            rows=runs[0].stages[name].rows,
            **medians(("seconds", "cpu_seconds", "peak_mb"), [run.stages[name] for run in runs if name in run.stages]),
        )
        for name in runs[0].stages
    }
    figures = medians(("seconds", "cpu_seconds", "peak_mb"), runs)
    return Run(**figures, tasks=runs[0].tasks, stages=stages, output=runs[0].output)


def luigi(task: str, *options: str) -> list[str]:
    """The command of a task, as a user runs it."""
    return [sys.executable, "-m", "luigi", "--module", "pipeline", task, *options, "--local-scheduler"]


def report(interval: str) -> list[str]:
    """The command of the report of an interval."""
    return luigi("Report", "--date-interval", interval)


def python(script: str, *arguments: str) -> list[str]:
    """The command of a script of this folder."""
    return [sys.executable, str(REPOSITORY / "benchmarks" / script), *arguments]
