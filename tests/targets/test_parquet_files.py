"""Parquet files of one schema, and what damage does to them."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from targets import stamped
from targets.errors import UnreadableTargetError
from targets.files import LocalFiles
from targets.fingerprint import Stamp, digest
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
    return ParquetTarget(LocalFiles(tmp_path), "rows.parquet", SCHEMA)


def path(target: ParquetTarget) -> Path:
    return Path(target.files.where(target.name))


def content(target: ParquetTarget) -> str:
    stamp = target.stamp()
    assert stamp is not None
    return stamp.content


def assert_unreadable(target: ParquetTarget) -> None:
    """Each way to the file names it and the remedy, in one line."""
    message = rf"^{re.escape(str(path(target)))} is truncated, damaged .*delete it and rerun, which builds it anew$"
    for look in (target.read, target.verified):
        with pytest.raises(UnreadableTargetError, match=message):
            look()


def test_a_file_that_is_not_there_has_no_stamp(target: ParquetTarget) -> None:
    assert not target.exists()
    assert target.stamp() is None
    with pytest.raises(UnreadableTargetError, match=r"rows\.parquet .*missing or damaged\); delete it and rerun"):
        target.notes()
    assert_unreadable(target)


def test_rows_notes_and_fingerprint_come_back(target: ParquetTarget) -> None:
    target.write(ROWS, "of these settings", {"rejected": 2})
    assert target.exists()
    assert target.read().equals(ROWS, check_metadata=True)
    assert target.notes() == {"rejected": 2}
    written = path(target).read_bytes()
    assert target.stamp() == Stamp("of these settings", content(target), digest(written), {"rejected": 2})
    assert str(path(target)) == repr(target)


def test_some_of_the_columns_can_be_read(target: ParquetTarget) -> None:
    target.write(ROWS, "f")
    assert target.read(["amount", "id"]).equals(ROWS.select(["amount", "id"]))


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
    other = ParquetTarget(LocalFiles(tmp_path), "elsewhere/other.parquet", SCHEMA)
    target.write(ROWS, "f", {"a": 1, "b": 2})
    pieces = [ROWS.slice(0, 10), ROWS.slice(10, 1), ROWS.slice(11)]
    other.write(pa.concat_tables(pieces), "f", {"b": 2, "a": 1})
    assert path(other).read_bytes() == path(target).read_bytes()
    assert other.stamp() == target.stamp()


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
    other = ParquetTarget(target.files, "wider.parquet", wider)
    other.write(wider.empty_table(), "f")
    assert content(other) != content(target)


def test_a_missing_value_is_refused_and_nothing_written(target: ParquetTarget) -> None:
    with pytest.raises(ValueError, match="null"):
        target.write(pa.table({"id": [None], "count": [1], "amount": [1.0]}), "f")
    assert not [*path(target).parent.iterdir()]


def test_many_row_groups_come_back_in_order(target: ParquetTarget) -> None:
    count = 300_000
    rows = pa.table({"id": ["x"] * count, "count": range(count), "amount": [0.5] * count}, schema=SCHEMA)
    target.write(rows, "f")
    assert pq.read_metadata(path(target)).num_row_groups > 1
    assert target.read().equals(rows)


@pytest.mark.parametrize("kept", [0, 3, 100, -1, -20], ids="{} bytes".format)
def test_truncated_file(target: ParquetTarget, kept: int) -> None:
    target.write(ROWS, "f")
    replace(target, path(target).read_bytes()[:kept])
    assert_unreadable(target)


def test_text_in_place_of_a_file(target: ParquetTarget) -> None:
    path(target).write_text("id,count,amount\na,1,2.5\n")
    assert_unreadable(target)


def test_folder_in_place_of_a_file(target: ParquetTarget) -> None:
    path(target).mkdir()
    assert_unreadable(target)


@pytest.mark.parametrize("metadata", [{}, {"stamp": "of an earlier version"}], ids=["plain", "stamp inside"])
def test_somebody_elses_parquet_file(target: ParquetTarget, metadata: dict[str, str]) -> None:
    """Also those of the version that kept its stamps in the files."""
    pq.write_table(ROWS.replace_schema_metadata(metadata), path(target))
    assert target.exists()
    assert target.stamp() is None
    assert_unreadable(target)


def test_a_file_of_other_columns_under_our_stamp(target: ParquetTarget) -> None:
    narrower = pa.schema([field for field in SCHEMA if field.name != "amount"])
    ParquetTarget(target.files, target.name, narrower).write(ROWS, "f")
    with pytest.raises(UnreadableTargetError, match=r"rows\.parquet is truncated, damaged .*amount"):
        target.read()


def test_a_flipped_bit_never_gives_other_rows(target: ParquetTarget) -> None:
    target.write(ROWS, "f")
    whole = path(target).read_bytes()
    for place in range(0, len(whole), 3):
        replace(target, whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert_unreadable(target)
    replace(target, whole)
    assert target.read().equals(ROWS)


def test_a_file_written_anew_is_read_anew(target: ParquetTarget) -> None:
    target.write(ROWS, "one")
    assert (target.stamp() or Stamp("", "")).fingerprint == "one"
    target.write(ROWS.slice(1), "two")
    assert (target.stamp() or Stamp("", "")).fingerprint == "two"
    assert target.read().equals(ROWS.slice(1))
    path(target).unlink()
    assert target.stamp() is None


def test_a_file_that_another_process_has_written_anew_is_read_anew(target: ParquetTarget) -> None:
    target.write(ROWS, "one")
    known, verified = {**stamped._stamps}, {**stamped._verified}
    target.write(ROWS.slice(1), "two")
    stamped._stamps.update(known)
    stamped._verified.update(verified)
    assert (target.stamp() or Stamp("", "")).fingerprint == "two"
    assert target.read().equals(ROWS.slice(1))


def replace(target: ParquetTarget, content: bytes) -> None:
    """Put other bytes in the file's place, under another inode as every writer does."""
    other = path(target).with_name("other")
    other.write_bytes(content)
    other.replace(path(target))


@pytest.mark.parametrize("options", [{"compression": "none"}, {"use_dictionary": False}, {"row_group_size": 7}])
def test_content_is_independent_of_how_rows_are_encoded(target: ParquetTarget, options: dict[str, object]) -> None:
    target.write(ROWS, "f")
    encoded = path(target).with_name("encoded.parquet")
    pq.write_table(ROWS, encoded, **options)
    assert encoded.read_bytes() != path(target).read_bytes()
    other = ParquetTarget(target.files, "other.parquet", SCHEMA)
    other.write(pq.read_table(encoded), "f")
    assert content(other) == content(target)


def test_no_notes_of_the_library_or_the_machine_are_in_the_content(target: ParquetTarget) -> None:
    target.write(ROWS.replace_schema_metadata({"pandas": "{}"}), "f")
    noted = content(target)
    target.write(ROWS, "f")
    assert content(target) == noted
