"""Goals of conversions, where the source mapping names them: cleaned as channel names are, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import SettingsError
from pipeline.source.channel_names import cleaned
from pipeline.source.checks import Mask
from pipeline.source.mapping import SourceMapping
from pipeline.source.schema import CONVERSIONS, CONVERSIONS_WITH_GOALS
from pipeline.source.source import Source

_SHOWN = 10


class GoalCounts(TypedDict):
    """What a day's rows of a goal are; of those without a goal the name is None. Refunds are in neither other number.

    `rejected_amount` sums the usable revenues of bad rows, `refunded` is negative.
    """

    goal: str | None
    conversions: int
    rejected: int
    rejected_amount: float
    refunds: int
    refunded: float


def conversions_schema(source: Source) -> pa.Schema:
    """The shape of extracted conversions: with a goal if, and only if, the mapping names one."""
    return CONVERSIONS if source.mapping.conversions.goal is None else CONVERSIONS_WITH_GOALS


def with_goals(raw: pa.Table) -> pa.Table:
    """Raw conversions with clean goals, null where one is empty; without such a column as they are."""
    if "goal" not in raw.column_names:
        return raw
    rows = cleaned(raw, "goal")
    place = rows.schema.get_field_index("goal")
    return rows.set_column(place, "goal", pc.if_else(pc.equal(rows["goal"], ""), None, rows["goal"]))


def goal_counts(raw: pa.Table, rules: Mapping[str, Mask]) -> dict[str, list[GoalCounts]]:
    """`goals`: the counts of a day's conversions by goal, sorted by name; nothing where the source names none.

    `rules` maps a reason to the rows that break it.
    """
    if "goal" not in raw.column_names:
        return {}
    revenue = raw["revenue"].to_numpy()
    bad: Mask = np.logical_or.reduce([np.zeros(raw.num_rows, dtype=bool), *rules.values()])
    usable = np.where(np.isfinite(revenue) & (revenue >= 0), revenue, 0.0)
    counts = []
    for goal in sorted(pc.unique(raw["goal"]).to_pylist(), key=_order):
        here: Mask = np.asarray(pc.index_in(raw["goal"], value_set=pa.array([goal], pa.string())).is_valid().to_numpy())
        refund = here & ~bad & (revenue < 0)
        counts.append(
            GoalCounts(
                goal=goal,
                conversions=int((here & ~bad & ~refund).sum()),
                rejected=int((here & bad).sum()),
                rejected_amount=float(usable[here & bad].sum()),
                refunds=int(refund.sum()),
                refunded=float(revenue[refund].sum()),
            )
        )
    return {"goals": counts}


def refuse_goal_without_key(mapping: SourceMapping, setting: str, value: object) -> None:
    """Raise `SettingsError`, which shows the line to write, if the mapping names no goals."""
    if mapping.conversions.goal is None:
        where = (
            f"in {mapping.origin}"
            if mapping.origin
            else "in a mapping, and SOURCE_MAPPING to its file (attribution-source init writes one)"
        )
        raise SettingsError(
            f'{setting} is {value}, but the source names no goals of conversions: write goal = "<column or '
            f'expression>" below [conversions] {where}'
        )


def goals_in_source(source: Source) -> dict[str | None, int]:
    """How many rows each goal has in the whole source, sorted by name; none where the mapping names no goals.

    Raises `DatabaseError`.
    """
    conversions = source.mapping.conversions
    if conversions.goal is None:
        return {}
    found: Counter[str | None] = Counter()
    sql = source.sql.select({"goal": ("text", conversions.goal)}, conversions.table)
    with source.connect() as connection, connection.stream(sql) as batches:
        for batch in batches:
            if batch.num_rows:
                goals = with_goals(pa.Table.from_batches([batch]).cast(pa.schema([("goal", pa.string())])))["goal"]
                found.update(goals.to_pylist())
    return _sorted(found)


def no_conversion(goal: str | None, counts: Mapping[str | None, int]) -> str:
    """That an interval has no conversion, of a goal if one is given, with those of the goals that are there."""
    if goal is None:
        return "no conversion in the interval"
    there = {name: count for name, count in counts.items() if count}
    others = f" (there are {listed_goals(there)})" if there else ""
    return f"no conversion of the goal {goal!r} in the interval{others}"


def listed_goals(counts: Mapping[str | None, int]) -> str:
    """Goals with their counts in a line."""
    told = [f"{'none' if goal is None else repr(goal)} {count:,}" for goal, count in counts.items()]
    return ", ".join(told[:_SHOWN]) + (f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else "")


def count_by_goal(days: Mapping[Any, Mapping[str, Any]]) -> dict[str | None, int]:
    """How many good conversions each goal has, from what the days' extracts note; sorted by name."""
    found: dict[str | None, int] = {}
    for notes in days.values():
        for counts in notes.get("goals", ()):
            found[counts["goal"]] = found.get(counts["goal"], 0) + counts["conversions"]
    return _sorted(found)


def _sorted(counts: Mapping[str | None, int]) -> dict[str | None, int]:
    return {goal: counts[goal] for goal in sorted(counts, key=_order)}


def _order(goal: str | None) -> tuple[bool, str]:
    """Those without a goal come last."""
    return goal is None, goal or ""
