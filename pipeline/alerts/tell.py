"""Telling of a run that ended. Nothing that a receiver does or does not do changes the run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.alerts.urls import Receiver, receivers, refuse_unknown
from pipeline.alerts.words import Alert, Ended, alerts_of
from pipeline.errors import PipelineError, SettingsError
from pipeline.places import Places
from pipeline.settings import setting_in_force
from targets.errors import TargetError

TOLD = "log/alerts.json"
"""What was told: failures without a success since, and dead feeds. Written only where there are receivers."""

_LONGEST_CHECK = 30.0  # seconds
_SENDER = Path(__file__).with_name("sender.py")


def check_receivers() -> None:
    """Raise `SettingsError` for receivers that no alert could reach: before anything is built."""
    found = receivers(os.environ)
    if found:
        known, is_sure = _sent(found, [], _LONGEST_CHECK)
        if is_sure:
            refuse_unknown(found, [place for place in range(len(found)) if place not in known])


def places_in_force() -> Places | None:
    """Where the settings of environment and luigi.cfg have files; None where they are wrong."""
    with suppress(PipelineError, TargetError, OSError):
        return Places.in_force()
    return None


def longest_telling() -> float:
    """The seconds that telling may take; 0 without receivers."""
    with suppress(SettingsError):
        return float(setting_in_force("alert_seconds")) if receivers(os.environ) else 0.0
    return 0.0


def tell(ended: Ended, places: Places | None) -> Iterator[str]:
    """Send what there is to tell; yields in words which receivers did not take it.

    What nobody took is told again after the next run. A data directory that is not there is not made for it.
    """
    try:
        found, seconds = receivers(os.environ), float(setting_in_force("alert_seconds"))
    except SettingsError:  # the run says so
        return
    if not found:
        return
    has_folder = places is not None and Path(places.data_dir).is_dir()
    told = _told(places) if has_folder else {}
    alerts, then = alerts_of(ended, told, socket.gethostname())
    reached: set[int] = set()
    if alerts:
        reached, _ = _sent(found, alerts, seconds)
        for place, receiver in enumerate(found):
            if place not in reached:
                yield (
                    f"receiver {place + 1} of {len(found)} of ALERT_URLS ({receiver.kind}) did not take the alert "
                    f"within {seconds:g} s (ALERT_SECONDS)"
                )
    if has_folder and places is not None and then != told and (reached or ended.has_failed):
        try:
            places.files().write(TOLD, (json.dumps(then, indent=2) + "\n").encode(), durable=False)
        except (TargetError, PipelineError, OSError) as error:
            yield f"what was told by alerts is not kept: {error}"


def _told(places: Places | None) -> dict[str, Any]:
    with suppress(TargetError, PipelineError, OSError, ValueError, AttributeError):
        told = json.loads(places.files().read(TOLD)) if places else {}
        return {name: [*told[name]] for name in ("failed", "dead_feeds")} if isinstance(told, dict) else {}
    return {}


def _sent(found: Sequence[Receiver], alerts: Sequence[Alert], seconds: float) -> tuple[set[int], bool]:
    """The receivers, counted from 0, that took the alerts within the time, and whether the sender came to its end.

    URLs go through a pipe: `ps` shows none.
    """
    asked = json.dumps({"urls": found, "alerts": [alert._asdict() for alert in alerts]}).encode()
    try:
        child = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-P", str(_SENDER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return set(), False
    with child:
        try:
            output, _ = child.communicate(asked, timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            output, _ = child.communicate()
    return {int(line) for line in output.split() if line.isdigit()}, child.returncode == 0
