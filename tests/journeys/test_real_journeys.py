"""Real journeys, found again in a database built from them; they are in ../shared/real beside the repository."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from support.published import FLAGS, Touch, needs_published, published, write_source

from pipeline.journeys.build import build_journeys
from pipeline.source.dated import daily_counts
from pipeline.source.extract import check_conversions, check_sessions, scan_conversions, scan_sessions
from pipeline.source.new_customers import read_first_conversions
from pipeline.source.source import Source
from pipeline.sql_session import sql_session
from targets.database import open_database
from targets.files import LocalFiles

pytestmark = needs_published


def test_real_journeys_are_found_again_with_their_flags_in_time_order(tmp_path: Path) -> None:
    expected = published("journeys.csv")
    write_source(tmp_path / "source.db", expected)
    source = Source(open_database(f"sqlite:///{tmp_path / 'source.db'}"))
    days = {table: [*counts] for table, counts in daily_counts(source).items()}
    firsts = read_first_conversions(source, days["conversions"][-1])
    files: dict[str, list[str]] = {"sessions": [], "conversions": []}
    for day, batches in scan_sessions(source, days["session_sources"], tmp_path):
        rows, rejects, _ = check_sessions(source, day, batches)
        assert not rejects["session_sources"].ids
        files["sessions"].append(str(tmp_path / f"sessions-{day}.parquet"))
        pq.write_table(rows, files["sessions"][-1])
    for day, batches in scan_conversions(source, days["conversions"], tmp_path):
        files["conversions"].append(str(tmp_path / f"conversions-{day}.parquet"))
        pq.write_table(check_conversions(source, day, batches, firsts).rows, files["conversions"][-1])

    with sql_session(LocalFiles(tmp_path / "data"), "1GB") as connection:
        built = build_journeys(
            connection,
            files["conversions"],
            files["sessions"],
            [],
            days["conversions"],
            lookback_days=0,
            max_sessions=3000,
        )
        journeys = pa.concat_tables(of_day for _, of_day in built)

    assert len(expected) > 900
    assert sum(len(journey) for journey in expected.values()) == journeys.num_rows
    found: dict[str, list[Touch]] = {}
    for row in journeys.to_pylist():
        at = dt.datetime.fromtimestamp(row["session_time"], dt.UTC)
        found.setdefault(row["conv_id"], []).append(
            {
                "conversion_id": row["conv_id"],
                "session_id": row["session_id"],
                "timestamp": f"{at:%Y-%m-%d %H:%M:%S}",
                "channel_label": row["channel_name"],
                **{name: str(row[name]) for name in FLAGS},
            }
        )
    unsent = [{**touch} for journey in expected.values() for touch in journey]
    for touch in unsent:
        del touch["conversion"]
    assert [touch for order in expected for touch in found[order]] == unsent
