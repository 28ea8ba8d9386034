"""ihc-local against real answers of the IHC API, in ../shared/real beside the repository."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby

import numpy as np
import pytest
from journey_cases import Session, arrays
from numpy.typing import NDArray
from support.published import needs_published, rows

from pipeline.attribution.models import load_model

pytestmark = needs_published

NAMES = ("initializer", "holder", "closer", "ihc")


def error_of_sessions(folder: str, conv_type_id: str) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The error of each phase for each session of journeys of several sessions; journeys and sessions in all."""
    sessions = {(row["conversion_id"], row["session_id"]): row for row in rows(f"{folder}journeys.csv")}
    order = {key: place for place, key in enumerate(sessions)}

    def sent(answer: dict[str, str]) -> tuple[int, str, str, int]:
        # within a second the order is that of sending, which the file keeps: the API took it as it came
        session = sessions[answer["conversion_id"], answer["session_id"]]
        place = order[answer["conversion_id"], answer["session_id"]]
        return int(answer["request"]), answer["conversion_id"], session["timestamp"], place

    answers = sorted(rows(f"{folder}responses.csv"), key=sent)
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
    credit = load_model("ihc-local", conv_type_id).credit(table)
    computed = np.column_stack([credit.initializer, credit.holder, credit.closer, credit.ihc])
    published = np.array([[float(answer[name]) for name in NAMES] for answer in answers])
    several = np.repeat(table.lengths > 1, table.lengths)

    assert (computed[~several] == [1, 0, 1, 1]).all()
    assert (published[~several] == [1, 0, 1, 1]).all()
    return np.abs(computed - published)[several], (len(journeys), len(answers))


@pytest.mark.parametrize("conv_type_id", ["default", "reference-a"])
def test_it_agrees_with_the_published_answers(conv_type_id: str) -> None:
    error, counts = error_of_sessions("", conv_type_id)
    assert (counts, len(error)) == ((1525, 1920), 645)
    assert error[:, 3].mean() <= 0.0001
    assert error[:, 3].max() <= 0.001


def test_reference_b_agrees_with_the_answers_of_another_training() -> None:
    error, _ = error_of_sessions("run_b/", "reference-b")
    assert len(error) > 500
    assert error[:, 3].mean() <= 0.0001
    assert error[:, 3].max() <= 0.002
    of_a, _ = error_of_sessions("run_b/", "reference-a")
    assert of_a[:, 3].mean() > 0.05
