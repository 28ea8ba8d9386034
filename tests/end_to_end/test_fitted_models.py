"""Markov and Shapley through the command: fitted to the interval in trials, and by name where tables are filled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.comparing import contents, query
from support.databases import SHOP_INTERVAL
from support.running import DATABASE, LOCAL, Outcome, Workplace

FIRST, SECOND = "2023-08-29-2023-08-31", "2023-08-31-2023-09-02"
LOOKBACK = {"SESSION_LOWER_LIMIT_DATE": "2"}


def run(place: Workplace, task: str, *options: str, **settings: str) -> Outcome:
    return place.start("luigi", "--module", "pipeline", task, *options, *LOCAL, **settings).end()


def train(place: Workplace, interval: str = SHOP_INTERVAL, **settings: str) -> Outcome:
    options = ("--date-interval", interval, "--conv-type-id", "spring", "--model", "markov")
    return run(place, "TrainedModel", *options, **settings)


def one(place: Workplace, pattern: str) -> Path:
    (path,) = place.files.glob(pattern)
    return path


def read(path: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads(path.read_bytes())


def days_of(place: Workplace) -> list[str]:
    rows = query(place.database, "SELECT slice FROM pipeline_slices WHERE table_name = 'attribution_customer_journey'")
    return sorted(str(day) for (day,) in rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shop_database: Path) -> Workplace:
    """The shop, whose tests follow each other."""
    made = Workplace(tmp_path_factory.mktemp("fitted") / "shop")
    shutil.copy(shop_database, made.folder / DATABASE)
    return made


def test_the_tables_take_no_fit_to_an_interval(place: Workplace) -> None:
    for store in ("true", "continue", "replace"):
        outcome = place.report(SHOP_INTERVAL, ATTRIBUTION_MODEL="shapley", STORE=store)
        assert (outcome.code, len(outcome.errors)) == (40, 1)
        assert outcome.errors[0].partition("Z ")[2].startswith("shapley is fitted to the interval of each report")
        for way in ("STORE=false", "TrainedModel --model shapley --conv-type-id <name>", "CONV_TYPE_ID=<name>"):
            assert way in outcome.errors[0]
    assert not place.files.exists()


@pytest.mark.parametrize("model", ["markov", "shapley"])
def test_a_trial_is_fitted_to_its_interval(place: Workplace, model: str) -> None:
    for interval in (FIRST, SECOND):
        place.report(interval, ATTRIBUTION_MODEL=model, STORE="false", **LOOKBACK).succeeded()
    trial = one(place, f"trials/{model}-*")
    fits = [read(path) for path in sorted(trial.glob(f"fits/{model}-*/*.json"))]
    assert [fit["interval"] for fit in fits] == [FIRST, SECOND]
    for fit, interval in zip(fits, (FIRST, SECOND), strict=True):
        books = read(trial / "report" / model / interval / "reconciliation.json")
        assert fit["conversions"] == books["attributed"] > 0
        assert fit["null_paths"] > 0
        assert fit["users_left_out"] > 0
        rate = fit["conversions"] / (fit["conversions"] + fit["null_paths"])
        assert fit["conversion_rate"] == pytest.approx(rate)
        # a day of each folder: credit is in proportion to the strengths of the channels that a journey met
        (credit,) = trial.glob(f"attribution/{model}-*-{interval}/{interval[:10]}.parquet")
        journeys = pq.read_table(one(place, f"trials/{model}-*/journeys/*/{interval[:10]}.parquet")).to_pylist()
        of_conversion: dict[str, dict[str, float]] = {}
        for row, ihc in zip(journeys, pq.read_table(credit)["ihc"].to_pylist(), strict=True):
            of_channel = of_conversion.setdefault(row["conv_id"], {})
            of_channel[row["channel_name"]] = of_channel.get(row["channel_name"], 0.0) + ihc
        for shares in of_conversion.values():
            strengths = {name: fit["channels"][name]["strength"] for name in shares}
            total = sum(strengths.values())
            expected = {name: of / total if total else 1 / len(shares) for name, of in strengths.items()}
            assert shares == pytest.approx(expected)
    assert fits[0]["channels"] != fits[1]["channels"]


def test_users_whose_window_closes_later_are_left_out_of_no_other_fit(place: Workplace) -> None:
    fits = [read(path) for path in sorted(place.files.glob("trials/markov-*/fits/*/*.json"))]
    place.report("2023-08-29-2023-09-02", ATTRIBUTION_MODEL="markov", STORE="false", **LOOKBACK).succeeded()
    whole = read(one(place, "trials/markov-*/fits/*/2023-08-29-2023-09-02.json"))
    assert whole["conversions"] == sum(fit["conversions"] for fit in fits)
    assert whole["users_left_out"] == fits[1]["users_left_out"]


def test_a_fit_of_a_name_may_own_the_tables(place: Workplace) -> None:
    outcome = place.report(FIRST, ATTRIBUTION_MODEL="markov", CONV_TYPE_ID="spring")
    assert outcome.code == 40
    assert "markov has no fit of the name 'spring'; make it (task TrainedModel --model markov" in outcome.errors[0]
    made = train(place).succeeded()
    assert "/models/markov/spring.json\nuse it with ATTRIBUTION_MODEL=markov CONV_TYPE_ID=spring\n" in made.output
    assert train(place).succeeded().built == []
    named = {"ATTRIBUTION_MODEL": "markov", "CONV_TYPE_ID": "spring"}
    place.report(FIRST, **named).succeeded()
    place.report(SECOND, **named).succeeded()
    assert days_of(place) == ["2023-08-29", "2023-08-30", "2023-08-31", "2023-09-01"]
    # days of all reports are of one fit: the whole needs none of them anew
    whole = place.report("2023-08-29-2023-09-02", **named).succeeded()
    assert not whole.kinds_built & {"Attribution", "ModelFit", "StoredAttribution", "UserPaths"}
    explained = run(place, "ExplainConversion", "--conv-id", "conv-ties", **named).succeeded()
    assert "conv-ties" in explained.output


def test_another_fit_of_the_same_name_is_another_owner(place: Workplace) -> None:
    before = place.files / "models" / "markov" / "spring.json"
    train(place, FIRST).succeeded()
    assert read(before)["interval"] == FIRST
    outcome = place.report(FIRST, ATTRIBUTION_MODEL="markov", CONV_TYPE_ID="spring")
    assert outcome.code == 40
    assert "this run differs: trained parameters" in outcome.errors[0]
    before.write_text(before.read_text(encoding="utf-8").replace("0.", "1.", 1), encoding="utf-8")
    outcome = place.report(FIRST, ATTRIBUTION_MODEL="markov", CONV_TYPE_ID="spring", STORE="false")
    assert (outcome.code, len(outcome.errors)) == (40, 1)
    assert "is not as TrainedModel wrote it" in outcome.errors[0]


def test_what_has_no_interval_or_no_conversion_is_refused(place: Workplace) -> None:
    outcome = run(place, "ExplainConversion", "--conv-id", "conv-ties", ATTRIBUTION_MODEL="markov")
    assert outcome.code == 40
    assert "a conversion alone has none" in outcome.errors[0]
    outcome = run(place, "ModelFit", "--date-interval", FIRST, ATTRIBUTION_MODEL="linear")
    assert outcome.code == 40
    assert "linear is not fitted to paths" in outcome.errors[0]
    nothing = "2023-09-02-2023-09-03"
    outcome = train(place, nothing)
    assert outcome.code == 30
    assert f"markov cannot be fitted to {nothing}: no journey led to a conversion" in outcome.errors[-1]
    place.report(nothing, ATTRIBUTION_MODEL="markov", STORE="false").succeeded()


def test_the_same_bytes_come_again(place: Workplace) -> None:
    trial = one(place, f"trials/markov-*/report/markov/{FIRST}").parents[2]
    before = {name: of for name, of in contents(trial).items() if not name.startswith("report")}
    for folder in ("fits", "paths", "attribution"):
        shutil.rmtree(trial / folder)
    for interval in (FIRST, SECOND, "2023-08-29-2023-09-02"):
        place.report(interval, ATTRIBUTION_MODEL="markov", STORE="false", **LOOKBACK).succeeded()
    assert {name: of for name, of in contents(trial).items() if not name.startswith("report")} == before
