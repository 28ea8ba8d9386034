"""Every setting: its section and key in luigi.cfg, its environment variable, its default, its rule, its description.

The order of precedence is option of the command line, environment variable, luigi.cfg, default. Nothing is kept: a
setting is read when a task is made, and reaches everything else as a parameter of that task.
"""

from __future__ import annotations

import configparser
import difflib
import math
import os
import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

import luigi.configuration

from pipeline.errors import SettingsError
from pipeline.model_options import ChannelNames

T = TypeVar("T")

PREFIX = "attribution."
"""What the names of our sections in luigi.cfg begin with; other sections are somebody else's."""

SECRETS = ("IHC_API_KEY", "IHC_API_KEY_FILE")
"""Variables that are no settings: what they hold stands in no file and no parameter."""

_RETIRED = {"IHC_PACK_DAYS": "the journeys of an interval are always packed together"}
_OLD_SECTIONS = {
    **{name: name for name in ("database", "files", "input", "journeys", "api", "training")},
    "attribution": "model",
    "comparison_models": "model",
    "engine": "run",
}
"""Where the settings of an earlier version's luigi.cfg are now; its names are common, and may be somebody else's."""


def _text(value: str) -> str:
    if not value:
        raise ValueError("must have a value")
    return value


def _optional(value: str) -> str | None:
    return value or None


def _boolean(value: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if value.lower() not in words:
        raise ValueError("must be true or false")
    return words[value.lower()]


def _whole(minimum: int, maximum: float = math.inf) -> Callable[[str], int]:
    allowed = f"of at least {minimum}" if math.isinf(maximum) else f"from {minimum} to {maximum}"

    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = minimum - 1
        if not minimum <= number <= maximum:
            raise ValueError(f"must be a whole number {allowed}")
        return number

    return parse


def _number(minimum: float, *, exclusive: bool = False) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not (number > minimum if exclusive else number >= minimum) or number == float("inf"):
            raise ValueError(f"must be a number {'above' if exclusive else 'of at least'} {minimum:g}")
        return number

    return parse


def _share(value: str) -> float:
    share = _number(0)(value)
    if share >= 1:
        raise ValueError("must be a number of at least 0 and below 1")
    return share


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return value

    return parse


def _store(value: str) -> str:
    """What becomes of the result tables; a task's parameter may be True or False."""
    words = {"yes": "true", "1": "true", "no": "false", "0": "false"}
    return _choice("true", "false", "continue", "replace")(words.get(value.lower(), value.lower()))


def _memory(value: str) -> str:
    """An amount of memory, such as 1GB."""
    if not re.fullmatch(r"\d+(\.\d+)? ?([KMGT]i?B|B)", value, re.IGNORECASE):
        raise ValueError("must be a size with its unit, such as 512MB or 1GB")
    return value.replace(" ", "")


def _currency(value: str) -> str:
    if not re.fullmatch("[A-Z]{3}", value):
        raise ValueError("must be three capital letters such as EUR")
    return value


def _timezone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA name such as Europe/Berlin") from None
    return value


def _mode(value: str) -> int:
    """Permission bits in octal, at least those of the owner."""
    if not re.fullmatch(r"0?[67][0-7]{2}", value):
        raise ValueError("must be three octal digits such as 640, of which the first is 6 or 7")
    return int(value, 8)


def _setting(
    section: str,
    key: str,
    parse: Callable[[str], T],
    default: str,
    env: str,
    meaning: str,
    *,
    changes_results: bool = True,
) -> T:
    """Declare a setting; `default` is written as it would be in luigi.cfg."""
    declared: T = field(
        metadata={
            "section": PREFIX + section,
            "key": key,
            "parse": parse,
            "default": default,
            "env": env,
            "help": meaning,
            "changes_results": changes_results,
        }
    )
    return declared


def _location(section: str, key: str, parse: Callable[[str], T], default: str, env: str, meaning: str) -> T:
    """Declare where something is; no option, since options show in process lists and on the dashboard."""
    return _setting(section, key, parse, default, env, meaning, changes_results=False)


def _manner(section: str, key: str, parse: Callable[[str], T], default: str, env: str, meaning: str) -> T:
    """Declare how a run goes about its work; it changes no result."""
    return _setting(section, key, parse, default, env, meaning, changes_results=False)


LOCATIONS = ("database_url", "results_database_url", "source_mapping", "data_dir", "file_mode", "api_url")
"""The settings that are no options."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings, checked."""

    database_url: str = _location(
        "database", "url", _text, "sqlite:///data/challenge.db", "DATABASE_URL", "the source, as an SQLAlchemy URL"
    )
    results_database_url: str | None = _location(
        "database", "results_url", _optional, "", "RESULTS_DATABASE_URL", "where the result tables live"
    )
    source_mapping: str | None = _location(
        "input",
        "mapping",
        _optional,
        "",
        "SOURCE_MAPPING",
        "TOML file that says where a company's own tables hold what",
    )
    data_dir: str = _location("files", "data_dir", _text, "data", "DATA_DIR", "root of the date-stamped files")
    file_mode: int = _location("files", "mode", _mode, "640", "FILE_MODE", "permission bits of files")
    bad_rows: str = _setting(
        "input",
        "bad_rows",
        _choice("fail", "set-aside"),
        "fail",
        "BAD_ROWS",
        "what becomes of a day with bad rows: fail, or set-aside (the rows are listed, the day goes on)",
    )
    refunds: str = _setting(
        "input",
        "refunds",
        _choice("refuse", "list"),
        "refuse",
        "REFUNDS",
        "what a negative revenue is: refuse (a bad row), or list (a refund, summed beside gross revenue)",
    )
    negative_cost: str = _setting(
        "input",
        "negative_cost",
        _choice("refuse", "net"),
        "refuse",
        "NEGATIVE_COST",
        "what a negative cost is: refuse (a bad row), or net (a correction, summed)",
    )
    currency: str = _setting(
        "input", "currency", _currency, "EUR", "CURRENCY", "the one currency of all amounts, as an ISO 4217 code"
    )
    report_timezone: str = _setting(
        "input",
        "report_timezone",
        _timezone,
        "UTC",
        "REPORT_TIMEZONE",
        "whose calendar days the dates are, as an IANA name; changing it is another data directory",
    )
    channels: str | None = _setting(
        "input", "channels", _optional, "", "CHANNELS", "CSV file channel_name,group,kind, for a column in the summary"
    )
    dead_feed: str = _setting(
        "input",
        "dead_feed",
        _choice("warn", "fail"),
        "warn",
        "DEAD_FEED",
        "what a day without sessions, without costs or with a tenth of the usual number does: warn, or fail",
    )
    # at most ten years, as where there is no limit: a longer window is a slip, and has as many files as days
    lookback_days: int = _setting(
        "journeys",
        "lookback_days",
        _whole(0, 3_660),
        "0",
        "SESSION_LOWER_LIMIT_DATE",
        "look-back window in days before the conversion, 0: no limit",
    )
    max_sessions: int = _setting(
        "journeys",
        "max_sessions",
        _whole(1),
        "3000",
        "MAX_SESSIONS",
        "sessions that a journey keeps, its most recent ones; also the API's limit of sessions per request",
    )
    after_previous_conversion: bool = _setting(
        "journeys",
        "after_previous_conversion",
        _boolean,
        "false",
        "AFTER_PREVIOUS_CONVERSION",
        "whether a journey holds only sessions strictly after the user's previous conversion",
    )
    model: str = _setting(
        "model", "model", _text, "ihc-local", "ATTRIBUTION_MODEL", "ihc-local, ihc-api, or a comparison model"
    )
    conv_type_id: str = _setting(
        "model",
        "conv_type_id",
        _text,
        "default",
        "CONV_TYPE_ID",
        "conversion type, of the API or of trained parameters",
    )
    redistribution: str | None = _setting(
        "model",
        "redistribution",
        _optional,
        "",
        "IHC_REDISTRIBUTION",
        "JSON file in the form of the API's redistribution_parameter, for ihc-api and ihc-local",
    )
    max_rejected_share: float = _setting(
        "model",
        "max_rejected_share",
        _number(0),
        "0",
        "MAX_REJECTED_SHARE",
        "share of journeys that the API may reject before the run fails",
    )
    direct_channels: tuple[str, ...] = _setting(
        "model",
        "direct_channels",
        ChannelNames.parse,
        "Direct, Direct Traffic",
        "DIRECT_CHANNELS",
        "channels that last-non-direct passes over, with commas between them",
    )
    excluded_channels: tuple[str, ...] = _setting(
        "model",
        "excluded_channels",
        ChannelNames.parse,
        "",
        "EXCLUDED_CHANNELS",
        "channels that get no credit from any comparison model",
    )
    position_first: float = _setting(
        "model", "position_first", _number(0), "0.4", "POSITION_FIRST", "position-based: share of the first session"
    )
    position_last: float = _setting(
        "model", "position_last", _number(0), "0.4", "POSITION_LAST", "position-based: share of the last session"
    )
    half_life_hours: float = _setting(
        "model",
        "half_life_hours",
        _number(0, exclusive=True),
        "168",
        "HALF_LIFE_HOURS",
        "time-decay: hours before the order in which credit halves",
    )
    markov_order: int = _setting(
        "model", "markov_order", _whole(1), "1", "MARKOV_ORDER", "markov: sessions that a state of the chain remembers"
    )
    api_url: str = _location(
        "api",
        "url",
        _text,
        "https://api.ihc-attribution.com/v1/compute_ihc",
        "API_URL",
        "endpoint of the API; plain http is refused except on loopback",
    )
    max_customer_journeys: int = _setting(
        "api",
        "max_customer_journeys",
        _whole(1),
        "100",
        "MAX_CUSTOMER_JOURNEYS",
        "the API's limit of journeys per request",
    )
    concurrency: int = _manner("api", "concurrency", _whole(1), "16", "IHC_CONCURRENCY", "requests in flight at a time")
    requests_per_second: float = _manner(
        "api",
        "requests_per_second",
        _number(0),
        "0",
        "IHC_REQUESTS_PER_SECOND",
        "requests a second at most, 0: no limit",
    )
    connect_timeout: float = _manner(
        "api",
        "connect_timeout",
        _number(0, exclusive=True),
        "10",
        "IHC_CONNECT_TIMEOUT",
        "seconds to connect to the API",
    )
    read_timeout: float = _manner(
        "api",
        "read_timeout",
        _number(0, exclusive=True),
        "60",
        "IHC_READ_TIMEOUT",
        "seconds to wait for a part of the API's answer",
    )
    total_timeout: float = _manner(
        "api", "total_timeout", _number(0, exclusive=True), "120", "IHC_TOTAL_TIMEOUT", "seconds for a request in all"
    )
    max_requests: int = _manner(
        "api",
        "max_requests",
        _whole(0),
        "0",
        "IHC_MAX_REQUESTS",
        "requests that an interval may need before anything is sent, 0: no limit",
    )
    retry_budget: float = _manner(
        "api",
        "retry_budget",
        _number(0),
        "900",
        "IHC_RETRY_BUDGET",
        "seconds of failures alone after which asking the API ends; what was answered is kept",
    )
    training_journeys: int = _setting(
        "training", "journeys", _whole(1), "100000", "TRAINING_JOURNEYS", "journeys in a training set at most"
    )
    training_min_length: int = _setting(
        "training", "min_length", _whole(1), "2", "TRAINING_MIN_LENGTH", "sessions that a journey of it has at least"
    )
    held_out_share: float = _setting(
        "training", "held_out_share", _share, "0.1", "TRAINING_HELD_OUT_SHARE", "share of the journeys that is held out"
    )
    training_seed: int = _setting(
        "training", "seed", _whole(0), "1", "TRAINING_SEED", "decides which journeys are taken and held out"
    )
    store: str = _setting(
        "run",
        "store",
        _store,
        "true",
        "STORE",
        "whether the result tables become this run's: true (if they are its own), false (a trial: files alone), "
        "continue (from now on), replace (emptied first)",
    )
    settle_days: int = _manner(
        "run", "settle_days", _whole(0), "3", "SETTLE_DAYS", "days after its end at which a day is settled"
    )
    drift_check: bool = _manner(
        "run",
        "drift_check",
        _boolean,
        "true",
        "DRIFT_CHECK",
        "whether each run compares rows, revenue and cost a date in the source with the extracts",
    )
    csv_bom: bool = _setting(
        "run", "csv_bom", _boolean, "false", "CSV_BOM", "whether CSV files begin with a byte order mark, for Excel"
    )
    csv_formulas: str = _setting(
        "run",
        "csv_formulas",
        _choice("keep", "quote"),
        "keep",
        "CSV_FORMULAS",
        "cells that a spreadsheet would run: keep them, or quote them with an apostrophe",
    )
    retries: int = _manner("run", "retries", _whole(0), "0", "RETRIES", "times that a failed stage is tried again")
    lock_seconds: float = _manner(
        "run", "lock_seconds", _number(0), "3600", "LOCK_SECONDS", "seconds to wait for another run's stage"
    )
    max_run_seconds: float = _manner(
        "run", "max_run_seconds", _number(0), "0", "MAX_RUN_SECONDS", "seconds that a command may take, 0: no limit"
    )
    memory_limit: str = _manner("run", "memory_limit", _memory, "1GB", "MEMORY_LIMIT", "memory of the SQL engine")


def declared_settings() -> dict[str, Field[Any]]:
    """Every setting's declaration by its name in `Settings`."""
    return {declared.name: declared for declared in fields(Settings)}


def setting_in_force(name: str, environ: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - the setting's type
    """One setting by environment, luigi.cfg or default. Raises `SettingsError`."""
    environ = os.environ if environ is None else environ
    declared = declared_settings()[name]
    section, key, env = (declared.metadata[part] for part in ("section", "key", "env"))
    if env in environ:
        return parse_setting(declared, environ[env], env)
    return parse_setting(declared, _configured(section, key, declared.metadata["default"]), f"[{section}] {key}")


def settings_in_force(environ: Mapping[str, str] | None = None) -> Settings:
    """All settings by environment, luigi.cfg or default. Raises `SettingsError`."""
    return Settings(**{name: setting_in_force(name, environ) for name in declared_settings()})


def parse_setting(declared: Field[Any], raw: str, origin: str) -> Any:  # noqa: ANN401 - the field's own type
    """The checked value of one setting; `origin` names where `raw` came from. Raises `SettingsError`."""
    try:
        return declared.metadata["parse"](raw.strip())
    except ValueError as error:
        raise SettingsError(f"{origin} {error}, not {raw!r}") from None


def check_configuration(tasks: Mapping[str, Mapping[str, str]]) -> None:
    """Raise `SettingsError` for a key of luigi.cfg that nobody reads although it stands in a section of ours.

    `tasks` are the names of our tasks, and of each the parameters with the names of their settings: a section named
    like a task would beat the environment, and is refused with the place to write it.
    """
    config = luigi.configuration.get_config()
    known: dict[str, list[str]] = {}
    for declared in declared_settings().values():
        known.setdefault(declared.metadata["section"], []).append(declared.metadata["key"])
    for section in config.sections():
        options = [key.replace("-", "_") for key in config.options(section) if key not in config.defaults()]
        if section in tasks:
            raise SettingsError(_misplaced(section, options, tasks[section]))
        if section in known:
            for key in options:
                if key not in known[section]:
                    raise SettingsError(f"unknown setting [{section}] {key}{_nearest(key, known[section])}")
        elif section.startswith(PREFIX):
            raise SettingsError(f"unknown section [{section}] in luigi.cfg{_nearest(section, [*known])}")


def doubtful_names(environ: Mapping[str, str]) -> Iterator[str]:
    """What to warn of: names that resemble ours and are none, with the nearest one."""
    declared = declared_settings()
    variables = [setting.metadata["env"] for setting in declared.values()] + list(SECRETS)
    by_setting = {name.upper(): setting.metadata["env"] for name, setting in declared.items()}
    for name in sorted(environ):
        if name in variables:
            continue
        if name in _RETIRED:
            yield f"the environment variable {name} is retired and has no effect: {_RETIRED[name]}"
        elif by_setting.get(name):
            yield f"the environment variable {name} has no effect; did you mean {by_setting[name]}?"
        elif name.startswith("IHC_"):
            yield f"the environment variable {name} is unknown and has no effect{_nearest(name, variables)}"
        elif near := difflib.get_close_matches(name, variables, 1, 0.87):
            yield f"the environment variable {name} has no effect; did you mean {near[0]}?"
    config = luigi.configuration.get_config()
    for section in config.sections():
        now = f"{PREFIX}{_OLD_SECTIONS.get(section, '')}"
        keys = {place.metadata["key"] for place in declared.values() if place.metadata["section"] == now}
        written = {key.replace("-", "_").removeprefix("training_") for key in config.options(section)}
        if written & keys - {"url", *config.defaults()}:
            yield f"[{section}] in luigi.cfg has no effect on the pipeline; did you mean [{now}]?"


def _configured(section: str, key: str, default: str) -> str:
    try:
        return str(luigi.configuration.get_config().get(section, key, default))
    except configparser.InterpolationError:
        # Neither repeated nor chained: the value may hold a password.
        raise SettingsError(
            f"[{section}] {key} in luigi.cfg refers to a variable that is not there; "
            "set it, or write %% for a percent sign"
        ) from None


def _misplaced(section: str, options: list[str], parameters: Mapping[str, str]) -> str:
    declared = declared_settings()
    places = [
        f"[{declared[parameters[key]].metadata['section']}] {declared[parameters[key]].metadata['key']}"
        for key in options
        if key in parameters
    ]
    remedy = f"write {', '.join(places)} instead" if places else "remove it"
    return f"luigi.cfg has a section [{section}], which would beat the environment and options of other tasks; {remedy}"


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, 1, 0.4)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
