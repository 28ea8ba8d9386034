"""Names in luigi.cfg and the environment that are wrong, or that resemble ours and are none."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

import luigi.configuration

from pipeline.errors import SettingsError
from pipeline.settings.declare import PREFIX
from pipeline.settings.declared import SECRETS, declared_settings

_RETIRED = {"IHC_PACK_DAYS": "the journeys of an interval are always packed together"}
_OLD_SECTIONS = {
    **{name: name for name in ("database", "files", "input", "journeys", "api", "training")},
    "attribution": "model",
    "comparison_models": "model",
    "engine": "run",
}
"""Where the settings of an earlier version's luigi.cfg are now; its names are common, and may be somebody else's."""


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
