"""Whole journeys into as few requests as both limits of the API allow."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import AttributionError


def lower_bound(sizes: ArrayLike, max_journeys: int, max_sessions: int) -> int:
    """The number of requests that no packing can undercut."""
    sizes = np.asarray(sizes, dtype=np.int64)
    return max(-(-len(sizes) // max_journeys), -(-int(sizes.sum()) // max_sessions))


def pack(sizes: ArrayLike, max_journeys: int, max_sessions: int) -> list[NDArray[np.int64]]:
    """The requests that hold every journey once and whole, each as the ascending indices of its journeys.

    `sizes` are the journeys' sessions, at least 1. A request holds at most `max_journeys` journeys and
    `max_sessions` sessions. The same sizes give the same requests. Raises `AttributionError` for a journey
    longer than a request.

    Requests are filled one after the other, the longest journey that fits first. Alone, that would spend
    the sessions of the first requests on few long journeys and leave the last ones with short journeys,
    full by number and empty by sessions. So a journey fits only if the shortest ones can still fill the
    other places beside it; where even those are too long to fill all places, sessions are the scarcer
    limit, and nothing is held back.
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    if len(sizes) and int(sizes.max()) > max_sessions:
        longest = int(sizes.argmax())
        raise AttributionError(
            f"journey {longest} has {sizes[longest]} sessions, a request holds {max_sessions}; "
            "journeys must be cut to MAX_SESSIONS before they are packed"
        )
    by_size = np.argsort(sizes, kind="stable")
    distinct, firsts = np.unique(sizes[by_size], return_index=True)
    lengths = distinct.tolist()
    waiting = np.split(by_size, firsts[1:])  # the journeys of each length
    requests = []
    while lengths:
        request = []
        places, room = max_journeys, max_sessions
        while lengths and places and lengths[0] <= room:
            shortest = lengths[0]
            held_back = (places - 1) * shortest if places * shortest <= room else 0
            most = room - held_back
            group = bisect_right(lengths, most) - 1
            length = lengths[group]
            step = length - shortest if held_back else length  # how much one journey lowers `most`
            fitting = min(places, (most - length) // step + 1) if step else places
            taken, rest = waiting[group][:fitting], waiting[group][fitting:]
            request.append(taken)
            places, room = places - len(taken), room - len(taken) * length
            waiting[group] = rest
            if not len(rest):
                del lengths[group], waiting[group]
        requests.append(np.sort(np.concatenate(request)))
    return requests
