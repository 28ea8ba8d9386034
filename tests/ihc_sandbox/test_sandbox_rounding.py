from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ihc_sandbox.rounding import rounded

JOURNEYS = st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=60), min_size=1, max_size=20)


@given(journeys=JOURNEYS)
def test_rounded_shares_have_four_decimals_and_keep_their_sum_exactly(journeys: list[list[int]]) -> None:
    shares = np.concatenate([np.array(weights) / max(1, sum(weights)) for weights in journeys])
    starts = np.append(0, np.cumsum([len(weights) for weights in journeys]))
    four = rounded(shares, starts)
    assert np.abs(four - shares).max() < 0.0001 + 1e-9
    for weights, (first, end) in zip(journeys, pairwise(starts), strict=True):
        decimals = [Decimal(repr(share)) for share in four[first:end].tolist()]
        assert sum(decimals) == (1 if any(weights) else 0)
        assert all(decimal == round(decimal, 4) and decimal >= 0 for decimal in decimals)


def test_the_rest_goes_to_the_largest_remainders() -> None:
    shares = np.array([1 / 3, 1 / 3, 1 / 3, 0.00004, 0.99996, 1.0, 0.0, 0.0])
    assert rounded(shares, np.array([0, 3, 5, 6, 8])).tolist() == [0.3334, 0.3333, 0.3333, 0, 1, 1, 0, 0]


def test_nothing_rounds_to_nothing() -> None:
    assert rounded(np.array([]), np.array([0])).tolist() == []
