"""What all stages share: completeness by fingerprint, settings as parameters, blocks of days, progress."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import luigi
from luigi.task import flatten

from pipeline.config import Settings, declared_settings, parse_setting
from pipeline.days import BLOCK_RADIX, aligned_blocks, days_between
from pipeline.errors import PipelineError, SettingsError
from pipeline.model_options import ModelOptions
from pipeline.once_a_run import once_a_run
from targets.errors import TargetError
from targets.fingerprint import fingerprint

logger = logging.getLogger("luigi-interface.pipeline")

_MODEL_OPTIONS = tuple(option.name for option in fields(ModelOptions))

_checked: ContextVar[dict[str, bool] | None] = ContextVar("checked", default=None)


@once_a_run
def settings() -> Settings:
    """The settings of this run."""
    return Settings.load()


@once_a_run
def data_root() -> Path:
    """The folder of the date-stamped files, absolute."""
    root = settings().data_dir
    if "://" in root:
        raise SettingsError(f"DATA_DIR is {root!r}, but this version writes to local folders only; name a folder")
    return Path(root).absolute()


@once_a_run
def place_identity() -> str:
    """A short name for source, result tables and data directory, which tells nothing of them."""
    locations = (settings().database_url, settings().results_database_url, str(data_root()), str(Path.cwd()))
    return fingerprint({"locations": locations})[:8]


class SettingParameter(luigi.Parameter):
    """A task parameter whose default is the setting of the same name."""

    def __init__(self, name: str, *, significant: bool = True) -> None:
        super().__init__(default=None, significant=significant, description=f"overrides the setting {name}")
        self._declared = declared_settings()[name]

    def parse(self, value: str) -> Any:  # noqa: ANN401 - the setting's own type
        """The checked value. Raises `SettingsError`."""
        return parse_setting(self._declared, value, f"--{self._declared.name.replace('_', '-')}")

    def normalize(self, value: Any) -> Any:  # noqa: ANN401 - the setting's own type
        """The value, by default the setting in force."""
        return getattr(settings(), self._declared.name) if value is None else value


def setting(name: str, *, significant: bool = True) -> Any:  # noqa: ANN401 - the setting's own type
    """A task parameter that overrides the setting of this name, which is its default.

    One that is not significant changes how a stage works, and nothing of what it leaves behind.
    """
    return SettingParameter(name, significant=significant)


class InputSettings:
    """The settings that decide which rows of the source are used."""

    bad_rows = setting("bad_rows")


class JourneySettings(InputSettings):
    """The settings that decide which sessions a journey has."""

    lookback_days = setting("lookback_days")
    max_sessions = setting("max_sessions")
    after_previous_conversion = setting("after_previous_conversion")


class ModelSettings(JourneySettings):
    """The settings that decide which credit a session gets."""

    model = setting("model")
    conv_type_id = setting("conv_type_id")
    direct_channels = setting("direct_channels")
    excluded_channels = setting("excluded_channels")
    position_first = setting("position_first")
    position_last = setting("position_last")
    half_life_hours = setting("half_life_hours")
    markov_order = setting("markov_order")

    @property
    def options(self) -> ModelOptions:
        """The options of the comparison models."""
        return ModelOptions(**{name: getattr(self, name) for name in _MODEL_OPTIONS})


class Stage(luigi.Task):
    """A task with one stamped target, complete when the target was made from the present inputs and settings."""

    version: ClassVar[int] = 1
    """Raised when the code gives other bytes for the same inputs and settings."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        super().__init__(*args, **kwargs)
        # one luigid serves many data directories
        self.task_id: str = f"{vars(self)['task_id']}_{place_identity()}"

    @classmethod
    @functools.cache
    def get_params(cls) -> list[tuple[str, luigi.Parameter]]:
        """The parameters of the class, which Luigi would look for anew in every call."""
        params: list[tuple[str, luigi.Parameter]] = super().get_params()
        return params

    def complete(self) -> bool:
        """Whether the target and all that it was made from are current."""
        if _checked.get() is not None:
            return self._complete_once()
        token = _checked.set({})  # one look at each stage, however many others are made from it
        try:
            return self._complete_once()
        finally:
            _checked.reset(token)

    def current(self) -> bool:
        """Whether the target is current, given that what it was made from is."""
        stamp = self._target.stamp()
        return stamp is not None and stamp.fingerprint == self.fingerprint()

    def fingerprint(self) -> str:
        """The digest of all that determines the target's bytes."""
        return fingerprint(self.ingredients())

    def ingredients(self) -> dict[str, Any]:
        """What determines the target's bytes: stage, version, settings, and the contents of the inputs."""
        inputs = [content for stage in self._sources for content in stage.contents()]
        return {
            "stage": self.task_family,
            "version": self.version,
            "settings": self.parameters,
            "inputs": inputs,
        }

    def made_from(self) -> list[Stage]:
        """The stages whose contents determine this one's: by default all it requires."""
        return flatten(self.requires())

    def contents(self) -> Iterator[str]:
        """The digest of the target's content, for the fingerprints of what is made from it."""
        stamp = self._target.stamp()
        assert stamp is not None  # asked only of what is complete
        yield stamp.content

    def report(self, message: str, progress: float | None = None) -> None:
        """Tell the dashboard how far the stage is, in words and as a share of 1."""
        if self.set_status_message is not None:  # it is None outside a worker
            self.set_status_message(message)
        if progress is not None and self.set_progress_percentage is not None:
            self.set_progress_percentage(round(100 * progress))

    def done(self, message: str) -> None:
        """Tell dashboard and log what the stage has done."""
        self.report(message, 1)
        logger.info("%s: %s", self.label, message)

    def warn(self, message: str) -> None:
        """Tell the log what deserves a look although the run goes on."""
        logger.warning("%s: %s", self.label, message)

    @property
    def label(self) -> str:
        """The stage and its day or interval, for messages."""
        dates = [getattr(self, name) for name in ("day", "date_interval") if hasattr(self, name)]
        return " ".join([self.task_family, *map(str, dates)])

    def on_failure(self, exception: BaseException) -> str:
        """What the dashboard shows: one line for an error that explains itself."""
        if isinstance(exception, PipelineError | TargetError):
            return str(exception)
        return super().on_failure(exception)

    def _complete_once(self) -> bool:
        checked = _checked.get()
        assert checked is not None
        if self.task_id not in checked:
            checked[self.task_id] = (
                self._is_there() and all(stage.complete() for stage in self._sources) and self.current()
            )
        return checked[self.task_id]

    def _is_there(self) -> bool:
        return self._target.exists()

    # A task's parameters do not change, so neither does what follows from them alone. Luigi works them out anew on
    # every call, which made up a third of a run.

    @functools.cached_property
    def _target(self) -> Any:  # noqa: ANN401 - one of the classes in `targets`
        return self.output()

    @functools.cached_property
    def _sources(self) -> list[Stage]:
        return self.made_from()

    @functools.cached_property
    def parameters(self) -> dict[str, str]:
        """The parameters that determine the target's bytes."""
        # the options decide the credit of the model that takes them alone: `model_identity` knows which
        parameters = self.to_str_params(only_significant=True).items()
        return {name: value for name, value in parameters if name not in _MODEL_OPTIONS}


class DayBlock(InputSettings, Stage):
    """Several consecutive days of one daily stage, so that windows of many days need few dependencies."""

    first = luigi.DateParameter()
    days = luigi.IntParameter()
    stage: ClassVar[type[Stage]]

    def requires(self) -> list[Stage]:
        """The days, or the next smaller blocks."""
        last = self.first + dt.timedelta(days=self.days - 1)
        if self.days == BLOCK_RADIX:
            return [self.clone(self.stage, day=day) for day in days_between(self.first, last)]
        length = self.days // BLOCK_RADIX
        firsts = (self.first + dt.timedelta(days=length * place) for place in range(BLOCK_RADIX))
        return [self.clone(first=first, days=length) for first in firsts]

    def complete(self) -> bool:
        """Whether every day is complete."""
        return all(stage.complete() for stage in self._sources)

    def contents(self) -> Iterator[str]:
        """The contents of the days, in order."""
        for stage in self._sources:
            yield from stage.contents()

    @classmethod
    def window(cls, task: Stage, first: dt.date, last: dt.date) -> list[Stage]:
        """The stages that `task` has to require for the days `first`..`last`."""
        return [
            task.clone(cls.stage, day=start) if length == 1 else task.clone(cls, first=start, days=length)
            for start, length in aligned_blocks(first, last)
        ]
