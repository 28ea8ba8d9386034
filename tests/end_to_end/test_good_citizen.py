"""Luigi's own ways work: Range tasks, wrapper tasks, tasks of a user's own, several builds in one process."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import luigi
import pytest
from luigi.task import flatten
from support.comparing import contents, query, read_report
from support.databases import SHOP_INTERVAL, change
from support.running import REPOSITORY, Outcome, Workplace

from pipeline import ModelComparison, Report
from pipeline.attribution.models import trained_parameters
from pipeline.stage import IntervalStage
from targets.files import LocalFiles

RANGE = ("--start", "2023-08-30", "--stop", "2023-09-01", "--days-back", "10000")
DAYS = ["2023-08-30-2023-08-31", "2023-08-31-2023-09-01"]

OF_A_USER = """
import luigi
from pipeline import Report

class Daily(luigi.WrapperTask):
    date = luigi.DateParameter()

    def requires(self):
        return [Report(date_interval=self.date)]

class TopChannel(luigi.Task):
    date = luigi.DateParameter()

    def requires(self):
        return Report(date_interval=self.date)

    def output(self):
        return luigi.LocalTarget(f"top/{self.date}.txt")

    def run(self):
        with self.input().open() as report, self.output().open("w") as top:
            top.write(report.readlines()[1])
"""


@pytest.fixture
def build(shop: Workplace, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Builds tasks on the shop in this process."""
    for name in ("DATABASE_URL", "DATA_DIR"):
        monkeypatch.setenv(name, shop.environment[name])
    monkeypatch.chdir(shop.folder)
    return lambda *tasks: luigi.build(tasks, local_scheduler=True, log_level="CRITICAL")


def run(place: Workplace, module: str, *arguments: str, **settings: str) -> Outcome:
    (place.folder / "mine.py").write_text(OF_A_USER)
    command = ("luigi", "--module", module, *arguments, *place.scheduler)
    return place.start(*command, PYTHONPATH=str(place.folder), **settings).end()


def reports(place: Workplace, model: str = "ihc-local") -> list[str]:
    """The intervals that have a report; `latest` is the one that ends last."""
    *intervals, latest = sorted(path.name for path in (place.files / "report" / model).iterdir())
    assert latest == "latest"
    assert (
        place.report_file(latest, model=model).read_bytes()
        == place.report_file(intervals[-1], model=model).read_bytes()
    )
    return intervals


class All(luigi.WrapperTask):
    """What a user writes to have several things made; the result tables have one owner, and the others are trials."""

    def requires(self) -> list[IntervalStage]:
        return [
            Report(date_interval="2023-08-30", model="last-touch", lookback_days=1),
            Report(date_interval=dt.date(2023, 8, 31), model="last-touch", lookback_days=1),
            Report(date_interval=SHOP_INTERVAL, model="linear", store=False),
            Report(date_interval=SHOP_INTERVAL, model="last-touch", store="false"),
            Report(date_interval="2023-08-30-2023-09-01", model="linear", lookback_days=2, store="false"),
        ]


def test_a_range_of_reports(shop: Workplace) -> None:
    run(shop, "pipeline", "RangeDaily", "--of", "Report", *RANGE).succeeded()
    assert reports(shop) == DAYS
    made = contents(shop.files)
    again = run(shop, "pipeline", "RangeDaily", "--of", "Report", *RANGE).succeeded()
    assert again.built == []
    # a report that is there, and stale, is none
    shop.report_file(DAYS[1]).write_text("changed by hand")
    run(shop, "pipeline", "RangeDaily", "--of", "Report", *RANGE).succeeded()
    assert contents(shop.files) == made


def test_a_range_of_reports_with_their_parameters(shop: Workplace) -> None:
    options = ("--param-name", "date_interval", "--of-params", '{"model": "linear", "lookback_days": 1}')
    run(shop, "pipeline", "RangeDaily", "--of", "Report", *RANGE, *options).succeeded()
    assert reports(shop, "linear") == DAYS


def test_a_range_makes_the_days_that_are_over_and_refuses_the_others(shop: Workplace) -> None:
    today = dt.datetime.now(dt.UTC).date()
    days = ("--start", str(today - dt.timedelta(days=1)), "--stop", str(today + dt.timedelta(days=2)))
    outcome = run(
        shop, "pipeline", "RangeDaily", "--of", "Report", *days, "--days-forward", "2", SESSION_LOWER_LIMIT_DATE="1"
    )
    assert outcome.code == 30
    assert "Traceback" not in outcome.text
    assert all("a day that is not over yet" in error for error in outcome.errors)
    assert reports(shop) == [f"{today - dt.timedelta(days=1)}-{today}"]


@pytest.mark.parametrize("of", ["Daily", "TopChannel"])
def test_a_range_of_what_a_user_has_made_of_reports(shop: Workplace, of: str) -> None:
    run(shop, "mine", "RangeDaily", "--of", of, *RANGE).succeeded()
    assert reports(shop) == DAYS
    if of == "TopChannel":
        for day, interval in (("2023-08-30", DAYS[0]), ("2023-08-31", DAYS[1])):
            second_line = shop.report_file(interval).read_text().splitlines()[1]
            assert (shop.folder / "top" / f"{day}.txt").read_text() == second_line + "\n"
    again = run(shop, "mine", "RangeDaily", "--of", of, *RANGE).succeeded()
    assert again.built == []
    longer = [option.replace("2023-09-01", "2023-09-02") for option in RANGE]
    run(shop, "mine", "RangeDaily", "--of", of, *longer).succeeded()
    assert reports(shop) == [*DAYS, "2023-09-01-2023-09-02"]


@pytest.mark.parametrize("workers", [1, 2])
def test_two_models_intervals_and_look_backs_under_one_wrapper(
    build: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    def made() -> list[list[bytes]]:
        return [[target.read_bytes() for target in flatten(task.output())] for task in All().requires()]

    assert luigi.build([All()], local_scheduler=True, log_level="CRITICAL", workers=workers)
    together = made()
    assert all(task.complete() for task in All().requires())
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "alone"))
    monkeypatch.setenv("RESULTS_DATABASE_URL", f"sqlite:///{tmp_path}/alone.db")
    assert all(build(task) for task in All().requires())
    assert made() == together
    assert together[2] != together[3]


def test_each_build_has_the_settings_of_its_time(
    shop: Workplace, build: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {}
    monkeypatch.setenv("STORE", "replace")
    for settings in ({}, {"SESSION_LOWER_LIMIT_DATE": "1"}, {"MAX_SESSIONS": "1"}, {}):
        for name in ("SESSION_LOWER_LIMIT_DATE", "MAX_SESSIONS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        assert build(Report(date_interval=SHOP_INTERVAL))
        texts.setdefault(str(settings), []).append(shop.report_file(SHOP_INTERVAL).read_text())  # type: ignore[attr-defined]
    first, last = texts.pop("{}")
    assert first == last
    assert len({first, *(text for (text,) in texts.values())}) == 3


def test_each_build_has_the_parameters_that_are_trained_by_then(
    shop: Workplace, build: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONV_TYPE_ID", "shop")
    monkeypatch.setenv("STORE", "replace")
    found = []
    for gap in (52.7, 1.0):
        document = json.loads((REPOSITORY / "pipeline" / "attribution" / "models" / "ihc_default.json").read_bytes())
        trained_parameters(LocalFiles(shop.files), "shop").write({**document, "restart_gap_hours": gap}, str(gap))
        assert build(Report(date_interval=SHOP_INTERVAL))
        found.append(query(shop.database, "SELECT * FROM attribution_customer_journey ORDER BY 1, 2"))
    monkeypatch.delenv("CONV_TYPE_ID")
    assert build(Report(date_interval=SHOP_INTERVAL))
    assert found[0] == query(shop.database, "SELECT * FROM attribution_customer_journey ORDER BY 1, 2")
    assert found[1] != found[0]


def test_a_database_that_is_replaced_between_two_builds_is_read_anew(
    shop: Workplace, build: Callable[..., bool]
) -> None:
    assert build(Report(date_interval="2023-08-29-2023-08-31"))
    change(shop.database, "UPDATE session_costs SET cost = 77.0 WHERE session_id = 'again-2'")
    assert build(Report(date_interval="2023-08-31"))
    rows = read_report(shop.report_file("2023-08-31-2023-09-01"))
    (row,) = [row for row in rows if (row["channel_name"], row["date"]) == ("Referral", "2023-08-31")]
    assert float(row["cost"]) >= 77


def test_the_input_of_a_users_task_is_open_for_reading(shop: Workplace, build: Callable[..., bool]) -> None:
    read = []

    class Reader(luigi.Task):
        def requires(self) -> dict[str, luigi.Task]:
            return {
                "report": Report(date_interval=SHOP_INTERVAL),
                "comparison": ModelComparison(date_interval=SHOP_INTERVAL, models="linear,last-touch"),
            }

        def run(self) -> None:
            with self.input()["report"].open() as file:
                read.append(file.read())
            read.append(self.input()["report"].path)
            self.done = True

        def complete(self) -> bool:
            return hasattr(self, "done")

    assert build(Reader())
    path = shop.report_file(SHOP_INTERVAL)
    assert read == [path.read_bytes().decode(), str(path)]
