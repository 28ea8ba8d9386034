"""Task parameters: settings and places, each checked where it enters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import luigi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import LuigiConfigParser

from pipeline.errors import SettingsError
from pipeline.model_options import ChannelNames
from pipeline.parameters import HiddenParameter, PlacesParameter, SettingParameter, setting
from pipeline.places import Places
from pipeline.settings import LOCATIONS, declared_settings, setting_in_force

NAMES = [name for name in declared_settings() if name not in LOCATIONS]


@pytest.fixture(autouse=True)
def no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither luigi.cfg nor environment, and nothing that was made under others."""
    monkeypatch.setattr(LuigiConfigParser, "_instance", LuigiConfigParser())
    for declared in declared_settings().values():
        monkeypatch.delenv(declared.metadata["env"], raising=False)
    monkeypatch.chdir(tmp_path)
    luigi.task.Register.clear_instance_cache()


class Told(luigi.Task):
    """A task with settings."""

    places = PlacesParameter()
    lookback_days = setting("lookback_days")
    redistribution = setting("redistribution")
    excluded_channels = setting("excluded_channels")
    retries = setting("retries")
    hidden = HiddenParameter(default=())


class TestSettingParameter:
    def test_the_default_is_the_setting_in_force_when_the_task_is_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert Told().lookback_days == 0
        monkeypatch.setenv("SESSION_LOWER_LIMIT_DATE", "30")
        assert Told().lookback_days == 30
        assert Told(lookback_days=7).lookback_days == 7

    def test_an_option_wins_over_the_environment_and_that_over_luigi_cfg(self, monkeypatch: pytest.MonkeyPatch) -> None:
        parser = LuigiConfigParser()
        parser.read_string("[attribution.journeys]\nlookback_days = 5\n")
        monkeypatch.setattr(LuigiConfigParser, "_instance", parser)
        assert Told().lookback_days == 5
        monkeypatch.setenv("SESSION_LOWER_LIMIT_DATE", "30")
        assert self.told("--lookback-days", "7").lookback_days == 7
        assert self.told().lookback_days == 30

    def told(self, *options: str) -> Told:
        """The task that a command line names."""
        with CmdlineParser.global_instance(["Told", *options], allow_override=True) as parser:
            task: Told = parser.get_task_obj()
        return task

    def test_an_option_of_nothing_wins_over_the_environment_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IHC_REDISTRIBUTION", "rules.json")
        monkeypatch.setenv("EXCLUDED_CHANNELS", "Referral")
        told = self.told("--redistribution", " ", "--excluded-channels", " ")  # Luigi takes no empty ones
        assert (told.redistribution, told.excluded_channels) == (None, ())
        assert told.clone() == told
        assert (Told().redistribution, Told().excluded_channels) == ("rules.json", ("Referral",))

    def test_a_clone_keeps_what_its_task_was_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told = Told(redistribution=None, lookback_days=3)
        monkeypatch.setenv("IHC_REDISTRIBUTION", "rules.json")
        monkeypatch.setenv("SESSION_LOWER_LIMIT_DATE", "30")
        clone = told.clone(Told, retries=2)
        assert (clone.redistribution, clone.lookback_days) == (None, 3)

    @pytest.mark.parametrize("name", NAMES)
    def test_a_default_comes_back_from_its_text(self, name: str) -> None:
        parameter = SettingParameter(name)
        value = parameter.normalize(setting_in_force(name))
        assert value == setting_in_force(name, {})
        assert parameter.parse(parameter.serialize(value)) == value
        assert parameter.normalize(parameter.serialize(value)) == value

    @pytest.mark.parametrize(
        ("name", "value", "checked"),
        [
            ("lookback_days", 7, 7),
            ("lookback_days", "7", 7),
            ("lookback_days", " 7 ", 7),
            ("half_life_hours", 12, 12.0),
            ("half_life_hours", 1e-7, 1e-7),
            ("position_first", 0.1 + 0.2, 0.1 + 0.2),
            ("after_previous_conversion", True, True),
            ("after_previous_conversion", "no", False),
            ("after_previous_conversion", 0, False),
            ("direct_channels", ["Direct", "Email, fast"], ("Direct", "Email, fast")),
            ("direct_channels", ("Direct",), ("Direct",)),
            ("direct_channels", ChannelNames(["Direct"]), ("Direct",)),
            ("direct_channels", [], ()),
            ("redistribution", None, None),
            ("redistribution", "", None),
        ],
    )
    def test_a_value_of_its_type_or_another_is_taken_for_what_it_says(
        self, name: str, value: object, checked: object
    ) -> None:
        found = SettingParameter(name).normalize(value)
        assert found == checked
        assert isinstance(found, type(checked))

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("lookback_days", 7.5, "--lookback-days must be a whole number from 0 to 3660, not '7.5'"),
            ("lookback_days", True, "--lookback-days must be a whole number from 0 to 3660, not 'True'"),
            ("lookback_days", -1, "--lookback-days must be a whole number from 0 to 3660, not '-1'"),
            ("max_sessions", None, "--max-sessions must be a whole number of at least 1, not ''"),
            ("half_life_hours", float("nan"), "--half-life-hours must be a number above 0, not 'nan'"),
            ("after_previous_conversion", 2, "--after-previous-conversion must be true or false, not '2'"),
            ("model", None, "--model must have a value, not ''"),
            ("bad_rows", ["skip"], "--bad-rows must be fail or set-aside, not 'skip'"),
        ],
    )
    def test_a_value_that_it_cannot_have_is_named_as_an_option(self, name: str, value: object, message: str) -> None:
        with pytest.raises(SettingsError) as refused:
            SettingParameter(name).normalize(value)
        assert str(refused.value) == message

    @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(str.strip).filter(bool)))
    def test_names_come_back_from_their_text(self, names: list[str]) -> None:
        parameter = SettingParameter("excluded_channels")
        assert parameter.parse(parameter.serialize(tuple(names))) == tuple(names)

    def test_what_changes_results_makes_another_task_and_nothing_else_does(self) -> None:
        assert Told(lookback_days=7).task_id != Told().task_id
        assert Told(retries=7).task_id == Told().task_id
        assert Told(lookback_days=7).to_str_params()["lookback_days"] == "7"
        assert "retries" not in Told().to_str_params(only_significant=True)

    @pytest.mark.parametrize("name", NAMES)
    def test_its_help_names_the_variable(self, name: str) -> None:
        described = SettingParameter(name).description
        assert f"[{declared_settings()[name].metadata['env']}, else " in described
        assert described % () == described.replace("%%", "%")  # argparse formats it


class TestPlaces:
    def test_they_are_those_in_force(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DATABASE_URL", "sqlite:///shop.db")
        monkeypatch.setenv("DATA_DIR", "results")
        monkeypatch.setenv("FILE_MODE", "600")
        places = Told().places
        assert places == Places.in_force()
        assert (places.database_url, places.data_dir) == ("sqlite:///shop.db", str(tmp_path / "results"))
        assert places.files().where("a") == str(tmp_path / "results" / "a")
        assert places.source().name == str(tmp_path / "shop.db")
        places.files().write("a", b"")
        assert (tmp_path / "results" / "a").stat().st_mode & 0o777 == 0o600

    def test_the_data_directory_is_named_in_full(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DATA_DIR", "results")
        assert Places.in_force().data_dir == str(tmp_path / "results")

    def test_a_data_directory_in_a_bucket_is_no_path(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATA_DIR", "s3://bucket/results")
        assert Places.in_force().data_dir == "s3://bucket/results"

    @pytest.mark.parametrize("data_dir", ["gs://bucket/results", "https://host/results", "s3:///results"])
    def test_a_data_directory_elsewhere_is_refused(self, monkeypatch: pytest.MonkeyPatch, data_dir: str) -> None:
        monkeypatch.setenv("DATA_DIR", data_dir)
        with pytest.raises(SettingsError, match=r"^DATA_DIR "):
            Places.in_force()

    def test_the_source_is_read_only_where_results_go_elsewhere(self) -> None:
        places = Places.in_force()
        assert not places.source().read_only
        assert places.results().name == places.source().name
        apart = replace(places, results_database_url="sqlite:///results.db")
        assert apart.source().read_only
        assert not apart.results().read_only
        assert apart.results().name != apart.source().name

    def test_another_source_or_data_directory_makes_another_task(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ids = {Told().task_id}
        monkeypatch.setenv("DATA_DIR", "elsewhere")
        ids.add(Told().task_id)
        monkeypatch.setenv("DATABASE_URL", "sqlite:///other.db")
        ids.add(Told().task_id)
        assert len(ids) == 3

    def test_no_text_of_theirs_shows_a_url(self) -> None:
        places = replace(
            Places.in_force(), database_url="sqlite:///secret.db", results_database_url="x://secret", api_url="secret"
        )
        told = Told(places=places)
        shown: list[Any] = [str(places), repr(places), repr(told), told.task_id, told.to_str_params()]
        assert "secret" not in str(shown)
        assert len(str(places)) == 8

    def test_the_same_places_written_otherwise_are_the_same_task(self, tmp_path: Path) -> None:
        relative = replace(Places.in_force(), database_url="sqlite:///shop.db")
        absolute = replace(relative, database_url=f"sqlite:///{tmp_path}/shop.db")
        assert str(relative) == str(absolute)


def test_a_hidden_parameter_is_for_tasks_alone() -> None:
    told = Told(hidden=("a", "b"))
    assert told.hidden == ("a", "b")
    assert "hidden" not in told.to_str_params(only_public=True)
    assert told.task_id == Told().task_id
