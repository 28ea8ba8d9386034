"""Settings: where they come from, what they may be, and that luigi.cfg documents each."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest
from luigi.configuration import LuigiConfigParser

from pipeline.errors import SettingsError
from pipeline.settings import (
    LOCATIONS,
    SECRETS,
    check_configuration,
    declared_settings,
    doubtful_names,
    parse_setting,
    setting_in_force,
    settings_in_force,
)

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
    assert vars(settings_in_force({})) == {name: default(name) for name in declared_settings()}


def test_a_file_wins_over_the_defaults_and_the_environment_over_the_file(luigi_cfg: Configure) -> None:
    luigi_cfg("[attribution.journeys]\nlookback_days = 7\nmax_sessions = 50\n")
    settings = settings_in_force({"MAX_SESSIONS": "200"})
    assert (settings.lookback_days, settings.max_sessions, settings.max_customer_journeys) == (7, 200, 100)


@pytest.mark.usefixtures("luigi_cfg")
def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_LOWER_LIMIT_DATE", "30")
    assert settings_in_force().lookback_days == 30


def test_keys_may_be_written_with_dashes_as_in_luigis_own_files(luigi_cfg: Configure) -> None:
    luigi_cfg("[attribution.journeys]\nlookback-days = 7\n")
    with pytest.warns(DeprecationWarning, match="with dashes"):
        assert settings_in_force({}).lookback_days == 7


def test_space_around_a_value_does_not_matter(luigi_cfg: Configure) -> None:
    luigi_cfg("[attribution.files]\ndata_dir =   results  \n")
    settings = settings_in_force({"ATTRIBUTION_MODEL": " linear\n"})
    assert (settings.data_dir, settings.model) == ("results", "linear")


def test_a_value_may_name_a_variable_of_the_environment(luigi_cfg: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", "shoes")
    luigi_cfg("[attribution.files]\ndata_dir = data/${SHOP}\n")
    assert settings_in_force({}).data_dir == "data/shoes"


@pytest.mark.usefixtures("luigi_cfg")
def test_an_empty_results_url_is_none() -> None:
    assert settings_in_force({"RESULTS_DATABASE_URL": ""}).results_database_url is None
    assert settings_in_force({"RESULTS_DATABASE_URL": "sqlite:///r.db"}).results_database_url == "sqlite:///r.db"


@pytest.mark.usefixtures("luigi_cfg")
@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("Yes", True), ("1", True), ("false", False), ("NO", False), ("0", False)]
)
def test_words_for_yes_and_no(word: str, value: bool) -> None:  # noqa: FBT001
    assert settings_in_force({"AFTER_PREVIOUS_CONVERSION": word}).after_previous_conversion is value


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
        ("LOCK_SECONDS", "-1", "must be a number of at least 0, not '-1'"),
        ("RETRIES", "many", "must be a whole number of at least 0, not 'many'"),
        ("MAX_RUN_SECONDS", "inf", "must be a number of at least 0, not 'inf'"),
        *(
            ("FILE_MODE", mode, f"must be three octal digits such as 640, of which the first is 6 or 7, not '{mode}'")
            for mode in ("400", "64", "0o640", "648", "-rw-r-----", "1640")
        ),
    ],
)
def test_a_bad_value_is_named_with_what_it_may_be(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(f'{variable} {message}')}$"):
        settings_in_force({variable: value})


def test_a_bad_value_of_the_file_is_named_by_section_and_key(luigi_cfg: Configure) -> None:
    luigi_cfg("[attribution.journeys]\nlookback_days = many\n")
    with pytest.raises(
        SettingsError, match=r"^\[attribution\.journeys\] lookback_days must be a whole number .*, not 'many'$"
    ):
        settings_in_force({})


@pytest.mark.parametrize("value", ["sqlite:///100%.db", "postgresql://user:%40secret@host/${NOT_SET_ANYWHERE}"])
def test_a_value_that_cannot_be_resolved_is_named_and_not_shown(luigi_cfg: Configure, value: str) -> None:
    luigi_cfg(f"[attribution.database]\nurl = {value}\n")
    with pytest.raises(
        SettingsError, match=r"^\[attribution\.database\] url in luigi\.cfg .* write %% for a percent sign$"
    ) as refused:
        settings_in_force({})
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__
    assert settings_in_force({"DATABASE_URL": "sqlite:///other.db"}).database_url == "sqlite:///other.db"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[attribution.journeys]\nlookback_day = 7",
            "unknown setting [attribution.journeys] lookback_day; did you mean lookback_days?",
        ),
        ("[attribution.files]\nxyz = 7", "unknown setting [attribution.files] xyz; known are data_dir, mode"),
        (
            "[attribution.model]\nihc_api_key = x",
            "unknown setting [attribution.model] ihc_api_key; known are model, conv_type_id",
        ),
        (
            "[attribution.journey]\nlookback_days = 7",
            "unknown section [attribution.journey] in luigi.cfg; did you mean attribution.journeys?",
        ),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest(luigi_cfg: Configure, text: str, message: str) -> None:
    luigi_cfg(text)
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}"):
        check_configuration({})


def test_a_section_named_like_a_task_is_refused_with_the_place_to_write_it(luigi_cfg: Configure) -> None:
    """Luigi would let it beat the environment."""
    luigi_cfg("[Report]\nmodel = linear\nmax-sessions = 5\n")
    message = (
        "luigi.cfg has a section [Report], which would beat the environment and options of other tasks; write "
        "[attribution.model] model, [attribution.journeys] max_sessions instead"
    )
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        check_configuration({"Report": {"model": "model", "max_sessions": "max_sessions"}})


def test_a_section_named_like_a_task_that_sets_nothing_of_ours_is_to_be_removed(luigi_cfg: Configure) -> None:
    luigi_cfg("[Report]\npriority = 1\n")
    with pytest.raises(SettingsError, match=r"; remove it$"):
        check_configuration({"Report": {"model": "model"}})


def test_what_our_sections_inherit_is_not_taken_for_unknown(luigi_cfg: Configure) -> None:
    luigi_cfg("[DEFAULT]\nshop = shoes\n[attribution.files]\ndata_dir = data/%(shop)s\n")
    check_configuration({})
    assert settings_in_force({}).data_dir == "data/shoes"


@pytest.mark.usefixtures("luigi_cfg")
@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("IHC_CONCURENCY", "IHC_CONCURENCY is unknown and has no effect; did you mean IHC_CONCURRENCY?"),
        ("IHC_PACK_DAYS", "IHC_PACK_DAYS is retired and has no effect: the journeys of an interval are always packed"),
        ("LOOKBACK_DAYS", "LOOKBACK_DAYS has no effect; did you mean SESSION_LOWER_LIMIT_DATE?"),
        ("MODEL", "MODEL has no effect; did you mean ATTRIBUTION_MODEL?"),
        ("DATABASE_URI", "DATABASE_URI has no effect; did you mean DATABASE_URL?"),
        ("MAX_SESSION", "MAX_SESSION has no effect; did you mean MAX_SESSIONS?"),
    ],
)
def test_a_variable_that_resembles_ours_is_warned_of_with_the_nearest(name: str, warning: str) -> None:
    (found,) = doubtful_names({name: "8", "HOME": "/root", "PATH": "", "USER": "me"})
    assert found.startswith(f"the environment variable {warning}")


@pytest.mark.usefixtures("luigi_cfg")
def test_our_own_variables_are_not_doubtful() -> None:
    ours = [declared.metadata["env"] for declared in declared_settings().values()]
    assert [*doubtful_names(dict.fromkeys([*ours, *SECRETS], ""))] == []


@pytest.mark.parametrize(
    ("section", "keys", "now"),
    [
        ("journeys", "lookback_days = 7", "attribution.journeys"),
        ("database", "url = a\nresults_url = b", "attribution.database"),
        ("attribution", "model = linear", "attribution.model"),
        ("comparison_models", "markov_order = 2", "attribution.model"),
        ("training", "training_seed = 2", "attribution.training"),
        ("engine", "memory_limit = 2GB", "attribution.run"),
    ],
)
def test_sections_of_an_earlier_version_are_warned_of(luigi_cfg: Configure, section: str, keys: str, now: str) -> None:
    luigi_cfg(f"[{section}]\n{keys}\n")
    warning = f"[{section}] in luigi.cfg has no effect on the pipeline; did you mean [{now}]?"
    assert [*doubtful_names({})] == [warning]
    assert vars(settings_in_force({})) == {name: default(name) for name in declared_settings()}


def test_sections_of_luigi_and_of_others_are_left_to_them(luigi_cfg: Configure) -> None:
    luigi_cfg(
        "[DEFAULT]\nshop = shoes\n[core]\nlog_level = INFO\n[database]\nurl = theirs\nhost = h\n[api]\nurl = u\n"
        "[files]\nroot = /\n[training]\nepochs = 7\n[attribution.journeys]\n"
    )
    check_configuration({"Report": {}})
    assert [*doubtful_names({})] == []
    assert settings_in_force({}).database_url == "sqlite:///data/challenge.db"


@pytest.mark.parametrize("name", declared_settings())
def test_each_setting_has_help(name: str) -> None:
    place = declared_settings()[name].metadata
    assert len(place["help"]) > 10
    assert "%" not in place["help"]
    assert place["section"].startswith("attribution.")


def test_no_two_settings_share_a_place_or_a_variable() -> None:
    places = [declared.metadata for declared in declared_settings().values()]
    assert len({(place["section"], place["key"]) for place in places}) == len(places)
    assert len({place["env"] for place in places}) == len(places)


def test_locations_are_no_settings_that_change_results() -> None:
    declared = declared_settings()
    assert [name for name in LOCATIONS if declared[name].metadata["changes_results"]] == []


@pytest.mark.usefixtures("luigi_cfg")
@pytest.mark.parametrize(("text", "mode"), [("640", 0o640), ("0600", 0o600), ("664", 0o664)])
def test_the_mode_of_files_is_octal(text: str, mode: int) -> None:
    assert setting_in_force("file_mode", {"FILE_MODE": text}) == mode


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
        assert above
        comment = "".join(takewhile(lambda line: line.startswith("#"), reversed(above)))
        assert re.search(rf"[\[ ]{place['env']}[\],]", comment)

    def test_it_has_nothing_that_nobody_reads(self, luigi_cfg: Configure) -> None:
        luigi_cfg(LUIGI_CFG.read_text(encoding="utf-8"))
        check_configuration({})
        assert [*doubtful_names({})] == []

    def test_it_gives_the_defaults(self, luigi_cfg: Configure) -> None:
        luigi_cfg(LUIGI_CFG.read_text(encoding="utf-8"))
        assert vars(settings_in_force({})) == {name: default(name) for name in declared_settings()}


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
        ("BAD_ROWS", "bad_rows", "fail"),
        ("RETRIES", "retries", 0),
        ("LOCK_SECONDS", "lock_seconds", 3600),
        ("MAX_RUN_SECONDS", "max_run_seconds", 0),
        ("FILE_MODE", "file_mode", 0o640),
        ("MEMORY_LIMIT", "memory_limit", "1GB"),
    ],
)
def test_variables_and_defaults_that_other_peoples_scripts_rely_on(variable: str, name: str, value: object) -> None:
    assert declared_settings()[name].metadata["env"] == variable
    assert default(name) == value
