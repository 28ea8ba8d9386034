"""The console command `attribution-daily`: the report of the last days, once or every day at a time."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from luigi.date_interval import Custom

from pipeline.alerts.tell import check_receivers
from pipeline.errors import PipelineError, SettingsError
from pipeline.operating.child import Signals, StoppedError, heeded_signals
from pipeline.operating.daily_log import DailyLog
from pipeline.operating.intervals import days_stored, owe, owed, to_make, window
from pipeline.operating.schedule import every_day, time_of_day
from pipeline.places import Places
from pipeline.settings import declared_settings, parse_setting, setting_in_force
from pipeline.zones import today
from targets.errors import TargetError

REPORT_DAYS = "REPORT_DAYS"
REPORT_AT = "REPORT_AT"
SCHEDULER_HOST = "SCHEDULER_HOST"

_DEFAULT_DAYS = "30"
_DEFAULT_AT = "03:30"
_MOST_DAYS = 3_660
_ALREADY_RUNNING = 10
_FAILED = 30
_WRONG = 40
_AS_SHELLS = 128

_DESCRIPTION = """\
Makes the report of the last finished days, and of every conversion day that was missed since the last stored one. Each
interval is one `luigi --module pipeline Report` command, a child of this process, which gets all further options
(such as --local-scheduler, --scheduler-host luigid, --model linear, --workers 2).

Once, for cron and systemd timers:    attribution-daily --once --local-scheduler
Every day, as a container's process:  attribution-daily --at 03:30 --scheduler-host luigid

It never overlaps itself, and ends with the exit codes of `luigi --module pipeline`: 0, or 10 (already running), 25
(no scheduler), 30 (failed), 40 (wrong option or setting). TERM and INT end it and its child at once.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.exit(DailyLog(sys.argv[1:]).failed(f"{message}; `attribution-daily --help` lists the options", _WRONG))


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the report once, or every day; ends with the exit code."""
    parser = _parser()
    options, passed_on = parser.parse_known_args(arguments)
    log = DailyLog(passed_on)
    try:
        at, days = _times(options), _days(options)
        _refuse(passed_on)
        zone, places = _zone(passed_on), Places.in_force()
        check_receivers()
    except (PipelineError, TargetError) as error:
        sys.exit(log.failed(str(error), _WRONG))

    def make() -> int:
        return _run_once(log, signals, places, window(today(zone), days), passed_on)

    with heeded_signals() as signals:
        try:
            if at is not None:
                every_day(make, signals.wait, _now, at, zone, log.say)
            code = make()
        except StoppedError as stopped:
            code = _AS_SHELLS + int(stopped.args[0])
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="attribution-daily",
        description=_DESCRIPTION,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--days", metavar="N", help=f"finished days of the report [{REPORT_DAYS}, else 30]")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--once", action="store_true", help=f"make it once and end, whatever {REPORT_AT} says")
    when.add_argument(
        "--at", metavar="HH:MM", help=f"make it now, stay, and make it every day at that time [{REPORT_AT}, else once]"
    )
    when.add_argument("--every-day", action="store_true", help=f"the same at {REPORT_AT}, else at {_DEFAULT_AT}")
    return parser


def _times(options: argparse.Namespace) -> dt.time | None:
    """The time of day at which to run again, in REPORT_TIMEZONE; None to run once."""
    written = os.environ.get(REPORT_AT, "").strip()
    if options.at is not None:
        return time_of_day(options.at, "--at")
    if written and not options.once:
        return time_of_day(written, REPORT_AT)
    return time_of_day(_DEFAULT_AT, REPORT_AT) if options.every_day else None


def _days(options: argparse.Namespace) -> int:
    origin, written = ("--days", options.days) if options.days is not None else (REPORT_DAYS, "")
    written = (written or os.environ.get(REPORT_DAYS, "").strip() or _DEFAULT_DAYS) if origin != "--days" else written
    if not (written.isascii() and written.isdigit() and 1 <= int(written) <= _MOST_DAYS):
        raise SettingsError(f"{origin} must be a whole number from 1 to {_MOST_DAYS}, not {written!r}")
    return int(written)


def _zone(passed_on: Sequence[str]) -> str:
    """Whose days they are, as the report will have it."""
    if (written := _passed(passed_on, "--report-timezone")) is not None:
        return str(parse_setting(declared_settings()["report_timezone"], written, "--report-timezone"))
    return str(setting_in_force("report_timezone"))


def _refuse(passed_on: Sequence[str]) -> None:
    """Raise `SettingsError` for what cannot be passed on."""
    if passed_on and not passed_on[0].startswith("--"):
        raise SettingsError(f"attribution-daily takes options alone, not {passed_on[0]!r}")
    if _passed(passed_on, "--date-interval") is not None:
        raise SettingsError(
            "attribution-daily chooses the date interval; for another one: luigi --module pipeline Report"
        )


def _passed(passed_on: Sequence[str], option: str) -> str | None:
    """The value of an option for the report, the last one; None without."""
    value = None
    for place, word in enumerate(passed_on):
        if word == option:
            value = passed_on[place + 1] if place + 1 < len(passed_on) else ""
        elif word.startswith(f"{option}="):
            value = word.partition("=")[2]
    return value


def _run_once(log: DailyLog, signals: Signals, places: Places, newest: Custom, passed_on: Sequence[str]) -> int:
    """Make the report, alone among all daily runs of the data directory; the exit code."""
    files = places.files()
    try:
        with files.lock("daily.lock", f"attribution-daily, process {os.getpid()}") as holder:
            if holder is not None:
                return log.failed(f"the daily run is going on ({holder}); wait for its end", _ALREADY_RUNNING)
            is_trial = (_passed(passed_on, "--store") or str(setting_in_force("store"))).lower() in {"false", "no", "0"}
            # a trial fills no tables, so nothing of them is missed
            before = [] if is_trial else to_make(owed(files), days_stored(places), newest)
            code = _make_all(log, signals, places, before, newest, passed_on)
    except (PipelineError, TargetError) as error:
        return log.failed(str(error), _FAILED)
    if code == 0:
        log.succeeded()
    return code


def _make_all(
    log: DailyLog,
    signals: Signals,
    places: Places,
    before: Sequence[Custom],
    newest: Custom,
    passed_on: Sequence[str],
) -> int:
    """Make the intervals in order; the worst exit code. A failure of a stage does not keep back later intervals."""
    files, left, codes = places.files(), [*before], [0]
    if left:
        log.say(f"missed, and made first: {', '.join(map(str, left))}")
        owe(files, left)
    for interval in (*before, newest):
        log.say(f"the report of {interval}")
        code = signals.run([*_REPORT, str(interval), *_options(passed_on)])
        if code < 0:
            code = log.failed(
                f"the report of {interval} was killed by signal {-code}; perhaps memory was short: lower "
                "MEMORY_LIMIT, and run again",
                _FAILED,
            )
        codes.append(code)
        if code == 0 and interval in left:
            left.remove(interval)
            owe(files, left)
        if code not in {0, _FAILED}:  # the next one would end with the same
            break
    else:
        if not left:
            owe(files, [])
    return max(codes)


_REPORT = (sys.executable, "-m", "luigi", "--module", "pipeline", "Report", "--date-interval")


def _options(passed_on: Sequence[str]) -> list[str]:
    """The options of the report, with the scheduler of the environment where they name none."""
    host = os.environ.get(SCHEDULER_HOST, "").strip()
    named = {word.partition("=")[0] for word in passed_on}
    if host and not named & {"--local-scheduler", "--scheduler-host", "--scheduler-url"}:
        return [*passed_on, "--scheduler-host", host]
    return [*passed_on]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


if __name__ == "__main__":
    main()
