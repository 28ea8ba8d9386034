"""What is read of PostgreSQL's types, by a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres import Server, run, running_server

from pipeline.errors import PipelineError
from pipeline.source.check_source import source_problems
from pipeline.source.mapping import load_mapping
from pipeline.source.source import Source
from targets.database import open_database
from targets.errors import DatabaseError

_NO_NUMBER = float("-inf")
_READ = [
    ("text", "gen_random_uuid() IS NOT NULL", "true"),
    ("text", "CAST('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' AS uuid)", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("text", "CAST(9007199254740993 AS bigint)", "9007199254740993"),
    ("text", "CAST('Paid' AS channel)", "Paid"),
    ("text", "CAST(NULL AS bigint)", ""),
    ("date", "DATE '2023-09-01'", "2023-09-01"),
    ("time", "TIMESTAMPTZ '2023-09-01 12:00:00.5+02'", "2023-09-01 10:00:00.5Z"),
    ("time", "TIMESTAMP '2023-09-01 12:00:00'", "2023-09-01 12:00:00"),
    ("time", "TIMESTAMPTZ 'infinity'", "infinity"),
    ("time", "CAST(1693526400.75 AS double precision)", "1693526400"),
    ("flag", "true", 1),
    ("flag", "false", 0),
    ("flag", "CAST(NULL AS boolean)", -1),
    ("flag", "CAST(1.0 AS numeric(3, 1))", 1),
    ("flag", "CAST(' 1 ' AS text)", 1),
    ("flag", "CAST('true' AS text)", -1),
    ("flag", "2", -1),
    ("amount", "CAST(19.99 AS numeric)", 19.99),
    ("amount", "CAST('NaN' AS numeric)", _NO_NUMBER),
    ("amount", "CAST('NaN' AS double precision)", _NO_NUMBER),
    ("amount", "CAST(0.1 AS double precision) + 0.2", 0.1 + 0.2),
    ("amount", "CAST(' 19.90' AS text)", 19.9),
    ("amount", "CAST('19,90' AS text)", _NO_NUMBER),
    ("amount", "CAST(NULL AS numeric)", _NO_NUMBER),
    ("amount", "CAST(5 AS money)", _NO_NUMBER),
    ("amount", "true", _NO_NUMBER),
    ("cost", "CAST(NULL AS numeric)", 0.0),
]
_MAPPING = """
[sessions]
from = "shop.visits"
session_id = "{session_id}"
user_id = "customer"
time = "started_at"
channel_name = "channel"
[conversions]
from = "{orders}"
conv_id = "id"
user_id = "customer"
time = "ordered_at"
revenue = "{revenue}"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        run(
            server.new_database("typed"),
            "CREATE TYPE channel AS ENUM ('Paid', 'Direct')",
            "CREATE SCHEMA shop",
            "CREATE TABLE shop.visits (id uuid, customer bigint, started_at timestamptz, channel channel, tags text[], "
            "document jsonb)",
            "CREATE TABLE shop.orders (id bigint, customer bigint, ordered_at timestamp, total numeric)",
            "CREATE ROLE reader LOGIN",
            "GRANT USAGE ON SCHEMA shop TO reader",
            "GRANT SELECT ON shop.visits TO reader",
        )
        yield server


def test_each_type_is_read_as_what_it_means(server: Server) -> None:
    database = open_database(server.url("typed"), read_only=True)
    sql = Source(database).sql
    columns = {f"value_{place}": (form, expression) for place, (form, expression, _) in enumerate(_READ)}
    with database.connect() as connection:
        (found,) = connection.query(sql.select(columns, "(SELECT 1) AS one")).to_pylist()
    for (form, expression, expected), value in zip(_READ, found.values(), strict=True):
        assert value == expected, f"{form} of {expression}"


@pytest.mark.parametrize(
    ("user", "keys", "words"),
    [
        (
            "postgres",
            {"session_id": "tags"},
            r"\[sessions\] session_id: .* tags is an array \(text\[\]\); write one of",
        ),
        (
            "postgres",
            {"session_id": "document"},
            r"session_id: .* document is of type jsonb; write .* document ->> 'key'",
        ),
        ("postgres", {"revenue": "totl"}, r'revenue: .* column "totl" does not exist; shop.orders has id, customer'),
        ("postgres", {"orders": "shop.order"}, r'from: .* relation "shop.order" does not exist; .* has .*shop.orders'),
        ("reader", {}, r"\[conversions\] from: .* permission denied for table orders; GRANT SELECT"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    server: Server, tmp_path: Path, user: str, keys: dict[str, str], words: str
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(_MAPPING.format(**{"session_id": "id", "orders": "shop.orders", "revenue": "total", **keys}))
    source = Source(open_database(server.url("typed", user), read_only=True), load_mapping(str(path)))
    (problem,) = source_problems(source)
    assert isinstance(problem, PipelineError)
    assert re.search(words, str(problem)), problem
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://ann:geheim@127.0.0.1:1/shop", "127.0.0.1:1/shop: .*refused; start the server"),
        ("postgresql+psycopg2://ann:geheim@nowhere.invalid/shop", "translate host name .*; correct the host"),
        ("postgres://ann:geheim@127.0.0.1:1/shop?sslmode=verify-nothing", 'invalid sslmode value: "verify-nothing"'),
        ("postgresql://ann:geheim%zz@127.0.0.1/shop", "no URL of PostgreSQL; write it as postgresql://user@host"),
        ("postgresql://ann:geheim@x@127.0.0.1/shop", "no URL of PostgreSQL; write it as postgresql://user@host"),
        ("postgresql://127.0.0.1:1/shop?user=ann&password=geheim", "127.0.0.1:1/shop: .*refused"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named_without_a_password(url: str, words: str) -> None:
    pytest.importorskip("adbc_driver_postgresql", reason="needs the driver: pip install adbc-driver-postgresql")
    with pytest.raises(DatabaseError, match=words) as refused, open_database(url).connect():
        pass
    assert "geheim" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_wrong_password_and_a_missing_database_have_a_remedy(server: Server) -> None:
    run(server.url(), "CREATE ROLE ann LOGIN PASSWORD 'pa@ss'")
    hba = server.folder / "pg_hba.conf"
    hba.write_text("local all ann scram-sha-256\n" + hba.read_text())
    run(server.url(), "SELECT pg_reload_conf()")
    for user, words in (("ann", "no password supplied; give it in"), ("ann:geheim", "failed .*; correct the user")):
        with pytest.raises(DatabaseError, match=words), open_database(server.url(user=user)).connect():
            pass
    with open_database(server.url(user="ann:pa%40ss")).connect() as connection:
        assert connection.query("SELECT 1 AS one")["one"].to_pylist() == [1]
    with pytest.raises(DatabaseError, match=r'"nodb" does not exist; set DATABASE_URL'):
        open_database(server.url("nodb")).create()


def test_a_read_only_source_is_not_written(server: Server) -> None:
    database = open_database(server.url("typed"), read_only=True)
    with database.connect() as connection, pytest.raises(DatabaseError, match="set RESULTS_DATABASE_URL"):
        connection.execute("CREATE TABLE ours (id bigint)")
