"""ihc-local against real answers of the IHC API, in ../shared/real beside the repository."""

from __future__ import annotations

import csv
import os
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from journey_cases import Session, arrays

from pipeline.attribution.models import load_model

REAL = Path(__file__).resolve().parents[4] / "shared" / "real"

pytestmark = pytest.mark.skipif(
    not REAL.is_dir() and os.environ.get("CI") != "true", reason="the published answers are not here"
)


def rows(name: str) -> list[dict[str, str]]:
    with (REAL / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_agrees_with_the_published_answers() -> None:
    sessions = {(row["conversion_id"], row["session_id"]): row for row in rows("journeys.csv")}
    order = {key: place for place, key in enumerate(sessions)}

    def sent(answer: dict[str, str]) -> tuple[int, str, str, int]:
        # within a second the order is that of sending, which the file keeps: the API took it as it came
        session = sessions[answer["conversion_id"], answer["session_id"]]
        place = order[answer["conversion_id"], answer["session_id"]]
        return int(answer["request"]), answer["conversion_id"], session["timestamp"], place

    answers = sorted(rows("responses.csv"), key=sent)
    journeys = [
        [
            Session(
                time=int(datetime.fromisoformat(session["timestamp"]).replace(tzinfo=UTC).timestamp()),
                channel=session["channel_label"],
                holder=session["holder_engagement"] == "1",
                closer=session["closer_engagement"] == "1",
            )
            for session in (sessions[answer["conversion_id"], answer["session_id"]] for answer in journey)
        ]
        for _, journey in groupby(answers, key=lambda answer: sent(answer)[:2])
    ]
    table = arrays(journeys)
    credit = load_model("ihc-local", "default").credit(table)
    computed = np.column_stack([credit.initializer, credit.holder, credit.closer, credit.ihc])
    names = ("initializer", "holder", "closer", "ihc")
    published = np.array([[float(answer[name]) for name in names] for answer in answers])
    several = np.repeat(table.lengths > 1, table.lengths)

    assert (len(journeys), len(answers), several.sum()) == (1525, 1920, 645)
    assert (computed[~several] == [1, 0, 1, 1]).all()
    assert (published[~several] == [1, 0, 1, 1]).all()
    error = np.abs(computed - published)[several]
    assert error[:, 3].mean() <= 0.0001
    assert error[:, 3].max() <= 0.001
