"""Answers of the API: their typed form, and the words in the parts without a fixed shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

_DEEPEST = 20  # levels of which the words are read
_LONGEST = 200  # characters of a foreign text in a message


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


class UnreadableAnswerError(Exception):
    """The answer is not JSON, or JSON of another shape; `cause` says in two words which."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


_decoder = msgspec.json.Decoder(Answer)


def decode_answer(content: bytes | bytearray) -> Answer:
    """The typed answer. Raises `UnreadableAnswerError`."""
    try:
        return _decoder.decode(content)
    except msgspec.ValidationError as error:
        raise UnreadableAnswerError("wrong shape", f"an answer of the wrong shape ({one_line(str(error))})") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # the error holds the answer
    except RecursionError:
        raise UnreadableAnswerError("wrong shape", "an answer that is nested too deep") from None
    raise UnreadableAnswerError("not JSON", "an answer that is not JSON")


def failure_texts(failures: Any) -> list[str]:  # noqa: ANN401 - any JSON
    """What `partialFailureErrors` says, a text an entry, whatever its shape: texts, objects, a map, nested."""
    if isinstance(failures, dict):
        return [words({name: entry}) for name, entry in failures.items()]
    return [words(entry) for entry in (failures if isinstance(failures, list) else [failures])]


def failure_reasons(texts: Iterable[str], conv_ids: Iterable[str]) -> dict[str, str]:
    """Which of the texts is about each of `conv_ids`, in one line."""
    texts = [*texts]
    return {conv_id: failure_reason(texts, conv_id) or "the API gave no reason" for conv_id in conv_ids}


def failure_reason(texts: Iterable[str], name: str) -> str | None:
    """The first of the texts that names a conversion or session, in one line; None without."""
    named = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return next((one_line(text) for text in texts if named.search(text)), None)


def words(entry: Any) -> str:  # noqa: ANN401 - any JSON
    """The words and numbers of a JSON value, in order."""
    return " ".join(_words(entry, _DEEPEST))


def _words(entry: Any, levels: int) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if levels == 0:
        yield "..."
    elif isinstance(entry, dict):
        for key, value in entry.items():
            yield from (f"{key}:", *_words(value, levels - 1))
    elif isinstance(entry, list):
        for value in entry:
            yield from _words(value, levels - 1)
    else:
        yield entry if isinstance(entry, str) else json.dumps(entry)


def one_line(text: str) -> str:
    """`text` as it fits into a message."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
