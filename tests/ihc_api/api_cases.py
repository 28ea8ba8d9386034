from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.models import load_model
from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.ask import ask, credit_of
from pipeline.ihc_api.request_json import Asked, WireJourneys
from pipeline.ihc_api.settings import ApiSettings
from pipeline.ihc_api.statistics import Progress, Statistics
from pipeline.ihc_sandbox.faults import Faults
from pipeline.ihc_sandbox.service import Sandbox
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
    return Asked([*conv_ids], [*session_ids], np.array(lengths))


def embedded_credit(journeys: pa.Table) -> pa.Table:
    return attribute_embedded(journeys, load_model("ihc-local", "default"))


@dataclass(frozen=True)
class Attributed:
    """What `ask` and `credit_of` give together."""

    credit: pa.Table
    rejected: dict[str, str]
    statistics: Statistics


@dataclass
class Api:
    """A sandbox that serves, a store of answers, and the client's settings for both."""

    sandbox: Sandbox
    url: str
    answers: AnswerStore
    folder: Path
    settings: Callable[..., ApiSettings]

    def attribute(
        self,
        journeys: pa.Table,
        key: str = "key",
        generation: int = 0,
        progress: Callable[[Progress], None] | None = None,
        **settings: object,
    ) -> Attributed:
        return self.attribute_days([journeys], key, generation, progress, **settings)

    def attribute_days(
        self,
        days: Sequence[pa.Table],
        key: str = "key",
        generation: int = 0,
        progress: Callable[[Progress], None] | None = None,
        **changed: object,
    ) -> Attributed:
        settings = self.settings(**changed)
        readers = [lambda day=day: day for day in days]
        result = ask(readers, settings, key, self.answers, generation=generation, progress=progress)
        credit = [credit_of(day, settings, self.answers, result.rejected, generation=generation) for day in days]
        return Attributed(pa.concat_tables(credit), result.rejected, result.statistics)

    def known(self, journeys: pa.Table, generation: int = 0) -> set[str]:
        """The conversions with a kept answer."""
        scope, wire = self.settings().scope, WireJourneys.of(journeys)
        known = self.answers.known(scope, wire.digests(scope.canonical()), generation)
        return set(wire.conv_id.filter(pa.array(known)).to_pylist())

    def suffer(self, **faults: Any) -> None:  # noqa: ANN401 - fields of Faults
        self.sandbox.faults = Faults(**faults)
