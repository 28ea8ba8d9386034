"""Answers of the API: read all sessions at once where they come as they were asked for, else one by one.

An answer holds thousands of sessions, of which only the numbers are new. Where it has the sessions of the
request in their order, each written the same way, no object is made of any of them: numpy compares and
reads one field of all sessions after the other, in less than half of the time that it takes to decode them and
compare what was decoded. An answer that differs in anything is decoded, to the same result.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.attribution.api.wire import Asked, Ids


class Value(msgspec.Struct, gc=False):
    """The credit of one session of one conversion, each number in 0..1."""

    conversion_id: str
    session_id: str
    initializer: float
    holder: float
    closer: float
    ihc: float


class Answer(msgspec.Struct):
    """What the API answers; what it may leave out is optional, so that an error still decodes."""

    value: list[Value] | None = None
    status: int | None = msgspec.field(name="statusCode", default=None)
    partial_failures: Any = msgspec.field(name="partialFailureErrors", default=None)
    message: Any = None
    error: Any = None


Shares = NDArray[np.float64]
"""A row for each of initializer, holder, closer and ihc, and a column per session."""

_decoder = msgspec.json.Decoder(Answer)

_SPACE = b" \t\n\r"
_ID, _NUMBER = rb'[^"\\]*', rb"[.0-9]+"
_FIELDS = (
    (rb'\{ "conversion_id" : "', _ID),
    (rb'" , "session_id" : "', _ID),
    (rb'" , "initializer" : ', _NUMBER),
    (rb' , "holder" : ', _NUMBER),
    (rb' , "closer" : ', _NUMBER),
    (rb' , "ihc" : ', _NUMBER),
)
_FIRST_SESSION = re.compile(
    b"".join([rb'"value" : \[ ', *(b"(%s)%s" % field for field in _FIELDS), rb"( \})( , )?"]).replace(
        b" ", b"[%s]*" % _SPACE
    )
)
"""The first session of an answer; its groups are the text around the values."""

_WORD = 8
_ONES = np.uint64(0x0101_0101_0101_0101)  # times a byte: the word of eight such bytes
_ZERO = np.frombuffer(b"0.000000", "<u8")[0]
_POINT = np.uint64(0xFF00)  # its byte in a word


class _UnusualError(Exception):
    """The answer differs from what was asked in more than its numbers."""


def read(content: bytes, asked: Asked) -> tuple[Answer, Shares | list[Value] | None]:
    """The answer to what was asked, and its credit: in the order asked for, or as values in any order.

    Raises `msgspec.DecodeError` (not JSON) or `msgspec.ValidationError` (wrong types).
    """
    in_order = read_in_order(content, asked)
    if in_order is not None:
        return in_order
    answer = decode_answer(content)
    return answer, answer.value


def decode_answer(content: bytes) -> Answer:
    """The typed answer. Raises as `read` does."""
    return _decoder.decode(content)


def read_in_order(content: bytes, asked: Asked) -> tuple[Answer, Shares] | None:
    """An answer to all of what was asked, in order: the answer without its values, and their numbers.

    None for any other answer, also for one whose sessions are not all written the same way, or with numbers
    of more than six decimals. What is read is exactly what `decode_answer` would read.
    """
    try:
        return _read_in_order(content, asked)
    except (_UnusualError, IndexError):  # an index beyond the content: it is shorter than what was asked for
        return None


def _read_in_order(content: bytes, asked: Asked) -> tuple[Answer, Shares]:
    first = _FIRST_SESSION.search(content)
    if first is None or not asked.is_plain:
        raise _UnusualError
    before_conversion, *before, last, separator = first.groups(default=b"")
    begin, end = first.start(1), content.find(b"]", first.end())
    after = [*before, last + separator + before_conversion]  # each field, up to the next session's first one
    begins, ends = _fields(content, first.end(1), end, after, len(last), len(asked.sessions))
    content_and_more = content.ljust(end + 2 * _WORD)  # the last number as a whole word
    _expect_ids(content_and_more, begins[0], ends[0], asked.conversion_of_session)
    _expect(content_and_more, ends[0], after[0])
    _expect_ids(content_and_more, begins[1], ends[1], asked.sessions)
    digits, widths = _digits(content_and_more, begins[2:], ends[2:], after[1:5])
    _expect(content_and_more, ends[5, :-1], after[5])
    return _without_values(content[:begin] + content[end:]), _numbers(digits, widths)


def _fields(
    content: bytes, begin: int, end: int, after: list[bytes], last: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the six fields of each of `count` sessions begin and end, by the commas between them.

    The first field begins at `begin`; after each field comes its text of `after`, after the last one of all
    only the first `last` characters of it, and white space up to `end`.
    """
    is_comma = np.empty(max(begin, end) - begin + 1, dtype=bool)
    np.equal(np.frombuffer(content, np.uint8)[begin : begin + len(is_comma) - 1], ord(","), out=is_comma[:-1])
    is_comma[-1] = True  # in the place of the comma before the next session
    commas = np.flatnonzero(is_comma)
    lengths = np.array([len(text) for text in after])
    offsets = np.array([text.find(b",") for text in after])
    if len(commas) != 6 * count or (count > 1 and offsets[5] < 0):
        raise _UnusualError
    closing = content[begin + commas[-2] : end].rstrip(_SPACE)
    if not closing.endswith(after[5][:last]):
        raise _UnusualError
    commas[-1] = commas[-2] + len(closing) - last + offsets[5]
    ends = np.add(commas.reshape(count, 6).T, (begin - offsets)[:, None], order="C")
    begins = np.empty_like(ends)
    np.add(ends[:-1], lengths[:-1, None], out=begins[1:])
    begins[0, 0] = begin
    begins[0, 1:] = ends[5, :-1] + lengths[5]
    return begins, ends


def _expect(content: bytes, places: NDArray[np.int64], text: bytes) -> None:
    """Check that there is `text` in all places."""
    if _windows(content, places, len(text)).tobytes() != text * len(places):
        raise _UnusualError


def _expect_ids(content: bytes, begins: NDArray[np.int64], ends: NDArray[np.int64], ids: Ids) -> None:
    """Check that each id is between its places."""
    text, id_begins, widths = ids.spans()
    if (ends - begins != widths).any():
        raise _UnusualError
    if isinstance(widths, int):
        groups: list[tuple[Any, int]] = [(slice(None), widths)]
    else:
        groups = [(widths == width, width) for width in np.unique(widths).tolist()]
    for rows, width in groups:
        found, expected = _windows(content, begins[rows], width), _windows(text, id_begins[rows], width)
        if not pa.py_buffer(found).equals(pa.py_buffer(expected)):
            raise _UnusualError


def _digits(
    content: bytes, begins: NDArray[np.int64], ends: NDArray[np.int64], before: list[bytes]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The characters of numbers, for `_numbers`, and how many they are; a row per field, each after its text."""
    widths = ends - begins
    size = -(-max(map(len, before)) // _WORD) * _WORD
    if widths.min() < 1 or widths.max() > _WORD or begins[0, 0] < size:
        raise _UnusualError
    words = _windows(content, begins.ravel() - size, size + _WORD).view("<u8").reshape(*begins.shape, -1)
    texts = np.frombuffer(b"".join(text.rjust(size, b"\0") for text in before), "<u8").reshape(len(before), -1)
    masks = np.frombuffer(b"".join((b"\xff" * len(text)).rjust(size, b"\0") for text in before), "<u8")
    for word, (text, mask) in enumerate(zip(texts.T, masks.reshape(texts.shape).T, strict=True)):
        if (words[:, :, word] & mask[:, None] != text[:, None]).any():
            raise _UnusualError
    is_before = ~np.uint64(0) >> (8 * (_WORD - widths)).astype(np.uint64)
    return (words[:, :, -1] ^ _ZERO) & is_before, widths


def _windows(text: bytes | pa.Buffer, places: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """A row for the `width` bytes of `text` from each of `places` on."""
    if not width:
        return np.empty((len(places), 0), dtype=np.uint8)
    windows = np.ndarray((max(0, len(text) - width + 1),), _bytes(width), text, strides=(1,))
    return windows[places].view(np.uint8).reshape(len(places), width)


@cache
def _bytes(width: int) -> np.dtype[np.void]:
    return np.dtype((np.void, width))


def _numbers(digits: NDArray[Any], widths: NDArray[Any]) -> Shares:
    """The numbers that were written as d or d.d to d.dddddd, in so many characters.

    `digits` are the characters' distances from those of 0.000000, the first one in the lowest byte, 0 after the last.
    """
    wrong = (digits | digits + _ONES * np.uint8(0x80 - 10)) & (_ONES << 7) | digits & _POINT
    if wrong.any() or (widths == len("0.")).any():
        raise _UnusualError
    whole = digits & 0xFF
    # Neighbours are joined to numbers of two, then four, then eight digits, of which the point's is the second one.
    digits = (digits * 10 + (digits >> 8)) & 0x00FF_00FF_00FF_00FF
    digits = (digits * 100 + (digits >> 16)) & 0x0000_FFFF_0000_FFFF
    digits = (digits * 10_000 + (digits >> 32)) & 0xFFFF_FFFF
    # the quotient of two whole numbers is the float nearest to it, which is what a JSON decoder reads
    return (digits - whole * 9_000_000) / 1_000_000


def _without_values(content: bytes) -> Answer:
    """The answer with `content`, whose list of values was emptied."""
    try:
        answer = decode_answer(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _UnusualError from error
    if answer.value != [] or content.count(b'"value"') > 1:
        raise _UnusualError
    return answer
