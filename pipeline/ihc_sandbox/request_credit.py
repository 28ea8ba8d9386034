"""A request's sessions in, the answer's values out, by the embedded model."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.attribution.models import IHC_LOCAL, EmbeddedModel, ihc_parameters, load_model
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.attribution.models.redistribution import Redistribution, redistribute
from pipeline.errors import PipelineError
from pipeline.ihc_api.answer_json import Value
from pipeline.ihc_sandbox.rounding import rounded

Flag = Annotated[int, msgspec.Meta(ge=0, le=1)]
_TIMESTAMP = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( [+-]\d{4})?$"


class Session(msgspec.Struct, gc=False):
    """One session of a request."""

    conversion_id: str
    session_id: str
    timestamp: str
    channel_label: str
    holder_engagement: Flag
    closer_engagement: Flag
    conversion: Flag
    impression_interaction: Flag


class Request(msgspec.Struct):
    """The body of a request."""

    customer_journeys: list[Session]
    redistribution_parameter: Redistribution | None = None

    @property
    def conversions(self) -> list[str]:
        """The conversions asked for, in order of their first session."""
        return [*dict.fromkeys(session.conversion_id for session in self.customer_journeys)]


class RefusedRequestError(Exception):
    """The request breaks a rule of the API; the message says which."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


_decoder = msgspec.json.Decoder(Request)


def decode_request(body: bytes, max_journeys: int, max_sessions: int) -> Request:
    """The request in `body`. Raises `RefusedRequestError` if it is malformed, empty or over a limit."""
    try:
        request = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedRequestError(str(error)) from error
    sessions = request.customer_journeys
    if not sessions:
        raise RefusedRequestError("customer_journeys is empty")
    if len(sessions) > max_sessions:
        raise RefusedRequestError(f"{len(sessions)} sessions in one request, at most {max_sessions} are allowed", 413)
    if (journeys := len(request.conversions)) > max_journeys:
        raise RefusedRequestError(f"{journeys} journeys in one request, at most {max_journeys} are allowed", 413)
    if len({(session.conversion_id, session.session_id) for session in sessions}) < len(sessions):
        raise RefusedRequestError("a session is in the same journey twice")
    return request


def compute(request: Request, conv_type_id: str) -> tuple[list[Value], list[Session]]:
    """The credit of the sessions, in the order of the request, and those that are excluded.

    Excluded are the sessions later than their journey's first one with the flag `conversion`.
    Raises `RefusedRequestError` for a timestamp that does not parse and for an unknown conversion type.
    """
    sessions = request.customer_journeys
    conversion = pa.array([session.conversion_id for session in sessions]).dictionary_encode().indices.to_numpy()
    time = _epoch_seconds([session.timestamp for session in sessions])
    flagged = np.array([session.conversion == 1 for session in sessions])
    end = np.full(len(sessions), np.iinfo(np.int64).max)  # by number of the conversion
    np.minimum.at(end, conversion[flagged], time[flagged])
    kept = time <= end[conversion]
    excluded = [sessions[row] for row in np.flatnonzero(~kept)]
    sessions = [sessions[row] for row in np.flatnonzero(kept)]
    conversion, time = conversion[kept], time[kept]
    order = np.lexsort((time, conversion))
    channel = pa.array([session.channel_label for session in sessions]).dictionary_encode()
    starts = np.append(np.flatnonzero(np.diff(conversion[order], prepend=-1)), len(order)).astype(np.int64)
    journeys = JourneyArrays(
        starts=starts,
        time=time[order],
        channel=channel.indices.to_numpy()[order],
        channels=tuple(channel.dictionary.to_pylist()),
        holder=np.array([session.holder_engagement == 1 for session in sessions])[order],
        closer=np.array([session.closer_engagement == 1 for session in sessions])[order],
    )
    try:
        credit = _model(conv_type_id).credit(journeys)
        if request.redistribution_parameter is not None:
            weights = ihc_parameters(conv_type_id).phase_weights
            credit = redistribute(credit, journeys, request.redistribution_parameter, weights)
    except PipelineError as error:
        raise RefusedRequestError(str(error)) from error
    phases = (credit.initializer, credit.holder, credit.closer, credit.ihc)
    shares = np.empty((len(order), len(phases)))
    shares[order] = np.column_stack([rounded(phase, starts) for phase in phases])
    values = [
        Value(session.conversion_id, session.session_id, *row)
        for session, row in zip(sessions, shares.tolist(), strict=True)
    ]
    return values, excluded


@cache
def _model(conv_type_id: str) -> EmbeddedModel:
    return load_model(IHC_LOCAL, conv_type_id)


def _epoch_seconds(timestamps: list[str]) -> NDArray[np.int64]:
    texts = pa.array(timestamps)
    formed = pc.match_substring_regex(texts, _TIMESTAMP).to_numpy(zero_copy_only=False)
    try:
        if not formed.all():
            raise RefusedRequestError(f"timestamp {timestamps[int(formed.argmin())]!r} is not YYYY-MM-DD HH:MM:SS")
        local: NDArray[Any] = pc.utf8_slice_codeunits(texts, 0, 19).cast(pa.timestamp("s")).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise RefusedRequestError(f"a timestamp is no time: {error}") from error
    return local - np.array([_offset_seconds(text[20:]) for text in timestamps], dtype=np.int64)


def _offset_seconds(offset: str) -> int:
    """Seconds east of UTC of `+0400`; 0 for an empty one, since times without it are UTC."""
    if not offset:
        return 0
    seconds = int(offset[1:3]) * 3600 + int(offset[3:5]) * 60
    return -seconds if offset[0] == "-" else seconds
