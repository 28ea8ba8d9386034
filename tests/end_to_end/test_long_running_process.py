"""A service that runs the pipeline every day in one process gets what is in the source and in its settings that day."""

from __future__ import annotations

import datetime as dt
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


LATE = """
import datetime as dt, sqlite3, sys
import luigi
import pipeline

yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
ran = []
luigi.Task.event_handler(luigi.Event.START)(lambda task: ran.append(task.task_family))

def report():
    tasks = [pipeline.Report(date_interval=yesterday)]
    assert luigi.build(tasks, local_scheduler=True, workers=int(sys.argv[1]), log_level="WARNING")

report()
with sqlite3.connect(sys.argv[2]) as database:
    database.execute(f"INSERT INTO session_sources VALUES ('s', 'u', '{yesterday}', '10:00:00', 'Ads', 1, 1, 0)")
    database.execute(f"INSERT INTO conversions VALUES ('c', 'u', '{yesterday}', '12:00:00', 100.0)")
database.close()
report()
ran.clear()
report()
assert ran == [], ran
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_rows_of_yesterday_that_come_late_are_read_by_the_same_process(tmp_path: Path, workers: str) -> None:
    place = Workplace(tmp_path)
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    write_database(place.database, [session("other", "x", f"{yesterday} 08:00:00", "Radio")])
    (place.folder / "service.py").write_text(LATE)
    command = (Path(sys.executable).name, "service.py", workers, str(place.database))
    outcome = place.start(*command, ATTRIBUTION_MODEL="linear").end()
    assert outcome.code == 0, outcome.text
    report = read_report(place.report_file(f"{yesterday}-{yesterday + dt.timedelta(days=1)}", model="linear"))
    assert {row["channel_name"]: row["ihc_revenue"] for row in report} == {"Ads": "100.0", "Radio": "0.0"}


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
