"""Every performance figure that the README quotes, measured on this machine: `make bench`.

Figures are medians of whole processes, Python start included; this machine's load is in them, so read them as ratios.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
INTERVAL = "2023-08-29-2023-09-08"
REPORT = ["luigi", "--module", "pipeline", "Report", "--date-interval", INTERVAL, "--local-scheduler", "--no-lock"]


class Figure(NamedTuple):
    """What one command took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(command: list[str], folder: Path) -> Figure:
    """Run a command in a folder, its settings being the defaults for `shop.db` there."""
    environment = {**os.environ, "DATABASE_URL": "sqlite:///shop.db", "DATA_DIR": "files"}
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as run:
        _, log = run.communicate()
    seconds = time.perf_counter() - started
    if run.returncode:
        sys.exit(f"{' '.join(command)} ended with {run.returncode}\n{log.decode()}")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Figure(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_a_process_of_its_own(command: list[str], folder: Path) -> Figure:
    """`measure` in a fork, since the peak memory of children is a maximum over all of them."""
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.write(writer, repr(tuple(measure(command, folder))).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        figures = answer.read()
    os.waitpid(child, 0)
    return Figure(*(float(figure) for figure in figures.strip("()").split(",")))


def show(title: str, figures: list[Figure]) -> None:
    """Print the medians."""
    seconds, cpu, peak = (statistics.median(column) for column in zip(*figures, strict=True))
    print(f"{title:<44} {seconds:7.2f} s {cpu:7.2f} s CPU {peak:7.0f} MB", flush=True)


def reports(folder: Path, scale: float, repeats: int) -> None:
    """Cold and warm reports of a sample."""
    folder.mkdir()
    sample = ["attribution-sample", "shop.db", "--scale", str(scale), "--force"]
    show(f"sample x{scale:g}", [in_a_process_of_its_own(sample, folder)])
    pristine = folder / "pristine.db"
    (folder / "shop.db").rename(pristine)
    cold, warm = [], []
    for _ in range(repeats):
        shutil.rmtree(folder / "files", ignore_errors=True)
        shutil.copy(pristine, folder / "shop.db")
        cold.append(in_a_process_of_its_own(REPORT, folder))
        warm.append(in_a_process_of_its_own(REPORT, folder))
    show(f"cold report x{scale:g} (at most 6 s, 600 MB at x1)", cold)
    show("the same again (under 3 s at x1)", warm)


def main() -> None:
    """Print the figures, one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, action="append", help="of the sample; repeatable (default 1 and 4)")
    parser.add_argument("--only-reports", action="store_true", help="leave out the API client and the models")
    options = parser.parse_args()
    load, python = os.getloadavg()[0], sys.version.split()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}, Python {python}, medians of {options.repeats}")
    with tempfile.TemporaryDirectory() as folder:
        for scale in options.scale or [1, 4]:
            reports(Path(folder) / f"x{scale:g}", scale, options.repeats)
    if not options.only_reports:
        for script in ("api_client.py", "models.py"):
            subprocess.run([sys.executable, HERE / script], check=True)


if __name__ == "__main__":
    main()
