"""A shop of the last days, for the commands that ask which day it is."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import io
import os
import sys
from pathlib import Path
from unittest import mock

from support.databases import conversion, session, write_database
from support.running import DATABASE, Outcome, Started, Workplace

CHANNELS = ("Radio", "SEA", "Direct Traffic")
USERS = ("user-anna", "user-ben", "user-eve")
PYTHON = Path(sys.executable).name


def day_ago(number: int) -> dt.date:
    """The day so many days before today (UTC)."""
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=number)


def write_recent_shop(folder: Path, days: int) -> Workplace:
    """A shop with an order a user on each of the last days, each after a session that cost 1.50."""
    sessions, conversions, costs = [], [], []
    for number in range(1, days + 1):
        for user, channel in zip(USERS, CHANNELS, strict=True):
            row_id = f"{day_ago(number):%m%d}-{user}"
            sessions.append(session(f"session-{row_id}", user, f"{day_ago(number)} 10:00:00", channel))
            costs.append((f"session-{row_id}", 1.5))
            conversions.append(conversion(f"order-{row_id}", user, f"{day_ago(number)} 11:00:00", 20.0))
    place = Workplace(folder)
    write_database(folder / DATABASE, sessions, conversions, costs)
    return place


def start(place: Workplace, command: str, *options: str, **settings: str | None) -> Started:
    """Start one of the operating commands, such as `daily`."""
    return place.start(PYTHON, "-m", f"pipeline.operating.{command}_command", *options, **settings)


def run(place: Workplace, command: str, *options: str, **settings: str) -> Outcome:
    """Run one of the operating commands to its end: in this process, which saves a second, but for `daily`."""
    if command == "daily":
        return start(place, command, *options, **settings).end()
    main = importlib.import_module(f"pipeline.operating.{command}_command").main
    output, log, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(place.folder),
        mock.patch.dict(os.environ, {**place.environment, **settings}, clear=True),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(log),
    ):
        try:
            main(list(options))
        except SystemExit as end:
            code = int(end.code or 0)
    return Outcome(code, output.getvalue(), log.getvalue())
