"""Answers of the API: read all sessions at once where they come as they were asked for, else one by one.

An answer holds thousands of sessions, of which only the numbers are new. Where it has the sessions of the
request in their order, each written the same way, no object is made of any of them: numpy compares and
reads one field of all sessions after the other, in little more than half of the time that it takes to decode
them and compare what was decoded. An answer that differs in anything is decoded, to the same result.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
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
_ZEROS = _ONES * np.uint8(ord("0"))


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
    before_conversion, before_session, *before_numbers, last, separator = first.groups(default=b"")
    begin, end = first.start(1), content.find(b"]", first.end())
    begins = _places_of(ord("{"), content, begin, max(begin, end))
    if len(begins) != len(asked.sessions) or (len(begins) > 1 and not separator):
        raise _UnusualError
    cursor = _Cursor(content.ljust(end + 2 * _WORD), begins)
    cursor.skip(before_conversion)
    cursor.skip_ids(asked.conversion_of_session)
    cursor.skip(before_session)
    cursor.skip_ids(asked.sessions)
    numbers = []
    for before, after in pairwise([*before_numbers, last]):
        numbers.append(cursor.take_number(before, after[0]))
    cursor.skip(last)
    cursor.stop(separator, begins[1:], end)
    digits, widths = (np.stack(parts) for parts in zip(*numbers, strict=True))
    return _without_values(content[:begin] + content[end:]), _numbers(digits, widths)


class _Cursor:
    """A place in each session of an answer, all of which move together."""

    def __init__(self, content: bytes, places: NDArray[np.int64]) -> None:
        self._content = content
        self._places = places.copy()

    def skip(self, text: bytes) -> None:
        """Move behind `text`."""
        self._expect(text, self._places)
        self._places += len(text)

    def skip_ids(self, ids: Ids) -> None:
        """Move behind the id of each session."""
        text, begins, widths = ids.spans()
        for width in np.flatnonzero(np.bincount(widths)).tolist():
            rows = slice(None) if (widths == width).all() else widths == width  # mostly all are as wide
            found = _windows(self._content, self._places[rows], width)
            if not np.array_equal(found, _windows(text, begins[rows], width)):
                raise _UnusualError
        self._places += widths

    def take_number(self, before: bytes, end: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Move behind `before` and on to the character `end`.

        Returns the digits between them, as for `_numbers`, and how many characters they are.
        """
        found = _windows(self._content, self._places, len(before) + _WORD)
        if found[:, :-_WORD].tobytes() != before * len(found):
            raise _UnusualError
        words = found[:, -_WORD:].copy().view("<u8")[:, 0]
        others = words ^ _ONES * np.uint8(end)
        ends = (others - _ONES) & ~others & (_ONES << 7)  # the lowest bit is in the first byte that is `end`
        is_before = ((ends & -ends) >> 7) - 1  # the bits of the bytes before it; of all, if none is
        widths = np.bitwise_count(is_before) >> 3
        self._places += widths + len(before)
        return (words ^ _ZEROS) & is_before, widths

    def stop(self, separator: bytes, begins: NDArray[np.int64], end: int) -> None:
        """Check that only `separator` is between the places and `begins`, and white space from the last to `end`."""
        last = int(self._places[-1])
        self._expect(separator, self._places[:-1])
        if (self._places[:-1] + len(separator) != begins).any() or self._content[last:end].strip(_SPACE):
            raise _UnusualError

    def _expect(self, text: bytes, places: NDArray[np.int64]) -> None:
        if _windows(self._content, places, len(text)).tobytes() != text * len(places):
            raise _UnusualError


def _places_of(character: int, content: bytes, begin: int, end: int) -> NDArray[np.int64]:
    """Where `content[begin:end]` has `character`, which must not be twice within a word."""
    size = (end - begin) // _WORD * _WORD
    text = np.frombuffer(content, np.uint8)
    words = (text[begin : begin + size] == character).view("<u8")
    which = np.flatnonzero(words != 0)
    places = begin + which * _WORD + (np.bitwise_count(words[which] - 1) >> 3)
    return np.append(places, np.flatnonzero(text[begin + size : end] == character) + begin + size)


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

    `digits` are the characters' distances from `0`, the first one in the lowest byte, and 0 after the last one.
    """
    has_point = digits >> _WORD & 0xFF == ord(".") ^ ord("0")
    whole, digits = digits & 0xFF, digits & ~np.uint64(0xFF00)
    is_digits = (digits | digits + _ONES * np.uint8(0x80 - 10)) & (_ONES << 7) == 0
    is_width = (widths > len("0.")) & has_point | (widths == 1) & ~has_point
    if not (is_digits & is_width).all():
        raise _UnusualError
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
