"""What a line of the log looks like, ours and Luigi's: text for a person, or JSON for a program (LOG_FORMAT)."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, NoReturn

import luigi
from luigi.setup_logging import InterfaceLogging

from pipeline.console import on_one_line
from pipeline.errors import SettingsError
from pipeline.settings import setting_in_force
from pipeline.stage import stage_at_work

LOGGER = "luigi-interface.pipeline"

_LUIGIS = "luigi-interface"
_LUIGIS_FORMAT = "%(levelname)s: %(message)s"
_OPTION = "--log-format"
# all that moves a cursor or turns the direction of text; tabs and line ends are seen to below
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class TextLines(logging.Formatter):
    r"""`LEVEL: time stage: message`; further lines, such as a traceback's, are indented.

    >>> record = logging.LogRecord(LOGGER, logging.INFO, "", 0, "Radio\x1b[31m\nplays", (), None)
    >>> record.created = 1693267200.0
    >>> TextLines().format(record)
    'INFO: 2023-08-29T00:00:00Z Radio [31m plays'
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines, of a record."""
        stage, message = stage_of(record), message_of(record)
        if stage and not message.startswith(stage):
            message = f"{stage}: {message}"
        traceback = _traceback(self, record)
        lines = f"{message}\n{traceback}" if traceback else message
        return f"{record.levelname}: {_time(record, 'seconds')} {lines.replace(chr(10), chr(10) + '  ')}"


class JsonLines(logging.Formatter):
    r"""An object with time, level, stage (null where none is at work), message, and the traceback if there is one.

    >>> record = logging.LogRecord(LOGGER, logging.INFO, "", 0, "Journeys: made", (), None)
    >>> record.created, record.stage = 1693267200.0, "Journeys"
    >>> JsonLines().format(record)
    '{"time": "2023-08-29T00:00:00.000Z", "level": "INFO", "stage": "Journeys", "message": "made"}'
    """

    def format(self, record: logging.LogRecord) -> str:
        """The object of a record, in ASCII on one line."""
        stage = stage_of(record)
        content = {
            "time": _time(record, "milliseconds"),
            "level": record.levelname,
            "stage": stage or None,
            "message": message_of(record).removeprefix(f"{stage}: ") if stage else message_of(record),
        }
        traceback = _traceback(self, record)
        return json.dumps({**content, "traceback": traceback} if traceback else content)


def message_of(record: logging.LogRecord) -> str:
    """The message without control characters; ours are of one line."""
    message = record.getMessage()
    return on_one_line(message) if record.name == LOGGER else _CONTROLS.sub(" ", message).strip("\n")


def stage_of(record: logging.LogRecord) -> str:
    """The stage that a record is of: the one that it names, a task that it tells of, or the one at work."""
    if stage := str(getattr(record, "stage", "")):
        return on_one_line(stage)
    arguments = record.args if isinstance(record.args, tuple) else ()
    told_of = next((argument for argument in arguments if isinstance(argument, luigi.Task)), None)
    return on_one_line(str(getattr(told_of, "label", "")) or stage_at_work())


def format_asked_for(arguments: Sequence[str]) -> str:
    """The format by option, environment, luigi.cfg or default; `text` where that is wrong, which is said elsewhere."""
    asked = [value for option, value in pairwise(arguments) if option == _OPTION]
    asked += [word.removeprefix(f"{_OPTION}=") for word in arguments if word.startswith(f"{_OPTION}=")]
    with suppress(SettingsError):
        return asked[-1].strip() if asked else str(setting_in_force("log_format"))
    return "text"


def use_format(name: str) -> None:
    """Have all lines of the process be of this format, but for handlers of a logging file of the user's."""
    formatter = _formatter(name)
    for handler in (*logging.getLogger(_LUIGIS).handlers, logging.lastResort):
        if handler is not None and _is_to_be_replaced(handler.formatter):
            handler.setFormatter(formatter)
    logging.captureWarnings(name == "json")


def set_up(options: Any, name: str) -> None:  # noqa: ANN401 - Luigi's
    """Set up Luigi's logging, by its own options, with lines of this format."""
    InterfaceLogging.setup(options)
    use_format(name)


def line(name: str, level: int, message: str, stage: str = "") -> str:
    """A line of this format, where no logger is at hand."""
    record = logging.LogRecord(LOGGER, level, "", 0, message, (), None)
    record.stage = stage
    return _formatter(name).format(record) + "\n"


def refuse(message: str, code: int) -> NoReturn:
    """Say what is wrong with a command before its logging is set up, and end the process with the code."""
    sys.stderr.write(line(format_asked_for(sys.argv[1:]), logging.ERROR, message))
    sys.exit(code)


def _formatter(name: str) -> logging.Formatter:
    return JsonLines() if name == "json" else TextLines()


def _is_to_be_replaced(formatter: logging.Formatter | None) -> bool:
    is_luigis = getattr(formatter, "_fmt", None) == _LUIGIS_FORMAT
    return formatter is None or is_luigis or isinstance(formatter, TextLines | JsonLines)


def _time(record: logging.LogRecord, precision: str) -> str:
    time = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return time.isoformat(timespec=precision).replace("+00:00", "Z")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    found = formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else record.exc_text
    return _CONTROLS.sub(" ", found or "")
