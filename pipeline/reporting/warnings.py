"""What deserves a look although the books balance."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pipeline.attribution.choice import ModelChoice
from pipeline.console import shortened
from pipeline.reporting.dead_feeds import describe
from pipeline.source.channel_names import spellings

_SHOWN = 5
_NAME = 60


def warnings_of(
    channels: Sequence[str],
    books: Mapping[str, Any],
    choice: ModelChoice,
    listed: Collection[str],
    channel_name: str = "channel_name",
) -> Iterator[str]:
    """A line for dead feeds, for names that look like slips, and for channels that the CHANNELS file lacks.

    Takes the channels of the report, its books, the model, the channels of the file, and the mapping's expression of
    a session's channel.
    """
    if books["dead_feeds"]:
        yield f"a feed looks dead: {describe(books['dead_feeds'])}"
    moved = choice.redistribution
    if moved and (unknown := moved.unknown_channels(channels)):
        yield f"the redistribution names channels without a session: {', '.join(unknown)}; are they mistyped?"
    if choice.name == "last-non-direct" and not _met(choice.options.direct_channels, channels):
        yield (
            f"no channel is called {_some(choice.options.direct_channels, ' or ')}, so last-non-direct passes over "
            "none; name yours in DIRECT_CHANNELS"
        )
    yield from spellings(channels, channel_name)
    if listed and (unlisted := [name for name in channels if name not in listed]):
        are, have = ("channel is", "has") if len(unlisted) == 1 else ("channels are", "have")
        yield f"{len(unlisted)} {are} not in the CHANNELS file and {have} no group: {_some(unlisted)}"


def _met(names: Collection[str], channels: Collection[str]) -> bool:
    """Whether there is a channel, if there are any, of one of the names, which ignore case."""
    folded = {channel.casefold() for channel in channels}
    return not folded or any(name.casefold() in folded for name in names)


def _some(names: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return between.join(shortened(name, _NAME) for name in names[:_SHOWN]) + more
