"""The source's queries in SQLite's SQL.

SQLite types values, not columns. So each column is selected as one type, with a value that no good row has in place of
what does not fit: an empty text, flag -1, amount -infinity. The checks then find those by value.
"""

_TEXT = "ifnull(CAST({0} AS TEXT), '') AS {0}"
_FLAG = "CASE WHEN {0} IN (0, 1) THEN CAST({0} AS INTEGER) ELSE -1 END AS {0}"
_AMOUNT = "CASE WHEN typeof({0}) IN ('real', 'integer') THEN CAST({0} AS REAL) ELSE -9e999 END AS {0}"


def _columns(form: str, *names: str) -> str:
    return ", ".join(form.format(name) for name in names)


SESSIONS_OF_DAY = (
    f"SELECT {_columns(_TEXT, 'session_id', 'user_id', 'event_time', 'channel_name')}, "
    f"{_columns(_FLAG, 'holder_engagement', 'closer_engagement', 'impression_interaction')} "
    "FROM session_sources WHERE event_date = ?"
)

CONVERSIONS_OF_DAY = (
    f"SELECT {_columns(_TEXT, 'conv_id', 'user_id', 'conv_time')}, {_columns(_AMOUNT, 'revenue')} "
    "FROM conversions WHERE conv_date = ?"
)

COSTS = (
    f"SELECT {_columns(_TEXT, 'session_id')}, "
    f"{_AMOUNT.replace('CASE', 'CASE WHEN {0} IS NULL THEN 0.0').format('cost')} "
    "FROM session_costs WHERE session_id <> ''"  # nor NULL
)
COSTS_UP_TO = "SELECT count(*) AS rows FROM (SELECT 1 FROM session_costs LIMIT ?)"
"""How many costs there are, without counting further than asked."""

# Not a join: a session_id that stands twice in session_sources would give its cost twice, and without an index on
# session_costs a join takes minutes. Ordered, since the order would otherwise depend on which indexes there are.
COSTS_OF_DAY = (
    f"{COSTS} AND session_id IN (SELECT session_id FROM session_sources WHERE event_date = ?) "
    "ORDER BY session_costs.session_id"
)

# Grouped as it is stored first, which the index has ready.
_DATES = (
    "SELECT ifnull(CAST({0} AS TEXT), '') AS date, sum(rows) AS rows "
    "FROM (SELECT {0}, count(*) AS rows FROM {1} GROUP BY {0}) GROUP BY 1 ORDER BY 1"
)
DATES = {
    "session_sources": _DATES.format("event_date", "session_sources"),
    "conversions": _DATES.format("conv_date", "conversions"),
}
"""Every date that rows have, well-formed or not."""

FIRST_SESSION_DATE_AFTER = "SELECT ifnull(min(event_date), '') AS date FROM session_sources WHERE event_date > ?"

INDEXES = {
    "pipeline_sessions_by_date": ("session_sources", "event_date"),
    "pipeline_conversions_by_date": ("conversions", "conv_date"),
    "pipeline_costs_by_session": ("session_costs", "session_id, cost"),
}
"""What makes one day's rows cheap to find: index -> table and columns.

Measured on 450,616 sessions: without them a day's sessions take 0.8 s instead of 0.08 s and its costs 0.65 s instead of
0.15 s. The one on costs takes 0.8 s to make; it is left out while all costs can be read at once, in 0.2 s.
"""
CREATE_INDEX = "CREATE INDEX IF NOT EXISTS {name} ON {table} ({columns})"
TABLES_AND_INDEXES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'index')"
"""A source table may also be a view, which cannot have an index."""
