"""How alike two models order the channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DECIMALS = 9  # credit that differs by less differs by rounding


def ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of each value, the highest 1; equal values share the better place.

    >>> ranks(np.array([2.0, 5.0, 2.0, 1.0])).tolist()
    [2, 1, 2, 4]
    """
    descending = np.sort(-values.round(_DECIMALS))
    return np.searchsorted(descending, -values.round(_DECIMALS)) + 1


def spearman(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Spearman's rho, -1 to 1: the correlation of ranks, equal values sharing their mean; NaN if all are equal.

    >>> spearman(np.array([3.0, 2.0, 1.0]), np.array([9.0, 1.0, 4.0]))
    0.5
    """
    deviations = []
    for values in (left, right):
        average = (ranks(values) - ranks(-values)) / 2  # from the top and from the bottom: the mean rank, centred
        deviations.append(average)
    x, y = deviations
    return _quotient(float(x @ y), float(x @ x) * float(y @ y))


def kendall(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Kendall's tau-b, -1 to 1: pairs in the same order less pairs in the opposite one; NaN if all are equal.

    >>> round(kendall(np.array([3.0, 2.0, 1.0]), np.array([9.0, 1.0, 4.0])), 12)
    0.333333333333
    """
    x, y = (np.sign(np.subtract.outer(values.round(_DECIMALS), values.round(_DECIMALS))) for values in (left, right))
    return _quotient(float(np.sum(x * y)), float(np.sum(x * x)) * float(np.sum(y * y)))


def _quotient(product: float, squares: float) -> float:
    return product / squares**0.5 if squares > 0 else float("nan")
