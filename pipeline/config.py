"""Every setting: its section and key in luigi.cfg, its environment variable, its default and its rules.

The order of precedence is command line (where a task has the setting as a parameter), environment variable,
luigi.cfg, default. Nothing is read or judged at import: `Settings.load` does it, and says in one line what is wrong.
"""

from __future__ import annotations

import configparser
import difflib
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

import luigi.configuration

from pipeline.errors import ApiKeyError, SettingsError
from pipeline.model_options import ChannelNames

T = TypeVar("T")

API_KEY_VARIABLE = "IHC_API_KEY"


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


def _memory(value: str) -> str:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)? ?([KMGT]i?)?B", value, re.IGNORECASE):
        raise ValueError("must be a size with its unit, such as 512MB or 1GB")
    return value


def _setting(section: str, key: str, parse: Callable[[str], T], default: str, *, env: str | None = None) -> T:
    """Declare a setting; `default` is written as it would be in luigi.cfg."""
    declared: T = field(metadata={"section": section, "key": key, "parse": parse, "default": default, "env": env})
    return declared


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one run, checked. luigi.cfg documents each."""

    database_url: str = _setting("database", "url", _text, "sqlite:///data/challenge.db", env="DATABASE_URL")
    results_database_url: str | None = _setting("database", "results_url", _optional, "", env="RESULTS_DATABASE_URL")
    data_dir: str = _setting("files", "data_dir", _text, "data", env="DATA_DIR")
    memory_limit: str = _setting("engine", "memory_limit", _memory, "1GB", env="MEMORY_LIMIT")
    bad_rows: str = _setting("input", "bad_rows", _choice("fail", "set-aside"), "fail", env="BAD_ROWS")
    # at most ten years, as where there is no limit: a longer window is a slip, and has as many files as days
    lookback_days: int = _setting("journeys", "lookback_days", _whole(0, 3_660), "0", env="SESSION_LOWER_LIMIT_DATE")
    max_sessions: int = _setting("journeys", "max_sessions", _whole(1), "3000", env="MAX_SESSIONS")
    after_previous_conversion: bool = _setting(
        "journeys", "after_previous_conversion", _boolean, "false", env="AFTER_PREVIOUS_CONVERSION"
    )
    model: str = _setting("attribution", "model", _text, "ihc-local", env="ATTRIBUTION_MODEL")
    conv_type_id: str = _setting("attribution", "conv_type_id", _text, "default", env="CONV_TYPE_ID")
    redistribution: str | None = _setting("attribution", "redistribution", _optional, "", env="IHC_REDISTRIBUTION")
    direct_channels: tuple[str, ...] = _setting(
        "comparison_models", "direct_channels", ChannelNames.parse, "Direct, Direct Traffic", env="DIRECT_CHANNELS"
    )
    excluded_channels: tuple[str, ...] = _setting(
        "comparison_models", "excluded_channels", ChannelNames.parse, "", env="EXCLUDED_CHANNELS"
    )
    position_first: float = _setting("comparison_models", "position_first", _number(0), "0.4", env="POSITION_FIRST")
    position_last: float = _setting("comparison_models", "position_last", _number(0), "0.4", env="POSITION_LAST")
    half_life_hours: float = _setting(
        "comparison_models", "half_life_hours", _number(0, exclusive=True), "168", env="HALF_LIFE_HOURS"
    )
    markov_order: int = _setting("comparison_models", "markov_order", _whole(1), "1", env="MARKOV_ORDER")
    max_rejected_share: float = _setting("attribution", "max_rejected_share", _number(0), "0", env="MAX_REJECTED_SHARE")
    api_url: str = _setting("api", "url", _text, "https://api.ihc-attribution.com/v1/compute_ihc", env="API_URL")
    max_customer_journeys: int = _setting("api", "max_customer_journeys", _whole(1), "100", env="MAX_CUSTOMER_JOURNEYS")
    concurrency: int = _setting("api", "concurrency", _whole(1), "16", env="IHC_CONCURRENCY")
    requests_per_second: float = _setting("api", "requests_per_second", _number(0), "0", env="IHC_REQUESTS_PER_SECOND")
    connect_timeout: float = _setting(
        "api", "connect_timeout", _number(0, exclusive=True), "10", env="IHC_CONNECT_TIMEOUT"
    )
    read_timeout: float = _setting("api", "read_timeout", _number(0, exclusive=True), "60", env="IHC_READ_TIMEOUT")
    total_timeout: float = _setting("api", "total_timeout", _number(0, exclusive=True), "120", env="IHC_TOTAL_TIMEOUT")
    pack_days: int = _setting("api", "pack_days", _whole(1), "1", env="IHC_PACK_DAYS")
    max_requests: int = _setting("api", "max_requests", _whole(0), "0", env="IHC_MAX_REQUESTS")
    retry_budget: float = _setting("api", "retry_budget", _number(0), "900", env="IHC_RETRY_BUDGET")
    training_journeys: int = _setting("training", "training_journeys", _whole(1), "100000", env="TRAINING_JOURNEYS")
    training_min_length: int = _setting("training", "training_min_length", _whole(1), "2", env="TRAINING_MIN_LENGTH")
    held_out_share: float = _setting("training", "held_out_share", _share, "0.1", env="TRAINING_HELD_OUT_SHARE")
    training_seed: int = _setting("training", "training_seed", _whole(0), "1", env="TRAINING_SEED")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings in force: environment variables over luigi.cfg over defaults.

        Raises `SettingsError` naming the key, for unknown keys the nearest known one.
        """
        environ = os.environ if environ is None else environ
        config = luigi.configuration.get_config()
        _refuse_unknown(config, environ)
        values: dict[str, Any] = {}
        for declared in fields(cls):
            section, key, env = (declared.metadata[name] for name in ("section", "key", "env"))
            if env in environ:
                raw, origin = environ[env], env
            else:
                raw, origin = _configured(config, section, key, declared.metadata["default"]), f"[{section}] {key}"
            values[declared.name] = parse_setting(declared, raw, origin)
        return cls(**values)


def parse_setting(declared: Field[Any], raw: str, origin: str) -> Any:  # noqa: ANN401 - the field's own type
    """The checked value of one setting; `origin` names where `raw` came from. Raises `SettingsError`."""
    try:
        return declared.metadata["parse"](raw.strip())
    except ValueError as error:
        raise SettingsError(f"{origin} {error}, not {raw!r}") from None


def declared_settings() -> dict[str, Field[Any]]:
    """Every setting's declaration by its name in `Settings`."""
    return {declared.name: declared for declared in fields(Settings)}


def api_key(environ: Mapping[str, str] | None = None) -> str | None:
    """The API key, from the environment and nowhere else; None without one."""
    return (os.environ if environ is None else environ).get(API_KEY_VARIABLE) or None


def require_api_key() -> str:
    """The API key. Raises `ApiKeyError` without one."""
    key = api_key()
    if key is None:
        raise ApiKeyError(
            f"the model ihc-api needs the environment variable {API_KEY_VARIABLE}; "
            "set it, or use the embedded model (ATTRIBUTION_MODEL=ihc-local)"
        )
    return key


def _configured(config: Any, section: str, key: str, default: str) -> str:  # noqa: ANN401 - Luigi's parser is untyped
    try:
        return str(config.get(section, key, default))
    except configparser.InterpolationError:
        # Neither repeated nor chained: the value may hold a password.
        raise SettingsError(
            f"[{section}] {key} in luigi.cfg refers to a variable that is not there; "
            "set it, or write %% for a percent sign"
        ) from None


def _refuse_unknown(config: Any, environ: Mapping[str, str]) -> None:  # noqa: ANN401 - Luigi's parser is untyped
    known: dict[str, list[str]] = {}
    for declared in fields(Settings):
        known.setdefault(declared.metadata["section"], []).append(declared.metadata["key"])
    for section in config.sections():
        if section in known:
            unknown = [key for key in config.options(section) if key.replace("-", "_") not in known[section]]
            for key in (key for key in unknown if key not in config.defaults()):
                raise SettingsError(f"unknown setting [{section}] {key}{_nearest(key, known[section])}")
        elif near := difflib.get_close_matches(section, [*known], 1, 0.8):
            raise SettingsError(f"unknown section [{section}] in luigi.cfg; did you mean [{near[0]}]?")
    variables = [declared.metadata["env"] for declared in fields(Settings)] + [API_KEY_VARIABLE]
    for name in environ:
        if name.startswith("IHC_") and name not in variables:
            raise SettingsError(f"unknown environment variable {name}{_nearest(name, variables)}")


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, 1, 0.4)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
