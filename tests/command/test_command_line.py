"""The command line: its help, and one line for what is wrong with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from journeys_command import journeys
from support.databases import SHOP_INTERVAL
from support.running import LOCAL, Outcome, Workplace

import pipeline

WRONG = 40


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path / "place")


def luigi(place: Workplace, *arguments: str, **settings: str) -> Outcome:
    return place.start("luigi", "--module", "pipeline", *arguments, **settings).end()


def test_help_lists_the_tasks_and_how_to_get_their_options(place: Workplace) -> None:
    outcome = luigi(place, "--help")
    assert outcome.code == 0
    listed = outcome.output.partition("\ntasks:\n")[2].splitlines()
    assert {line.split()[0] for line in listed if line.startswith("  ")} == set(pipeline.__all__)
    assert all(len(line.split()) > 2 for line in listed if line.startswith("  "))
    assert "<Task> --help" in listed[-1]


def test_help_of_a_task_shows_its_options_and_no_hidden_ones(place: Workplace) -> None:
    outcome = luigi(place, "Journeys", "--help")
    assert outcome.code == 0
    assert "--lookback-days LOOKBACK_DAYS\n" in outcome.output
    assert "[SESSION_LOWER_LIMIT_DATE, else 0]" in " ".join(outcome.output.split())
    assert "--max-run-seconds" in outcome.output
    for hidden in ("--places", "--Journeys-lookback-days", "--Sessions"):
        assert hidden not in outcome.output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["Journeys"], ["date_interval"]),
        (["Journeys", "--date-interval", "yesterday"], ["'yesterday'", "2023-08-29-2023-09-08"]),
        (["Journeys", "--date-interval", "2023-09-01", "--max-sessions", "many"], ["--max-sessions", "'many'"]),
        (["Journeys", "--date-interval", "2023-09-01", "--no-such-option"], ["--no-such-option", "--help"]),
        (["Journeys", "--date-interval"], ["--date-interval", "--help"]),
        (["Journeys", "--date-interval", "2023-09-01", "--workers", "many"], ["workers"]),
        (["Jurneys"], ["Jurneys", "Did you mean", "Journeys"]),
        ([], ["no task is named", "--help"]),
    ],
)
def test_wrong_command_line_is_one_line(place: Workplace, arguments: list[str], named: list[str]) -> None:
    assert_refused(luigi(place, *arguments, *LOCAL), named)
    assert not place.files.exists()


def test_a_task_of_ones_own_with_the_name_of_ours(place: Workplace) -> None:
    (place.folder / "sitecustomize.py").write_text(
        "import luigi, sys\nif sys.argv[0].endswith('luigi'):\n    class Journeys(luigi.Task): pass\n"
    )
    outcome = luigi(place, "Journeys", *LOCAL, PYTHONPATH=str(place.folder))
    assert_refused(outcome, ["sitecustomize.Journeys", "pipeline.journeys.tasks.Journeys", "pipeline.Journeys,"])


MINE = """
import luigi
from pipeline import Journeys as Theirs
class Journeys(luigi.Task):
    def output(self): return luigi.LocalTarget("mine.txt")
    def run(self):
        with self.output().open("w") as file: file.write("mine")
"""


@pytest.mark.parametrize(("module", "name"), [("mine", "mine.Journeys"), ("mine", "pipeline.Journeys")])
def test_a_task_is_told_from_another_of_its_name_by_its_module(shop: Workplace, module: str, name: str) -> None:
    (shop.folder / "mine.py").write_text(MINE)
    path = os.pathsep.join([str(shop.folder), *sys.path])
    interval = ("--date-interval", SHOP_INTERVAL) if name.startswith("pipeline") else ()
    outcome = shop.start("luigi", "--module", module, name, *interval, *LOCAL, PYTHONPATH=path).end().succeeded()
    is_ours = name.startswith("pipeline")
    assert ("Journeys" in outcome.kinds_built) is is_ours
    assert (shop.folder / "mine.txt").exists() is not is_ours


def test_a_task_may_be_named_with_its_module_where_there_is_one_alone(place: Workplace) -> None:
    assert_refused(luigi(place, "pipeline.Journeys", *LOCAL), ["date_interval"])
    assert_refused(luigi(place, "pipeline.Jurneys", *LOCAL), ["pipeline.Jurneys"])


def assert_refused(outcome: Outcome, named: list[str]) -> None:
    assert outcome.code == WRONG, outcome.text
    (line,) = outcome.text.splitlines()
    assert line.startswith("ERROR: ")
    assert [text for text in named if text not in line] == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[attribution.journeys]\nlookback_day = 7\n", ["[attribution.journeys] lookback_day", "mean lookback_days?"]),
        ("[attribution.journeys]\nlookback_days = a week\n", ["[attribution.journeys] lookback_days", "'a week'"]),
        ("[attribution.model]\nposition_first = -1\n", ["[attribution.model] position_first", "'-1'"]),
        ("[attribution.journey]\nlookback_days = 7\n", ["[attribution.journey]", "mean attribution.journeys?"]),
        ("[Journeys]\nlookback_days = 7\n", ["[Journeys]", "write [attribution.journeys] lookback_days instead"]),
    ],
    ids=[
        "misspelt key",
        "wrong value",
        "wrong value that the task does not read",
        "misspelt section",
        "named as a task",
    ],
)
def test_wrong_luigi_cfg_ends_before_anything_is_built(shop: Workplace, text: str, named: list[str]) -> None:
    (shop.folder / "luigi.cfg").write_text(text)
    assert_refused(journeys(shop), named)
    assert not shop.files.exists()


def test_sections_of_other_programs_are_left_alone_and_doubtful_names_warned_of(shop: Workplace) -> None:
    (shop.folder / "luigi.cfg").write_text("[database]\nhost = here\nuser = me\n[retcode]\ntask_failed = 31\n")
    outcome = journeys(shop, IHC_CONCURENCY="8").succeeded()
    warnings = [line for line in outcome.log.splitlines() if line.startswith("WARNING")]
    warning, finding = warnings
    assert "did you mean IHC_CONCURRENCY?" in warning
    assert "matches no session" in finding  # of the shop's rows, whatever the settings
