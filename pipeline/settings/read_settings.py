"""The settings in force: by environment, luigi.cfg or default."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import Field
from typing import Any

import luigi.configuration

from pipeline.errors import SettingsError
from pipeline.settings.declared import Settings, declared_settings


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


def _configured(section: str, key: str, default: str) -> str:
    try:
        return str(luigi.configuration.get_config().get(section, key, default))
    except configparser.InterpolationError:
        # Neither repeated nor chained: the value may hold a password.
        raise SettingsError(
            f"[{section}] {key} in luigi.cfg refers to a variable that is not there; "
            "set it, or write %% for a percent sign"
        ) from None
