"""The shape of a comparison of models."""

import pyarrow as pa

METRICS = (
    "attributed_conversions",
    "attributed_revenue",
    "share",
    "CPO",
    "ROAS",
    "rank",
    "influenced_conversions",
)
"""What is said of each channel by each model."""

ESTIMATES = METRICS[:5]
"""The metrics that depend on which conversions happened to be in the interval: they have bootstrap intervals."""


def _number(name: str) -> pa.Field:
    return pa.field(name, pa.float64())


MODEL_COMPARISON = pa.schema(
    [
        pa.field("model", pa.string(), nullable=False),
        pa.field("channel_name", pa.string(), nullable=False),
        pa.field("cost", pa.float64(), nullable=False),
        *(pa.field(name, pa.int64() if name in METRICS[5:] else pa.float64()) for name in METRICS),
        *(pa.field(f"{name}_difference", pa.int64() if name in METRICS[5:] else pa.float64()) for name in METRICS),
        *(_number(f"{name}_{bound}") for name in ESTIMATES for bound in ("low", "high")),
        _number("share_difference_low"),
        _number("share_difference_high"),
    ]
)
"""One row per model and channel, key both; models as they were asked for, the primary first, channels by name.

cost, attributed_revenue and CPO are in euro, ROAS is revenue per euro of cost, share is of all attributed conversions,
rank 1 has the most of them (equal ones share the better rank), influenced_conversions are those with the channel
anywhere in their journey. A `_difference` is to the primary model; `_low` and `_high` are the bounds of the 95 %
bootstrap interval. Null where the divisor is 0, in a bound where it may be.
"""

LOOKBACK_CREDIT = pa.schema(
    [
        pa.field("lookback_days", pa.int32(), nullable=False),
        pa.field("channel_name", pa.string(), nullable=False),
        pa.field("attributed_conversions", pa.float64(), nullable=False),
        pa.field("attributed_revenue", pa.float64(), nullable=False),
    ]
)
"""The credit of one conversion day under each look-back window (days, 0: no limit), key window and channel, sorted."""
