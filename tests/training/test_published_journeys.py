"""Training on the published journeys alone, judged by the published answers: both are in ../shared/real."""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
REAL = REPOSITORY.parent / "shared" / "real"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = spec_from_file_location("trained_ihc", REPOSITORY / "benchmarks" / "trained_ihc.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not REAL.is_dir() and os.environ.get("CI") != "true", reason="the published journeys are not here")
def test_trained_on_the_published_journeys_it_is_close_to_the_published_answers(benchmark: ModuleType) -> None:
    _, learned = benchmark.train_on_published()
    assert not learned.fallbacks
    assert learned.counts["journeys"] == 985
    error = benchmark.errors(learned)
    assert error["all trained"].mean <= 0.003
    assert error["all shipped (fitted to these answers)"].mean <= 0.0001
    assert error["linear credit"].mean > 0.15


def test_more_journeys_narrow_the_intervals_and_seeds_stay_within(benchmark: ModuleType) -> None:
    table = benchmark.stability(sizes=(500, 5_000), seeds=(1, 2)).set_index(["journeys", "parameter"])
    for parameter in ("restart gap (h)", "initializer weight", "holder weight", "closer weight"):
        wide, narrow = (table.loc[(size, parameter), "interval width"] for size in (500, 5_000))
        assert wide / 6 < narrow < wide / 2  # a third, as the root of ten
        assert table.loc[(5_000, parameter), "seeds apart by"] < narrow
