"""The input tables of the source database, without keys or indexes: files in the wild declare neither."""

from __future__ import annotations

SOURCE_TABLES = {
    "session_sources": """
        CREATE TABLE session_sources (
            session_id TEXT,
            user_id TEXT,
            event_date TEXT,
            event_time TEXT,
            channel_name TEXT,
            holder_engagement INTEGER,
            closer_engagement INTEGER,
            impression_interaction INTEGER
        )""",
    "conversions": """
        CREATE TABLE conversions (
            conv_id TEXT,
            user_id TEXT,
            conv_date TEXT,
            conv_time TEXT,
            revenue REAL
        )""",
    "session_costs": """
        CREATE TABLE session_costs (
            session_id TEXT,
            cost REAL
        )""",
}
"""CREATE TABLE statements by table name.

session_sources: one row per website session, logical key session_id; event_date (YYYY-MM-DD) and event_time
(HH:MM:SS) are UTC, the engagement flags and impression_interaction are 0 or 1.

conversions: one row per order, logical key conv_id; conv_date and conv_time are UTC, revenue is in euro.

session_costs: at most one row per session, logical key session_id; cost is the marketing cost in euro, NULL
and a missing row count as 0.
"""
