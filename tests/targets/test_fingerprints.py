"""Fingerprints depend on what goes in, and on nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from targets.fingerprint import digest, fingerprint

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_order_of_ingredients_does_not_matter(ingredients: dict[str, object]) -> None:
    assert fingerprint(dict(reversed(ingredients.items()))) == fingerprint(ingredients)


@settings(deadline=None)
@given(st.text(), st.integers(), st.integers())
def test_another_value_is_another_fingerprint(name: str, one: int, other: int) -> None:
    assert (fingerprint({name: one}) == fingerprint({name: other})) == (one == other)


def test_a_number_is_not_its_text() -> None:
    assert fingerprint({"days": 1}) != fingerprint({"days": "1"})


def test_a_fingerprint_is_the_digest_of_sorted_json() -> None:
    """Files of an earlier version are found again as long as this holds."""
    assert fingerprint({"é": [1, None], "day": "x"}) == digest('{"day":"x","é":[1,null]}'.encode())
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb924"
