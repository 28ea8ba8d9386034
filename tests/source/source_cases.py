"""Days of a source read without a data directory."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.source.costs import CostSums, sum_channel_costs
from pipeline.source.extract import Extract, check_conversions, check_sessions, scan_conversions, scan_sessions
from pipeline.source.new_customers import read_first_conversions
from pipeline.source.source import Source
from pipeline.sql_session import sql_session
from targets.database import open_database
from targets.files import LocalFiles

DAY = dt.date(2023, 9, 1)


def source_at(path: Path, **settings: Any) -> Source:  # noqa: ANN401 - mapping, zone, currency, refunds
    """The source in a SQLite file."""
    return Source(open_database(f"sqlite:///{path}"), **settings)


def read_sessions(source: Source, day: dt.date = DAY) -> Extract:
    """The sessions of a day."""
    with tempfile.TemporaryDirectory() as folder:
        ((found, rows),) = scan_sessions(source, [day], Path(folder))
    assert found == day
    return check_sessions(source, day, rows)


def read_conversions(source: Source, day: dt.date = DAY) -> Extract:
    """The conversions of a day."""
    with tempfile.TemporaryDirectory() as folder:
        ((found, rows),) = scan_conversions(source, [day], Path(folder))
    assert found == day
    return check_conversions(source, day, rows, read_first_conversions(source, day))


def read_costs(source: Source, *days: dt.date, memory_limit: str = "1GB") -> dict[dt.date, tuple[Extract, float]]:
    """The channels' costs of each day, and what its sessions that are set aside cost."""
    found = read_all_costs(source, *days, memory_limit=memory_limit)
    return {day: (extract, sums.cost_of_sessions) for day, (extract, sums) in found.items()}


def read_all_costs(
    source: Source,
    *days: dt.date,
    memory_limit: str = "1GB",
    **options: Any,  # noqa: ANN401 - those of `sum_channel_costs`
) -> dict[dt.date, tuple[Extract, CostSums]]:
    """The channels' costs of each day, and their sums."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths, set_aside = {}, {}
        for day, batches in scan_sessions(source, days or [DAY], folder):
            rows, rejects, _ = check_sessions(source, day, batches)
            paths[day] = str(folder / f"{day}.parquet")
            pq.write_table(rows, paths[day])
            set_aside[day] = rejects["session_sources"].to_table()
        with sql_session(LocalFiles(folder / "data"), memory_limit) as connection:
            summed = sum_channel_costs(source, paths, set_aside, connection, **options)
            return {day: (extract, sums) for day, extract, sums in summed}


def costs_of(extract: Extract) -> dict[str, float]:
    """Cost by channel."""
    costs: dict[str, float] = dict(
        zip(*extract.rows.select(["channel_name", "cost"]).to_pydict().values(), strict=True)
    )
    return costs
