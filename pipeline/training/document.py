"""The file of a trained model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS, IhcParameters
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.training.comparing import differences
from pipeline.training.learning import learn

_PROVENANCE = (
    "Learned by ihc-local from the journeys of this training set. An independent model of published behaviour, not the "
    "vendor's code, and its figures are not the vendor's."
)


def train(journeys: JourneyArrays, *, conv_type_id: str, interval: str, seed: int, fingerprint: str) -> dict[str, Any]:
    """The parameters that journeys teach, as JSON.

    Beside what `IhcParameters` reads it holds where the parameters come from: the conversion type, the interval and
    the span of the sessions (UTC), counts, what fell back to the shipped parameters and why, the intervals of the
    figures, the mean and largest difference of `ihc` on the same journeys that each makes to the shipped parameters,
    and the `fingerprint` of what it was made from.
    """
    learned = learn(journeys, seed)
    return {
        "schema_version": learned.document["schema_version"],
        "provenance": _PROVENANCE,
        "conv_type_id": conv_type_id,
        "trained_on": {"conversions_of": interval, **_span(journeys), **learned.counts},
        "fingerprint": fingerprint,
        "fallbacks": learned.fallbacks,
        **learned.document,
        "intervals": learned.intervals,
        "ihc_difference_from_shipped": {
            name: asdict(difference)
            for name, difference in differences(
                journeys, learned.parameters, IhcParameters.load(DEFAULT_PARAMETERS)
            ).items()
        },
    }


def _span(journeys: JourneyArrays) -> dict[str, str | None]:
    if not len(journeys.time):
        return {"first_session": None, "last_session": None}
    first, last = (str(time.astype("datetime64[s]")) for time in (journeys.time.min(), journeys.time.max()))
    return {"first_session": first.replace("T", " "), "last_session": last.replace("T", " ")}
