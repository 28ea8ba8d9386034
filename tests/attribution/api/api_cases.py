from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.attribution.api.answers import AnswerStore
from pipeline.attribution.api.attribution import ApiResult, attribute
from pipeline.attribution.api.settings import ApiSettings
from pipeline.attribution.api.wire import Asked, Ids
from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.models import load_model
from pipeline.attribution.sandbox.faults import Faults
from pipeline.attribution.sandbox.service import Sandbox
from pipeline.journeys.schema import JOURNEYS

HOUR = 3600
CHANNELS = ["Direct", "Email_Newsletter", "FB & IG Ads", 'Google "Brand"', "Größe, Ä\n"]
# as in the reference data set: 58 % of journeys have one session, the longest has 37
LENGTHS = [1, 2, 3, 4, 5, 6, 8, 12, 37]
SHARES = [0.58, 0.2, 0.11, 0.04, 0.03, 0.02, 0.01, 0.007, 0.003]


def make_journeys(lengths: Sequence[int], seed: int = 1, prefix: str = "") -> pa.Table:
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for journey, length in enumerate(lengths):
        time = 1_693_267_200 + int(random.integers(0, 5 * 24 * HOUR))
        for position in range(length):
            time += int(random.exponential(20 * HOUR))
            holder, closer, impression = random.integers(0, 2, 3).tolist()
            rows.append(
                {
                    "conv_id": f"{prefix}c{journey:05}",
                    "conv_time": 0,
                    "revenue": 50.0,
                    "position": position,
                    "session_id": f"{prefix}s{journey:05}-{position}",
                    "session_time": time,
                    "channel_name": CHANNELS[int(random.integers(0, len(CHANNELS)))],
                    "holder_engagement": holder,
                    "closer_engagement": closer,
                    "impression_interaction": impression,
                    "sessions_cut": 0,
                }
            )
    return pa.Table.from_pylist(rows, schema=JOURNEYS)


def reference_lengths(count: int, seed: int = 1) -> list[int]:
    shares = np.array(SHARES)
    drawn: list[int] = np.random.default_rng(seed).choice(LENGTHS, count, p=shares / shares.sum()).tolist()
    return drawn


def asked(conv_ids: Sequence[str], session_ids: Sequence[str], lengths: Sequence[int]) -> Asked:
    conversions, sessions = (
        Ids(pa.array(["not asked for", *ids], pa.string()), np.arange(1, len(ids) + 1))
        for ids in (conv_ids, session_ids)
    )
    return Asked(conversions, sessions, np.array(lengths))


def embedded_credit(journeys: pa.Table) -> pa.Table:
    return attribute_embedded(journeys, load_model("ihc-local", "default"))


@dataclass
class Api:
    """A sandbox that serves, a store of answers, and the client's settings for both."""

    sandbox: Sandbox
    url: str
    answers: AnswerStore
    settings: Callable[..., ApiSettings]

    def attribute(self, journeys: pa.Table, key: str = "key", **settings: object) -> ApiResult:
        return attribute(journeys, self.settings(**settings), key, self.answers)

    def suffer(self, **faults: Any) -> None:  # noqa: ANN401 - fields of Faults
        self.sandbox.faults = Faults(**faults)
