"""How far trained parameters are from others: in the credit that they give."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.models.ihc import ihc_credit
from pipeline.attribution.models.ihc_parameters import IhcParameters
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.training.evidence import with_several_sessions


@dataclass(frozen=True)
class Difference:
    """Absolute differences of `ihc` over sessions, as shares of a conversion."""

    mean: float
    largest: float

    @classmethod
    def of(cls, one: NDArray[np.float64], other: NDArray[np.float64]) -> Difference:
        """Between two credits of the same sessions; 0 without any."""
        off = np.abs(one - other)
        return cls(mean=float(off.mean()), largest=float(off.max())) if len(off) else cls(0.0, 0.0)


def differences(journeys: JourneyArrays, trained: IhcParameters, base: IhcParameters) -> dict[str, Difference]:
    """What each trained parameter alone changes of the credit by `base`, and `all` of them together.

    Over the sessions of journeys of several sessions; single ones get the same whatever the parameters.
    """
    several = with_several_sessions(journeys)
    of_base = ihc_credit(several, base).ihc
    swapped = {
        field.name: replace(base, **{field.name: getattr(trained, field.name)}) for field in fields(IhcParameters)
    }
    return {
        name: Difference.of(ihc_credit(several, parameters).ihc, of_base)
        for name, parameters in {**swapped, "all": trained}.items()
    }


def orders_by_channel(
    journeys: JourneyArrays, trained: IhcParameters, base: IhcParameters
) -> dict[str, dict[str, float]]:
    """The orders that each channel gets of `journeys` by `base` and by `trained` parameters, by name of the channel."""
    by_base, by_trained = (
        np.bincount(journeys.channel, ihc_credit(journeys, parameters).ihc, len(journeys.channels))
        for parameters in (base, trained)
    )
    orders = zip(journeys.channels, by_base, by_trained, strict=True)
    return {
        name: {"shipped": round(float(one), 6), "trained": round(float(other), 6)}
        for name, one, other in sorted(orders, key=lambda of_channel: of_channel[0])
    }
