"""Ids that DuckDB takes for numbers, since a CSV file has no types."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.source.check_source import source_problems
from pipeline.source.mapping import load_mapping
from pipeline.source.source import Source
from targets.database import open_database

_MAPPING = """
[sessions]
from = "read_csv('{folder}/visits.csv'{types})"
session_id = "visit"
user_id = "client"
time = "started"
channel_name = "channel"
[conversions]
from = "read_csv('{folder}/orders.csv'{types})"
conv_id = "number"
user_id = "client"
time = "ordered"
revenue = "total"
"""


@pytest.mark.parametrize(("types", "problems"), [("", 2), (", types = {'client': 'VARCHAR'}", 0)])
def test_ids_like_those_of_web_analytics_are_no_numbers(tmp_path: Path, types: str, problems: int) -> None:
    at = "2026-11-04T19:26:53Z"
    (tmp_path / "visits.csv").write_text(f"visit,client,started,channel\nv,668835601.274281998,{at},email\n")
    (tmp_path / "orders.csv").write_text(f"number,client,ordered,total\n1000,668835601.274281999,{at},9.5\n")
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(_MAPPING.format(folder=tmp_path, types=types))

    found = source_problems(Source(open_database("duckdb:"), load_mapping(str(mapping))))

    assert len(found) == problems
    for problem, section in zip(found, ("sessions", "conversions"), strict=False):
        assert str(problem) == (
            f"user_id is a floating-point number in {section}, such as 668835601.274282: it has lost the last digits "
            "of long ids, so that several become one; have client stored or read as text, in read_csv with "
            "types = {'client': 'VARCHAR'}"
        )
