"""Text that fits a terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pipeline.console import columns, on_one_line, shortened, text_table


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    line = on_one_line(text)
    assert not any(unicodedata.category(sign)[0] == "C" for sign in line)
    assert len(line.splitlines()) <= 1


@given(st.text(), st.integers(4, 40))
def test_a_shortened_text_is_as_wide_as_allowed_at_most(text: str, width: int) -> None:
    assert columns(shortened(text, width)) <= width


def test_what_fits_is_left_as_it_is() -> None:
    assert shortened("Größe", 5) == "Größe"
    assert shortened("Größe M", 6) == "Größ.."
    assert shortened("世界世界", 6) == "世界.."


def test_wide_signs_take_two_columns() -> None:
    assert (columns("世界"), columns("e\u0301"), columns("😀 a")) == (4, 1, 4)
    assert text_table(["", "n"], [["世界", "1"], ["a", "12"]]).splitlines() == ["       n", "世界   1", "a     12"]
