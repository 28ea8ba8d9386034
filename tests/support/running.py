"""The pipeline as its users run it: a command in a folder, with settings in the environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from support.fork_server import ForkedCommand, starts_alike
from support.stages import know_again

REPOSITORY = Path(__file__).parents[2]
DATABASE = "shop.db"
FILES = "files"
LOCAL = ("--local-scheduler",)
LONGEST_RUN = 120  # seconds; a run takes two, unless it waits for ever

_STAGE = re.compile(r"^INFO: [\dT:-]+Z (?P<stage>[A-Z]\w+(?: \d{4}-\d\d-\d\d(?:-\d{4}-\d\d-\d\d)?)?): ", re.MULTILINE)
_OURS = re.compile(
    r"LUIGI_\w+|IHC_\w+|API_URL|ATTRIBUTION_MODEL|DATABASE_URL|RESULTS_DATABASE_URL|DATA_DIR|BAD_ROWS|STORE|REFUNDS|CURRENCY|CHANNELS|SOURCE_MAPPING|REPORT_TIMEZONE|GOAL|GOAL_TYPES"
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code (negative: killed by that signal), standard output and error."""

    code: int
    output: str
    log: str

    @property
    def text(self) -> str:
        """All that it printed."""
        return self.output + self.log

    @property
    def built(self) -> list[str]:
        """The stages that said they made something, such as `Sessions 2023-08-29-2023-09-03`."""
        return [found["stage"] for found in _STAGE.finditer(self.log)]

    @property
    def kinds_built(self) -> set[str]:
        """The kinds of these stages, such as `Sessions`."""
        return {stage.partition(" ")[0] for stage in self.built}

    @property
    def errors(self) -> list[str]:
        """The lines that say what went wrong."""
        return [line for line in self.log.splitlines() if line.startswith(("ERROR", "CRITICAL"))]

    def succeeded(self) -> Self:
        """Itself, if the exit code is 0 and no library reports leaked objects at the end."""
        assert self.code == 0, f"exit code {self.code}\n{self.text}"
        assert "leaked" not in self.text, self.text
        return self


@dataclass
class Started:
    """A command that is running, in a process group of its own."""

    process: subprocess.Popen[str] | ForkedCommand

    def end(self) -> Outcome:
        """Wait for its end."""
        try:
            output, log = self.process.communicate(timeout=LONGEST_RUN)
        except subprocess.TimeoutExpired:
            self.kill_group()
            output, log = self.process.communicate()
            raise AssertionError(f"still running after {LONGEST_RUN} s\n{output}{log}") from None
        return Outcome(self.process.returncode, output, log)

    def kill(self) -> None:
        """SIGKILL the process alone, as the out-of-memory killer does."""
        self.process.kill()

    def kill_group(self) -> None:
        """SIGKILL the process and its children, as the end of a container does."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def lines_of_log(self, count: int) -> None:
        """Wait until the command has logged `count` more lines, or ends."""
        assert self.process.stderr is not None
        for _ in range(count):
            if not self.process.stderr.readline():
                return


@dataclass
class Workplace:
    """A folder with a source database, where somebody runs the pipeline; `scheduler` are the options that name one."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    scheduler: tuple[str, ...] = LOCAL

    def __post_init__(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if not _OURS.fullmatch(name)}
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        settings = {"DATABASE_URL": f"sqlite:///{DATABASE}", "DATA_DIR": FILES, "TMPDIR": str(self.folder / "tmp")}
        self.environment = {**inherited, **settings, **self.environment}

    @property
    def database(self) -> Path:
        """The source."""
        return self.folder / DATABASE

    @property
    def files(self) -> Path:
        """The data directory."""
        return self.folder / FILES

    def copy(self, folder: Path) -> Workplace:
        """The same in another folder, with all results."""
        shutil.copytree(self.folder, folder)
        copy = Workplace(folder)
        record = copy.files / "source.json"
        if record.exists():
            record.write_text(json.dumps({**json.loads(record.read_bytes()), "source": str(copy.database)}))
        know_again(copy.database, copy.files)
        return copy

    def start(self, *command: str, **settings: str | None) -> Started:
        """Start a console command of this environment; a setting of None is left out of the environment."""
        environment = {name: value for name, value in {**self.environment, **settings}.items() if value is not None}
        program = Path(sys.executable).with_name(command[0])
        if command[0] != "python" and starts_alike(environment):
            return Started(ForkedCommand([program, *command[1:]], self.folder, environment))
        return Started(
            subprocess.Popen(
                [program, *command[1:]],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )

    def start_report(self, interval: str, *options: str, **settings: str | None) -> Started:
        """Start the report of an interval."""
        command = ("luigi", "--module", "pipeline", "Report", "--date-interval", interval)
        return self.start(*command, *self.scheduler, *options, **settings)

    def report(self, interval: str, *options: str, **settings: str | None) -> Outcome:
        """Make the report of an interval."""
        return self.start_report(interval, *options, **settings).end()

    def report_file(self, interval: str, name: str = "channel_reporting.csv", model: str = "ihc-local") -> Path:
        """A file of a report."""
        return self.files / "report" / model / interval / name

    def day_file(self, folder: str, day: str, variant: str = "*") -> Path:
        """The file of a day in the one folder, below `folder`, of a model or of journeys."""
        (path,) = self.files.glob(f"{folder}/{variant}/{day}.parquet")
        return path

    def books(self, interval: str, model: str = "ihc-local") -> dict[str, Any]:
        """The reconciliation of a report."""
        books: dict[str, Any] = json.loads(self.report_file(interval, "reconciliation.json", model).read_bytes())
        return books
