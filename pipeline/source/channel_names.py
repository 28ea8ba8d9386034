"""Channel names: cleaned by one rule, and those that look like one name written in several ways."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

import pyarrow as pa

_SHOWN = 3


def clean(name: str) -> str:
    r"""The name without surrounding blanks (spaces of any kind, not line ends or tabs), in Unicode's form NFC.

    >>> clean(" Größe\u00a0")
    'Größe'
    """
    start, end = 0, len(name)
    while start < end and unicodedata.category(name[start]) == "Zs":
        start += 1
    while end > start and unicodedata.category(name[end - 1]) == "Zs":
        end -= 1
    return unicodedata.normalize("NFC", name[start:end])


def cleaned(rows: pa.Table, column_name: str = "channel_name") -> pa.Table:
    """The rows with clean names in a column."""
    encoded = rows[column_name].combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    clean_names = [clean(name) for name in names]
    if names == clean_names:
        return rows
    place = rows.schema.get_field_index(column_name)
    column = pa.array(clean_names, pa.string()).take(encoded.indices)
    return rows.set_column(place, rows.schema.field(place), column)


def alike(names: Iterable[str]) -> list[list[str]]:
    """Names that differ in case, blanks or punctuation alone, the groups and the names in each sorted.

    >>> alike(["LinkedIn", "linkedin", "Linked In", "SEO"])
    [['Linked In', 'LinkedIn', 'linkedin']]
    """
    groups: dict[str, list[str]] = {}
    for name in sorted({*names}):
        letters = "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))
        groups.setdefault(letters, []).append(name)
    return [group for letters, group in sorted(groups.items()) if letters and len(group) > 1]


def spellings(names: Iterable[str], expression: str) -> Iterator[str]:
    """A line for names that are `alike`, with what joins them in place of the expression of a mapping."""
    if groups := alike(names):
        shown = "; ".join(", ".join(map(repr, group)) for group in groups[:_SHOWN])
        yield (
            f"channel names differ in case, blanks or punctuation alone: {shown}; to join them write "
            f'channel_name = "{joining(groups, expression)}" in [sessions] of SOURCE_MAPPING'
        )


def joining(groups: list[list[str]], expression: str) -> str:
    """The expression of a mapping that joins each group under its first name."""
    whens = [f"WHEN {_quoted(name)} THEN {_quoted(group[0])}" for group in groups[:_SHOWN] for name in group[1:]]
    return f"CASE {expression} {' '.join(whens)} ELSE {expression} END"


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
