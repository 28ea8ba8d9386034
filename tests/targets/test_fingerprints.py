"""Fingerprints depend on what goes in, and on nothing else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.fingerprint import Stamp, digest, digest_of_rows, fingerprint

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)
TEXT = st.text(st.characters(codec="utf-8"))


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


@settings(deadline=None)
@given(TEXT, TEXT, TEXT, st.dictionaries(TEXT, JSON, max_size=3))
def test_a_stamp_comes_back_from_its_text(one: str, other: str, third: str, notes: dict[str, object]) -> None:
    stamp = Stamp(one, other, third, notes)
    assert Stamp.from_json(stamp.to_json()) == stamp


def rows(texts: Iterable[str], numbers: Iterable[float], kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"id": pa.array(texts, pa.string()), "amount": pa.array(numbers, kind or pa.float64())})


class TestDigestOfRows:
    @settings(deadline=None)
    @given(
        st.lists(st.tuples(TEXT, st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans())),
        st.lists(st.integers(0, 20), max_size=4),
    )
    def test_chunks_are_nothing(self, values: list[tuple[str, float, int, bool]], cuts: list[int]) -> None:
        columns = [*zip(*values, strict=True)] or [()] * 4
        kinds = (pa.string(), pa.float64(), pa.int64(), pa.bool_())
        whole = pa.table([pa.array(c, k) for c, k in zip(columns, kinds, strict=True)], names=[*"abcd"])
        places = sorted({0, *cuts, len(values)})
        pieces = [whole.slice(start, end - start) for start, end in itertools.pairwise(places)]
        cut = pa.concat_tables([*pieces, whole.schema.empty_table()])
        assert digest_of_rows(cut) == digest_of_rows(whole)

    def test_a_slice_is_the_rows_in_it(self) -> None:
        table = rows(["a", "bc", "", "déf"], [1, 2, 3, 4])
        assert digest_of_rows(table.slice(1, 2)) == digest_of_rows(rows(["bc", ""], [2, 3]))

    def test_metadata_is_nothing(self) -> None:
        table = rows(["a"], [1])
        noted = table.replace_schema_metadata({"of": "another version"})
        assert digest_of_rows(noted) == digest_of_rows(table)

    @pytest.mark.parametrize(
        "other",
        [
            rows(["a", "b"], [1, 3]),
            rows(["a", "c"], [1, 2]),
            rows(["b", "a"], [1, 2]),
            rows(["ab", ""], [1, 2]),
            rows(["a"], [1]),
            rows(["a", "b"], [1, 2], pa.int64()),
            rows(["a", "b"], [1, 2]).rename_columns(["id", "cost"]),
            rows(["a", "b"], [1, 2]).select(["amount", "id"]),
            rows(["a", "b"], [1, 2]).select(["id"]),
        ],
        ids=["number", "text", "order", "border of texts", "fewer", "kind", "name", "order of columns", "column"],
    )
    def test_any_other_rows_have_another_digest(self, other: pa.Table) -> None:
        assert digest_of_rows(other) != digest_of_rows(rows(["a", "b"], [1, 2]))

    def test_integers_of_another_width_are_other_rows(self) -> None:
        assert digest_of_rows(rows(["a"], [1], pa.int32())) != digest_of_rows(rows(["a"], [1], pa.int64()))

    @pytest.mark.parametrize("number", [1 / 3, 2 / 3, 0.1, 123_456.789, 1e-9, -7 / 11, 1e300])
    def test_digits_after_the_thirteenth_are_nothing(self, number: float) -> None:
        expected = digest_of_rows(rows(["a"], [number]))
        for steps in range(-4, 5):
            nearby = float(number + steps * math.ulp(number))
            assert digest_of_rows(rows(["a"], [nearby])) == expected

    @pytest.mark.parametrize("number", [1 / 3, 0.1, 123_456.789, 1e-9, -7 / 11, 1e300])
    def test_the_twelfth_digit_counts(self, number: float) -> None:
        assert digest_of_rows(rows(["a"], [number * (1 + 2e-12)])) != digest_of_rows(rows(["a"], [number]))

    def test_zeros_are_one_and_so_are_all_that_are_no_number(self) -> None:
        quiet, other = np.array([0x7FF8000000000000, 0xFFF8000000000001], np.uint64).view(np.float64)
        assert digest_of_rows(rows(["a"], [-0.0])) == digest_of_rows(rows(["a"], [0.0]))
        assert digest_of_rows(rows(["a"], [quiet])) == digest_of_rows(rows(["a"], [other]))
        infinite = [digest_of_rows(rows(["a"], [number])) for number in (math.inf, -math.inf, math.nan, 0.0)]
        assert len({*infinite}) == 4

    def test_no_rows_have_a_digest_of_their_columns(self) -> None:
        empty = rows([], [])
        assert digest_of_rows(empty) == digest_of_rows(empty.schema.empty_table())
        assert digest_of_rows(empty) != digest_of_rows(rows([], [], pa.int64()))

    def test_it_is_the_same_with_every_version(self) -> None:
        """Files of an earlier version are found again as long as this holds."""
        assert digest_of_rows(rows(["é", "b"], [1.5, -2])) == "98e2ed61470a3a300bbae9610c7e8dc6"
