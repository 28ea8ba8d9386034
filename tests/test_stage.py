"""Stages: when they are complete, what they make, how they wait, fail and go on, and what they tell."""

from __future__ import annotations

import datetime as dt
import logging
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import luigi
import pytest
from luigi.configuration import LuigiConfigParser
from luigi.date_interval import Custom

from pipeline.errors import (
    BadRowsError,
    IntervalError,
    LockedError,
    PipelineError,
    SettingsError,
    SourceError,
    StageError,
)
from pipeline.parameters import setting
from pipeline.settings import declared_settings
from pipeline.stage import IntervalStage, Part, Stage, counted, raise_together
from targets.errors import DatabaseError, TargetError, UnwritableTargetError
from targets.text import JsonTarget

DAYS = [dt.date(2023, 9, day) for day in range(1, 8)]
WEEK = Custom(DAYS[0], DAYS[-1] + dt.timedelta(days=1))

looks: Counter[str] = Counter()
made: list[tuple[str, list[Part]]] = []


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty data directory, and no other settings."""
    monkeypatch.setattr(LuigiConfigParser, "_instance", LuigiConfigParser())
    for declared in declared_settings().values():
        monkeypatch.delenv(declared.metadata["env"], raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("pipeline.stage.lock._PAUSE_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr("time.sleep", lambda _: None)
    Numbers.numbers, Numbers.failing, Numbers.fails = {}, {}, 0
    looks.clear()
    made.clear()
    luigi.task.Register.clear_instance_cache()
    yield tmp_path / "data"
    luigi.task.Register.clear_instance_cache()


class Numbers(IntervalStage):
    """A tenth of a number for each day, which the test changes."""

    numbers: ClassVar[dict[Part, int]] = {}
    failing: ClassVar[dict[Part, Exception]] = {}
    fails: ClassVar[int] = 0
    """How often all fails before it succeeds."""

    def requires(self) -> list[Stage]:
        return []

    def target(self, part: Part) -> JsonTarget:
        return JsonTarget(self.files, f"numbers/{part}.json")

    def inputs(self) -> Mapping[Part, Any]:
        return {day: self.numbers.get(day, 0) for day in self.days}

    def stale(self) -> dict[Part, str]:
        looks[self.task_family] += 1
        return super().stale()

    def make(self, stale: Mapping[Part, str]) -> str:
        made.append(("Numbers", [*stale]))
        if Numbers.fails:
            Numbers.fails -= 1
            raise SourceError("not yet")

        def write(day: Part, number: int) -> int:
            if day in self.failing:
                raise self.failing[day]
            self.target(day).write(number // 10, stale[day])
            return 1

        return counted(sum(self.each(((day, self.numbers.get(day, 0)) for day in stale), write, len(stale))), 0)


class Double(IntervalStage):
    """Twice the number of each day."""

    lookback_days = setting("lookback_days")

    def requires(self) -> list[Stage]:
        return [self.clone(Numbers)]

    def target(self, part: Part) -> JsonTarget:
        return JsonTarget(self.files, f"double/{part}.json")

    def settings(self) -> Mapping[str, Any]:
        return {"lookback_days": self.lookback_days}

    def inputs(self) -> Mapping[Part, Any]:
        return self.clone(Numbers).contents()

    def make(self, stale: Mapping[Part, str]) -> str:
        made.append(("Double", [*stale]))
        for day, fingerprint in stale.items():
            self.target(day).write(2 * self.clone(Numbers).target(day).read(), fingerprint)
        return "doubled"


class Sum(IntervalStage):
    """The sum of all numbers and their doubles, in one file."""

    lookback_days = setting("lookback_days")

    def requires(self) -> list[Stage]:
        return [self.clone(Numbers), self.clone(Double)]

    def parts(self) -> Sequence[Part]:
        return ["sum"]

    def target(self, part: Part) -> JsonTarget:
        return JsonTarget(self.files, f"{part}/{self.date_interval}.json")

    def inputs(self) -> Mapping[Part, Any]:
        return {"sum": [[*stage.contents().values()] for stage in self.made_from()]}

    def make(self, stale: Mapping[Part, str]) -> str:
        made.append(("Sum", [*stale]))
        total = sum(target.read() for stage in self.made_from() for target in stage.output())
        self.target("sum").write(total, stale["sum"])
        return "summed"


def build(*stages: Stage) -> list[str]:
    """Run each in turn unless it is complete; the kinds that ran."""
    ran = []
    for stage in stages:
        if not stage.complete():
            stage.run()
            assert stage.complete()
            ran.append(type(stage).__name__)
    return ran


def all_three(lookback_days: int = 0) -> list[Stage]:
    return [
        Numbers(date_interval=WEEK),
        *(kind(date_interval=WEEK, lookback_days=lookback_days) for kind in (Double, Sum)),
    ]


class TestCompleteness:
    def test_a_stage_is_complete_once_it_was_built(self) -> None:
        assert build(*all_three()) == ["Numbers", "Double", "Sum"]
        assert build(*all_three()) == []

    def test_a_missing_target_is_built_and_nothing_else(self, folder: Path) -> None:
        build(*all_three())
        made.clear()
        (folder / "double" / f"{DAYS[2]}.json").unlink()
        assert not all_three()[2].complete()
        assert build(*all_three()) == ["Double"]
        assert made == [("Double", [DAYS[2]])]

    @pytest.mark.parametrize("sidecar", [False, True])
    def test_a_changed_target_is_built_anew(self, folder: Path, sidecar: bool) -> None:  # noqa: FBT001
        build(*all_three())
        made.clear()
        (folder / "double" / f"{DAYS[2]}.json{'.stamp' * sidecar}").write_text("7\n")
        assert not all_three()[2].complete()
        assert build(*all_three()) == ["Double"]
        assert made == [("Double", [DAYS[2]])]

    def test_a_changed_input_rebuilds_what_depends_on_it(self) -> None:
        build(*all_three())
        made.clear()
        Numbers.numbers[DAYS[4]] = 10
        assert build(*all_three()) == ["Numbers", "Double", "Sum"]
        assert made == [("Numbers", [DAYS[4]]), ("Double", [DAYS[4]]), ("Sum", ["sum"])]

    def test_an_input_built_anew_with_the_same_content_rebuilds_nothing(self) -> None:
        """Content decides, not the time of a file, nor how it came about."""
        Numbers.numbers[DAYS[4]] = 10
        build(*all_three())
        Numbers.numbers[DAYS[4]] = 11
        assert build(*all_three()) == ["Numbers"]

    def test_another_setting_rebuilds_what_depends_on_it_and_so_does_the_way_back(self) -> None:
        build(*all_three(lookback_days=0))
        assert build(*all_three(lookback_days=7)) == ["Double"]  # whose content is the same
        assert build(*all_three(lookback_days=7)) == []
        assert build(*all_three(lookback_days=0)) == ["Double"]

    @pytest.mark.parametrize("kind", [Numbers, Double, Sum])
    def test_another_version_rebuilds(self, monkeypatch: pytest.MonkeyPatch, kind: type[Stage]) -> None:
        build(*all_three())
        made.clear()
        monkeypatch.setattr(kind, "version", 2)
        assert build(*all_three()) == [kind.__name__]
        assert made == [(kind.__name__, [*all_three()[0].parts()] if kind is not Sum else ["sum"])]

    def test_each_stage_is_looked_at_once_however_many_depend_on_it(self) -> None:
        build(*all_three())
        looks.clear()
        assert all_three()[2].complete()
        assert looks == {"Numbers": 1}

    def test_the_next_question_is_answered_anew(self) -> None:
        build(*all_three())
        total = all_three()[2]
        assert total.complete()
        Numbers.numbers[DAYS[0]] = 10
        assert not total.complete()

    @pytest.mark.parametrize("error", [SourceError("unknown"), DatabaseError("no database"), SettingsError("wrong")])
    def test_what_cannot_be_judged_is_not_complete(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        build(*all_three())

        def fail(_: Stage) -> None:
            raise error

        monkeypatch.setattr(Numbers, "inputs", fail)
        assert not all_three()[2].complete()
        with pytest.raises(type(error), match=str(error)):
            all_three()[0].run()
        monkeypatch.undo()

    @pytest.mark.parametrize("spoilt", ["", "/numbers", "/numbers/2023-09-03.json", "/numbers/2023-09-03.json.stamp"])
    def test_a_look_raises_nothing_whatever_lies_in_the_data_directory(self, folder: Path, spoilt: str) -> None:
        place = Path(f"{folder}{spoilt}")
        place.parent.mkdir(parents=True, exist_ok=True)
        for make in (place.mkdir, place.touch, lambda: place.symlink_to(place), lambda: os.mkfifo(f"{place}-")):
            make()
            assert not all_three()[2].complete()
            if place.is_dir():
                place.rmdir()
            else:
                place.unlink(missing_ok=True)

    def test_contents_are_those_of_the_days(self) -> None:
        Numbers.numbers = {day: 10 * number for number, day in enumerate(DAYS)}
        stage = Numbers(date_interval=WEEK)
        assert stage.contents() == dict.fromkeys(DAYS, "")
        build(stage)
        assert [*stage.contents()] == DAYS
        assert len({*stage.contents().values()}) == 7
        part = Numbers(date_interval=Custom(DAYS[2], DAYS[4]))
        assert part.contents() == {day: stage.contents()[day] for day in DAYS[2:4]}


class TestRunning:
    def test_an_interval_that_overlaps_makes_its_own_days_alone(self) -> None:
        build(Numbers(date_interval=Custom(DAYS[1], DAYS[3])))
        build(Numbers(date_interval=WEEK))
        assert made == [("Numbers", DAYS[1:3]), ("Numbers", [DAYS[0], *DAYS[3:]])]

    def test_a_complete_stage_that_is_run_makes_nothing(self) -> None:
        build(Numbers(date_interval=WEEK))
        made.clear()
        Numbers(date_interval=WEEK).run()
        assert made == []

    def test_after_a_failed_day_the_next_run_makes_what_is_left(self) -> None:
        Numbers.failing = {DAYS[3]: SourceError(f"bad {DAYS[3]}")}
        with pytest.raises(SourceError, match=rf"^bad {DAYS[3]}$"):
            Numbers(date_interval=WEEK).run()
        assert [*Numbers(date_interval=WEEK).stale()] == [DAYS[3]]
        Numbers.failing = {}
        made.clear()
        build(Numbers(date_interval=WEEK))
        assert made == [("Numbers", [DAYS[3]])]

    def test_errors_of_several_days_are_reported_together(self) -> None:
        Numbers.failing = {day: SourceError(f"bad {day}") for day in (DAYS[5], DAYS[1])}
        with pytest.raises(SourceError, match=rf"^bad {DAYS[1]}; bad {DAYS[5]}$"):
            Numbers(date_interval=WEEK).run()
        assert [*Numbers(date_interval=WEEK).stale()] == [DAYS[1], DAYS[5]]

    def test_a_defect_ends_the_run_at_once(self) -> None:
        Numbers.failing = {DAYS[1]: ZeroDivisionError("defect")}
        with pytest.raises(ZeroDivisionError, match="defect"):
            Numbers(date_interval=WEEK, retries=3).run()
        assert len(made) == 1

    def test_days_that_are_not_over_are_refused_when_the_stage_runs(self, folder: Path) -> None:
        today = dt.datetime.now(dt.UTC).date()
        stage = Numbers(date_interval=Custom(today - dt.timedelta(days=3), today + dt.timedelta(days=1)))
        assert not stage.complete()
        with pytest.raises(IntervalError, match=rf"holds a day that is not over yet \(UTC\); end it at {today} or"):
            stage.run()
        assert not folder.exists()
        build(Numbers(date_interval=Custom(today - dt.timedelta(days=3), today)))

    def test_an_input_that_changes_while_the_stage_runs_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make = Numbers.make

        def change_after(stage: Numbers, stale: Mapping[Part, str]) -> str:
            said = make(stage, stale)
            Numbers.numbers[DAYS[0]] = 500
            return said

        monkeypatch.setattr(Numbers, "make", change_after)
        with pytest.raises(StageError, match=rf"^{DAYS[0]} changed while the stage was running; run it again$"):
            Numbers(date_interval=WEEK).run()

    def test_results_come_in_the_order_of_the_items(self) -> None:
        stage = Numbers(date_interval=WEEK)

        def late(day: dt.date, number: int) -> tuple[dt.date, int]:
            threading.Event().wait(0.02 * (number % 3 == 0))
            return day, number

        items = [(day, number) for number, day in enumerate(DAYS * 5)]
        assert stage.each(iter(items), late, len(items)) == items

    def test_few_items_are_held_at_a_time(self) -> None:
        taken, done, most = 0, 0, 0
        lock = threading.Lock()

        def items() -> Iterator[tuple[str, int]]:
            nonlocal taken, most
            for number in range(100):
                with lock:
                    taken += 1
                    most = max(most, taken - done)
                yield str(number), number

        def make_one(_: str, number: int) -> int:
            nonlocal done
            with lock:
                done += 1
            return number

        assert Numbers(date_interval=WEEK).each(items(), make_one, 100) == [*range(100)]
        assert most <= 10


class TestRetries:
    def test_a_failed_stage_is_tried_again_as_often_as_it_may(self, caplog: pytest.LogCaptureFixture) -> None:
        Numbers.fails = 2
        Numbers(date_interval=WEEK, retries=2).run()
        assert len(made) == 3
        assert [message for message in caplog.messages if "again" in message] == [
            f"Numbers {WEEK}: not yet; tried again in 1 s, 2 times left",
            f"Numbers {WEEK}: not yet; tried again in 2 s, 1 times left",
        ]

    def test_then_its_error_is_raised(self) -> None:
        Numbers.fails = 3
        with pytest.raises(SourceError, match=r"^not yet$"):
            Numbers(date_interval=WEEK, retries=2).run()
        assert len(made) == 3

    def test_without_the_setting_it_is_tried_once(self) -> None:
        Numbers.fails = 1
        with pytest.raises(SourceError, match=r"^not yet$"):
            Numbers(date_interval=WEEK).run()

    def test_the_setting_is_that_in_force(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RETRIES", "1")
        Numbers.fails = 1
        Numbers(date_interval=WEEK).run()

    def test_only_what_failed_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Numbers.failing = {DAYS[3]: UnwritableTargetError("no room")}
        monkeypatch.setattr("time.sleep", lambda _: Numbers.failing.clear())
        Numbers(date_interval=WEEK, retries=1).run()
        assert made == [("Numbers", DAYS), ("Numbers", [DAYS[3]])]

    def test_pauses_grow_and_have_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[float] = []
        monkeypatch.setattr("time.sleep", pauses.append)
        Numbers.fails = 8
        Numbers(date_interval=WEEK, retries=8).run()
        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]

    def test_a_wrong_setting_is_not_tried_again(self) -> None:
        Numbers.failing = {DAYS[0]: SettingsError("wrong setting")}
        with pytest.raises(SettingsError, match=r"^wrong setting$"):
            Numbers(date_interval=WEEK, retries=5).run()
        assert len(made) == 1


HOLD_LOCK = """
import sys
from pathlib import Path
from targets.files import LocalFiles
with LocalFiles(Path(sys.argv[1])).lock("Numbers.lock", "Numbers of last night, process 4711") as holder:
    print(holder, flush=True)
    sys.stdin.read()
"""


class TestLocks:
    @pytest.fixture
    def another_run(self, folder: Path) -> Iterator[subprocess.Popen[str]]:
        """Another process that holds the stage until its input ends."""
        command = [sys.executable, "-c", HOLD_LOCK, str(folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "None\n"
            yield process
            process.kill()

    def test_a_run_that_waits_long_enough_ends_with_who_holds_the_stage(
        self, another_run: subprocess.Popen[str]
    ) -> None:
        started = time.monotonic()
        with pytest.raises(LockedError) as refused:
            Numbers(date_interval=WEEK, lock_seconds=0.3).run()
        assert str(refused.value) == (
            "another run holds the stage (Numbers of last night, process 4711) for more than 0.3 s; run again when it "
            "has ended, or raise LOCK_SECONDS"
        )
        assert 0.3 <= time.monotonic() - started < 5
        assert made == []
        assert another_run.poll() is None

    def test_a_run_that_may_not_wait_ends_at_once(self, another_run: subprocess.Popen[str]) -> None:
        with pytest.raises(LockedError, match="for more than 0 s"):
            Numbers(date_interval=WEEK, lock_seconds=0).run()
        assert another_run.poll() is None

    @pytest.mark.parametrize("how", ["communicate", "kill"])
    def test_a_run_goes_on_when_the_other_ends_however_it_does(
        self,
        another_run: subprocess.Popen[str],
        how: str,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def end_it(_: float) -> None:
            monkeypatch.setattr("time.sleep", lambda _: None)
            getattr(another_run, how)()
            another_run.wait()

        monkeypatch.setattr("time.sleep", end_it)
        stage = Numbers(date_interval=WEEK)
        said: list[str] = []
        stage.set_status_message = said.append
        with caplog.at_level(logging.INFO, logger="luigi-interface.pipeline"):
            stage.run()
        assert stage.complete()
        waits = "waits for another run (Numbers of last night, process 4711)"
        assert said[0] == waits
        assert caplog.messages[0] == f"Numbers {WEEK}: {waits}"

    def test_what_the_other_run_has_made_is_not_made_again(
        self, another_run: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiting = Numbers(date_interval=WEEK)

        def make_and_end(_: float) -> None:
            monkeypatch.setattr("time.sleep", lambda _: None)
            waiting.make(waiting.stale())
            another_run.communicate()

        monkeypatch.setattr("time.sleep", make_and_end)
        waiting.run()
        assert len(made) == 1

    def test_another_stage_is_not_held(self, another_run: subprocess.Popen[str]) -> None:
        stage = Double(date_interval=WEEK)
        with stage.alone():
            assert another_run.poll() is None

    def test_a_failed_stage_is_held_no_longer(self) -> None:
        Numbers.failing = {DAYS[0]: SourceError("bad")}
        with pytest.raises(SourceError):
            Numbers(date_interval=WEEK).run()
        Numbers.failing = {}
        Numbers(date_interval=WEEK, lock_seconds=0).run()

    def test_a_link_in_place_of_the_lock_file_is_an_error_of_one_line(self, folder: Path, tmp_path: Path) -> None:
        (folder / "locks").mkdir(parents=True)
        (folder / "locks" / "Numbers.lock").symlink_to(tmp_path / "precious")
        with pytest.raises(UnwritableTargetError, match=r"locks/Numbers\.lock cannot be written \(Too many levels"):
            Numbers(date_interval=WEEK).run()
        assert not (tmp_path / "precious").exists()


class TestTasks:
    def test_settings_that_change_results_make_another_task(self) -> None:
        assert Double(date_interval=WEEK, lookback_days=7) != Double(date_interval=WEEK)
        assert Double(date_interval=WEEK, lookback_days=7).task_id != Double(date_interval=WEEK).task_id
        assert Double(date_interval=WEEK, retries=7).task_id == Double(date_interval=WEEK).task_id
        assert Double(date_interval=WEEK, lookback_days=7).to_str_params()["lookback_days"] == "7"

    def test_a_bad_option_is_named_as_it_was_written(self) -> None:
        with pytest.raises(SettingsError, match=r"^--lookback-days must be a whole number from 0 to 3660, not '-1'$"):
            Double.from_str_params({"date_interval": str(WEEK), "lookback_days": "-1"})

    def test_options_are_parsed_as_settings_are(self) -> None:
        stage = Double.from_str_params({"date_interval": "2023-W35", "lookback_days": "7", "lock_seconds": "1.5"})
        assert (stage.lookback_days, stage.lock_seconds) == (7, 1.5)
        assert str(stage.date_interval) == "2023-08-28-2023-09-04"

    def test_intervals_written_otherwise_are_the_same_task(self) -> None:
        assert Numbers(date_interval="2023-09-01-2023-09-08") is Numbers(date_interval=WEEK)

    def test_requirements_are_what_it_is_made_from(self) -> None:
        assert all_three()[2].made_from() == all_three()[:2]
        assert [target.name for target in all_three()[2].output()] == [f"sum/{WEEK}.json"]


class TestMessages:
    def test_progress_goes_to_dashboard_and_log(self, caplog: pytest.LogCaptureFixture) -> None:
        stage = Numbers(date_interval=WEEK)
        said: list[object] = []
        stage.set_status_message = said.append
        stage.set_progress_percentage = said.append
        stage.report("half of it", 0.5)
        stage.report("no share known")
        stage.progress(3, 4)
        with caplog.at_level(logging.INFO, logger="luigi-interface.pipeline"):
            stage.done("all of it")
            stage.warn("look at it")
        assert said == ["half of it", 50, "no share known", "3 of 4 days", 75, "all of it", 100]
        assert caplog.messages == [f"Numbers {WEEK}: all of it", f"Numbers {WEEK}: look at it"]

    def test_outside_a_worker_there_is_no_dashboard(self) -> None:
        Numbers(date_interval=WEEK).report("to nobody", 0.5)

    def test_what_was_made_is_said_with_its_time(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="luigi-interface.pipeline"):
            build(Numbers(date_interval=WEEK))
        (message,) = caplog.messages
        assert message.startswith(f"Numbers {WEEK}: 7 days, 0 rows in 0.")

    def test_an_error_that_explains_itself_is_one_line(self) -> None:
        for error in (PipelineError("what and why"), TargetError("what and why")):
            assert Numbers(date_interval=WEEK).on_failure(error) == "what and why"

    def test_any_other_error_keeps_its_traceback(self) -> None:
        def shown_after_defect() -> str:
            try:
                return str(1 // 0)
            except ZeroDivisionError as error:
                return Numbers(date_interval=WEEK).on_failure(error)

        assert "Traceback" in shown_after_defect()

    def test_counts_are_words(self) -> None:
        assert counted(1, 1_234) == "1 day, 1,234 rows"
        assert counted(2, 0, "journeys") == "2 days, 0 journeys"

    @pytest.mark.parametrize(
        ("count", "end"), [(2, "bad 1"), (5, "bad 4"), (6, "bad 4; and 1 more days"), (400, "bad 4; and 395 more days")]
    )
    def test_errors_together_are_of_the_first_ones_kind(self, count: int, end: str) -> None:
        errors = [BadRowsError("bad 0"), *(SourceError(f"bad {number}") for number in range(1, count))]
        with pytest.raises(BadRowsError, match=rf"^bad 0; .*{end}$"):
            raise_together(errors)

    def test_one_error_is_raised_as_it_is_and_none_is_none(self) -> None:
        error = SourceError("bad")
        with pytest.raises(SourceError) as raised:
            raise_together([error])
        assert raised.value is error
        raise_together([])
