"""Journeys of one conversion type at a time, where goals have types of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.choice import ModelChoice
from pipeline.attribution.schema import CREDIT

ReadJourneys = Callable[[], pa.Table]


def of_types(choice: ModelChoice, journeys: pa.Table, conversions: pa.Table | None) -> dict[str, pa.Table]:
    """The journeys (`JOURNEYS`) of each conversion type, rows in their order; together they are all, each once.

    Takes the columns conv_id and goal of the day's conversions, None where no goal has a type of its own.
    """
    first, *others = choice.by_type
    if conversions is None:
        return {first: journeys}
    found = {}
    is_left = np.ones(journeys.num_rows, dtype=bool)
    for conv_type_id in others:
        _, goals = choice.by_type[conv_type_id]
        of_type = conversions.filter(pc.is_in(conversions["goal"], value_set=pa.array(sorted(goals), pa.string())))
        is_of_type = pc.is_in(journeys["conv_id"], value_set=of_type["conv_id"].combine_chunks())
        found[conv_type_id] = journeys.filter(is_of_type)
        is_left &= ~is_of_type.to_numpy().astype(bool)
    return {first: journeys.filter(pa.array(is_left)), **found}


def readers_of_types(
    choice: ModelChoice, read_journeys: ReadJourneys, read_conversions: ReadJourneys | None
) -> dict[str, ReadJourneys]:
    """Of each conversion type what reads its journeys of a day."""

    def reader(conv_type_id: str) -> ReadJourneys:
        return lambda: of_types(choice, read_journeys(), read_conversions and read_conversions())[conv_type_id]

    return {conv_type_id: reader(conv_type_id) for conv_type_id in choice.by_type}


def attribute_by_type(choice: ModelChoice, journeys: pa.Table, conversions: pa.Table | None) -> pa.Table:
    """The credit (`CREDIT`) of journeys by an embedded model, each by its conversion type, in the journeys' order.

    Raises as `attribute_embedded` does.
    """
    if conversions is None:
        return attribute_embedded(journeys, choice.load())
    parts = of_types(choice, journeys, conversions)
    return in_order_of(
        journeys, {name: attribute_embedded(part, choice.by_type[name][0].load()) for name, part in parts.items()}
    )


def in_order_of(journeys: pa.Table, credit: Mapping[str, pa.Table]) -> pa.Table:
    """The credit of all types in the order of the journeys' rows; a rejected journey has none."""
    if len(credit) == 1:
        return next(iter(credit.values()))
    together = pa.concat_tables(credit.values())
    order = pc.index_in(together["conv_id"], value_set=pc.unique(journeys["conv_id"])).to_numpy()
    # a conversion is of one type, whose rows are in order: a stable sort keeps that of its sessions
    return together.take(pa.array(np.argsort(order, kind="stable"))).combine_chunks().cast(CREDIT)
