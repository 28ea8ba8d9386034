"""`ModelComparison` as its users run it, and its ties with the report of each model run on its own."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.comparing import contents, read_report, versions
from support.databases import SHOP_INTERVAL
from support.plain_report import Touch, plain_report
from support.running import LOCAL, Outcome, Started, Workplace
from support.servers import sandbox

from pipeline import ModelComparison
from pipeline.attribution.models import EMBEDDED_MODELS, trained_parameters
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS
from pipeline.comparison.schema import MODEL_COMPARISON
from pipeline.errors import ModelError
from targets.files import LocalFiles

Rows = list[dict[str, str]]

PHASE_WEIGHTS = {"initializer": 0.6, "holder": 0.2, "closer": 0.2}


def compare(place: Workplace, *options: str, **settings: str | None) -> Outcome:
    command = ("luigi", "--module", "pipeline", "ModelComparison", "--date-interval", SHOP_INTERVAL)
    return place.start(*command, *LOCAL, *options, **settings).end()


def comparison_file(place: Workplace, name: str, model: str = "ihc-local") -> Path:
    return place.files / "comparison" / model / SHOP_INTERVAL / name


def read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def totals(report: Path) -> dict[str, list[float]]:
    """Cost, orders and revenue by channel, summed over the dates of a report."""
    sums: dict[str, list[float]] = {}
    for row in read_report(report):
        total = sums.setdefault(row["channel_name"], [0.0, 0.0, 0.0])
        for place, name in enumerate(("cost", "ihc", "ihc_revenue")):
            total[place] += float(row[name] or 0)
    return sums


def results(place: Workplace) -> dict[str, bytes]:
    """What was left behind but for the locks, which say whose they were."""
    return {name: content for name, content in contents(place.files).items() if not name.startswith("locks/")}


def channel_credit(place: Workplace, model: str) -> dict[str, bytes]:
    """The daily aggregates of a model, each of its own folder."""
    folder = place.files if model != "markov" else next(iter(place.files.glob("trials/markov-*")), place.files)
    (folder,) = (folder / "channel_credit").glob(f"{model}-??????{'' if model != 'markov' else f'-{SHOP_INTERVAL}'}")
    files = contents(folder)
    assert len(files) == 2 * 5  # days, with their stamps
    return files


@pytest.fixture(scope="module")
def compared(once: Callable[[str, Callable[[Path], object]], Path], undisturbed: Workplace) -> Workplace:
    """The shop after a comparison of all models, and what it printed, in `printed.txt`; nobody may change it."""

    def build(folder: Path) -> None:
        place = undisturbed.copy(folder / "shop")
        (folder / "printed.txt").write_text(compare(place).succeeded().output, encoding="utf-8")

    return Workplace(once("compared", build) / "shop")


@pytest.fixture
def compared_shop(tmp_path: Path, compared: Workplace) -> Workplace:
    """The same, to be changed."""
    return compared.copy(tmp_path / "shop")


@pytest.mark.parametrize("model", ["last-touch", "markov"])
def test_ties_with_the_report_of_each_model_run_on_its_own(
    compared: Workplace, reported_shop: Workplace, model: str
) -> None:
    # markov is fitted to the interval, and the result tables take no such days
    fits = model == "markov"
    reported_shop.report(SHOP_INTERVAL, ATTRIBUTION_MODEL=model, STORE="false" if fits else "replace").succeeded()
    (report,) = reported_shop.files.glob(f"{'trials/*/' * fits}report/{model}/{SHOP_INTERVAL}/channel_reporting.csv")
    rows = [row for row in read(comparison_file(compared, "models.csv")) if row["model"] == model]
    figures = {
        row["channel_name"]: [float(row[name]) for name in ("cost", "attributed_conversions", "attributed_revenue")]
        for row in rows
    }
    assert figures == {channel: pytest.approx(sums, rel=1e-12) for channel, sums in totals(report).items()}
    books = json.loads(report.with_name("reconciliation.json").read_bytes())
    assert sum(orders for _, orders, _ in figures.values()) == pytest.approx(books["attributed"])
    assert sum(revenue for *_, revenue in figures.values()) == pytest.approx(books["attributed_revenue"])
    # what the comparison sums is, to the byte, what that report sums
    assert channel_credit(compared, model) == channel_credit(reported_shop, model)


def test_ties_with_a_plain_computation(compared: Workplace) -> None:
    def linear(journey: list[Touch]) -> list[float]:
        return [1 / len(journey)] * len(journey)

    books = plain_report(compared.database, SHOP_INTERVAL, model=linear)
    expected: dict[str, float] = {}
    for (channel, _), (_, orders, _) in books.cells.items():
        expected[channel] = expected.get(channel, 0.0) + orders
    rows = [row for row in read(comparison_file(compared, "models.csv")) if row["model"] == "linear"]
    assert {row["channel_name"]: float(row["attributed_conversions"]) for row in rows} == pytest.approx(expected)
    assert sum(int(row["influenced_conversions"]) for row in rows) >= len(books.credit)


def test_every_model_has_every_channel_and_the_csv_is_the_table(compared: Workplace) -> None:
    rows = read(comparison_file(compared, "models.csv"))
    table = pq.read_table(comparison_file(compared, "models.parquet"))
    assert table.schema.remove_metadata().equals(MODEL_COMPARISON)
    channels = sorted({row["channel_name"] for row in rows})
    assert [(row["model"], row["channel_name"]) for row in rows] == [
        (model, channel) for model in EMBEDDED_MODELS for channel in channels
    ]
    for row, expected in zip(rows, table.to_pylist(), strict=True):
        assert [*row] == [*expected]
        assert [text or None for text in row.values()] == [
            None if value is None else str(value) for value in expected.values()
        ]


def test_prints_what_to_look_at_and_where_it_is(compared: Workplace) -> None:
    printed = (compared.folder.parent / "printed.txt").read_text(encoding="utf-8")
    assert f"ihc-local and others, {SHOP_INTERVAL}: attributed conversions" in printed
    assert "rank correlation (Spearman) with ihc-local: first-touch " in printed
    assert "another look-back window: 7 days " in printed
    for name in ("models.parquet", "rank_correlations.csv", "lookback_sensitivity.csv", "models.csv"):
        assert f"/{SHOP_INTERVAL}/{name}\n" in printed


def test_a_second_run_builds_nothing_and_says_where_it_is(compared_shop: Workplace) -> None:
    before = versions(compared_shop.files)
    again = compare(compared_shop).succeeded()
    assert again.built == []
    assert again.output.startswith("nothing to do, the comparison is there:\n")
    assert versions(compared_shop.files) == before


def test_a_run_anew_leaves_the_same_bytes(compared_shop: Workplace) -> None:
    before = results(compared_shop)
    for file in (compared_shop.files / "comparison").rglob("*.*"):
        file.unlink()
    compare(compared_shop, OPENBLAS_NUM_THREADS="1").succeeded()
    assert results(compared_shop) == before


def test_other_models_are_compared_with_another_primary(compared_shop: Workplace) -> None:
    outcome = compare(compared_shop, "--models", "linear, markov", "--model", "last-touch").succeeded()
    rows = read(comparison_file(compared_shop, "models.csv", "last-touch"))
    assert [*dict.fromkeys(row["model"] for row in rows)] == ["last-touch", "linear", "markov"]
    assert not any(float(row["share_difference"] or 0) for row in rows if row["model"] == "last-touch")
    assert outcome.kinds_built == {"LookbackCredit", "ModelComparison"}


def test_conversion_types_are_compared(compared_shop: Workplace) -> None:
    outcome = compare(compared_shop, "--models", "ihc-local:reference-a,ihc-local:reference-b").succeeded()
    assert "rank correlation (Spearman) with ihc-local: ihc-local:reference-a 1.000, " in outcome.output
    orders: dict[str, list[str]] = {}
    for row in read(comparison_file(compared_shop, "models.csv")):
        orders.setdefault(row["model"], []).append(row["attributed_conversions"])
    assert [*orders] == ["ihc-local", "ihc-local:reference-a", "ihc-local:reference-b"]
    default, a, b = orders.values()
    assert default == a != b


def test_a_model_that_cannot_take_the_channels_is_left_out_with_its_reason(shop: Workplace) -> None:
    (shop.folder / "sitecustomize.py").write_text(
        "from importlib import import_module\nimport_module('pipeline.attribution.models.markov').MAX_STATES = 3\n"
    )
    few = {"PYTHONPATH": os.pathsep.join([str(shop.folder), *sys.path])}
    models = ("--models", "markov,linear")
    outcome = compare(shop, *models, **few).succeeded()
    assert f"ModelComparison {SHOP_INTERVAL}: markov is left out of the comparison: markov: order 1 has " in outcome.log
    rows = read(comparison_file(shop, "models.csv"))
    assert [*dict.fromkeys(row["model"] for row in rows)] == ["ihc-local", "linear"]
    assert compare(shop, *models, **few).succeeded().built == []
    # once it can take them, by another setting of its own, it is there
    compare(shop, *models, MARKOV_ORDER="2").succeeded()
    assert {row["model"] for row in read(comparison_file(shop, "models.csv"))} == {"ihc-local", "linear", "markov"}


def test_the_windows_are_those_of_reports_with_that_look_back(reported_shop: Workplace, undisturbed: Workplace) -> None:
    compare(reported_shop, "--models", "ihc-local", SESSION_LOWER_LIMIT_DATE="1").succeeded()
    without_limit = [
        row for row in read(comparison_file(reported_shop, "lookback_sensitivity.csv")) if row["lookback_days"] == "0"
    ]
    expected = {channel: orders for channel, (_, orders, _) in totals(undisturbed.report_file(SHOP_INTERVAL)).items()}
    found = {row["channel_name"]: float(row["attributed_conversions"]) for row in without_limit}
    assert found == pytest.approx({channel: expected[channel] for channel in found}, abs=1e-9)
    assert sum(found.values()) == pytest.approx(sum(expected.values()))
    assert any(float(row["share_difference"]) for row in without_limit)
    # the files of the run's own window were not touched by the others
    outcome = reported_shop.report(SHOP_INTERVAL, SESSION_LOWER_LIMIT_DATE="1", STORE="continue").succeeded()
    assert "Journeys" not in outcome.kinds_built


def test_the_api_beside_embedded_models_is_asked_once_and_for_no_other_window(
    reported_shop: Workplace, undisturbed: Workplace
) -> None:
    with sandbox(key="a key") as api:
        settings = {"ATTRIBUTION_MODEL": "ihc-api", "API_URL": api.url, "IHC_API_KEY": "a key"}
        outcome = compare(reported_shop, "--models", "ihc-local", **settings).succeeded()
        assert api.statistics()["journeys"] == undisturbed.books(SHOP_INTERVAL)["attributed"]
        assert api.statistics()["conversions_asked_more_than_once"] == 0
    assert "lookback_sensitivity.csv is not computed for ihc-api" in outcome.text
    assert "LookbackCredit" not in outcome.kinds_built
    assert read(comparison_file(reported_shop, "lookback_sensitivity.csv", "ihc-api")) == []
    rows = read(comparison_file(reported_shop, "models.csv", "ihc-api"))
    assert {row["model"] for row in rows} == {"ihc-api", "ihc-local"}
    for row in rows:
        assert abs(float(row["attributed_conversions_difference"])) < 0.01
        assert row["influenced_conversions_difference"] == "0"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("linear,markow", "unknown model 'markow'; did you mean markov? Known are ihc-local, "),
        (" , ", "--models names no model; known are ihc-local, "),
        ("linear:reference-b", "'linear:reference-b' is no model with a conversion type; ihc-local alone takes one"),
        ("ihc-local:", "'ihc-local:' is no model with a conversion type; ihc-local alone takes one"),
        ("ihc-local:../x", "the conversion type '../x' cannot have trained parameters; set CONV_TYPE_ID"),
    ],
)
def test_a_wrong_list_of_models_is_one_line(shop: Workplace, models: str, message: str) -> None:
    outcome = compare(shop, "--models", models)
    assert (outcome.code, len(outcome.errors)) == (40, 1)
    assert message in outcome.errors[0]
    assert "Traceback" not in outcome.text
    assert not shop.files.exists()


def test_a_wrong_model_is_refused_when_the_task_is_made() -> None:
    with pytest.raises(ModelError, match="unknown model 'markow'"):
        ModelComparison(date_interval=SHOP_INTERVAL, models=("linear", "markow"))
    with pytest.raises(ModelError, match="no trained parameters for the conversion type 'none'"):
        ModelComparison(date_interval=SHOP_INTERVAL, model="linear", models=("ihc-local",), conv_type_id="none")


def test_a_trained_conversion_type_concerns_ihc_local_alone(compared_shop: Workplace) -> None:
    before = read(comparison_file(compared_shop, "models.csv"))
    parameters = {**json.loads(DEFAULT_PARAMETERS.read_bytes()), "phase_weights": PHASE_WEIGHTS}
    trained_parameters(LocalFiles(compared_shop.files), "shop").write(parameters, "")
    outcome = compare(compared_shop, "--conv-type-id", "shop").succeeded()
    assert sorted(outcome.built) == [
        f"{stage} {SHOP_INTERVAL}" for stage in ("Attribution", "ChannelCredit", "LookbackCredit", "ModelComparison")
    ]
    after = read(comparison_file(compared_shop, "models.csv"))
    for row, earlier in zip(after, before, strict=True):
        same = row["attributed_conversions"] == earlier["attributed_conversions"]
        assert same or row["model"] == "ihc-local"
    assert after != before


def test_stale_days_alone_are_built_anew_by_one_query(compared_shop: Workplace) -> None:
    before = results(compared_shop)
    (folder,) = (compared_shop.files / "lookback_credit").iterdir()
    for day in ("2023-08-30", "2023-09-01"):
        (folder / f"{day}.parquet").unlink()
    outcome = compare(compared_shop).succeeded()
    assert "LookbackCredit 2023-08-29-2023-09-03: 2 days, " in outcome.log
    assert results(compared_shop) == before


def until_it_waits(run: Started) -> None:
    """Read its log up to the line that says that it waits at a lock."""
    assert run.process.stderr is not None
    assert any("waits for another run (the test)" in line for line in run.process.stderr)


def test_two_runs_at_once_meet_at_the_lock(compared_shop: Workplace) -> None:
    before = contents(compared_shop.files / "comparison")
    shutil.rmtree(compared_shop.files / "comparison")
    options = (["--models", ",".join(EMBEDDED_MODELS)], ["--models", "linear"])
    command = ("luigi", "--module", "pipeline", "ModelComparison", "--date-interval", SHOP_INTERVAL, *LOCAL)
    lock = LocalFiles(compared_shop.files).lock(f"ModelComparison-ihc-local-{SHOP_INTERVAL}.lock", "the test")
    with lock as holder:
        assert holder is None
        started = [compared_shop.start(*command, *some) for some in options]
        for one in started:
            until_it_waits(one)
        assert contents(compared_shop.files / "comparison") == {}
    for one in started:
        one.end().succeeded()
    models = {row["model"] for row in read(comparison_file(compared_shop, "models.csv"))}
    assert models in ({*EMBEDDED_MODELS}, {"ihc-local", "linear"})
    compare(compared_shop).succeeded()
    assert contents(compared_shop.files / "comparison") == before
