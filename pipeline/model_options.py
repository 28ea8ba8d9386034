"""The options of the comparison models."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass


class ChannelNames(tuple[str, ...]):
    """Channel names, written as in CSV: commas or line ends between them, quotes around a name that holds one.

    >>> ChannelNames.parse('Direct, "Email, fast"')
    ChannelNames(('Direct', 'Email, fast'))
    >>> str(ChannelNames.parse('Direct, "Email, fast"'))
    'Direct,"Email, fast"'
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> ChannelNames:
        """The names in a text, without the blanks around them. Raises `ValueError` if a quote is left open."""
        try:
            rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
            return cls(name for row in rows for name in map(str.strip, row) if name)
        except csv.Error:
            raise ValueError('must be channel names with commas between them, "quoted" where they hold one') from None

    def __str__(self) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow(self)  # a name that holds one of these is quoted
        return text.getvalue().removesuffix("\r\n")

    def __repr__(self) -> str:
        return f"ChannelNames({super().__repr__()})"


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
        custom_model: custom: the TOML file of its rule.

    """

    direct_channels: tuple[str, ...] = ("Direct", "Direct Traffic")
    excluded_channels: tuple[str, ...] = ()
    position_first: float = 0.4
    position_last: float = 0.4
    half_life_hours: float = 168.0
    markov_order: int = 1
    custom_model: str | None = None
