"""The scenarios of `bench.py`: each runs the real command in a folder of its own, and says what is asked of it."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from measuring import Run, measure, median_run, python, report
from results import Result

SAMPLE_INTERVAL = "2023-08-29-2023-09-08"
SAMPLE_SESSIONS = 450_616
SETTINGS = {"DATABASE_URL": "sqlite:///shop.db", "DATA_DIR": "files"}
FLOORS = ("scan", "journeys", "store")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large the scenarios are."""

    big_sessions: int = 10_000_000
    big_conversions: int = 500_000
    big_days: int = 60
    big_lookback: int = 30
    year: int = 365
    month: int = 30
    year_sessions_a_day: int = 2_000
    year_orders_a_day: int = 9
    year_lookback: int = 90
    ten_years: int = 3_652
    campaign_sessions: int = 100_000
    campaign_orders: int = 10_000
    campaign_days: int = 30
    campaign_channels: int = 200
    campaigns: int = 2_000
    scales: tuple[float, ...] = (1, 10)


QUICK = Sizes(
    big_sessions=200_000,
    big_conversions=10_000,
    big_days=6,
    big_lookback=3,
    year=20,
    month=5,
    year_sessions_a_day=200,
    year_lookback=5,
    ten_years=40,
    campaign_sessions=10_000,
    campaign_orders=1_000,
    scales=(0.05, 0.5),
)
"""To try the benchmark itself: the limits mean nothing then."""


@dataclass(frozen=True)
class Bench:
    """Where the scenarios run, how often, and on how much data."""

    sizes: Sizes
    repeats: int
    databases: Path
    place: Path

    @contextmanager
    def folder(self, database: Path) -> Iterator[Path]:
        """A new folder with a copy of the database, which is on the disk before anything is measured."""
        with tempfile.TemporaryDirectory(dir=self.place) as folder:
            copy = Path(folder) / "shop.db"
            shutil.copyfile(database, copy)
            with copy.open("rb+") as file:
                os.fsync(file.fileno())
            yield Path(folder)

    def shop(self, sessions: int, conversions: int, *options: str) -> Path:
        """The database of a big shop, made unless it is there."""
        arguments = ("--sessions", str(sessions), "--conversions", str(conversions), *options)
        path = self.databases / f"shop{''.join(arguments)}.db".replace("--", "-")
        return self._made(path, python("big_shop.py", "{}", *arguments))

    def sample(self, scale: float) -> Path:
        """The sample of the reference shape, made unless it is there."""
        path = self.databases / f"sample-{scale:g}.db"
        options = ("--shape", "reference", "--scale", str(scale))
        return self._made(path, [sys.executable, "-m", "pipeline.sample.command", "{}", *options])

    def _made(self, path: Path, command: list[str]) -> Path:
        if not path.exists():
            self.databases.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            measure([str(part) if word == "{}" else word for word in command], self.databases)
            part.rename(path)
        return path


def interval(first: int, days: int, year: int = 2023) -> str:
    """That many days from the day of that number, from 0, of a year and those that follow."""
    day = dt.date(year, 1, 1) + dt.timedelta(first)
    return f"{day}-{day + dt.timedelta(days)}"


def command(interval_: str, folder: Path, settings: Mapping[str, str]) -> Run:
    """A report of the shop in a folder."""
    return measure(report(interval_), folder, {**SETTINGS, **settings})


def big(bench: Bench, result: Result) -> None:
    """Cold, beside its floors, and with less memory."""
    sizes = bench.sizes
    database = bench.shop(sizes.big_sessions, sizes.big_conversions, "--days", str(sizes.big_days))
    settings = {"SESSION_LOWER_LIMIT_DATE": str(sizes.big_lookback)}
    whole = interval(0, sizes.big_days)
    runs: list[Run] = []
    floor_runs: dict[str, list[Run]] = {floor: [] for floor in FLOORS}
    for _ in range(bench.repeats):
        for floor, run in _floors(bench, database).items():
            floor_runs[floor].append(run)
        with bench.folder(database) as folder:
            runs.append(command(whole, folder, settings))
    cold, floors = median_run(runs), {floor: median_run(of_floor) for floor, of_floor in floor_runs.items()}
    result.add_run("big, cold", cold)
    result.add("its peak memory in one process", cold.peak_mb, "MB", 2_048)
    for floor, run in floors.items():
        result.add_run(f"floor: {floor}", run)
    least = sum(run.seconds for run in floors.values())
    result.add("sum of the floors", least, "s")
    result.add("big, cold, times the sum of the floors", cold.seconds / least, "times", 2.2)
    result.add_stages("big, cold", cold, floors)
    with bench.folder(database) as folder:
        little = command(whole, folder, {**settings, "MEMORY_LIMIT": "512MB"})
        result.add_run("big, cold, MEMORY_LIMIT=512MB", little)
        result.add_run("big, nothing to do", command(whole, folder, {**settings, "MEMORY_LIMIT": "512MB"}))


def _floors(bench: Bench, database: Path) -> dict[str, Run]:
    """Seconds without imports and preparation; CPU and memory of the whole process."""
    floors = {}
    with tempfile.TemporaryDirectory(dir=bench.place) as folder:
        (Path(folder) / "shop.db").symlink_to(database.absolute())
        for floor in FLOORS:
            lookback = str(bench.sizes.big_lookback)
            run = measure(python("floors.py", floor, folder, "--lookback", lookback), Path(folder))
            run.seconds = json.loads(run.output)["seconds"]
            floors[floor] = run
    return floors


def year(bench: Bench, result: Result) -> None:
    """A year of small days: cold, nothing to do, and a day more."""
    sizes = bench.sizes
    days = sizes.year + 2  # two new days follow
    options = ("--days", str(days), "--history", str(sizes.year_lookback))
    database = bench.shop(days * sizes.year_sessions_a_day, days * sizes.year_orders_a_day, *options)
    steps = {
        "cold": interval(0, sizes.year),
        "nothing to do": interval(0, sizes.year),
        "the last month of it": interval(sizes.year - sizes.month, sizes.month),
        "one day more, month": interval(sizes.year - sizes.month + 1, sizes.month),
        "nothing to do, month": interval(sizes.year - sizes.month + 1, sizes.month),
        "one day more, year": interval(2, sizes.year),
        "nothing to do, moved year": interval(2, sizes.year),
    }
    limits = {"cold": 25, "nothing to do": 1.5}
    runs: dict[str, list[Run]] = {title: [] for title in steps}
    for _ in range(bench.repeats):
        with bench.folder(database) as folder:
            for title, days_of_step in steps.items():
                run = command(days_of_step, folder, {"SESSION_LOWER_LIMIT_DATE": str(sizes.year_lookback)})
                runs[title].append(run)
    found = {title: median_run(of_step) for title, of_step in runs.items()}
    for title, run in found.items():
        result.add_run(f"year, {title}", run, limits.get(title))
    result.add("year, cold: Luigi tasks", found["cold"].tasks or 0, "tasks", 15)
    for more, nothing in (("month", "nothing to do, month"), ("year", "nothing to do, moved year")):
        extra = found[f"one day more, {more}"].seconds - found[nothing].seconds
        result.add(f"{more}: a day more than nothing to do", extra, "s", 1.5)
    result.add_stages("year, cold", found["cold"])


def ten_years(bench: Bench, result: Result) -> None:
    """Ten years of tiny days, planned and found in place."""
    days = bench.sizes.ten_years
    options = ("--days", str(days), "--first-day", "2014-01-01", "--history", str(bench.sizes.year_lookback))
    database = bench.shop(20 * days, days, *options)
    settings = {"SESSION_LOWER_LIMIT_DATE": str(bench.sizes.year_lookback)}
    with bench.folder(database) as folder:
        whole = interval(0, days, 2014)
        result.add_run("ten years, cold (once)", command(whole, folder, settings))
        runs = [command(whole, folder, settings) for _ in range(bench.repeats)]
    result.add_run("ten years, nothing to do", median_run(runs), 8)


MAPPING = """[sessions]
from = "session_sources"
session_id = "session_id"
user_id = "user_id"
time = ["event_date", "event_time"]
channel_name = "channel_name"
holder_engagement = "holder_engagement"
closer_engagement = "closer_engagement"
impression_interaction = "impression_interaction"
{}
[conversions]
from = "conversions"
conv_id = "conv_id"
user_id = "user_id"
time = ["conv_date", "conv_time"]
revenue = "revenue"
[session_costs]
from = "session_costs"
session_id = "session_id"
cost = "cost"
"""


def dimensions(bench: Bench, result: Result) -> None:
    """A report of many channels and campaigns, beside the same without its dimension, in turn."""
    sizes = bench.sizes
    days = sizes.campaign_days
    counts = (sizes.campaign_sessions, sizes.campaign_orders)
    options = ("--days", str(days), "--channels", str(sizes.campaign_channels), "--campaigns", str(sizes.campaigns))
    database = bench.shop(*counts, *options)
    mappings = {"without a dimension": "", "by campaign": '[sessions.dimensions]\ncampaign = "campaign"'}
    runs: dict[str, list[Run]] = {title: [] for title in mappings}
    for _ in range(bench.repeats):
        for title, section in mappings.items():
            with bench.folder(database) as folder:
                (folder / "mapping.toml").write_text(MAPPING.format(section))
                runs[title].append(command(interval(0, days), folder, {"SOURCE_MAPPING": "mapping.toml"}))
    found = {title: median_run(of_title) for title, of_title in runs.items()}
    for title, run in found.items():
        result.add_run(f"{sizes.campaigns:,} campaigns, {title}", run)
    without, by_campaign = found.values()
    result.add("CPU by campaign, times that without", by_campaign.cpu_seconds / without.cpu_seconds, "times", 1.3)
    for title, run in found.items():
        result.add_stages(title, run)


def parquet(bench: Bench, result: Result) -> None:
    """The big shop from Parquet files, by DuckDB, beside the scan that wrote them."""
    sizes = bench.sizes
    database = bench.shop(sizes.big_sessions, sizes.big_conversions, "--days", str(sizes.big_days))
    settings = {
        "DATABASE_URL": "duckdb:",
        "RESULTS_DATABASE_URL": "sqlite:///results.db",
        "SOURCE_MAPPING": "mapping.toml",
        "SESSION_LOWER_LIMIT_DATE": str(sizes.big_lookback),
    }
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(dir=bench.place) as place:
        folder = Path(place)
        (folder / "shop.db").symlink_to(database.absolute())
        measure(python("floors.py", "scan", place), folder)
        from_files = "from = \"read_parquet('{}.parquet')\""
        by_file = re.sub('from = "(.*)"', lambda found: from_files.format(found[1]), MAPPING.format(""))
        (folder / "mapping.toml").write_text(by_file)
        for _ in range(bench.repeats):
            runs.append(command(interval(0, sizes.big_days), folder, settings))
            shutil.rmtree(folder / SETTINGS["DATA_DIR"])
            (folder / "results.db").unlink()
    cold = median_run(runs)
    result.add_run("big from Parquet, cold", cold, 35)
    result.add("its peak memory in one process", cold.peak_mb, "MB", 2_048)
    result.add_stages("big from Parquet, cold", cold)


def sample(bench: Bench, result: Result) -> None:
    """The sample of the reference shape: cold, and nothing to do."""
    imports = [sys.executable, "-c", "import luigi, duckdb, pyarrow, pandas"]
    cold, again, start = [], [], []
    for _ in range(bench.repeats):
        with bench.folder(bench.sample(bench.sizes.scales[0])) as folder:
            start.append(measure(imports, folder))
            cold.append(command(SAMPLE_INTERVAL, folder, {}))
            again.append(command(SAMPLE_INTERVAL, folder, {}))
    result.add_run("sample, cold", median_run(cold), 2.5)
    result.add_run("sample, nothing to do", median_run(again), 1.0)
    result.add_run("Python, and imports of luigi, duckdb, pyarrow, pandas", median_run(start))
    result.add_stages("sample, cold", median_run(cold))


def marginal(bench: Bench, result: Result) -> None:
    """What a session more costs, from one scale of the sample to the next."""
    found: list[tuple[float, float]] = []
    costs: list[float] = []
    for scale in bench.sizes.scales:
        runs = []
        for _ in range(bench.repeats if scale <= 10 else 1):  # noqa: PLR2004 - 100 times takes minutes
            with bench.folder(bench.sample(scale)) as folder:
                runs.append(command(SAMPLE_INTERVAL, folder, {}))
        run = median_run(runs)
        result.add_run(f"sample times {scale:g}, cold", run)
        found.append((scale, run.seconds))
        if len(found) > 1:
            (small, before), (large, after) = found[-2:]
            costs.append((after - before) / ((large - small) * SAMPLE_SESSIONS) * 1e6)
            limit = costs[0] * 1.2 if len(costs) > 1 else None
            result.add(f"a session more, from {small:g} to {large:g} times", costs[-1], "µs", limit)
