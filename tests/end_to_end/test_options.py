"""An option of a task does what its environment variable does, on a model that reads it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import luigi
import pytest
from luigi.cmdline_parser import CmdlineParser
from support.comparing import Rows, contents, result_tables
from support.databases import CONVERSIONS_SECTION, COSTS_SECTION, SHOP_INTERVAL
from support.running import LOCAL, Workplace
from support.servers import Api, sandbox

import pipeline
from pipeline.attribution.models import IHC_API, IHC_LOCAL, named_fit, trained_parameters
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS
from pipeline.ihc_api.answers import AnswerStore
from pipeline.parameters import SettingParameter
from pipeline.settings import declared_settings
from targets.files import LocalFiles

KEY = "canary-2b7d11"
INTERVAL = ("--date-interval", "2023-08-31-2023-09-02")
REDISTRIBUTION = {
    "holder": {"direction": "any_session", "receive_threshold": 0.0, "redistribution_channel_labels": ["Referral"]}
}

SESSIONS_SECTION = """
[sessions]
from = "session_sources"
session_id = "session_id"
user_id = "user_id"
time = ["event_date", "event_time"]
channel_name = "channel_name"
holder_engagement = "holder_engagement"
closer_engagement = "closer_engagement"
impression_interaction = "impression_interaction"
"""
GOAL = """goal = "CASE WHEN conv_id LIKE 'conv-%' OR conv_id < '8' THEN 'purchase' ELSE 'lead' END"
"""
MAPPING = SESSIONS_SECTION + CONVERSIONS_SECTION + GOAL + COSTS_SECTION
"""The default schema with goals."""

SOURCE = {
    "currency": "USD",
    "refunds": "list",
    "report_timezone": "Europe/Berlin",
}
JOURNEYS = {
    **SOURCE,
    "after_previous_conversion": "true",
    "bad_rows": "set-aside",
    "goal": "purchase",
    "lookback_days": "1",
    "negative_cost": "net",
    "max_sessions": "1",
    "store": "false",
}
MODELS = {
    "conv_type_id": "shop",
    "custom_model": "custom.toml",
    "direct_channels": "Performance Max",
    "excluded_channels": "Referral",
    "goal_types": "purchase=shop",
    "half_life_hours": "1",
    "markov_order": "2",
    "max_customer_journeys": "1",
    "model": "last-touch",
    "position_first": "0.1",
    "position_last": "0.1",
    "redistribution": "redistribution.json",
}
TRAINING = {
    "held_out_share": "0.5",
    "training_journeys": "20",
    "training_min_length": "3",
    "training_seed": "2",
}
WRITING = {
    "channels": "channels.csv",
    "csv_bom": "true",
    "csv_formulas": "quote",
    "currency": "CHF",
    "dead_feed": "fail",
    "margin": "0.5",
    "show_ids": "true",
}
RUNNING = {
    "drift_check": "false",
    "lock_seconds": "60",
    "log_format": "json",
    "max_run_seconds": "600",
    "memory_limit": "2GB",
    "retries": "1",
    "settle_days": "5",
}
ASKING = {
    "concurrency": "2",
    "connect_timeout": "5",
    "max_requests": "500",
    "read_timeout": "50",
    "requests_per_second": "1000",
    "retry_budget": "50",
    "total_timeout": "100",
}
"""Of each option a value that is no default. `RUNNING` and `ASKING` are manners: they change no result."""

READ_BY = {
    "conv_type_id": IHC_LOCAL,
    "custom_model": "custom",
    "direct_channels": "last-non-direct",
    "goal_types": IHC_LOCAL,
    "half_life_hours": "time-decay",
    "markov_order": "markov",
    "max_customer_journeys": IHC_API,
    "model": "first-touch",
    "position_first": "position-based",
    "position_last": "position-based",
    "redistribution": IHC_LOCAL,
    **dict.fromkeys(ASKING, IHC_API),
}
"""A model that reads the option (or the environment's, where that is the option); others are read by any, `linear`."""


@dataclass(frozen=True)
class Tried:
    """A task whose options are tried.

    Attributes:
        values: of each of its options that is a setting.
        has_no_effect: options beside the manners that change nothing of the shop's results, and why.
        arguments: other options that it needs.
        others: parameters that are no setting, so that they have no variable.

    """

    values: dict[str, str]
    has_no_effect: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = INTERVAL
    others: tuple[str, ...] = ("date_interval",)


NO_BAD_ROWS = {
    "bad_rows": "the shop has none",
    "negative_cost": "nor a negative cost",
    "refunds": "the shop has none",
}
NO_AMOUNTS = {**NO_BAD_ROWS, "currency": "the shop names none, and no amount is shown"}
NO_TABLES = {"store": "it stores nothing"}
NO_MATTER_OF_CREDIT = {"max_customer_journeys": "the credit of a journey does not depend on its request"}
TASKS = {
    "Report": Tried(
        {**JOURNEYS, **MODELS, **WRITING, **RUNNING, **ASKING, "max_rejected_share": "0.5"},
        {**NO_BAD_ROWS, "max_rejected_share": "nothing is rejected", "dead_feed": "every feed of these days is alive"},
        others=("date_interval", "refresh", "trial"),
    ),
    "ModelComparison": Tried(
        {**JOURNEYS, **MODELS, **RUNNING, **ASKING},
        {**NO_AMOUNTS, **NO_MATTER_OF_CREDIT},
        arguments=(*INTERVAL, "--models", "linear"),
        others=("date_interval", "models", "refresh", "trial"),
    ),
    "TrainingSet": Tried({**JOURNEYS, **TRAINING, **RUNNING}, {**NO_AMOUNTS, **NO_TABLES}),
    "TrainedModel": Tried(
        {
            **JOURNEYS,
            **TRAINING,
            **RUNNING,
            "conv_type_id": "other",
            "training_minimum_journeys": "5",
            "training_channel_weights": "learned",
            "model": "shapley",
            **{name: MODELS[name] for name in ("excluded_channels", "markov_order")},
        },
        {
            **NO_AMOUNTS,
            **NO_TABLES,
            "training_channel_weights": "these days have too few journeys to learn from",
            "excluded_channels": "ihc-local excludes none",
        },
    ),
    "AttributionPlan": Tried(
        {**JOURNEYS, **MODELS, **RUNNING, **ASKING},
        {
            **NO_AMOUNTS,
            **{name: "no matter of the API" for name, model in READ_BY.items() if model not in (IHC_API, IHC_LOCAL)},
            "excluded_channels": "no matter of the API",
        },
        others=("date_interval", "refresh", "trial"),
    ),
    "ExplainConversion": Tried(
        {**JOURNEYS, **MODELS, **RUNNING, **ASKING},
        {
            **NO_BAD_ROWS,
            **NO_MATTER_OF_CREDIT,
            **NO_TABLES,
            "goal": "the conversion is of the goal",
            "markov_order": "it explains what rests on a fit with a name, which has its own order",
        },
        arguments=(),
        others=("conv_id", "full", "refresh", "trial"),
    ),
}
CASES = [(task, name) for task, tried in TASKS.items() for name in tried.values]
OWN_FOLDERS = {
    "Report": ("report/",),
    "ModelComparison": ("comparison/",),
    "TrainingSet": ("training/",),
    "TrainedModel": ("models/",),
    "AttributionPlan": ("plan/",),
    "ExplainConversion": (),
}
EXPLAINED = {"after_previous_conversion": "conv-again-3", "redistribution": "conv-ties"}
"""A conversion that the option concerns; others concern one whose two sessions are 52.7 hours apart."""


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    return str(declared_settings()[name].metadata["env"])


def credit(place: Workplace) -> Rows:
    return result_tables(place.database)["attribution_customer_journey"]


def results(place: Workplace) -> dict[str, bytes]:
    """What was left behind, but for what tells of the run itself, and for answers as they were packed."""
    return {
        name: content
        for name, content in contents(place.files).items()
        if not name.startswith(("locks/", "log/", "answers/"))
    }


def environment_of(task: str, name: str, api: Api) -> dict[str, str]:
    """The environment of a case, without the variable that is tried."""
    model = IHC_API if task == "AttributionPlan" else READ_BY.get(name, "linear")
    asking = {"API_URL": api.url, "IHC_API_KEY": KEY}
    conv_type_id = "own" if task == "TrainedModel" else "default"
    if model == "markov":  # which a report fits to its interval, in a trial; a conversion alone has no interval
        asking["STORE"], conv_type_id = "false", "fit" if task == "ExplainConversion" else conv_type_id
    if model == "custom":
        asking["CUSTOM_MODEL"] = "own.toml"
    return {"ATTRIBUTION_MODEL": model, "CONV_TYPE_ID": conv_type_id, **asking}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with sandbox(key=KEY) as running:
        yield running


Left = tuple[dict[str, bytes], dict[str, Rows], str]
"""Files, result tables, and what was printed."""


@dataclass
class Bench:
    """The shop in a folder that is put back before each run, and what runs in this process left behind there."""

    place: Workplace
    before: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def task(self, arguments: tuple[str, ...], **settings: str) -> luigi.Task:
        """The task of a command line."""
        getattr(pipeline, arguments[0])  # imported, so that Luigi knows it
        luigi.task.Register.clear_instance_cache()
        with self._environment(settings), CmdlineParser.global_instance([*arguments]) as parser:
            return parser.get_task_obj()

    def run(self, arguments: tuple[str, ...], **settings: str) -> Left:
        """Everything that the run of a command line left behind and printed."""
        shutil.rmtree(self.place.folder)
        shutil.copytree(self.before, self.place.folder)
        task = self.task(arguments, **settings)
        self.capsys.readouterr()
        with self._environment(settings):
            assert luigi.build([task], local_scheduler=True, no_lock=True, log_level="ERROR")
        return results(self.place), result_tables(self.place.database), self.capsys.readouterr().out

    @contextmanager
    def _environment(self, settings: dict[str, str]) -> Iterator[None]:
        places = {
            "DATABASE_URL": f"sqlite:///{self.place.database}",
            "DATA_DIR": str(self.place.files),
            "SOURCE_MAPPING": str(self.place.folder / "mapping.toml"),
        }
        with self.monkeypatch.context() as environment:
            environment.chdir(self.place.folder)
            for declared in declared_settings().values():
                environment.delenv(declared.metadata["env"], raising=False)
            for name, value in {**places, **settings}.items():
                environment.setenv(name, value)
            yield


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, shop_database: Path, api: Api) -> tuple[Workplace, Path]:
    """The shop with a trained conversion type, a redistribution, and answers of the API; and a copy of its folder."""
    place = Workplace(tmp_path_factory.mktemp("options") / "shop")
    shutil.copy(shop_database, place.database)
    parameters = json.loads(DEFAULT_PARAMETERS.read_bytes())
    parameters["phase_weights"] = {"initializer": 0.6, "holder": 0.2, "closer": 0.2}
    trained_parameters(LocalFiles(place.files), "shop").write(parameters, "")
    (place.folder / "custom.toml").write_text("[positions]\nfirst = 3\n", encoding="utf-8")
    (place.folder / "own.toml").write_text("[positions]\nlast = 3\n", encoding="utf-8")
    named_fit(LocalFiles(place.files), "markov", "fit").write({"channels": {"Referral": {"strength": 1.0}}}, "")
    (place.folder / "redistribution.json").write_text(json.dumps(REDISTRIBUTION), encoding="utf-8")
    (place.folder / "channels.csv").write_text("channel_name,group,kind\nReferral,Partners,organic\n", encoding="utf-8")
    (place.folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    asked = ("luigi", "--module", "pipeline", "Attribution", *INTERVAL, *LOCAL)
    place.start(
        *asked, SOURCE_MAPPING="mapping.toml", ATTRIBUTION_MODEL=IHC_API, API_URL=api.url, IHC_API_KEY=KEY
    ).end().succeeded()
    copy = place.folder.with_name("before")
    shutil.copytree(place.folder, copy)
    return place, copy


@pytest.fixture
def bench(before: tuple[Workplace, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(*before, monkeypatch, capsys)


@pytest.mark.parametrize(("task", "name"), CASES)
def test_an_option_makes_the_same_task_as_its_variable(bench: Bench, api: Api, task: str, name: str) -> None:
    environment, value = environment_of(task, name, api), TASKS[task].values[name]
    command = command_of(task, name)
    by_default = bench.task(command, **environment).to_str_params()
    by_option = bench.task((*command, option(name), value), **environment).to_str_params()
    assert by_option == bench.task(command, **{**environment, variable(name): value}).to_str_params()
    assert {given for given, text in by_option.items() if text != by_default[given]} == {name}


OF_ANOTHER_DIRECTORY = {"report_timezone"}
"""Options that the shop's data directory refuses."""


def _marked(task: str, name: str) -> Any:  # noqa: ANN401 - pytest's
    """The case; of options without effect only a report's are for every day."""
    is_rare = task != "Report" and name in TASKS[task].has_no_effect
    return pytest.param(task, name, marks=[pytest.mark.slow] * is_rare)


@pytest.mark.parametrize(
    ("task", "name"),
    [_marked(*case) for case in CASES if case[1] not in {*RUNNING, *ASKING, *OF_ANOTHER_DIRECTORY}],
)
def test_an_option_gives_the_same_bytes_as_its_variable(bench: Bench, api: Api, task: str, name: str) -> None:
    environment, value = environment_of(task, name, api), TASKS[task].values[name]
    command = command_of(task, name)
    by_option = bench.run((*command, option(name), value), **environment)
    assert by_option == bench.run(command, **{**environment, variable(name): value})
    key = (*command, *environment.values())
    if key not in _by_default:
        _by_default[key] = bench.run(command, **environment)
    has_effect = told(task, by_option) != told(task, _by_default[key])
    assert has_effect is (name not in TASKS[task].has_no_effect)


_by_default: dict[tuple[str, ...], Left] = {}


def command_of(task: str, name: str) -> tuple[str, ...]:
    explained = ("--conv-id", EXPLAINED.get(name, "conv-restart")) if task == "ExplainConversion" else ()
    return (task, *TASKS[task].arguments, *explained)


def told(task: str, left: Left) -> tuple[dict[str, bytes], Rows, str]:
    """What the task is run for: its own files without fingerprints, the channels' table, the text."""
    files, tables, printed = left
    own = {
        name: re.sub(rb'"fingerprint": "\w+"', b"", content)
        for name, content in ((re.sub(r"^trials/[^/]+/", "", path), content) for path, content in files.items())
        if name.startswith(OWN_FOLDERS[task]) and not name.endswith(".stamp")
    }
    return own, tables["channel_reporting"], printed


@pytest.mark.parametrize("task", TASKS)
def test_every_option_has_a_case(task: str) -> None:
    parameters = dict(getattr(pipeline, task).get_params())
    settings = {name for name, parameter in parameters.items() if isinstance(parameter, SettingParameter)}
    assert settings == {*TASKS[task].values}
    assert parameters.keys() - settings == {*TASKS[task].others, "places"}


def test_the_command_does_as_its_option_says(shop: Workplace, tmp_path: Path) -> None:
    other, default = shop.copy(tmp_path / "other"), shop.copy(tmp_path / "default")
    settings = {"ATTRIBUTION_MODEL": "linear", "SESSION_LOWER_LIMIT_DATE": "1"}
    shop.report(SHOP_INTERVAL, **settings).succeeded()
    other.report(SHOP_INTERVAL, "--lookback-days", "1", ATTRIBUTION_MODEL="linear").succeeded()
    default.report(SHOP_INTERVAL, ATTRIBUTION_MODEL="linear").succeeded()
    assert results(other) == results(shop)
    assert result_tables(other.database) == result_tables(shop.database)
    assert credit(default) != credit(shop)


def test_an_option_of_the_api_sends_what_its_variable_does(shop: Workplace, tmp_path: Path) -> None:
    other, requests, books = shop.copy(tmp_path / "other"), [], []
    for place, options, environment in (
        (shop, (), {"MAX_CUSTOMER_JOURNEYS": "1"}),
        (other, ("--max-customer-journeys", "1"), {}),
    ):
        with sandbox(key=KEY) as asked:
            asking = {"ATTRIBUTION_MODEL": IHC_API, "API_URL": asked.url, "IHC_API_KEY": KEY, **environment}
            place.report(SHOP_INTERVAL, *options, **asking).succeeded()
            requests.append(asked.statistics()["requests"])
            books.append(place.books(SHOP_INTERVAL, IHC_API))
    assert books[0] == books[1]
    assert requests == [books[0]["api_requests"]] * 2


def test_the_api_is_asked_for_the_conversion_type_of_the_option(shop: Workplace) -> None:
    with sandbox(key=KEY) as asked:
        asking = {"ATTRIBUTION_MODEL": IHC_API, "API_URL": asked.url, "IHC_API_KEY": KEY}
        shop.report(SHOP_INTERVAL, **asking).succeeded()
        shutil.rmtree(shop.files / "attribution")
        # the sandbox has the shipped type alone, and refuses another
        outcome = shop.report(SHOP_INTERVAL, "--conv-type-id", "shop", "--store", "replace", **asking)
    assert outcome.code == 30
    assert "'shop'" in outcome.text
    kept = AnswerStore(LocalFiles(shop.files / "answers")).contents()
    assert {scope.scope.conv_type_id for scope in kept} == {"default"}
