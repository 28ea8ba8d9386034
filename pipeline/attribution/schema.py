"""The shape of credit."""

import pyarrow as pa

CREDIT = pa.schema(
    [
        pa.field("conv_id", pa.string(), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("initializer", pa.float64(), nullable=False),
        pa.field("holder", pa.float64(), nullable=False),
        pa.field("closer", pa.float64(), nullable=False),
        pa.field("ihc", pa.float64(), nullable=False),
    ]
)
"""One row per session of an attributed journey, key (conv_id, session_id), in the journeys' order.

`ihc` is the session's share of the conversion and sums to 1 per conv_id. Each phase sums to 1, or to 0 where nothing
is engaged in it; a model without phases gives NaN there.
"""
