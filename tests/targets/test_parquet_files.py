"""Parquet files that carry their own stamp, and what damage does to them."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from targets.errors import UnreadableTargetError
from targets.fingerprint import Stamp
from targets.parquet import ParquetTarget

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("count", pa.int32(), nullable=False),
        pa.field("amount", pa.float64(), nullable=False),
    ]
)
ROWS = pa.table(
    {"id": [f"é{row}" for row in range(500)], "count": range(500), "amount": [row / 7 for row in range(500)]},
    schema=SCHEMA,
)


@pytest.fixture
def target(tmp_path: Path) -> ParquetTarget:
    return ParquetTarget(tmp_path / "rows.parquet", SCHEMA)


def content(target: ParquetTarget) -> str:
    stamp = target.stamp()
    assert stamp is not None
    return stamp.content


def assert_unreadable(target: ParquetTarget) -> None:
    """Each way to the file names it and the remedy, in one line."""
    message = rf"^{re.escape(str(target.path))} is truncated, damaged .*move it away and rerun, which builds it anew$"
    for look in (target.stamp, target.notes, target.read):
        with pytest.raises(UnreadableTargetError, match=message):
            look()


def test_a_file_that_is_not_there_has_no_stamp(target: ParquetTarget) -> None:
    assert not target.exists()
    assert target.stamp() is None
    with pytest.raises(UnreadableTargetError, match=r"rows\.parquet is missing; rerun to build it$"):
        target.notes()
    with pytest.raises(UnreadableTargetError, match=r"rows\.parquet"):
        target.read()


def test_rows_notes_and_fingerprint_come_back(target: ParquetTarget) -> None:
    target.write(ROWS, "of these settings", {"rejected": 2})
    assert target.exists()
    assert target.read().equals(ROWS, check_metadata=True)
    assert target.notes() == {"rejected": 2}
    assert target.stamp() == Stamp("of these settings", content(target))
    assert str(target.path) == repr(target)


def test_no_rows_come_back_with_their_types(target: ParquetTarget) -> None:
    target.write(SCHEMA.empty_table(), "empty")
    assert target.read().schema == SCHEMA
    assert target.read().num_rows == 0
    assert target.notes() == {}


def test_columns_are_cast_and_others_left_out(target: ParquetTarget) -> None:
    rows = pa.table({"more": [1], "amount": [2], "count": [3], "id": pa.array(["a"], pa.large_string())})
    target.write(rows, "cast")
    assert target.read().equals(pa.table({"id": ["a"], "count": [3], "amount": [2.0]}, schema=SCHEMA))


def test_same_rows_give_the_same_bytes(target: ParquetTarget, tmp_path: Path) -> None:
    other = ParquetTarget(tmp_path / "elsewhere" / "other.parquet", SCHEMA)
    target.write(ROWS, "f", {"a": 1, "b": 2})
    pieces = [ROWS.slice(0, 10), ROWS.slice(10, 1), ROWS.slice(11)]
    other.write(pa.concat_tables(pieces), "f", {"b": 2, "a": 1})
    assert other.path.read_bytes() == target.path.read_bytes()


def test_content_is_of_the_rows_alone(target: ParquetTarget) -> None:
    target.write(ROWS, "one")
    first = content(target)
    target.write(ROWS, "another", {"rejected": 1})
    assert content(target) == first
    target.write(ROWS.slice(1), "one")
    assert content(target) != first


def test_content_is_of_the_columns_too(target: ParquetTarget) -> None:
    target.write(SCHEMA.empty_table(), "f")
    wider = pa.schema([*SCHEMA, pa.field("more", pa.int8(), nullable=False)])
    other = ParquetTarget(target.path.with_name("wider.parquet"), wider)
    other.write(wider.empty_table(), "f")
    assert content(other) != content(target)


def test_a_missing_value_is_refused_and_nothing_written(target: ParquetTarget) -> None:
    with pytest.raises(ValueError, match="null"):
        target.write(pa.table({"id": [None], "count": [1], "amount": [1.0]}), "f")
    assert not [*target.path.parent.iterdir()]


def test_many_row_groups_come_back_in_order(target: ParquetTarget) -> None:
    count = 300_000
    rows = pa.table({"id": ["x"] * count, "count": range(count), "amount": [0.5] * count}, schema=SCHEMA)
    target.write(rows, "f")
    assert pq.read_metadata(target.path).num_row_groups > 1
    assert target.read().equals(rows)


@pytest.mark.parametrize("kept", [0, 3, 100, -1, -20], ids="{} bytes".format)
def test_truncated_file(target: ParquetTarget, kept: int) -> None:
    target.write(ROWS, "f")
    replace(target, target.path.read_bytes()[:kept])
    assert_unreadable(target)


def test_text_in_place_of_a_file(target: ParquetTarget) -> None:
    target.path.write_text("id,count,amount\na,1,2.5\n")
    assert_unreadable(target)


def test_folder_in_place_of_a_file(target: ParquetTarget) -> None:
    target.path.mkdir()
    assert_unreadable(target)


@pytest.mark.parametrize(
    "metadata",
    [{}, {"stamp": "no JSON"}, {"stamp": "[]"}, {"stamp": '{"fingerprint": "f"}'}],
    ids=["no stamp", "no JSON", "a list", "half a stamp"],
)
def test_somebody_elses_parquet_file(target: ParquetTarget, metadata: dict[str, str]) -> None:
    pq.write_table(ROWS.replace_schema_metadata(metadata), target.path)
    for look in (target.stamp, target.notes, target.read):
        with pytest.raises(UnreadableTargetError, match=r"no stamp of this pipeline\); move it away and rerun"):
            look()


def test_a_flipped_bit_never_gives_other_rows(target: ParquetTarget) -> None:
    target.write(ROWS, "f")
    whole = target.path.read_bytes()
    pages = len(whole) - int.from_bytes(whole[-8:-4], "little") - 8
    refused = 0
    for place in range(4, pages, 7):
        replace(target, whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            assert target.read().equals(ROWS)
        except UnreadableTargetError as error:
            assert str(target.path) in str(error)  # noqa: PT017 - either is right, and nothing else
            refused += 1
    assert refused > pages // 7 // 2


def test_a_file_written_anew_is_read_anew(target: ParquetTarget) -> None:
    target.write(ROWS, "one")
    assert target.stamp() == Stamp("one", content(target))
    target.write(ROWS, "two")
    assert target.stamp() == Stamp("two", content(target))
    target.path.unlink()
    assert target.stamp() is None


def replace(target: ParquetTarget, content: bytes) -> None:
    """Put other bytes in the file's place, under another inode as every writer does."""
    other = target.path.with_name("other")
    other.write_bytes(content)
    other.replace(target.path)


def test_a_flipped_byte_of_the_rows_is_found(tmp_path: Path) -> None:
    written = ParquetTarget(tmp_path / "rows.parquet", SCHEMA)
    written.write(ROWS, "fingerprint")
    assert written.verified() == written.path
    content = written.path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    for place in range(0, len(content) - footer, 5):
        damaged = ParquetTarget(tmp_path / f"{place}.parquet", SCHEMA)
        damaged.path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(UnreadableTargetError, match=re.escape(str(damaged.path))):
            damaged.verified()
