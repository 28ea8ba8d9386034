"""Where settings come from: defaults without any file, luigi.cfg from anywhere, the environment over both."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.comparing import query
from support.databases import conversion, session, write_database
from support.running import FILES, REPOSITORY, Workplace

DAY, INTERVAL = "2023-09-01", "2023-09-01-2023-09-02"


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "place")
    write_database(
        place.database,
        [
            session("early", "buyer", "2023-08-25 08:00:00"),
            *(session(f"s-{hour}", "buyer", f"{DAY} {hour}:00:00") for hour in (10, 11, 12)),
        ],
        [conversion("c", "buyer", f"{DAY} 13:00:00")],
    )
    return place


def test_luigi_cfg_is_found_from_anywhere(place: Workplace, tmp_path: Path) -> None:
    config = tmp_path / "elsewhere.cfg"
    config.write_text(
        f"[attribution.database]\nurl = sqlite:///{place.database}\n[attribution.files]\ndata_dir = {place.files}\n"
    )
    elsewhere = Workplace(tmp_path / "elsewhere")
    settings = {"DATABASE_URL": None, "DATA_DIR": None, "LUIGI_CONFIG_PATH": str(config)}
    elsewhere.report(DAY, **settings).succeeded()
    assert place.report_file(INTERVAL).exists()
    assert sorted(path.name for path in elsewhere.folder.iterdir()) == ["tmp"]


def test_environment_wins_over_luigi_cfg_and_the_command_line_over_both(place: Workplace) -> None:
    (place.folder / "luigi.cfg").write_text(
        "[attribution.journeys]\nlookback_days = 30\n[attribution.model]\nmodel = last-touch\n"
    )
    place.report(DAY, "--max-sessions", "2", SESSION_LOWER_LIMIT_DATE="1", MAX_SESSIONS="1").succeeded()
    stored = query(place.database, "SELECT session_id, ihc FROM attribution_customer_journey ORDER BY 1")
    assert stored == [("s-11", 0.0), ("s-12", 1.0)]
    assert place.books(INTERVAL, "last-touch")["sessions_truncated"] == 1


def test_defaults_are_those_of_the_repositorys_luigi_cfg(place: Workplace) -> None:
    place.report(DAY, LUIGI_CONFIG_PATH=str(REPOSITORY / "luigi.cfg")).succeeded()
    assert place.report(DAY).succeeded().built == []


def test_default_paths_start_at_the_working_directory(place: Workplace) -> None:
    (place.folder / "data").mkdir()
    place.database.rename(place.folder / "data" / "challenge.db")
    place.report(DAY, DATABASE_URL=None, DATA_DIR=None).succeeded()
    assert (place.folder / "data" / "report" / "ihc-local" / INTERVAL / "channel_reporting.csv").exists()
    assert not (place.folder / FILES).exists()


def test_an_empty_option_wins_over_the_environment(place: Workplace) -> None:
    place.report(DAY, "--excluded-channels", "", "--model=linear", EXCLUDED_CHANNELS="Direct Traffic").succeeded()
    stored = query(place.database, "SELECT ihc FROM attribution_customer_journey")
    assert stored == [(0.25,)] * 4
