"""Goals of conversions, where the source mapping names them: cleaned as channel names are, and counted."""

from __future__ import annotations

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
    goals, revenue = np.asarray(raw["goal"].to_pylist(), dtype=object), raw["revenue"].to_numpy()
    bad: Mask = np.logical_or.reduce([np.zeros(raw.num_rows, dtype=bool), *rules.values()])
    usable = np.where(np.isfinite(revenue) & (revenue >= 0), revenue, 0.0)
    counts = []
    for goal in sorted(set(goals.tolist()), key=lambda goal: (goal is None, goal or "")):
        here = goals == goal if goal is not None else np.equal(goals, None).astype(bool)
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


def goal_among(goal: str | None, counts: Mapping[str | None, int]) -> str:
    """A goal for a message that there is no conversion of it, with the goals that there are; nothing without one."""
    if goal is None:
        return ""
    there = [f"{name!r} ({count:,})" if name else f"none ({count:,})" for name, count in counts.items() if count]
    more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
    return f" of the goal {goal!r} (there are {', '.join(there[:_SHOWN])}{more})" if there else f" of the goal {goal!r}"


def count_by_goal(days: Mapping[Any, Mapping[str, Any]]) -> dict[str | None, int]:
    """How many good conversions each goal has, from what the days' extracts note; sorted by name."""
    found: dict[str | None, int] = {}
    for notes in days.values():
        for counts in notes.get("goals", ()):
            found[counts["goal"]] = found.get(counts["goal"], 0) + counts["conversions"]
    return {goal: found[goal] for goal in sorted(found, key=lambda goal: (goal is None, goal or ""))}
