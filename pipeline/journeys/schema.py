"""The shape of journeys, as every model and report reads them."""

import pyarrow as pa

JOURNEYS = pa.schema(
    [
        pa.field("conv_id", pa.string(), nullable=False),
        pa.field("conv_time", pa.int64(), nullable=False),
        pa.field("revenue", pa.float64(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("session_time", pa.int64(), nullable=False),
        pa.field("channel_name", pa.string(), nullable=False),
        pa.field("holder_engagement", pa.int8(), nullable=False),
        pa.field("closer_engagement", pa.int8(), nullable=False),
        pa.field("impression_interaction", pa.int8(), nullable=False),
        pa.field("sessions_cut", pa.int32(), nullable=False),
    ]
)
"""One row per session of a journey, key (conv_id, position), sorted by it.

conv_time and session_time are UTC epoch seconds, revenue is in euro, position counts from 0 in time order (ties by
session_id), the flags are 0 or 1, sessions_cut is how many earlier sessions `max_sessions` cut from the journey.
Of a source with dimensions, each has a text beside.
"""
