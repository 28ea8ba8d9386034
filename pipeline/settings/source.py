"""The settings of the source and of what a row and a journey are."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.goals import goal_name
from pipeline.settings.declare import location, setting
from pipeline.settings.parsers import boolean, choice, currency, mode, optional, text, timezone, whole


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """Where the data lie, and what is made of them before a model sees them."""

    database_url: str = location(
        "database", "url", text, "sqlite:///data/challenge.db", "DATABASE_URL", "the source, as an SQLAlchemy URL"
    )
    results_database_url: str | None = location(
        "database", "results_url", optional, "", "RESULTS_DATABASE_URL", "where the result tables live"
    )
    source_mapping: str | None = location(
        "input",
        "mapping",
        optional,
        "",
        "SOURCE_MAPPING",
        "TOML file that says where a company's own tables hold what",
    )
    data_dir: str = location("files", "data_dir", text, "data", "DATA_DIR", "root of the date-stamped files")
    file_mode: int = location("files", "mode", mode, "640", "FILE_MODE", "permission bits of files")
    bad_rows: str = setting(
        "input",
        "bad_rows",
        choice("fail", "set-aside"),
        "fail",
        "BAD_ROWS",
        "what becomes of a day with bad rows: fail, or set-aside (the rows are listed, the day goes on)",
    )
    refunds: str = setting(
        "input",
        "refunds",
        choice("refuse", "list"),
        "refuse",
        "REFUNDS",
        "what a negative revenue is: refuse (a bad row), or list (a refund, summed beside gross revenue)",
    )
    negative_cost: str = setting(
        "input",
        "negative_cost",
        choice("refuse", "net"),
        "refuse",
        "NEGATIVE_COST",
        "what a negative cost is: refuse (a bad row), or net (a correction, summed)",
    )
    currency: str = setting(
        "input", "currency", currency, "EUR", "CURRENCY", "the one currency of all amounts, as an ISO 4217 code"
    )
    report_timezone: str = setting(
        "input",
        "report_timezone",
        timezone,
        "UTC",
        "REPORT_TIMEZONE",
        "whose calendar days the dates are, as an IANA name; changing it is another data directory",
    )
    channels: str | None = setting(
        "input", "channels", optional, "", "CHANNELS", "CSV file channel_name,group,kind, for a column in the summary"
    )
    dead_feed: str = setting(
        "input",
        "dead_feed",
        choice("warn", "fail"),
        "warn",
        "DEAD_FEED",
        "what a day without sessions, without costs or with a tenth of the usual number does: warn, or fail",
    )
    goal: str | None = setting(
        "journeys", "goal", goal_name, "", "GOAL", "report only conversions with this goal of the source mapping"
    )
    # at most ten years, as where there is no limit: a longer window is a slip, and has as many files as days
    lookback_days: int = setting(
        "journeys",
        "lookback_days",
        whole(0, 3_660),
        "0",
        "SESSION_LOWER_LIMIT_DATE",
        "look-back window in days before the conversion, 0: no limit",
    )
    max_sessions: int = setting(
        "journeys",
        "max_sessions",
        whole(1),
        "3000",
        "MAX_SESSIONS",
        "sessions that a journey keeps, its most recent ones; also the API's limit of sessions per request",
    )
    after_previous_conversion: bool = setting(
        "journeys",
        "after_previous_conversion",
        boolean,
        "false",
        "AFTER_PREVIOUS_CONVERSION",
        "whether a journey holds only sessions strictly after the user's previous conversion",
    )
