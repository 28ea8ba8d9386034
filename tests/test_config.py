"""Settings: where they come from, what they may be, and that luigi.cfg documents each."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest
from luigi.configuration import LuigiConfigParser

from pipeline.config import API_KEY_VARIABLE, Settings, api_key, declared_settings, parse_setting, require_api_key
from pipeline.errors import ApiKeyError, SettingsError

LUIGI_CFG = Path(__file__).parents[1] / "luigi.cfg"

Configure = Callable[[str], None]


@pytest.fixture
def luigi_cfg(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Have Luigi read this text in place of any file."""

    def configure(text: str) -> None:
        parser = LuigiConfigParser()
        parser.read_string(text)
        monkeypatch.setattr(LuigiConfigParser, "_instance", parser)

    configure("")
    return configure


def default(name: str) -> object:
    declared = declared_settings()[name]
    return parse_setting(declared, declared.metadata["default"], name)


def test_without_a_file_the_defaults_hold(luigi_cfg: Configure) -> None:
    luigi_cfg("")
    assert vars(Settings.load({})) == {name: default(name) for name in declared_settings()}


def test_a_file_wins_over_the_defaults_and_the_environment_over_the_file(luigi_cfg: Configure) -> None:
    luigi_cfg("[journeys]\nlookback_days = 7\nmax_sessions = 50\n")
    settings = Settings.load({"MAX_SESSIONS": "200"})
    assert (settings.lookback_days, settings.max_sessions, settings.max_customer_journeys) == (7, 200, 100)


@pytest.mark.usefixtures("luigi_cfg")
def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_LOWER_LIMIT_DATE", "30")
    assert Settings.load().lookback_days == 30


def test_keys_may_be_written_with_dashes_as_in_luigis_own_files(luigi_cfg: Configure) -> None:
    luigi_cfg("[journeys]\nlookback-days = 7\n")
    with pytest.warns(DeprecationWarning, match="with dashes"):
        assert Settings.load({}).lookback_days == 7


def test_space_around_a_value_does_not_matter(luigi_cfg: Configure) -> None:
    luigi_cfg("[files]\ndata_dir =   results  \n")
    settings = Settings.load({"ATTRIBUTION_MODEL": " linear\n"})
    assert (settings.data_dir, settings.model) == ("results", "linear")


def test_a_value_may_name_a_variable_of_the_environment(luigi_cfg: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", "shoes")
    luigi_cfg("[files]\ndata_dir = data/${SHOP}\n")
    assert Settings.load({}).data_dir == "data/shoes"


@pytest.mark.usefixtures("luigi_cfg")
def test_an_empty_results_url_is_none() -> None:
    assert Settings.load({"RESULTS_DATABASE_URL": ""}).results_database_url is None
    assert Settings.load({"RESULTS_DATABASE_URL": "sqlite:///r.db"}).results_database_url == "sqlite:///r.db"


@pytest.mark.usefixtures("luigi_cfg")
@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("Yes", True), ("1", True), ("false", False), ("NO", False), ("0", False)]
)
def test_words_for_yes_and_no(word: str, value: bool) -> None:  # noqa: FBT001
    assert Settings.load({"AFTER_PREVIOUS_CONVERSION": word}).after_previous_conversion is value


@pytest.mark.usefixtures("luigi_cfg")
@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("DATABASE_URL", "", "must have a value, not ''"),
        ("ATTRIBUTION_MODEL", " ", "must have a value, not ' '"),
        ("BAD_ROWS", "skip", "must be fail or set-aside, not 'skip'"),
        ("AFTER_PREVIOUS_CONVERSION", "maybe", "must be true or false, not 'maybe'"),
        ("SESSION_LOWER_LIMIT_DATE", "-1", "must be a whole number from 0 to 3660, not '-1'"),
        ("SESSION_LOWER_LIMIT_DATE", "3661", "must be a whole number from 0 to 3660, not '3661'"),
        ("SESSION_LOWER_LIMIT_DATE", "2023-08-01", "must be a whole number from 0 to 3660, not '2023-08-01'"),
        ("MEMORY_LIMIT", "lots", "must be a size with its unit, such as 512MB or 1GB, not 'lots'"),
        ("MAX_SESSIONS", "0", "must be a whole number of at least 1, not '0'"),
        ("IHC_CONCURRENCY", "1.5", "must be a whole number of at least 1, not '1.5'"),
        ("IHC_REQUESTS_PER_SECOND", "-1", "must be a number of at least 0, not '-1'"),
        ("MAX_REJECTED_SHARE", "nan", "must be a number of at least 0, not 'nan'"),
        ("TRAINING_HELD_OUT_SHARE", "1", "must be a number of at least 0 and below 1, not '1'"),
        ("IHC_RETRY_BUDGET", "inf", "must be a number of at least 0, not 'inf'"),
        ("IHC_READ_TIMEOUT", "0", "must be a number above 0, not '0'"),
        ("IHC_TOTAL_TIMEOUT", "1 min", "must be a number above 0, not '1 min'"),
    ],
)
def test_a_bad_value_is_named_with_what_it_may_be(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(f'{variable} {message}')}$"):
        Settings.load({variable: value})


def test_a_bad_value_of_the_file_is_named_by_section_and_key(luigi_cfg: Configure) -> None:
    luigi_cfg("[journeys]\nlookback_days = many\n")
    with pytest.raises(SettingsError, match=r"^\[journeys\] lookback_days must be a whole number .*, not 'many'$"):
        Settings.load({})


@pytest.mark.parametrize("value", ["sqlite:///100%.db", "postgresql://user:%40secret@host/${NOT_SET_ANYWHERE}"])
def test_a_value_that_cannot_be_resolved_is_named_and_not_shown(luigi_cfg: Configure, value: str) -> None:
    luigi_cfg(f"[database]\nurl = {value}\n")
    with pytest.raises(
        SettingsError, match=r"^\[database\] url in luigi\.cfg .* write %% for a percent sign$"
    ) as refused:
        Settings.load({})
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__
    assert Settings.load({"DATABASE_URL": "sqlite:///other.db"}).database_url == "sqlite:///other.db"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[journeys]\nlookback_day = 7", "unknown setting [journeys] lookback_day; did you mean lookback_days?"),
        ("[files]\nxyz = 7", "unknown setting [files] xyz; known are data_dir"),
        ("[attribution]\nihc_api_key = x", "unknown setting [attribution] ihc_api_key; known are model,"),
        ("[journey]\nlookback_days = 7", "unknown section [journey] in luigi.cfg; did you mean [journeys]?"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest(luigi_cfg: Configure, text: str, message: str) -> None:
    luigi_cfg(text)
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}"):
        Settings.load({})


@pytest.mark.usefixtures("luigi_cfg")
def test_an_unknown_variable_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(
        SettingsError, match=r"^unknown environment variable IHC_CONCURENCY; did you mean IHC_CONCURRENCY\?$"
    ):
        Settings.load({"IHC_CONCURENCY": "8"})


def test_sections_of_luigi_and_of_tasks_are_left_to_luigi(luigi_cfg: Configure) -> None:
    luigi_cfg("[DEFAULT]\nshop = shoes\n[core]\nlog_level = INFO\n[Report]\nmodel = linear\n[journeys]\n")
    assert Settings.load({}).model == "ihc-local"


def test_the_key_comes_from_the_environment_alone(luigi_cfg: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    luigi_cfg("[DEFAULT]\nihc_api_key = of the file\n")
    monkeypatch.delenv(API_KEY_VARIABLE, raising=False)
    assert api_key() is None
    assert api_key({API_KEY_VARIABLE: ""}) is None
    with pytest.raises(ApiKeyError, match=r"^the model ihc-api needs the environment variable IHC_API_KEY; set it, or"):
        require_api_key()
    monkeypatch.setenv(API_KEY_VARIABLE, "of the environment")
    assert require_api_key() == "of the environment"
    assert "of the environment" not in repr(Settings.load({**vars(Settings.load({})), API_KEY_VARIABLE: "x"}))


class TestLuigiCfg:
    """The file in the repository, which is the reference of all settings."""

    @pytest.fixture
    def file(self) -> LuigiConfigParser:
        parser = LuigiConfigParser()
        parser.read(LUIGI_CFG)
        return parser

    @pytest.mark.parametrize("name", declared_settings())
    def test_it_has_each_setting_with_its_default(self, file: LuigiConfigParser, name: str) -> None:
        place = declared_settings()[name].metadata
        assert file.has_option(place["section"], place["key"])
        assert file.get(place["section"], place["key"]) == place["default"]

    @pytest.mark.parametrize("name", declared_settings())
    def test_the_comment_above_names_the_variable(self, name: str) -> None:
        place = declared_settings()[name].metadata
        lines = LUIGI_CFG.read_text(encoding="utf-8").splitlines()
        above = lines[
            lines.index(f"[{place['section']}]") : lines.index(f"{place['key']} = {place['default']}".strip())
        ]
        while not above[-1].startswith("#"):  # settings that belong together share a comment
            above.pop()
        comment = "".join(takewhile(lambda line: line.startswith("#"), reversed(above)))
        assert re.search(rf"[\[ ]{place['env']}[\],]", comment)

    def test_it_gives_the_defaults(self, luigi_cfg: Configure) -> None:
        luigi_cfg(LUIGI_CFG.read_text(encoding="utf-8"))
        assert vars(Settings.load({})) == {name: default(name) for name in declared_settings()}


@pytest.mark.parametrize(
    ("variable", "name", "value"),
    [
        ("DATABASE_URL", "database_url", "sqlite:///data/challenge.db"),
        ("RESULTS_DATABASE_URL", "results_database_url", None),
        ("DATA_DIR", "data_dir", "data"),
        ("ATTRIBUTION_MODEL", "model", "ihc-local"),
        ("SESSION_LOWER_LIMIT_DATE", "lookback_days", 0),
        ("MAX_CUSTOMER_JOURNEYS", "max_customer_journeys", 100),
        ("MAX_SESSIONS", "max_sessions", 3000),
        ("CONV_TYPE_ID", "conv_type_id", "default"),
        ("API_URL", "api_url", "https://api.ihc-attribution.com/v1/compute_ihc"),
    ],
)
def test_variables_and_defaults_that_other_peoples_scripts_rely_on(variable: str, name: str, value: object) -> None:
    assert declared_settings()[name].metadata["env"] == variable
    assert default(name) == value
