"""The first day that has sessions is asked once of each version of a source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from support.databases import add_rows, conversion, session, write_database
from support.stages import places_of

from pipeline.source import first_day
from pipeline.source.first_day import first_day_of_sessions
from pipeline.source.mapping import load_mapping
from pipeline.source.prepare import RECORD
from pipeline.source.source import Source
from pipeline.source.version import own_writes
from targets.errors import DatabaseError
from targets.files import LocalFiles

DAY = dt.date(2023, 9, 1)
NOTE = Path("locks/first-session-day.json")

Ask = Callable[[], dt.date | None]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return write_database(
        tmp_path / "source.db",
        [session("a", "u", f"{DAY} 10:00:00")],
        [conversion("c", "u", f"{DAY} 12:00:00")],
        [("a", 2.0)],
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory that is recorded as some source's."""
    data = tmp_path / "data"
    LocalFiles(data).write(RECORD, b"{}")
    return data


@pytest.fixture
def ask(database: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks as a new process does, which knows nothing but what lies in the data directory."""
    places = places_of(database, data)

    def ask() -> dt.date | None:
        monkeypatch.setattr(first_day, "_known", {})
        return first_day_of_sessions(Source(places.source(), load_mapping(None)), places)

    return ask


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source cannot be asked from now on."""

    def refuse(_: object) -> None:
        raise DatabaseError("asked")

    monkeypatch.setattr(first_day, "first_session_day", refuse)


def test_a_source_that_has_not_changed_is_not_asked_again(ask: Ask, request: pytest.FixtureRequest) -> None:
    assert ask() == DAY
    request.getfixturevalue("closed")
    assert ask() == DAY


def test_what_others_write_is_found_and_what_we_write_is_not_asked_for(
    ask: Ask, database: Path, data: Path, request: pytest.FixtureRequest
) -> None:
    assert ask() == DAY
    add_rows(database, sessions=[session("b", "u", f"{DAY - dt.timedelta(days=3)} 10:00:00")])
    assert ask() == DAY - dt.timedelta(days=3)
    request.getfixturevalue("closed")
    places = places_of(database, data)
    with own_writes(places), places.source().connect() as connection, connection.transaction():
        connection.execute("CREATE TABLE ours (id TEXT)")
    assert ask() == DAY - dt.timedelta(days=3)


def test_no_session_at_all_is_noted_too(ask: Ask, database: Path, request: pytest.FixtureRequest) -> None:
    database.unlink()
    write_database(database, [], [], [])
    assert ask() is None
    request.getfixturevalue("closed")
    assert ask() is None


@pytest.mark.parametrize("content", [b"", b"{}", b"no JSON", None])
def test_a_note_that_is_not_as_it_was_written_is_asked_for_anew(ask: Ask, data: Path, content: bytes | None) -> None:
    assert ask() == DAY
    note = data / NOTE
    note.write_bytes(note.read_bytes().replace(b"2023-09-01", b"2023-09-02") if content is None else content)
    assert ask() == DAY


def test_nothing_is_written_into_a_data_directory_that_is_no_sources_yet(ask: Ask, data: Path) -> None:
    (data / RECORD).unlink()
    assert ask() == DAY
    assert not [*data.iterdir()]


def test_a_data_directory_that_cannot_be_written_is_no_hindrance(ask: Ask, data: Path) -> None:
    (data / NOTE.parent).write_text("a file where a folder should be")
    assert ask() == DAY
