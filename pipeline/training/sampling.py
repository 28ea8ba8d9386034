"""Which journeys a training set is made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.journeys.schema import JOURNEYS

_GUARANTEED = 0.25
"""The share of the places that is divided evenly among the channels, so that rare ones are present."""

VISITS = pa.schema(
    [pa.field("conv_id", pa.string(), nullable=False), pa.field("channel_name", pa.string(), nullable=False)]
)
"""One row per eligible journey and channel in it, key both."""

_HELD_OUT = pa.field("held_out", pa.bool_(), nullable=False)
SAMPLED_JOURNEYS = JOURNEYS.append(_HELD_OUT)
"""`JOURNEYS`, and whether the journey is held out; sorted by conversion day, then as `JOURNEYS`."""


@dataclass(frozen=True)
class Sampling:
    """How a training set is drawn.

    Attributes:
        max_journeys: of training and held-out journeys together.
        min_length: sessions that a journey has to have.
        held_out_share: share of the journeys that is held out, 0 to below 1.
        seed: of all chance.

    """

    max_journeys: int
    min_length: int
    held_out_share: float
    seed: int


@dataclass(frozen=True)
class Chosen:
    """The conversions whose journeys are in a training set, and those held out from it; arrays of conv_id."""

    training: pa.Array
    held_out: pa.Array


def visits(journeys: pa.Table, min_length: int) -> pa.Table:
    """The channels (columns `VISITS`) of the journeys (columns `JOURNEYS`) of at least `min_length` sessions."""
    long_enough = journeys.filter(pc.greater_equal(journeys["position"], min_length - 1))["conv_id"].unique()
    eligible = journeys.filter(pc.is_in(journeys["conv_id"], value_set=long_enough)).select(VISITS.names)
    return eligible.group_by(VISITS.names, use_threads=False).aggregate([]).cast(VISITS)


def choose(visited: pa.Table, sampling: Sampling) -> Chosen:
    """The journeys to take of those with the columns `VISITS`, whatever the order of the rows.

    Each conversion draws two numbers, which depend on the seed and its id alone: whether it is held out, and its turn.
    A quarter of the places goes evenly to the channels, the rarest first, the others to whose turn it is.
    """
    if not visited.num_rows:
        return Chosen(*2 * [pa.array([], pa.string())])
    encoded = visited["conv_id"].combine_chunks().dictionary_encode()
    turn, lot = _draws(encoded.dictionary.to_pylist(), sampling.seed).T
    held_out = lot < sampling.held_out_share
    places = round(sampling.max_journeys * sampling.held_out_share)
    journey = encoded.indices.to_numpy()
    channel = np.unique(visited["channel_name"].to_numpy().astype(str), return_inverse=True)[1]
    by_turn = np.argsort(turn[journey], kind="stable")
    journey, channel = journey[by_turn], channel[by_turn]
    training, apart = (
        _pick(journey[part[journey]], channel[part[journey]], limit)
        for part, limit in ((~held_out, sampling.max_journeys - places), (held_out, places))
    )
    return Chosen(encoded.dictionary.take(pa.array(training)), encoded.dictionary.take(pa.array(apart)))


def take(journeys: pa.Table, chosen: Chosen) -> pa.Table:
    """Those of the journeys (columns `JOURNEYS`) that were chosen, with the columns `SAMPLED_JOURNEYS`."""
    held_out = pc.is_in(journeys["conv_id"], value_set=chosen.held_out)
    taken = pc.or_(held_out, pc.is_in(journeys["conv_id"], value_set=chosen.training))
    return journeys.select(JOURNEYS.names).append_column(_HELD_OUT, held_out).filter(taken)


def training_and_held_out(sampled: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The journeys (columns `JOURNEYS`) to train on and those held out, from the columns `SAMPLED_JOURNEYS`."""
    held_out = sampled[_HELD_OUT.name]
    journeys = sampled.select(JOURNEYS.names)
    return journeys.filter(pc.invert(held_out)), journeys.filter(held_out)


def _draws(conv_ids: list[str], seed: int) -> NDArray[np.float64]:
    """Two numbers in 0..1 for each id, shape (ids, 2)."""
    key = str(seed).encode()
    digests = b"".join(hashlib.blake2b(conv_id.encode(), digest_size=16, key=key).digest() for conv_id in conv_ids)
    return np.frombuffer(digests, ">u8").reshape(-1, 2) / 2.0**64


def _pick(journey: NDArray[np.int64], channel: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """At most `limit` journeys of rows in the order of their turns, ascending."""
    everyone = journey[np.sort(np.unique(journey, return_index=True)[1])]
    if len(everyone) <= limit:
        return np.sort(everyone)
    chosen: dict[int, None] = {}
    channels, sizes = np.unique(channel, return_counts=True)
    guaranteed = max(1, round(limit * _GUARANTEED / len(channels)))
    for rare in channels[np.argsort(sizes, kind="stable")]:
        members = journey[channel == rare].tolist()
        missing = guaranteed - sum(member in chosen for member in members)
        candidates = (member for member in members if member not in chosen)
        chosen.update((member, None) for member, _ in zip(candidates, range(missing), strict=False))
    chosen.update(dict.fromkeys(everyone.tolist()))
    return np.sort(np.array([*chosen][:limit], np.int64))
