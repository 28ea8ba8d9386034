"""The cost of each channel on a day."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.source.schema import CHANNEL_COSTS


def sum_channel_costs(sessions: pa.Table, costs: pa.Table) -> tuple[pa.Table, float]:
    """Each channel's cost and number of sessions on a day, and the cost of rows whose session was set aside.

    Takes the columns `SESSIONS` and `SESSION_COSTS`, gives `CHANNEL_COSTS`; a session without a cost row counts 0.
    Sums run in the order of the rows, so that the same rows give the same sum.
    """
    place = pc.index_in(costs["session_id"], value_set=sessions["session_id"].combine_chunks())
    known = place.is_valid().to_numpy().astype(bool)
    amounts = costs["cost"].to_numpy()
    channel = sessions["channel_name"].combine_chunks().dictionary_encode()
    codes, names = channel.indices.to_numpy(zero_copy_only=False), channel.dictionary.to_pylist()
    spent = np.bincount(codes[place.drop_null().to_numpy()], weights=amounts[known], minlength=len(names))
    table = pa.table(
        {"channel_name": names, "cost": spent, "sessions": np.bincount(codes, minlength=len(names))},
        schema=CHANNEL_COSTS,
    )
    return table.sort_by("channel_name"), float(amounts[~known].sum())
