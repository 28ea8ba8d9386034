"""Training sets and trained models through Luigi, on a small sample."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.comparing import contents, versions
from support.running import DATABASE, LOCAL, Outcome, Started, Workplace

from pipeline import TrainingSet
from pipeline.attribution.models import load_model, trained_parameters
from pipeline.errors import ModelError, SettingsError, StageError
from pipeline.sample.reference import write_reference
from pipeline.settings import setting_in_force
from pipeline.training.upload import read_csv, to_arrays
from targets.files import LocalFiles

INTERVAL = "2023-08-29-2023-09-02"


def run(place: Workplace, task: str, *options: str, **settings: str | None) -> Outcome:
    command = ("luigi", "--module", "pipeline", task, "--date-interval", INTERVAL, *options, *LOCAL)
    return place.start(*command, **settings).end()


def train(place: Workplace, conv_type_id: str, *options: str) -> Outcome:
    return run(place, "TrainedModel", "--conv-type-id", conv_type_id, *options)


@pytest.fixture(scope="session")
def trained(once: Callable[[str, Callable[[Path], object]], Path]) -> Workplace:
    """A sample of 400 conversions with its training set and the conversion type `shop` trained on it."""

    def build(folder: Path) -> None:
        write_reference(folder / DATABASE, scale=0.2, days=4)
        place = Workplace(folder)
        output = run(place, "TrainingSet").succeeded().output + train(place, "shop").succeeded().output
        (folder / "printed.txt").write_text(output, encoding="utf-8")

    return Workplace(once("trained", build))


@pytest.fixture
def place(tmp_path: Path, trained: Workplace) -> Workplace:
    return trained.copy(tmp_path / "place")


def training_file(place: Workplace, name: str) -> Path:
    return place.files / "training" / INTERVAL / name


def test_a_training_set_is_the_journeys_in_each_form(trained: Workplace) -> None:
    with training_file(trained, "training_set.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    objects = json.loads(training_file(trained, "training_set.json").read_bytes())
    assert [{name: str(value) for name, value in each.items()} for each in objects] == rows
    assert len(rows) > 100
    held_out = read_csv(training_file(trained, "held_out.csv"))
    assert not {row["conversion_id"] for row in rows} & {*held_out["conversion_id"]}
    statistics = json.loads(training_file(trained, "statistics.json").read_bytes())
    assert statistics["sessions"] == len(rows)
    assert statistics["held_out_journeys"] == held_out["conversion_id"].nunique() > 0
    assert min(map(int, statistics["journeys_by_length"])) == 2
    assert [check["passed"] for check in statistics["checks"]] == [False, True, True, True, True]


def test_its_paths_are_printed(trained: Workplace) -> None:
    printed = (trained.folder / "printed.txt").read_text(encoding="utf-8")
    names = ("training_set.csv", "training_set.json", "held_out.csv", "statistics.json")
    assert all(f"/{INTERVAL}/{name}\n" in printed for name in names)
    assert "ihc of the training journeys by channel, in orders\nchannel " in printed
    assert "/models/shop.txt\n" in printed
    assert "/models/shop.json\nuse it with CONV_TYPE_ID=shop\n" in printed


def test_a_second_run_builds_nothing(place: Workplace) -> None:
    before = versions(place.files)
    for outcome in (run(place, "TrainingSet").succeeded(), train(place, "shop").succeeded()):
        assert outcome.built == []
        assert "nothing to do" in outcome.output
    assert versions(place.files) == before


def test_the_same_input_gives_the_same_bytes(trained: Workplace, tmp_path: Path) -> None:
    again = Workplace(tmp_path / "again")
    shutil.copy(trained.database, again.database)
    train(again, "shop").succeeded()
    made = contents(again.files)
    assert made.items() <= contents(trained.files).items()
    assert {f"training/{INTERVAL}/training_set.csv", "models/shop.json", "models/shop.json.stamp"} < made.keys()
    assert "initializer: membership by hours since the previous session" in made["models/shop.txt"].decode()


def test_another_seed_draws_another_training_set_and_model(place: Workplace) -> None:
    model, drawn = place.files / "models" / "shop.json", training_file(place, "training_set.csv")
    before = (model.read_bytes(), drawn.read_bytes())
    outcome = train(place, "shop", "--training-seed", "2").succeeded()
    assert outcome.kinds_built == {"TrainingSet", "TrainedModel"}
    assert model.read_bytes() != before[0]
    assert drawn.read_bytes() != before[1]


def test_channels_weigh_alike_unless_their_weights_are_asked_for(place: Workplace) -> None:
    def weights() -> set[float]:
        model = json.loads((place.files / "models" / "shop.json").read_bytes())
        return {weight for of_channel in model["channel_weights"].values() for weight in of_channel.values()}

    assert weights() == {1}
    assert train(place, "shop", "--training-channel-weights", "learned").succeeded().kinds_built == {"TrainedModel"}
    assert len(weights()) > 10
    assert "channel weights: learned by a rule" in (place.files / "models" / "shop.txt").read_text()


def test_a_page_that_was_edited_is_made_anew(place: Workplace) -> None:
    page = place.files / "models" / "shop.txt"
    before = page.read_bytes()
    page.write_text("edited", encoding="utf-8")
    assert train(place, "shop").succeeded().kinds_built == {"TrainedModel"}
    assert page.read_bytes() == before


def test_limits_hold(place: Workplace) -> None:
    run(place, "TrainingSet", TRAINING_JOURNEYS="50", TRAINING_MIN_LENGTH="3", TRAINING_HELD_OUT_SHARE="0").succeeded()
    path = training_file(place, "training_set.csv")
    lengths = to_arrays(read_csv(path), path).lengths
    assert (len(lengths), lengths.min()) == (50, 3)
    assert read_csv(training_file(place, "held_out.csv")).empty


def test_conversion_types_select_parameters_side_by_side(place: Workplace) -> None:
    interval = "2023-09-01-2023-09-02"
    train(place, "other", "--training-seed", "2").succeeded()
    reports = {}
    for conv_type_id in ("default", "shop", "other"):
        outcome = place.report(interval, CONV_TYPE_ID=conv_type_id, STORE="replace").succeeded()
        assert "Attribution" in outcome.kinds_built
        assert place.books(interval)["ihc"] == pytest.approx(place.books(interval)["attributed"])
        reports[conv_type_id] = place.report_file(interval).read_bytes()
    assert len({*reports.values()}) == 3
    train(place, "other", "--training-seed", "3").succeeded()  # trained anew, it makes the report anew
    outcome = place.report(interval, CONV_TYPE_ID="other", STORE="continue").succeeded()
    assert "Attribution" in outcome.kinds_built


def test_a_set_that_is_too_small_teaches_nothing_and_says_so(place: Workplace) -> None:
    outcome = train(place, "small", "--training-journeys", "20").succeeded()
    assert "all: the shipped one, because" in outcome.log
    model = json.loads((place.files / "models" / "small.json").read_bytes())
    assert model["restart_gap_hours"] == 52.7
    assert "50 are needed" in model["fallbacks"]["all"]
    assert model["rules"] == {"minimum_journeys": 50, "channel_weights": "as shipped"}
    outcome = train(place, "small", "--training-journeys", "30", "--training-minimum-journeys", "19").succeeded()
    assert "fewer than 50 say little, see the intervals" in outcome.log
    model = json.loads((place.files / "models" / "small.json").read_bytes())
    assert model["restart_gap_hours"] != 52.7


def test_the_shipped_parameters_are_not_to_be_trained(place: Workplace) -> None:
    outcome = run(place, "TrainedModel")
    assert (outcome.code, len(outcome.errors)) == (40, 1)
    assert "the conversion type 'default' cannot have trained parameters; set CONV_TYPE_ID" in outcome.errors[0]


def test_a_report_with_an_untrained_conversion_type_says_what_to_do(place: Workplace) -> None:
    outcome = place.report("2023-09-01-2023-09-02", CONV_TYPE_ID="none")
    assert (outcome.code, len(outcome.errors)) == (40, 1)
    assert "no trained parameters for the conversion type 'none'; train them (task TrainedModel)" in outcome.errors[0]


@pytest.mark.parametrize(
    "conv_type_id", ["default", "reference-a", "reference-b", "", "../x", "/x", ".x", "a b", "x" * 101]
)
def test_a_conversion_type_names_a_file_in_its_folder(conv_type_id: str, tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    assert str(trained_parameters(files, "shop-2.b_1")) == str(tmp_path / "models" / "shop-2.b_1.json")
    with pytest.raises(ModelError, match=r"cannot have trained parameters; set CONV_TYPE_ID"):
        trained_parameters(files, conv_type_id)


@pytest.mark.parametrize("share", ["1", "-0.1", "nan", "inf", "a half"])
def test_not_everything_can_be_held_out(share: str) -> None:
    with pytest.raises(SettingsError, match="TRAINING_HELD_OUT_SHARE must be a number of at least 0"):
        setting_in_force("held_out_share", {"TRAINING_HELD_OUT_SHARE": share})
    assert setting_in_force("held_out_share", {"TRAINING_HELD_OUT_SHARE": "0"}) == 0


def test_a_damaged_trained_file_is_named(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    trained_parameters(files, "shop").write({}, "")
    with pytest.raises(ModelError, match=r"shop\.json does not hold IHC parameters: schema_version is missing"):
        load_model("ihc-local", "shop", files=files)
    with pytest.raises(ModelError, match="no trained parameters for the conversion type 'other'"):
        load_model("ihc-local", "other", files=files)


def test_a_trained_file_that_was_edited_by_hand_is_refused_until_it_is_trained_again(place: Workplace) -> None:
    model = place.files / "models" / "shop.json"
    before = model.read_bytes()
    edited = json.loads(before)
    edited["restart_gap_hours"] += 1
    model.write_text(json.dumps(edited, indent=2), encoding="utf-8")
    outcome = place.report("2023-09-01-2023-09-02", CONV_TYPE_ID="shop")
    assert (outcome.code, len(outcome.errors)) == (40, 1)
    assert f"{model} is not as TrainedModel wrote it: it was edited or damaged" in outcome.errors[0]
    assert train(place, "shop").succeeded().kinds_built == {"TrainedModel"}
    assert model.read_bytes() == before


def until_it_waits(run: Started) -> None:
    """Read its log up to the line that says that it waits at a lock."""
    assert run.process.stderr is not None
    assert any("waits for another run (the test)" in line for line in run.process.stderr)


def test_two_training_sets_of_an_interval_wait_for_each_other(place: Workplace) -> None:
    options = [("--training-seed", seed) for seed in ("2", "3")]
    command = ("luigi", "--module", "pipeline", "TrainingSet", "--date-interval", INTERVAL, *LOCAL)
    before = contents(place.files / "training")
    with LocalFiles(place.files).lock(f"TrainingSet-{INTERVAL}.lock", "the test") as holder:
        assert holder is None
        started = [place.start(*command, *seed) for seed in options]
        for one in started:
            until_it_waits(one)
        assert contents(place.files / "training") == before
    for one in started:
        one.end().succeeded()
    # the files are of one draw
    csv_text, statistics = (training_file(place, name).read_bytes() for name in ("training_set.csv", "statistics.json"))
    again = [run(place, "TrainingSet", *seed).succeeded() for seed in options]
    assert sum(bool(outcome.built) for outcome in again) >= 1
    assert json.loads(statistics)["sessions"] == csv_text.count(b"\n") - 1


def test_a_model_is_not_trained_on_what_another_run_has_drawn(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{place.database}")
    monkeypatch.setenv("DATA_DIR", str(place.files))
    ours, theirs = (TrainingSet(date_interval=INTERVAL, training_seed=seed) for seed in ("1", "2"))
    assert len(ours.journeys().lengths) > 100
    theirs.run()
    with pytest.raises(StageError, match=r"another run has drawn .*journeys\.parquet with other settings; run again"):
        ours.journeys()


def test_a_model_learns_what_the_uploaded_file_holds(trained: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{trained.database}")
    monkeypatch.setenv("DATA_DIR", str(trained.files))
    path = training_file(trained, "training_set.csv")
    read, kept = to_arrays(read_csv(path), path), TrainingSet(date_interval=INTERVAL).journeys()
    assert read.channels == kept.channels
    for name in ("starts", "time", "channel", "holder", "closer"):
        np.testing.assert_array_equal(getattr(read, name), getattr(kept, name))
