"""What a stage says of itself, what Luigi asks of it, which of its parts are stale, and its run."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, ClassVar, TypeVar

import luigi
from luigi.task import MixinNaiveBulkComplete, flatten

from pipeline.console import on_one_line
from pipeline.days import days_of, refuse_unfinished
from pipeline.errors import PipelineError, SettingsError, StageError
from pipeline.parameters import IntervalParameter, PlacesParameter, setting
from pipeline.stage.lock import stage_lock
from pipeline.stage.look import is_asked_by_a_worker, look_going_on, one_look
from pipeline.stage.parts import SHOWN, Part, make_each
from pipeline.stage.telling import STAGE_RAN, at_work, ran
from targets.errors import TargetError
from targets.files import Files
from targets.fingerprint import Stamp, fingerprint
from targets.listing import one_listing
from targets.stamped import StampedTarget

logger = logging.getLogger("luigi-interface.pipeline")

P = TypeVar("P", bound=Part)
T = TypeVar("T")
R = TypeVar("R")

RUN = secrets.token_hex(4)
"""Names this process, and the workers that it forks, among all runs."""


class Stage(luigi.Task):
    """A task whose parts are stamped targets."""

    version: ClassVar[int] = 1
    """Raised when the code gives other content for the same inputs and settings."""

    task_id: str

    _found_params: ClassVar[list[tuple[str, luigi.Parameter]]]

    runs_as_command: ClassVar[bool] = False
    """Whether the process is a `luigi` command of ours, so that its task ids are never used again."""

    places = PlacesParameter()
    store = setting("store")
    retries = setting("retries")
    lock_seconds = setting("lock_seconds")
    max_run_seconds = setting("max_run_seconds")
    log_format = setting("log_format")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        super().__init__(*args, **kwargs)
        # Tasks of one run are its own on any scheduler: neither another run nor another data directory shares them.
        self.task_id = f"{self.task_id}_{RUN}"

    @classmethod
    def get_params(cls) -> list[tuple[str, luigi.Parameter]]:
        """The parameters, found once for each class: a run of a few days asks thousands of times."""
        if "_found_params" not in vars(cls):
            cls._found_params = super().get_params()
        return cls._found_params

    # What a stage says of itself

    def parts(self) -> Sequence[Part]:
        """What the stage leaves behind, by name; by default the days of its interval."""
        raise NotImplementedError

    def target(self, part: Part) -> Any:  # noqa: ANN401 - one of the classes in `targets`
        """The target of a part."""
        raise NotImplementedError

    def settings(self) -> Mapping[str, Any]:
        """The settings that determine the content of every part, JSON-able."""
        return {}

    def inputs(self) -> Mapping[Part, Any]:
        """Of each part the contents that it is made from, JSON-able."""
        raise NotImplementedError

    def make(self, stale: Mapping[Part, str]) -> str:
        """Make parts, each with its fingerprint; returns what was made, in words.

        Raises `PipelineError`, `TargetError`.
        """
        raise NotImplementedError

    def refuse(self) -> None:
        """Raise `SettingsError` for what no run could mend, before anything is built; by default there is nothing."""

    def made_from(self) -> list[Stage]:
        """The stages whose contents determine this one's: by default all it requires."""
        return flatten(self.requires())

    @property
    def lock_name(self) -> str:
        """The name of the lock that one run of the stage holds at a time."""
        return self.task_family

    # What Luigi asks

    def output(self) -> Any:  # noqa: ANN401 - targets
        """The targets of all parts."""
        return [self.target(part) for part in self.parts()]

    def complete(self) -> bool:
        """Whether every part, and all that it was made from, is there and current.

        A stage that cannot be judged is not complete: its run says why.
        """
        with one_look() as look:
            if self.task_id not in look.complete:
                try:
                    is_made = all(stage.complete() for stage in self.made_from()) and not (
                        self.lacking() if is_asked_by_a_worker() else self.stale()
                    )
                except (PipelineError, TargetError):
                    is_made = False
                look.complete[self.task_id] = is_made
            return look.complete[self.task_id]

    def run(self) -> None:
        """Make what is missing or stale, as often as `retries` says. Raises `PipelineError`, `TargetError`."""
        for attempt in range(self.retries + 1):
            try:
                with at_work(self.label):
                    self.run_once()
            except (PipelineError, TargetError) as error:
                if attempt == self.retries or isinstance(error, SettingsError):
                    raise
                pause = min(30.0, 2.0**attempt)
                self.warn(f"{error}; tried again in {pause:g} s, {self.retries - attempt} times left")
                time.sleep(pause)
            else:
                return

    def on_failure(self, exception: BaseException) -> str:
        """What the dashboard shows: one line for an error that explains itself."""
        if isinstance(exception, PipelineError | TargetError):
            return on_one_line(str(exception))
        return super().on_failure(exception)

    @property
    def retry_count(self) -> int | None:
        """Schedulers do not revive a failed stage of a command, however long the others take."""
        return 1 if self.runs_as_command else None

    # Staleness

    def stale(self) -> dict[Part, str]:
        """The parts that a run makes: those that are not current, or due again, each with its present fingerprint."""
        self.files.expect(self._asked_for(whole=True))
        return {
            part: print_
            for part, print_ in self.fingerprints().items()
            if not self.is_current(part, print_) or self.is_due(part)
        }

    def lacking(self) -> dict[Part, str]:
        """The parts of `stale` that are not there, or not current: a part that is due again can be used until then."""
        return {
            part: print_
            for part, print_ in self.stale().items()
            if not self.is_due(part) or not self.is_current(part, print_)
        }

    def is_due(self, part: Part) -> bool:  # noqa: ARG002 - of what is made from stages alone, nothing is
        """Whether a part is to be made again though it is current: what it is made from may have changed unnoticed."""
        return False

    def is_current(self, part: Part, expected: str) -> bool:
        """Whether a part was made with the fingerprint that is expected of it now.

        A day is checked for damage when it is used; what people use is looked at each time.
        """
        target = self.target(part)
        stamp = target.stamp()
        if stamp is None or stamp.fingerprint != expected:
            return False
        return isinstance(part, dt.date) or bool(target.is_whole())

    def fingerprints(self) -> dict[Part, str]:
        """Of each part the digest of all that determines its content."""
        shared = {"stage": self.task_family, "version": self.version, "settings": dict(self.settings())}
        inputs = self.inputs()
        return {part: fingerprint({**shared, "part": str(part), "inputs": inputs[part]}) for part in self.parts()}

    def contents(self) -> dict[Part, str]:
        """Of each part the digest of its content, for the fingerprints of what is made from it."""
        look = look_going_on()
        if look is None:
            return self.contents_now()
        if self.task_id not in look.contents:
            look.contents[self.task_id] = self.contents_now()
        return look.contents[self.task_id]

    def contents_now(self) -> dict[Part, str]:
        """The contents as they are now, whatever an earlier look has found."""
        return {part: stamp.content if stamp else "" for part, stamp in self._stamps()}

    def _asked_for(self, *, whole: bool) -> Iterator[str]:
        """The files that a look at all parts reads; with `whole` those too that `is_current` looks at each time."""
        for part in self.parts():
            target = self.target(part)
            if isinstance(target, StampedTarget):
                yield from target.asked_for(whole=whole and not isinstance(part, dt.date))

    def _stamps(self) -> Iterator[tuple[Part, Stamp | None]]:
        self.files.expect(self._asked_for(whole=False))
        for part in self.parts():
            yield part, self.target(part).stamp()

    # Running

    def run_once(self) -> None:
        """Make what is missing or stale, alone among all runs."""
        with self.alone():
            with one_look():
                stale = self.stale()
            started = time.monotonic()
            try:
                if stale:
                    with one_listing():
                        made = self.make(stale)
                    self.done(f"{made} in {time.monotonic() - started:.1f} s")
                with one_look():
                    left = self.lacking()
            except Exception:
                left = stale
                with suppress(PipelineError, TargetError), one_look():
                    left = self.lacking()
                self._tell_what_it_made(stale.keys() - left.keys(), time.monotonic() - started, failed=True)
                raise
            self._tell_what_it_made(stale.keys() - left.keys(), time.monotonic() - started, failed=bool(left))
            if left:
                raise StageError(
                    f"{', '.join(map(str, [*left][:SHOWN]))} changed while the stage was running; run it again"
                )

    def _tell_what_it_made(self, made: Collection[Part], seconds: float, *, failed: bool) -> None:
        """Tell the command what of the stage was made, and in which time."""
        rows = sum(target.rows() for part in made if hasattr(target := self.target(part), "rows"))
        told = ran(self.parts(), made, len(getattr(self, "days", ())))
        self.trigger_event(STAGE_RAN, self, dataclasses.replace(told, rows=rows, seconds=seconds, failed=failed))

    def alone(self) -> AbstractContextManager[None]:
        """Hold the stage's lock for the block; wait for another run that holds it. Raises `LockedError`."""
        return stage_lock(self.places.files(), self.lock_name, self.label, self.lock_seconds, self._waits)

    def _waits(self, message: str) -> None:
        self.report(message)
        logger.info("%s: %s", self.label, message, extra={"stage": self.label})

    def each(self, items: Iterable[tuple[P, T]], make_one: Callable[[P, T], R], total: int) -> list[R]:
        """The result of `make_one` for every part and its item, in their order, on up to four processors.

        Few items are held at a time. The errors of all parts are raised together, at the end.
        """
        return make_each(items, make_one, lambda number: self.progress(number, total))

    # Telling

    def figures(self) -> Mapping[str, float]:
        """What a stage that is done says of the marketing, by name; for the metrics of a run."""
        return {}

    def dead_feeds(self) -> Sequence[Mapping[str, str]]:
        """The days that a stage that is done found dead, each with date, feed and reason; for alerts."""
        return ()

    def run_folders(self) -> list[str]:
        """Where in `files` the record of a command that makes the stage lies, beside the log."""
        return []

    @functools.cached_property
    def files(self) -> Files:
        """The data directory; of what a trial derives, the trial's folder in it."""
        return self.places.files()

    @property
    def label(self) -> str:
        """The stage and its interval, for messages."""
        return self.task_family

    def progress(self, number: int, total: int) -> None:
        """Tell the dashboard how many days are made."""
        self.report(f"{number} of {total} days", number / total)

    def report(self, message: str, progress: float | None = None) -> None:
        """Tell the dashboard how far the stage is, in words and as a share of 1."""
        if self.set_status_message is not None:  # it is None outside a worker
            self.set_status_message(on_one_line(message))
        if progress is not None and self.set_progress_percentage is not None:
            self.set_progress_percentage(round(100 * progress))

    def done(self, message: str) -> None:
        """Tell dashboard and log what the stage has done."""
        self.report(message, 1)
        logger.info("%s: %s", self.label, message, extra={"stage": self.label})

    def warn(self, message: str) -> None:
        """Tell the log what deserves a look although the run goes on."""
        logger.warning("%s: %s", self.label, message, extra={"stage": self.label})


class IntervalStage(MixinNaiveBulkComplete, Stage):
    """A stage over the days of an interval, by default with a part a day.

    Luigi's Range tasks ask each day's stage whether it is complete, rather than list files.
    """

    date_interval = IntervalParameter()

    def parts(self) -> Sequence[Part]:
        """The days of the interval."""
        return days_of(self.date_interval)

    @property
    def days(self) -> list[dt.date]:
        """The days of the interval."""
        return days_of(self.date_interval)

    @property
    def label(self) -> str:
        """The stage and its interval, for messages."""
        return f"{self.task_family} {self.date_interval}"

    def run(self) -> None:
        """Make what is missing or stale. Raises `IntervalError` while a day of the interval is not over."""
        refuse_unfinished(self.date_interval, getattr(self, "report_timezone", "UTC"))
        super().run()
