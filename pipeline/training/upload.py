"""Training sets in the form in which the API takes them: one object or CSV row per session."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.errors import JourneyError
from pipeline.ihc_api.request_json import session_objects
from targets.csv_text import csv_text

FLAGS = ("holder_engagement", "closer_engagement", "conversion", "impression_interaction")
COLUMNS = ("conversion_id", "session_id", "timestamp", "channel_label", *FLAGS)
"""Of the CSV, in this order; timestamp is UTC, `YYYY-MM-DD HH:MM:SS`, the flags are 0 or 1."""

_TIMESTAMP = "%Y-%m-%d %H:%M:%S"


def upload_form(journeys: pa.Table) -> pd.DataFrame:
    """The journeys (columns `JOURNEYS`) with the columns `COLUMNS`, all text, a row per session."""
    position = journeys["position"].to_numpy()
    ends = (np.append(position[1:], 0) == 0)[: len(position)]
    columns = {
        "conversion_id": journeys["conv_id"],
        "session_id": journeys["session_id"],
        "timestamp": journeys["session_time"].cast(pa.timestamp("s")),
        "channel_label": journeys["channel_name"],
        "holder_engagement": journeys["holder_engagement"],
        "closer_engagement": journeys["closer_engagement"],
        "conversion": pa.chunked_array([ends.astype(np.int8)]),
        "impression_interaction": journeys["impression_interaction"],
    }
    return pd.DataFrame({name: columns[name].cast(pa.string()).to_numpy() for name in COLUMNS}, dtype=str)


def to_csv(journeys: pa.Table) -> str:
    """The journeys (columns `JOURNEYS`) as CSV with the columns `COLUMNS`."""
    return csv_text(upload_form(journeys))


def to_json(journeys: pa.Table) -> str:
    """The journeys (columns `JOURNEYS`) as a JSON list of the session objects that requests hold, too."""
    return f"{session_objects(journeys).decode()}\n"


def read_csv(path: Path) -> pd.DataFrame:
    """The sessions in a CSV of the upload form, all as text. Raises `JourneyError` naming what it lacks."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file, strict=True)  # unlike pandas' it tells line ends from those in a name
        upload = pd.DataFrame(rows, columns=header, dtype=str)
    except (OSError, ValueError, csv.Error) as error:
        raise JourneyError(f"{path} cannot be read as a training set: {' '.join(str(error).split())}") from None
    if missing := [column for column in COLUMNS if column not in upload.columns]:
        raise JourneyError(f"{path} is no training set: it has no column {', '.join(missing)}; build it again")
    return upload


def timestamps(upload: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    """The time of each session; NaT where it does not parse."""
    return pd.to_datetime(upload["timestamp"], format=_TIMESTAMP, errors="coerce")


def to_arrays(upload: pd.DataFrame, origin: Path) -> JourneyArrays:
    """The journeys of a CSV read with `read_csv`, which errors call `origin`; ties in time by the order of the rows.

    Raises `JourneyError` for a timestamp or flag that does not parse.
    """
    times = timestamps(upload)
    if times.isna().any():
        row = int(times.isna().to_numpy().argmax())
        wrong = upload["timestamp"].iloc[row]
        raise JourneyError(f"{origin}, session {row + 1}: the timestamp {wrong!r} is not YYYY-MM-DD HH:MM:SS")
    for flag in FLAGS:
        if not (known := upload[flag].isin(("0", "1"))).all():
            row = int((~known).to_numpy().argmax())
            raise JourneyError(f"{origin}, session {row + 1}: {flag} is {upload[flag].iloc[row]!r}, not 0 or 1")
    seconds = times.to_numpy().astype("datetime64[s]").astype(np.int64)
    journey, _ = pd.factorize(upload["conversion_id"])
    order = np.lexsort((seconds, journey))
    channel, channels = pd.factorize(upload["channel_label"])
    starts = np.append(np.flatnonzero(np.diff(journey[order], prepend=-1)), len(order))
    return JourneyArrays(
        starts=starts.astype(np.int64),
        time=seconds[order],
        channel=channel[order].astype(np.int32),
        channels=tuple(map(str, channels)),
        holder=(upload["holder_engagement"] == "1").to_numpy()[order],
        closer=(upload["closer_engagement"] == "1").to_numpy()[order],
    )
