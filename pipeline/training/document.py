"""The file of a trained model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS, IhcParameters
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.training.comparing import differences, orders_by_channel
from pipeline.training.learning import MINIMUM_JOURNEYS, learn

_PROVENANCE = (
    "Learned by ihc-local from the journeys of this training set. An independent model of published behaviour, not the "
    "vendor's code, and its figures are not the vendor's."
)
_ALIKE = "all 1: no rule that was tried agrees with the vendor's weights better (docs/training.md)"
_LEARNED = "learned by a rule that agrees with the vendor's weights worse than weights of 1 do (docs/training.md)"


def train(
    journeys: JourneyArrays,
    *,
    conv_type_id: str,
    interval: str,
    seed: int,
    fingerprint: str,
    minimum_journeys: int = MINIMUM_JOURNEYS,
    weigh_channels: bool = False,
) -> dict[str, Any]:
    """The parameters that journeys teach, as JSON.

    Beside what `IhcParameters` reads it holds where the parameters come from: the conversion type, the interval and
    the span of the sessions (UTC), counts, what fell back to the shipped parameters and why, the intervals of the
    figures, the mean and largest difference of `ihc` on the same journeys that each makes to the shipped parameters,
    the orders of these journeys by channel under both, and the `fingerprint` of what it was made from.
    """
    learned = learn(journeys, seed, minimum_journeys=minimum_journeys, weigh_channels=weigh_channels)
    shipped = IhcParameters.load(DEFAULT_PARAMETERS)
    return {
        "schema_version": learned.document["schema_version"],
        "provenance": _PROVENANCE,
        "conv_type_id": conv_type_id,
        "trained_on": {"conversions_of": interval, **_span(journeys), **learned.counts},
        "fingerprint": fingerprint,
        "rules": {
            "minimum_journeys": minimum_journeys,
            "channel_weights": "as shipped" if "all" in learned.fallbacks else _LEARNED if weigh_channels else _ALIKE,
        },
        "fallbacks": learned.fallbacks,
        **learned.document,
        "intervals": learned.intervals,
        "ihc_difference_from_shipped": {
            name: asdict(difference) for name, difference in differences(journeys, learned.parameters, shipped).items()
        },
        "orders_by_channel": orders_by_channel(journeys, learned.parameters, shipped),
    }


def _span(journeys: JourneyArrays) -> dict[str, str | None]:
    if not len(journeys.time):
        return {"first_session": None, "last_session": None}
    first, last = (str(time.astype("datetime64[s]")) for time in (journeys.time.min(), journeys.time.max()))
    return {"first_session": first.replace("T", " "), "last_session": last.replace("T", " ")}


def rests_on_few(document: dict[str, Any]) -> list[str]:
    """What a file of `train` rests on although fewer than `MINIMUM_JOURNEYS` journeys bear on it, a text each."""
    trained_on = document["trained_on"]
    bearing = {
        "restart gap, initializer curve and phase weights": trained_on["journeys_of_several_sessions"],
        "closer curve": trained_on.get("journeys_that_bear_on_the_closer_curve", 0),
    }
    minimum = document["rules"]["minimum_journeys"]
    return [
        f"{what}: learned from {journeys} journeys; fewer than {MINIMUM_JOURNEYS} say little, see the intervals"
        for what, journeys in bearing.items()
        if minimum <= journeys < MINIMUM_JOURNEYS
    ]
