"""The stages that read the source: which days they read, what they refuse, what they keep."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from luigi.date_interval import Custom
from source_cases import costs_of
from support.databases import add_rows, change, conversion, session, write_database
from support.stages import make, places_of

from pipeline.errors import BadRowsError, IntervalError, LockedError, SourceError
from pipeline.places import Places
from pipeline.source.extract import Extract
from pipeline.source.repeated import refuse_repeated
from pipeline.source.tasks import ChannelCosts, Conversions, InitDatabase, Sessions, SourceFindings
from pipeline.sql_session import sql_session
from pipeline.stage import IntervalStage, Stage
from targets.errors import UnreadableTargetError

DAYS = [dt.date(2023, 9, day) for day in (1, 2, 3)]
INTERVAL = Custom(DAYS[0], dt.date(2023, 9, 4))

StageOf = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three days, each with a session that costs 1, 2 and 3 euro, and an order."""
    return write_database(
        tmp_path / "source.db",
        [session(f"s{day.day}", "user", f"{day} 10:00:00", "Ads") for day in DAYS],
        [conversion(f"c{day.day}", "user", f"{day} 12:00:00") for day in DAYS],
        [(f"s{day.day}", day.day) for day in DAYS],
    )


@pytest.fixture
def places(path: Path, tmp_path: Path) -> Places:
    return places_of(path, tmp_path / "data")


@pytest.fixture
def stage_of(places: Places) -> StageOf:
    def made(kind: type[Stage], **parameters: object) -> Stage:
        if issubclass(kind, IntervalStage):
            parameters = {"date_interval": INTERVAL, **parameters}
        return kind(places=places, **parameters)

    return made


@pytest.fixture
def data(places: Places) -> Path:
    return Path(places.data_dir)


def rows(stage: Any, column: str) -> list[list[object]]:  # noqa: ANN401 - a stage of days
    """The column of each day."""
    return [target.read()[column].to_pylist() for target in stage.output()]


def contents(folder: Path) -> dict[str, bytes]:
    files = ((str(path.relative_to(folder)), path) for path in folder.rglob("*") if path.is_file())
    return {name: path.read_bytes() for name, path in files if not name.startswith("locks/")}


class TestDays:
    def test_each_day_is_a_file_of_its_rows(self, stage_of: StageOf, data: Path) -> None:
        assert make(stage_of(Sessions), stage_of(Conversions)) == [
            "InitDatabase",
            "SourceFindings",
            "Sessions",
            "Conversions",
        ]
        assert rows(stage_of(Sessions), "session_id") == [["s1"], ["s2"], ["s3"]]
        assert rows(stage_of(Conversions), "conv_id") == [["c1"], ["c2"], ["c3"]]
        assert {file.name for file in (data / "sessions").iterdir()} == {
            f"{day}.parquet{stamp}" for day in DAYS for stamp in ("", ".stamp")
        }

    def test_a_day_is_read_once(self, stage_of: StageOf, path: Path) -> None:
        make(stage_of(Sessions))
        add_rows(path, [session("late", "user", f"{DAYS[0]} 23:00:00")])
        assert make(stage_of(Sessions)) == []
        assert rows(stage_of(Sessions), "session_id")[0] == ["s1"]

    def test_a_day_that_is_restated_is_read_anew_alone(self, stage_of: StageOf, path: Path, data: Path) -> None:
        make(stage_of(Sessions))
        add_rows(path, [session(f"late{day.day}", "user", f"{day} 23:00:00") for day in DAYS])
        (data / "sessions" / f"{DAYS[1]}.parquet").unlink()
        assert make(stage_of(Sessions)) == ["SourceFindings", "Sessions"]
        assert rows(stage_of(Sessions), "session_id") == [["s1"], ["s2", "late2"], ["s3"]]

    def test_days_of_another_interval_are_not_read_again(self, stage_of: StageOf, data: Path) -> None:
        make(stage_of(Sessions, date_interval=DAYS[1]))
        before = (data / "sessions" / f"{DAYS[1]}.parquet").stat().st_ino
        make(stage_of(Sessions))
        assert (data / "sessions" / f"{DAYS[1]}.parquet").stat().st_ino == before

    def test_an_interval_that_is_not_over_is_refused_before_anything_is_read(
        self, stage_of: StageOf, data: Path
    ) -> None:
        today = dt.datetime.now(dt.UTC).date()
        for kind in (Sessions, Conversions, ChannelCosts):
            with pytest.raises(IntervalError, match="holds a day that is not over yet"):
                stage_of(kind, date_interval=today).run()
        assert not data.exists()

    def test_little_memory_gives_the_same_files(
        self, stage_of: StageOf, data: Path, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_rows(path, [session(f"{number}", "user", f"{DAYS[number % 3]} 11:00:00") for number in range(2_000)])
        make(stage_of(Sessions), stage_of(ChannelCosts))
        expected = contents(data)
        shutil.rmtree(data)
        monkeypatch.setattr("pipeline.source.extract._MEMORY", 0)
        make(stage_of(Sessions, memory_limit="50MB"), stage_of(ChannelCosts, memory_limit="50MB"))
        assert contents(data) == expected

    def test_a_source_beside_the_results_stays_as_it_is(self, places: Places, path: Path, tmp_path: Path) -> None:
        before = path.read_bytes()
        elsewhere = replace(places, results_database_url=f"sqlite:///{tmp_path / 'results.db'}")
        make(
            ChannelCosts(places=elsewhere, date_interval=INTERVAL),
            SourceFindings(places=elsewhere),
        )
        assert path.read_bytes() == before
        assert {file.name for file in tmp_path.iterdir()} == {"source.db", "results.db", "data"}

    def test_a_text_that_is_not_utf8_stops_its_day_and_no_other(self, stage_of: StageOf, path: Path) -> None:
        change(path, "UPDATE session_sources SET user_id = CAST(X'FF' AS TEXT) WHERE session_id = 's2'")
        with pytest.raises(SourceError, match=rf"^session_sources on {DAYS[1]}: a text is not UTF-8"):
            make(stage_of(Sessions))
        assert [*stage_of(Sessions).stale()] == [DAYS[1]]


class TestBadRows:
    @pytest.fixture(autouse=True)
    def spoil(self, path: Path) -> None:
        change(path, "UPDATE session_sources SET user_id = NULL WHERE session_id <> 's2'")

    def test_all_days_are_named_and_the_good_ones_are_kept(self, stage_of: StageOf, data: Path) -> None:
        with pytest.raises(BadRowsError) as refused:
            make(stage_of(Sessions))
        assert str(refused.value).startswith(
            "session_sources on 2023-09-01: 1 bad row: s1 (user_id is NULL or empty); "
            "session_sources on 2023-09-03: 1 bad row: s3 (user_id is NULL or empty). Correct them"
        )
        assert [*stage_of(Sessions).stale()] == [DAYS[0], DAYS[2]]
        assert not (data / "rejects").exists()

    def test_days_that_were_corrected_are_read_and_no_others(self, stage_of: StageOf, path: Path, data: Path) -> None:
        with pytest.raises(BadRowsError):
            make(stage_of(Sessions))
        before = (data / "sessions" / f"{DAYS[1]}.parquet").stat().st_ino
        change(path, "UPDATE session_sources SET user_id = 'user'")
        assert make(stage_of(Sessions)) == ["SourceFindings", "Sessions"]
        assert rows(stage_of(Sessions), "session_id") == [["s1"], ["s2"], ["s3"]]
        assert (data / "sessions" / f"{DAYS[1]}.parquet").stat().st_ino == before

    def test_rows_set_aside_are_listed(self, stage_of: StageOf, data: Path, caplog: pytest.LogCaptureFixture) -> None:
        stage = stage_of(Sessions, bad_rows="set-aside")
        make(stage)
        assert rows(stage, "session_id") == [[], ["s2"], []]
        listed = data / "rejects" / "session_sources" / f"{DAYS[0]}.csv"
        assert listed.read_text() == "id,reason\ns1,user_id is NULL or empty\n"
        assert not listed.with_name(f"{DAYS[1]}.csv").exists()
        assert [target.notes()["rejected"]["session_sources"] for target in stage.output()] == [1, 0, 1]
        assert f"session_sources on {DAYS[0]}: 1 rows set aside in {listed}" in caplog.text
        assert make(stage) == []

    def test_days_with_rows_set_aside_are_refused_where_that_is_not_allowed(
        self, stage_of: StageOf, path: Path, data: Path
    ) -> None:
        make(stage_of(Sessions, bad_rows="set-aside"))
        assert [*stage_of(Sessions).stale()] == [DAYS[0], DAYS[2]]
        with pytest.raises(BadRowsError, match=r"s1 .*; .*s3 "):
            make(stage_of(Sessions))
        assert make(stage_of(Sessions, bad_rows="set-aside")) == []  # what is there stays as long as nothing is better
        change(path, "UPDATE session_sources SET user_id = 'user'")
        make(stage_of(Sessions))
        assert rows(stage_of(Sessions), "session_id") == [["s1"], ["s2"], ["s3"]]
        assert [*(data / "rejects" / "session_sources").iterdir()] == []

    @pytest.mark.parametrize("missing", ["csv", "parquet", "parquet.stamp"])
    def test_a_list_that_is_gone_is_made_again(self, stage_of: StageOf, data: Path, missing: str) -> None:
        stage = stage_of(Sessions, bad_rows="set-aside")
        make(stage)
        (data / "rejects" / "session_sources" / f"{DAYS[0]}.{missing}").unlink()
        assert [*stage.stale()] == [DAYS[0]]
        assert make(stage) == ["Sessions"]
        assert (data / "rejects" / "session_sources" / f"{DAYS[0]}.{missing}").exists()

    def test_their_costs_are_noted_and_change_with_them(self, stage_of: StageOf, path: Path, data: Path) -> None:
        change(path, "UPDATE session_sources SET channel_name = '' WHERE session_id <> 's2'")
        sessions, costs = stage_of(Sessions, bad_rows="set-aside"), stage_of(ChannelCosts, bad_rows="set-aside")
        make(costs)
        assert [target.notes()["cost_of_sessions"] for target in costs.output()] == [1.0, 0.0, 3.0]
        assert rows(costs, "cost") == [[], [2.0], []]
        add_rows(path, [session("more", "", f"{DAYS[0]} 10:00:00", "")], costs=[("more", 0.5)])
        (data / "sessions" / f"{DAYS[0]}.parquet").unlink()
        assert make(sessions, costs) == [
            "SourceFindings",
            "Sessions",
            "ChannelCosts",
        ]  # although the good rows are the same
        assert [target.notes()["cost_of_sessions"] for target in costs.output()] == [1.5, 0.0, 3.0]

    def test_a_damaged_list_is_named_and_made_again_without_it(self, stage_of: StageOf, data: Path) -> None:
        make(stage_of(Sessions, bad_rows="set-aside"))
        kept = data / "rejects" / "session_sources" / f"{DAYS[0]}.parquet"
        kept.write_bytes(b"damaged")
        with pytest.raises(UnreadableTargetError, match=rf"^{kept} is truncated, damaged .*; delete it and rerun"):
            make(stage_of(ChannelCosts, bad_rows="set-aside"))
        kept.unlink()
        assert make(stage_of(ChannelCosts, bad_rows="set-aside")) == ["Sessions", "ChannelCosts"]


class TestChannelCosts:
    def test_each_day_has_the_costs_of_its_sessions(self, stage_of: StageOf) -> None:
        assert make(stage_of(ChannelCosts)) == ["InitDatabase", "SourceFindings", "Sessions", "ChannelCosts"]
        assert [costs_of(Extract(target.read(), {})) for target in stage_of(ChannelCosts).output()] == [
            {"Ads": 1.0},
            {"Ads": 2.0},
            {"Ads": 3.0},
        ]

    def test_bad_costs_are_refused_on_the_days_of_their_sessions(self, stage_of: StageOf, path: Path) -> None:
        change(path, "UPDATE session_costs SET cost = -1 WHERE session_id <> 's2'")
        with pytest.raises(BadRowsError, match=r"^session_costs on 2023-09-01: .*; session_costs on 2023-09-03: "):
            make(stage_of(ChannelCosts))
        assert [*stage_of(ChannelCosts).stale()] == [DAYS[0], DAYS[2]]

    def test_bad_costs_are_set_aside_where_that_is_allowed(self, stage_of: StageOf, path: Path, data: Path) -> None:
        change(path, "UPDATE session_costs SET cost = 'ten' WHERE session_id = 's1'")
        stage = stage_of(ChannelCosts, bad_rows="set-aside")
        make(stage)
        assert rows(stage, "cost") == [[0.0], [2.0], [3.0]]
        listed = data / "rejects" / "session_costs" / f"{DAYS[0]}.csv"
        assert listed.read_text() == "id,reason\ns1,cost is not a number of at least 0\n"

    def test_a_restated_day_has_its_costs_summed_anew(self, stage_of: StageOf, path: Path, data: Path) -> None:
        make(stage_of(ChannelCosts))
        add_rows(path, [session("late", "user", f"{DAYS[1]} 23:00:00", "Radio")], costs=[("late", 0.25)])
        (data / "sessions" / f"{DAYS[1]}.parquet").unlink()
        assert make(stage_of(ChannelCosts)) == ["SourceFindings", "Sessions", "ChannelCosts"]
        assert rows(stage_of(ChannelCosts), "channel_name") == [["Ads"], ["Ads", "Radio"], ["Ads"]]


class TestCorrectedDates:
    """An order whose date the shop has corrected, from the first day to the second."""

    @pytest.fixture(autouse=True)
    def corrected(self, stage_of: StageOf, path: Path) -> None:
        make(stage_of(Conversions))
        change(path, "UPDATE conversions SET conv_date = ? WHERE conv_id = 'c1'", str(DAYS[1]))

    def restate(self, data: Path, *days: dt.date) -> None:
        for day in days:
            (data / "conversions" / f"{day}.parquet").unlink()

    def refuse(self, stage: Any) -> None:  # noqa: ANN401 - Conversions
        with sql_session(stage.files, "1GB") as connection:
            refuse_repeated(connection, [target.verified() for target in stage.output()], "conv_id", "conversions")

    def test_it_stays_where_it_was_read_until_its_days_are_restated(self, stage_of: StageOf) -> None:
        assert make(stage_of(Conversions)) == []
        assert rows(stage_of(Conversions), "conv_id") == [["c1"], ["c2"], ["c3"]]
        self.refuse(stage_of(Conversions))

    def test_it_moves_when_both_days_are_restated(self, stage_of: StageOf, data: Path) -> None:
        self.restate(data, *DAYS[:2])
        make(stage_of(Conversions))
        assert rows(stage_of(Conversions), "conv_id") == [[], ["c1", "c2"], ["c3"]]
        self.refuse(stage_of(Conversions))

    def test_it_is_refused_when_one_day_alone_is(self, stage_of: StageOf, data: Path) -> None:
        self.restate(data, DAYS[1])
        make(stage_of(Conversions))
        assert rows(stage_of(Conversions), "conv_id") == [["c1"], ["c1", "c2"], ["c3"]]
        message = r"^1 ids stand on more than one day of conversions: c1; correct them in the source, remove the files"
        with pytest.raises(SourceError, match=message):
            self.refuse(stage_of(Conversions))


def test_no_files_hold_no_id_twice(stage_of: StageOf) -> None:
    with sql_session(stage_of(Sessions).files, "1GB") as connection:
        refuse_repeated(connection, [], "session_id", "session_sources")


class TestInitDatabase:
    def test_it_is_complete_once_all_is_in_place(self, stage_of: StageOf, path: Path, data: Path) -> None:
        assert make(stage_of(InitDatabase)) == ["InitDatabase"]
        assert make(stage_of(InitDatabase)) == []
        (data / "source.json").unlink()
        assert make(stage_of(InitDatabase)) == ["InitDatabase"]
        change(path, "DROP TABLE channel_reporting")
        assert make(stage_of(InitDatabase)) == ["InitDatabase"]

    def test_a_data_directory_that_another_source_has_taken_is_not_in_order(
        self, stage_of: StageOf, path: Path, data: Path, tmp_path: Path
    ) -> None:
        make(stage_of(InitDatabase))
        assert stage_of(InitDatabase).complete()
        (data / "source.json").write_text(json.dumps({"source": str(tmp_path / "other.db"), "conversions": []}))
        assert not stage_of(InitDatabase).complete()
        with pytest.raises(
            SourceError, match=rf"^{data} holds files of {tmp_path / 'other.db'}, not of {path}; set DATA"
        ):
            make(stage_of(InitDatabase))

    def test_one_run_at_a_time_claims_a_data_directory(self, stage_of: StageOf) -> None:
        stage = stage_of(InitDatabase, lock_seconds=0)
        with stage.alone(), pytest.raises(LockedError):
            stage.run()

    def test_rows_that_come_and_go_are_the_same_database(self, stage_of: StageOf, path: Path) -> None:
        make(stage_of(InitDatabase))
        add_rows(path, conversions=[conversion(f"new{n}", "user", f"{DAYS[0]} 12:00:00") for n in range(100)])
        change(path, "DELETE FROM conversions WHERE conv_id = 'c1'")
        assert make(stage_of(InitDatabase)) == []

    def test_a_database_in_place_of_another_is_refused_before_anything_is_read(
        self, stage_of: StageOf, path: Path, data: Path
    ) -> None:
        make(stage_of(Sessions, date_interval=DAYS[0]))
        before = contents(data)
        path.unlink()
        write_database(path, conversions=[conversion("other", "user", f"{DAYS[0]} 12:00:00")])
        assert not stage_of(Sessions).complete()  # which says nothing yet
        with pytest.raises(SourceError, match=rf"^{path} has none of the conversions that it had when {data} was last"):
            make(stage_of(Sessions))
        assert contents(data) == before

    @pytest.mark.parametrize("spoil", ["DROP TABLE session_costs", "ALTER TABLE conversions DROP COLUMN revenue"])
    def test_a_wrong_source_is_refused_before_anything_is_written(
        self, stage_of: StageOf, path: Path, data: Path, spoil: str
    ) -> None:
        change(path, spoil)
        with pytest.raises(SourceError, match=r"session_costs|conversions"):
            make(stage_of(InitDatabase))
        assert not (data / "source.json").exists()
