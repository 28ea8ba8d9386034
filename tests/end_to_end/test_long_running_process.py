"""A service that runs the pipeline every day in one process gets what is in the source and in its settings that day."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.comparing import read_report
from support.databases import conversion, session, write_database
from support.running import Workplace

SERVICE = """
import datetime as dt, os, sqlite3, sys
import luigi
from luigi.date_interval import Date
import pipeline

def report(day):
    tasks = [pipeline.Report(date_interval=Date(2023, 9, day))]
    assert luigi.build(tasks, local_scheduler=True, workers=int(sys.argv[1]), log_level="WARNING")

report(1)
with sqlite3.connect(sys.argv[2]) as database:
    database.execute("INSERT INTO session_sources VALUES ('s2', 'u2', '2023-09-02', '10:00:00', 'Ads', 1, 1, 0)")
    database.execute("INSERT INTO conversions VALUES ('c2', 'u2', '2023-09-02', '12:00:00', 100.0)")
    database.execute("INSERT INTO session_costs VALUES ('s2', 40.0)")
database.close()
os.environ["ATTRIBUTION_MODEL"] = "last-touch"
os.environ["STORE"] = "continue"
report(2)
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_second_day_has_its_own_costs_and_settings(tmp_path: Path, workers: str) -> None:
    place = Workplace(tmp_path)
    sessions = [session("s1", "u1", "2023-09-01 10:00:00", "Ads")]
    write_database(place.database, sessions, [conversion("c1", "u1", "2023-09-01 12:00:00", 50.0)], [("s1", 5.0)])
    (place.folder / "service.py").write_text(SERVICE)
    command = (Path(sys.executable).name, "service.py", workers, str(place.database))
    assert place.start(*command, ATTRIBUTION_MODEL="linear").end().code == 0
    first = read_report(place.report_file("2023-09-01-2023-09-02", model="linear"))
    second = read_report(place.report_file("2023-09-02-2023-09-03", model="last-touch"))
    assert [(row["date"], row["cost"]) for row in first] == [("2023-09-01", "5.0")]
    assert [(row["date"], row["cost"]) for row in second] == [("2023-09-02", "40.0")]
