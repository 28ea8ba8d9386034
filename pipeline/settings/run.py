"""The settings of a run and of its result files."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.settings import parsers
from pipeline.settings.declare import location, manner, setting
from pipeline.settings.parsers import boolean, choice, memory, number, optional, whole


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a run stores, how its files are written, how long it waits."""

    store: str = setting(
        "run",
        "store",
        parsers.store,
        "true",
        "STORE",
        "whether the result tables become this run's: true (if they are its own), false (a trial: files alone), "
        "continue (from now on), replace (emptied first)",
    )
    settle_days: int = manner(
        "run", "settle_days", whole(0), "3", "SETTLE_DAYS", "days after its end at which a day is settled"
    )
    drift_check: bool = manner(
        "run",
        "drift_check",
        boolean,
        "true",
        "DRIFT_CHECK",
        "whether each run compares rows, revenue and cost a date in the source with the extracts",
    )
    csv_bom: bool = setting(
        "run", "csv_bom", boolean, "false", "CSV_BOM", "whether CSV files begin with a byte order mark, for Excel"
    )
    csv_formulas: str = setting(
        "run",
        "csv_formulas",
        choice("keep", "quote"),
        "keep",
        "CSV_FORMULAS",
        "cells that a spreadsheet would run: keep them, or quote them with an apostrophe",
    )
    margin: float = setting(
        "run", "margin", number(0), "1", "MARGIN", "share of revenue that the profit on the page is counted from"
    )
    show_ids: bool = setting(
        "run", "show_ids", boolean, "false", "SHOW_IDS", "whether ids of orders and sessions stand on the page whole"
    )
    retries: int = manner("run", "retries", whole(0), "0", "RETRIES", "times that a failed stage is tried again")
    lock_seconds: float = manner(
        "run", "lock_seconds", number(0), "3600", "LOCK_SECONDS", "seconds to wait for another run's stage"
    )
    max_run_seconds: float = manner(
        "run", "max_run_seconds", number(0), "0", "MAX_RUN_SECONDS", "seconds that a command may take, 0: no limit"
    )
    memory_limit: str = manner("run", "memory_limit", memory, "1GB", "MEMORY_LIMIT", "memory of the SQL engine")
    log_format: str = manner(
        "run", "log_format", choice("text", "json"), "text", "LOG_FORMAT", "what a line of the log is: text, or json"
    )
    metrics_file: str | None = location(
        "run", "metrics_file", optional, "", "METRICS_FILE", "a Prometheus text file, written whole at the end of a run"
    )
    alert_seconds: float = manner(
        "run", "alert_seconds", number(1), "10", "ALERT_SECONDS", "seconds that alerts may hold up the end of a run"
    )
