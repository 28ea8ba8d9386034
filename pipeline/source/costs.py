"""The cost of each channel on a day."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.source.schema import CHANNEL_COSTS


def sum_channel_costs(sessions: pa.Table) -> pa.Table:
    """Each channel's cost and number of sessions on a day.

    Takes the columns channel_name and cost of `SESSIONS`, gives `CHANNEL_COSTS`. Sums run in the order of the rows, so
    that the same rows give the same sum.
    """
    channel = sessions["channel_name"].combine_chunks().dictionary_encode()
    codes, names = channel.indices.to_numpy(zero_copy_only=False), channel.dictionary.to_pylist()
    spent = np.bincount(codes, weights=sessions["cost"].to_numpy(), minlength=len(names))
    table = pa.table(
        {"channel_name": names, "cost": spent, "sessions": np.bincount(codes, minlength=len(names))},
        schema=CHANNEL_COSTS,
    )
    return table.sort_by("channel_name")
