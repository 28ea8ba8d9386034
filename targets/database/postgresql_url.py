"""URLs of PostgreSQL databases: as libpq takes them, as they may be shown, and what of them is secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

from targets.errors import DatabaseError

_FORM = "write it as postgresql://user@host:5432/database, a password percent-encoded or in PGPASSWORD or PGPASSFILE"
_DEFAULTS = {
    "application_name": "attribution",
    "connect_timeout": "10",
    "keepalives_idle": "30",  # a server that is gone without a word is noticed after a minute, not after two hours
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
_OF_ENVIRONMENT = {"connect_timeout": "PGCONNECT_TIMEOUT", "application_name": "PGAPPNAME"}
_SECRETS = ("password", "sslpassword")


class PostgresqlUrl(NamedTuple):
    """A database's URL.

    Attributes:
        uri: what libpq connects to.
        name: host, port, database and search path, for messages and records.
        secrets: texts that no message may hold.

    """

    uri: str
    name: str
    secrets: tuple[str, ...]


def read_url(url: str) -> PostgresqlUrl:
    """A `postgresql://`, `postgres://` or `postgresql+<driver>://` URL, whose driver does not matter.

    What it leaves out, libpq takes from PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGPASSFILE or PGSERVICE. Raises
    `DatabaseError`, which repeats nothing of the URL.
    """
    _, mark, rest = url.partition("://")
    place, _, query = rest.partition("?")
    authority, _, database = place.partition("/")
    user, _, hosts = authority.rpartition("@")
    if not mark or re.search("%(?![0-9a-fA-F]{2})", rest) or "@" in user or "#" in rest:
        raise DatabaseError(f"the database URL is no URL of PostgreSQL; {_FORM}")
    options = dict(parse_qsl(query, keep_blank_values=True))
    written = {
        **{key: value for key, value in _DEFAULTS.items() if os.environ.get(_OF_ENVIRONMENT.get(key, "")) is None},
        **options,
    }
    uri = f"postgresql://{authority}/{database}?{urlencode(written, quote_via=quote)}"
    secrets = [user.partition(":")[2], *(options.get(key, "") for key in _SECRETS)]
    found = {text for secret in secrets for text in (secret, unquote(secret)) if text}
    return PostgresqlUrl(uri, _name(hosts, unquote(database), options), tuple(sorted(found, key=len, reverse=True)))


def _name(hosts: str, database: str, options: Mapping[str, str]) -> str:
    environment = os.environ
    if service := options.get("service", environment.get("PGSERVICE", "")):
        hosts = hosts or options.get("host", f"service={service}")
    else:
        hosts = hosts or options.get("host") or environment.get("PGHOST", "localhost")
        port = options.get("port") or environment.get("PGPORT", "")
        hosts = f"{hosts}:{port}" if port and ":" not in hosts else hosts
        database = database or options.get("dbname") or environment.get("PGDATABASE", "")
    schemas = re.findall(r"-c\s*search_path=(\S+)", options.get("options", ""))
    return f"postgresql://{hosts}/{database}" + (f"?search_path={schemas[-1]}" if schemas else "")
