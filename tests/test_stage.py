"""Stages: when they are complete, what their settings are, and what they tell."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import luigi
import pytest

from pipeline.config import declared_settings
from pipeline.errors import PipelineError, SettingsError
from pipeline.once_a_run import forget
from pipeline.stage import DayBlock, InputSettings, JourneySettings, Stage, data_root
from targets.errors import TargetError
from targets.text import JsonTarget

DAY = dt.date(2023, 9, 1)
looks: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty data directory, and no other settings."""
    for declared in declared_settings().values():
        monkeypatch.delenv(declared.metadata["env"], raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    Base.numbers = {}
    looks.clear()
    begin_anew()
    yield tmp_path
    begin_anew()


def begin_anew() -> None:
    """Nothing is left of what a process knows."""
    luigi.task.Register.clear_instance_cache()
    forget()


class Base(InputSettings, Stage):
    """A number for each day, which the test changes."""

    day = luigi.DateParameter()
    numbers: ClassVar[dict[dt.date, int]] = {}

    def made_from(self) -> list[Stage]:
        return []

    def output(self) -> JsonTarget:
        return JsonTarget(data_root() / "base" / f"{self.day}.json")

    def ingredients(self) -> dict[str, Any]:
        return {"number": self.numbers.get(self.day, 0)}

    def current(self) -> bool:
        looks[str(self.day)] += 1
        return super().current()

    def run(self) -> None:
        self.output().write(self.numbers.get(self.day, 0) // 10, self.fingerprint())


class Double(JourneySettings, Stage):
    """Twice the number of a day."""

    day = luigi.DateParameter()

    def requires(self) -> list[Stage]:
        return [self.clone(Base)]

    def output(self) -> JsonTarget:
        return JsonTarget(data_root() / "double" / f"{self.day}.json")

    def run(self) -> None:
        (base,) = self.input()
        self.output().write(2 * base.read(), self.fingerprint())


class Sum(JourneySettings, Stage):
    """The sum of a day's number and its double."""

    day = luigi.DateParameter()

    def requires(self) -> list[Stage]:
        return [self.clone(Base), self.clone(Double)]

    def output(self) -> JsonTarget:
        return JsonTarget(data_root() / "sum" / f"{self.day}.json")

    def run(self) -> None:
        self.output().write(sum(target.read() for target in self.input()), self.fingerprint())


class BaseBlock(DayBlock):
    """Consecutive days of numbers."""

    stage = Base


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
    return [Base(day=DAY), *(kind(day=DAY, lookback_days=lookback_days) for kind in (Double, Sum))]


class TestCompleteness:
    def test_a_stage_is_complete_once_it_was_built(self) -> None:
        assert build(*all_three()) == ["Base", "Double", "Sum"]
        assert build(*all_three()) == []

    def test_a_missing_target_is_built_and_nothing_else(self, folder: Path) -> None:
        build(*all_three())
        (folder / "double" / f"{DAY}.json").unlink()
        assert not Sum(day=DAY).complete()
        assert build(*all_three()) == ["Double"]

    def test_a_changed_target_is_built_anew(self, folder: Path) -> None:
        build(*all_three())
        (folder / "double" / f"{DAY}.json").write_text("7\n")
        assert not Sum(day=DAY).complete()
        assert build(*all_three()) == ["Double"]

    def test_a_changed_input_rebuilds_what_depends_on_it(self) -> None:
        build(*all_three())
        Base.numbers[DAY] = 10
        assert build(*all_three()) == ["Base", "Double", "Sum"]

    def test_an_input_built_anew_with_the_same_content_rebuilds_nothing(self) -> None:
        """Content decides, not the time of a file, nor how it came about."""
        Base.numbers[DAY] = 10
        build(*all_three())
        Base.numbers[DAY] = 11
        assert build(*all_three()) == ["Base"]

    def test_another_setting_rebuilds_what_depends_on_it_and_so_does_the_way_back(self) -> None:
        build(*all_three(lookback_days=0))
        assert build(*all_three(lookback_days=7)) == ["Double", "Sum"]
        assert build(*all_three(lookback_days=7)) == []
        assert build(*all_three(lookback_days=0)) == ["Double", "Sum"]

    def test_another_version_rebuilds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        build(*all_three())
        monkeypatch.setattr(Double, "version", 2)
        assert build(*all_three()) == ["Double"]

    def test_each_stage_is_looked_at_once_however_many_depend_on_it(self) -> None:
        build(*all_three())
        looks.clear()
        assert Sum(day=DAY).complete()
        assert looks == {str(DAY): 1}

    def test_the_next_question_is_answered_anew(self) -> None:
        build(*all_three())
        total = Sum(day=DAY)
        assert total.complete()
        Base.numbers[DAY] = 10
        assert not total.complete()

    def test_an_error_ends_the_question(self, folder: Path) -> None:
        build(*all_three())
        sidecar = folder / "base" / f"{DAY}.json.stamp"
        sidecar.write_text("damaged")
        with pytest.raises(TargetError, match="damaged"):
            Sum(day=DAY).complete()
        sidecar.unlink()
        assert not Sum(day=DAY).complete()


class TestBlocks:
    def days(self, first: dt.date, count: int) -> list[Stage]:
        return [Base(day=first + dt.timedelta(days=number)) for number in range(count)]

    def test_a_window_of_few_days_is_these_days(self) -> None:
        last = DAY + dt.timedelta(days=1)
        assert BaseBlock.window(Sum(day=DAY), DAY, last) == self.days(DAY, 2)

    def test_a_window_of_many_days_has_fewer_blocks_that_lead_to_all_of_them(self) -> None:
        first, count = dt.date(2023, 1, 1), 200
        window = BaseBlock.window(Sum(day=DAY), first, first + dt.timedelta(days=count - 1))
        assert len(window) < 20
        assert {stage.days for stage in window if isinstance(stage, BaseBlock)} == {8, 64}

        def leaves(stage: Stage) -> list[Stage]:
            return (
                [leaf for part in stage.requires() for leaf in leaves(part)]
                if isinstance(stage, BaseBlock)
                else [stage]
            )

        assert [leaf for stage in window for leaf in leaves(stage)] == self.days(first, count)

    def test_a_block_is_complete_when_all_its_days_are(self) -> None:
        block = BaseBlock(first=dt.date.fromordinal(64), days=64)
        for number, day in enumerate(self.days(block.first, 64)):
            Base.numbers[day.day] = 10 * number
            assert not block.complete()
            build(day)
        assert block.complete()

    def test_a_blocks_contents_are_those_of_its_days_in_order(self) -> None:
        block = BaseBlock(first=dt.date.fromordinal(64), days=8)
        days = self.days(block.first, 8)
        for number, day in enumerate(days):
            Base.numbers[day.day] = 10 * number
        build(*days)
        assert [*block.contents()] == [content for day in days for content in day.contents()]
        assert len({*block.contents()}) == 8


class TestSettings:
    def test_a_parameter_has_the_setting_in_force_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SESSION_LOWER_LIMIT_DATE", "30")
        assert Double(day=DAY).lookback_days == 30
        assert Double(day=DAY, lookback_days=7).lookback_days == 7

    def test_settings_that_change_results_make_another_task(self) -> None:
        assert Double(day=DAY, lookback_days=7) != Double(day=DAY)
        assert Double(day=DAY, lookback_days=7).to_str_params()["lookback_days"] == "7"
        assert Base(day=DAY, bad_rows="set-aside").task_id != Base(day=DAY).task_id

    def test_a_bad_option_is_named_as_it_was_written(self) -> None:
        with pytest.raises(SettingsError, match=r"^--max-sessions must be a whole number of at least 1, not '0'$"):
            Double.from_str_params({"day": str(DAY), "max_sessions": "0"})

    def test_options_are_parsed_as_settings_are(self) -> None:
        stage = Double.from_str_params({"day": str(DAY), "after_previous_conversion": "yes", "max_sessions": "5"})
        assert (stage.after_previous_conversion, stage.max_sessions) == (True, 5)

    def test_the_data_directory_is_named_in_full(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATA_DIR", "results")
        assert data_root() == tmp_path / "results"

    def test_a_data_directory_elsewhere_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATA_DIR", "s3://bucket/results")
        with pytest.raises(
            SettingsError, match=r"^DATA_DIR is 's3://bucket/results', but this version .*; name a folder$"
        ):
            data_root()


class TestMessages:
    def test_progress_goes_to_dashboard_and_log(self, caplog: pytest.LogCaptureFixture) -> None:
        stage = Base(day=DAY)
        said: list[object] = []
        stage.set_status_message = said.append
        stage.set_progress_percentage = said.append
        stage.report("half of it", 0.5)
        stage.report("no share known")
        with caplog.at_level(logging.INFO, logger="luigi-interface.pipeline"):
            stage.done("all of it")
            stage.warn("look at it")
        assert said == ["half of it", 50, "no share known", "all of it", 100]
        assert caplog.messages == [f"Base {DAY}: all of it", f"Base {DAY}: look at it"]

    def test_outside_a_worker_there_is_no_dashboard(self) -> None:
        Base(day=DAY).report("to nobody", 0.5)

    def test_an_error_that_explains_itself_is_one_line(self) -> None:
        for error in (PipelineError("what and why"), TargetError("what and why")):
            assert Base(day=DAY).on_failure(error) == "what and why"

    def test_any_other_error_keeps_its_traceback(self) -> None:
        def shown_after_defect() -> str:
            try:
                return str(1 // 0)
            except ZeroDivisionError as error:
                return Base(day=DAY).on_failure(error)

        assert "Traceback" in shown_after_defect()
