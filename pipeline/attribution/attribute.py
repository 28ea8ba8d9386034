"""Credit for journeys by an embedded model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.attribution.models import EmbeddedModel
from pipeline.attribution.models.journeys import Credit, JourneyArrays
from pipeline.attribution.schema import CREDIT
from pipeline.errors import AttributionError

_TOLERANCE = 1e-9


def attribute_embedded(journeys: pa.Table, model: EmbeddedModel) -> pa.Table:
    """The credit (columns `CREDIT`) of journeys with the columns `JOURNEYS`, row by row.

    Raises `AttributionError` if the credit of a journey does not sum to 1.
    """
    if not journeys.num_rows:
        return CREDIT.empty_table()
    arrays = JourneyArrays.from_table(journeys)
    credit = model.credit(arrays)
    _check_sums(credit, arrays, journeys, str(model.fingerprint["model"]))
    phases = {
        "initializer": credit.initializer,
        "holder": credit.holder,
        "closer": credit.closer,
        "ihc": credit.ihc,
    }
    keys = {"conv_id": journeys["conv_id"], "session_id": journeys["session_id"]}
    return pa.table({**keys, **phases}, schema=CREDIT)


def _check_sums(credit: Credit, arrays: JourneyArrays, journeys: pa.Table, model: str) -> None:
    sums = np.add.reduceat(credit.ihc, arrays.starts[:-1])
    off = np.flatnonzero(~(np.abs(sums - 1) <= _TOLERANCE))
    if len(off):
        conv_id = journeys["conv_id"][int(arrays.starts[off[0]])].as_py()
        raise AttributionError(
            f"the model {model} gives {len(off)} conversions credit that does not sum to 1, "
            f"first {conv_id} with {sums[off[0]]!r}"
        )
