"""All settings together."""

from __future__ import annotations

from dataclasses import Field, dataclass, fields
from typing import Any

from pipeline.settings.credit import CreditSettings
from pipeline.settings.run import RunSettings
from pipeline.settings.source import SourceSettings

SECRETS = ("IHC_API_KEY", "IHC_API_KEY_FILE", "ALERT_URLS", "ALERT_URLS_FILE")
"""Variables that are no settings: what they hold stands in no file and no parameter."""

LOCATIONS = (
    *("database_url", "results_database_url", "source_mapping", "data_dir", "file_mode", "api_url"),
    *("metrics_file", "alert_seconds"),
)
"""The settings that are no options."""


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings, CreditSettings, SourceSettings):
    """The settings, checked."""


def declared_settings() -> dict[str, Field[Any]]:
    """Every setting's declaration by its name in `Settings`."""
    return {declared.name: declared for declared in fields(Settings)}
