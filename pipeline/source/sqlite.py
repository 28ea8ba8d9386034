"""The source's queries in SQLite's SQL.

SQLite types values, not columns. So each column is selected as one type, with a value that no good row has in place of
what does not fit: an empty text, flag -1, amount -infinity. The checks then find those by value.
"""

_TEXT = "ifnull(CAST({0} AS TEXT), '') AS {0}"
_FLAG = "CASE WHEN {0} IN (0, 1) THEN CAST({0} AS INTEGER) ELSE -1 END AS {0}"
_AMOUNT = "CASE WHEN typeof({0}) IN ('real', 'integer') THEN CAST({0} AS REAL) ELSE -9e999 END AS {0}"


def _columns(form: str, *names: str) -> str:
    return ", ".join(form.format(name) for name in names)


SESSIONS = (
    f"SELECT {_columns(_TEXT, 'event_date', 'session_id', 'user_id', 'event_time', 'channel_name')}, "
    f"{_columns(_FLAG, 'holder_engagement', 'closer_engagement', 'impression_interaction')} "
    "FROM session_sources WHERE event_date BETWEEN ? AND ?"
)
"""The sessions from one date to another, in the order in which they are stored."""

CONVERSIONS = (
    f"SELECT {_columns(_TEXT, 'conv_date', 'conv_id', 'user_id', 'conv_time')}, {_columns(_AMOUNT, 'revenue')} "
    "FROM conversions WHERE conv_date BETWEEN ? AND ?"
)

_COST = _AMOUNT.replace("CASE", "CASE WHEN {0} IS NULL THEN 0.0").format("cost")
COSTS = f"SELECT {_columns(_TEXT, 'session_id')}, {_COST} FROM session_costs WHERE session_id <> ''"  # nor NULL

ONLY_DATES = " AND {column} IN ({dates})"
"""The condition that narrows a range of dates to some of them; the dates are text of our own."""

_DATES = (
    "SELECT ifnull(CAST({0} AS TEXT), '') AS date, sum(rows) AS rows "
    "FROM (SELECT {0}, count(*) AS rows FROM {1} GROUP BY {0}) GROUP BY 1 ORDER BY 1"
)
DATES = {
    "session_sources": _DATES.format("event_date", "session_sources"),
    "conversions": _DATES.format("conv_date", "conversions"),
}
"""Every date that rows have, well-formed or not."""

_UNDATED = (
    "SELECT CASE typeof({0}) WHEN 'blob' THEN quote({0}) ELSE ifnull(CAST({0} AS TEXT), '') END AS date, "
    "count(*) AS rows FROM {1} WHERE {0} IS NULL OR typeof({0}) <> 'text' OR date({0}) IS NOT {0} GROUP BY 1 ORDER BY 1"
)
UNDATED = {
    "session_sources": _UNDATED.format("event_date", "session_sources"),
    "conversions": _UNDATED.format("conv_date", "conversions"),
}
"""The malformed dates, and a few well-formed ones that SQLite does not know."""

_AS_WRITTEN = "CASE typeof({0}) WHEN 'blob' THEN quote({0}) ELSE ifnull(CAST({0} AS TEXT), '') END AS date"
SESSION_DATES = (
    f"SELECT ifnull(CAST(session_id AS TEXT), '') AS id, {_AS_WRITTEN.format('event_date')} FROM session_sources"
)
"""Every session's id and its date, as it is written."""

CONVERSION_DATES = (
    f"SELECT {_AS_WRITTEN.format('conv_date')}, count(*) AS rows, total(CASE WHEN typeof(revenue) IN "
    "('real', 'integer') AND abs(revenue) < 9e999 THEN revenue END) AS amount FROM conversions GROUP BY 1 ORDER BY 1"
)
"""Of each date, as it is written, the rows and the sum of their revenue, in euro."""

COST_ROWS = f"SELECT ifnull(CAST(session_id AS TEXT), '') AS id, {_COST} FROM session_costs"
"""Every cost with the id of its session, if it has one."""

FIRST_SESSION_DATE_AFTER = (
    "SELECT ifnull(min(event_date), '') AS date FROM session_sources "
    "WHERE event_date > ? AND typeof(event_date) = 'text'"
)

SOME_CONVERSIONS = "SELECT CAST(conv_id AS TEXT) AS conv_id FROM conversions WHERE conv_id <> '' LIMIT ?"
HOW_MANY_OF = (
    "SELECT count(DISTINCT CAST(conv_id AS TEXT)) AS rows FROM conversions "
    "WHERE CAST(conv_id AS TEXT) IN (SELECT value FROM json_each(?))"
)
