"""What the comparison models can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The options of the comparison models; each model takes those that concern it.

    Attributes:
        direct_channels: what last-non-direct passes over.
        excluded_channels: get no credit from any comparison model; `excluding` says who gets it instead.
        position_first: position-based: the share of the first session.
        position_last: position-based: the share of the last session.
        half_life_hours: time-decay: the hours in which credit halves.
        markov_order: markov: the sessions that a state of the chain remembers.

    """

    direct_channels: tuple[str, ...] = ("Direct", "Direct Traffic")
    excluded_channels: tuple[str, ...] = ()
    position_first: float = 0.4
    position_last: float = 0.4
    half_life_hours: float = 168.0
    markov_order: int = 1
