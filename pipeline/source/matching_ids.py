"""Why so few conversions have a journey: ids that would meet if they were written alike."""

from __future__ import annotations

import duckdb

from pipeline.errors import JourneyError

_MOST_WITHOUT = 0.25
"""Of a larger share of conversions without a journey the ids are compared, which takes another look at the sessions."""
_FEWEST_WITH = 0.1
_SAMPLE = 1_000

_ALIKE = """
WITH unmet AS (
    SELECT DISTINCT user_id, lower(trim(user_id, ' ' || chr(9) || chr(10) || chr(13))) AS alike
    FROM conversions WHERE user_id NOT IN (SELECT user_id FROM sessions) LIMIT $sample
)
SELECT unmet.user_id, min(sessions.user_id)
FROM unmet
JOIN sessions ON lower(trim(sessions.user_id, ' ' || chr(9) || chr(10) || chr(13))) = unmet.alike
GROUP BY ALL ORDER BY ALL
"""
# not min(), which some versions of DuckDB take from a file's statistics, where texts are cut
_EXAMPLES = """
SELECT (SELECT user_id FROM conversions ORDER BY user_id LIMIT 1),
       (SELECT user_id FROM sessions ORDER BY user_id LIMIT 1)
"""


def doubts_about_ids(connection: duckdb.DuckDBPyConnection, journeys: int) -> list[str]:
    """What to warn of where few conversions have one of so many journeys, with an example from both sides.

    The connection knows the rows as `conversions` and `sessions`. Raises `JourneyError`.
    """
    try:
        total = connection.execute("SELECT count(*) FROM conversions").fetchall()[0][0]
        if not total or total - journeys <= _MOST_WITHOUT * total:
            return []
        alike = connection.execute(_ALIKE, {"sample": _SAMPLE}).fetchall()
        of_conversions, of_sessions = connection.execute(_EXAMPLES).fetchall()[0]
    except duckdb.Error as error:
        raise JourneyError(f"the ids cannot be compared: {str(error).splitlines()[0]}") from error
    found = []
    if alike:
        order, session = alike[0]
        found.append(
            f"{len(alike):,} user ids of conversions are written otherwise in sessions, such as {order!r} and "
            f'{session!r}, and do not meet; write both alike in SOURCE_MAPPING, as user_id = "lower(trim(user_id))"'
        )
    if journeys < _FEWEST_WITH * total:
        found.append(
            f"{journeys:,} of {total:,} conversions have a session, fewer than a tenth: the user_id of conversions, "
            f"such as {of_conversions!r}, has to be that of sessions, such as {of_sessions!r}"
        )
    return found
