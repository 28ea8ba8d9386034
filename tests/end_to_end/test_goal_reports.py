"""Reports of one goal: what is in them, where they lie, whose the tables are, how the API is asked."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from end_to_end.test_options import KEY, MAPPING
from support.comparing import contents
from support.databases import SHOP_INTERVAL, change, write_shop
from support.plain_report import plain_report
from support.running import LOCAL, Workplace
from support.servers import sandbox

from pipeline.attribution.models import trained_parameters
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS
from pipeline.goals import goal_slug
from pipeline.ihc_api.answers import AnswerStore
from targets.files import LocalFiles

GOALS = ("purchase", "Sign-up é", "none")
MAPPED = {"SOURCE_MAPPING": "goals.toml"}
LINEAR = {**MAPPED, "ATTRIBUTION_MODEL": "linear"}
INTERVAL = ("--date-interval", SHOP_INTERVAL)


def with_goals(folder: Path, goal: str = "goal", origin: Path | None = None) -> Workplace:
    """The shop with goals, some written with blanks and decomposed, some empty or NULL."""
    place = Workplace(folder)
    if origin is None:
        write_shop(place.database)
        change(place.database, "ALTER TABLE conversions ADD COLUMN goal TEXT")
        change(place.database, "UPDATE conversions SET goal = 'purchase' WHERE rowid % 3 > 0")
        change(place.database, "UPDATE conversions SET goal = ' Sign-up e\u0301 ' WHERE rowid % 6 = 3")
        change(place.database, "UPDATE conversions SET goal = ' ' WHERE rowid % 12 = 0")
    else:
        place.database.write_bytes(origin.read_bytes())
    kept = MAPPING.partition("goal = ")[0] + f'goal = "{goal}"\n[session_costs]' + MAPPING.partition("costs]")[2]
    (place.folder / "goals.toml").write_text(kept, encoding="utf-8")
    return place


def report_of(place: Workplace, goal: str | None, name: str = "channel_reporting.csv", model: str = "linear") -> Path:
    """A file of a goal's report."""
    of_goal = f"{model}/{goal_slug(goal)}" if goal else model
    (found,) = place.files.glob(f"**/report/{of_goal}/{SHOP_INTERVAL}/{name}")
    return found


def rows_of(file: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(file.read_bytes().decode(), newline=""))]


def books_of(place: Workplace, goal: str | None, model: str = "linear") -> dict[str, object]:
    books: dict[str, object] = json.loads(report_of(place, goal, "reconciliation.json", model).read_bytes())
    return books


def total(place: Workplace, goal: str | None, name: str) -> float:
    return math.fsum(float(row[name] or 0) for row in rows_of(report_of(place, goal)))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Reports of all conversions and, as trials, of each goal; conversions without a goal are mapped to one."""
    place = with_goals(tmp_path_factory.mktemp("goals"), "coalesce(nullif(trim(goal), ''), 'none')")
    place.report(SHOP_INTERVAL, **LINEAR).succeeded()
    for goal in GOALS:
        place.report(SHOP_INTERVAL, "--goal", goal, STORE="false", **LINEAR).succeeded()
    return place


def test_the_goals_reports_add_up_to_the_whole(reported: Workplace) -> None:
    books = [books_of(reported, goal) for goal in GOALS]
    whole = books_of(reported, None)
    for name in ("ihc", "ihc_revenue"):
        assert math.fsum(total(reported, goal, name) for goal in GOALS) == pytest.approx(total(reported, None, name))
    for name in ("conversions", "attributed", "without_sessions", "revenue", "unattributed_revenue"):
        assert sum(of[name] for of in books) == pytest.approx(whole[name])  # type: ignore[misc]
    assert [of["goal"] for of in books] == list(GOALS)
    assert all(of["conversions"] + of["other_goals"] == whole["conversions"] for of in books)  # type: ignore[operator]
    assert all(of["spend"] == whole["spend"] and of["conversions"] for of in books)
    assert "goal" not in whole
    assert "other_goals" not in whole


def test_a_goals_latest_files_are_its_own(reported: Workplace) -> None:
    report = report_of(reported, "Sign-up é")
    assert report.parents[1].name.startswith("sign_up_e-")
    assert (report.parents[1] / "latest" / report.name).read_bytes() == report.read_bytes()
    of_all = reported.files / "report" / "linear" / "latest" / report.name
    assert of_all.read_bytes() == report_of(reported, None).read_bytes()


def test_the_option_gives_the_bytes_of_the_variable_and_of_luigi_cfg(reported: Workplace, tmp_path: Path) -> None:
    expected = report_of(reported, "Sign-up é").parent
    for name, settings in (("variable", {"GOAL": " Sign-up e\u0301 "}), ("file", {"LUIGI_CONFIG_PATH": "own.cfg"})):
        place = with_goals(tmp_path / name, "coalesce(nullif(trim(goal), ''), 'none')", reported.database)
        (place.folder / "own.cfg").write_text("[attribution.journeys]\ngoal = Sign-up é\n", encoding="utf-8")
        place.report(SHOP_INTERVAL, STORE="false", **LINEAR, **settings).succeeded()
        assert contents(report_of(place, "Sign-up é").parent) == contents(expected)


@pytest.mark.parametrize("goal", ["purchase", "Sign-up é"])
def test_the_report_of_a_goal_is_the_plain_one(tmp_path: Path, goal: str) -> None:
    place = with_goals(tmp_path)
    place.report(SHOP_INTERVAL, GOAL=goal, AFTER_PREVIOUS_CONVERSION="true", **MAPPED).succeeded()
    plain = plain_report(
        place.database, SHOP_INTERVAL, mapping=place.folder / "goals.toml", goal=goal, after_previous=True
    )
    rows = rows_of(report_of(place, goal, model="ihc-local"))
    found = {(row["channel_name"], row["date"]): row for row in rows}
    assert found.keys() == plain.cells.keys()
    for cell, (cost, ihc, revenue) in plain.cells.items():
        assert float(found[cell]["ihc"]) == pytest.approx(ihc, abs=1e-9)
        assert float(found[cell]["ihc_revenue"]) == pytest.approx(revenue, abs=1e-9)
        assert (float(found[cell]["cost"]) if found[cell]["cost"] else None) == pytest.approx(cost)
    summary = rows_of(report_of(place, goal, "channel_summary.csv", "ihc-local"))
    new = {row["channel_name"]: float(row["new_customer_orders"]) for row in summary if row["is_total"] == "0"}
    assert new == pytest.approx({name: figures["new_customer_orders"] for name, figures in plain.summary.items()})


def test_a_source_without_goals_has_no_column_and_one_with_them_has_it(tmp_path: Path) -> None:
    place = with_goals(tmp_path)
    place.report(SHOP_INTERVAL, DATA_DIR="plain").succeeded()
    place.report(SHOP_INTERVAL, STORE="false", **MAPPED).succeeded()
    plain, mapped = (
        pq.read_table(place.folder / folder / "conversions" / "2023-08-30.parquet") for folder in ("plain", "files")
    )
    assert "goal" not in plain.column_names
    assert mapped.drop_columns("goal").equals(plain)
    assert {*mapped["goal"].to_pylist()} <= {"purchase", "Sign-up é", None}
    without = place.report(SHOP_INTERVAL, GOAL="purchase", DATA_DIR="plain")
    assert without.code == 40
    assert 'write goal = "<column or expression>" below [conversions]' in without.errors[-1]


def test_wrong_goals_are_told(tmp_path: Path) -> None:
    place = with_goals(tmp_path)
    empty = place.report(SHOP_INTERVAL, "--goal", "Purchase", STORE="false", **LINEAR).succeeded()
    assert "no conversion of the goal 'Purchase' in the interval (there are 'Sign-up é'" in empty.text
    for pairs, told in (
        ("purchase", "'purchase' has no '='"),
        ("a=b, a = c", "'a = c' is there beside 'a=b'"),
        ("=b", "'=b' has no goal"),
        ("a=", "'a=' has no conversion type"),
        ("purchase=nowhere", "GOAL_TYPES purchase=nowhere: ihc-local has no trained parameters"),
    ):
        for goal in ("", "purchase"):
            outcome = place.report(SHOP_INTERVAL, STORE="false", GOAL_TYPES=pairs, GOAL=goal, **MAPPED)
            assert (outcome.code, told in outcome.errors[-1]) == (40, True), outcome.text
    ignored = place.report(SHOP_INTERVAL, STORE="false", GOAL_TYPES="purchase=nowhere", **LINEAR).succeeded()
    assert "GOAL_TYPES has no effect: linear has no conversion types" in ignored.text


def test_the_tables_are_of_one_goal(tmp_path: Path) -> None:
    place = with_goals(tmp_path)
    place.report(SHOP_INTERVAL, GOAL="purchase", **LINEAR).succeeded()
    for settings, told in (({}, "goal purchase there, none here"), ({"GOAL": "Sign-up é"}, "Sign-up é here")):
        outcome = place.report(SHOP_INTERVAL, **LINEAR, **settings)
        assert outcome.code == 40
        assert told in outcome.errors[-1]
    change(place.database, "UPDATE conversions SET revenue = revenue + 1 WHERE goal = 'purchase'")
    revenue = books_of(place, "purchase")["attributed_revenue"]
    restate = ("luigi", "--module", "pipeline", "Restate", *INTERVAL, *LOCAL, "--goal", "purchase")
    place.start(*restate, **LINEAR).end().succeeded()
    books = books_of(place, "purchase")
    assert books["attributed_revenue"] == pytest.approx(revenue + books["attributed"])  # type: ignore[operator]


def test_two_goals_under_one_wrapper_task(tmp_path: Path) -> None:
    place = with_goals(tmp_path)
    (place.folder / "both.py").write_text(
        "import luigi\nfrom pipeline import Report\nclass Both(luigi.WrapperTask):\n    def requires(self):\n"
        f"        kept = Report(date_interval='{SHOP_INTERVAL}', goal='purchase')\n"
        "        return [kept, kept.clone(Report, goal='Sign-up é', store='false')]\n",
        encoding="utf-8",
    )
    place.start(
        "luigi", "--module", "both", "Both", *LOCAL, "--workers", "2", PYTHONPATH=str(place.folder), **LINEAR
    ).end().succeeded()
    assert books_of(place, "purchase")["conversions"] != books_of(place, "Sign-up é")["conversions"]


def test_each_goal_has_the_parameters_of_its_type(tmp_path: Path) -> None:
    place = with_goals(tmp_path)
    parameters = json.loads(DEFAULT_PARAMETERS.read_bytes())
    parameters["phase_weights"] = {"initializer": 1.0, "holder": 0.0, "closer": 0.0}
    trained_parameters(LocalFiles(place.files), "shop").write(parameters, "")
    place.report(SHOP_INTERVAL, GOAL_TYPES="purchase=shop", **MAPPED).succeeded()
    mixed = _credit(place.files)
    place.report(SHOP_INTERVAL, STORE="false", CONV_TYPE_ID="shop", GOAL="purchase", **MAPPED).succeeded()
    of_type = _credit(next(place.files.glob("trials/*")))
    place.report(SHOP_INTERVAL, STORE="false", GOAL="Sign-up é", GOAL_TYPES="purchase=shop", DATA_DIR="own", **MAPPED)
    of_others = _credit(next((place.folder / "own").glob("trials/*")))
    assert of_type
    assert of_others
    assert {key: mixed[key] for key in of_type} == of_type
    assert {key: mixed[key] for key in of_others} == of_others
    explain = ("luigi", "--module", "pipeline", "ExplainConversion", *LOCAL, "--conv-id")
    told = place.start(*explain, next(iter(of_type))[0], GOAL_TYPES="purchase=shop", **MAPPED).end().succeeded()
    assert "goal purchase" in told.output
    assert "ihc = 1.000 initializer" in told.output
    other = place.start(*explain, next(iter(of_type))[0], GOAL="Sign-up é", **MAPPED).end()
    assert other.code == 30
    assert "has the goal 'purchase', not 'Sign-up é'" in other.text


def _credit(files: Path) -> dict[tuple[str, str], float]:
    rows = [row for path in files.glob("attribution/*/*.parquet") for row in pq.read_table(path).to_pylist()]
    return {(row["conv_id"], row["session_id"]): row["ihc"] for row in rows}


def test_the_api_is_asked_for_one_type_a_request_and_nothing_twice(tmp_path: Path) -> None:
    place = with_goals(tmp_path)
    types = {"GOAL_TYPES": "purchase=default,Sign-up é=leads", "CONV_TYPE_ID": "default"}
    with sandbox("--conv-type-id", "leads", key=KEY) as api:
        asking = {"ATTRIBUTION_MODEL": "ihc-api", "API_URL": api.url, "IHC_API_KEY": KEY, **MAPPED}
        plan = ("luigi", "--module", "pipeline", "AttributionPlan", *INTERVAL, *LOCAL)
        place.start(*plan, **asking, **types).end().succeeded()
        planned = json.loads((place.files / "plan" / f"{SHOP_INTERVAL}.json").read_bytes())
        refused = place.report(SHOP_INTERVAL, IHC_MAX_REQUESTS="1", **asking, **types)
        assert refused.code == 30
        assert api.statistics()["requests"] == 0
        place.report(SHOP_INTERVAL, **asking, **types).succeeded()
        books = books_of(place, None, "ihc-api")
        assert api.statistics()["requests"] == planned["requests"] == books["api_requests"] == 2
        place.report(SHOP_INTERVAL, STORE="false", GOAL="Sign-up é", **asking, **types).succeeded()
        place.report(SHOP_INTERVAL, STORE="false", GOAL="purchase", **asking, **types).succeeded()
        assert api.statistics()["requests"] == 2
    scopes = AnswerStore(LocalFiles(place.files / "answers")).contents()
    kept = {scope.scope.conv_type_id: scope.journeys for scope in scopes}
    assert kept.keys() == {"default", "leads"}
    assert sum(kept.values()) == planned["journeys"]


def test_training_comparison_and_the_check_know_goals(tmp_path: Path) -> None:
    place = with_goals(tmp_path)
    command = ("luigi", "--module", "pipeline")
    options = (*INTERVAL, *LOCAL, "--goal", "purchase")
    place.start(*command, "ModelComparison", *options, "--models", "linear", **MAPPED).end().succeeded()
    assert [*place.files.glob(f"comparison/ihc-local/purchase/{SHOP_INTERVAL}/models.csv")]
    place.start(*command, "TrainingSet", *options, **MAPPED).end().succeeded()
    (training,) = place.files.glob(f"training/purchase/{SHOP_INTERVAL}/journeys.parquet")
    goals = {
        row["conv_id"]: row["goal"]
        for path in place.files.glob("conversions/*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    assert {goals[conv_id] for conv_id in pq.read_table(training)["conv_id"].to_pylist()} == {"purchase"}
    check = place.start("attribution-source", "check", **MAPPED).end()
    assert "goals: 'Sign-up é' " in check.output
    assert ", none " in check.output
    assert '# goal = "goal"' in place.start("attribution-source", "init").end().output


def test_bad_rows_and_refunds_are_of_their_goal(tmp_path: Path) -> None:
    place = with_goals(tmp_path)
    rows = [("bad-p", None, 5.0, "purchase"), ("bad-n", "user", "x", None), ("back", "user", -7.0, "purchase")]
    for conv_id, user, revenue, goal in rows:
        change(
            place.database,
            "INSERT INTO conversions VALUES (?, ?, '2023-08-30', '12:00:00', ?, ?)",
            *(conv_id, user, revenue, goal),
        )
    refused = place.report(SHOP_INTERVAL, GOAL="Sign-up é", REFUNDS="list", **LINEAR)
    assert refused.code == 30
    assert "bad-p" in refused.text
    going_on = {"BAD_ROWS": "set-aside", "REFUNDS": "list", "STORE": "false", **LINEAR}
    for goal, rejects, refunds in (("purchase", 1, -7.0), ("Sign-up é", 0, 0.0)):
        place.report(SHOP_INTERVAL, GOAL=goal, **going_on).succeeded()
        books = books_of(place, goal)
        assert books["input_rejects"] == rejects
        assert books["refunds"]["amount"] == refunds  # type: ignore[index]
    place.report(SHOP_INTERVAL, **going_on).succeeded()
    assert books_of(place, None)["input_rejects"] == 2
    assert books_of(place, None)["conversions"] == books["conversions"] + books["other_goals"]  # type: ignore[operator]
