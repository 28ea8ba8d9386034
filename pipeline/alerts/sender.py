"""Sends alerts by apprise: a program of its own, with nothing of the pipeline's in it.

Standard input is `{"urls": [...], "alerts": [{"title", "body", "kind"}, ...]}`. It prints the number of each receiver,
counted from 0, that took all of them, when it has; without alerts, of each that apprise knows.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from typing import Any

import apprise


def main() -> None:
    """Send to all receivers side by side."""
    logging.disable()  # apprise writes URLs
    asked: dict[str, Any] = json.load(sys.stdin)
    receivers = [apprise.Apprise.instantiate(url, suppress_exceptions=True) for url in asked["urls"]]
    threads = [
        threading.Thread(target=_send, args=(place, receiver, asked["alerts"]))
        for place, receiver in enumerate(receivers)
        if isinstance(receiver, apprise.NotifyBase)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send(place: int, receiver: apprise.NotifyBase, alerts: list[dict[str, str]]) -> None:
    if all(
        receiver.notify(body=alert["body"], title=alert["title"], notify_type=_kind(alert["kind"]), body_format="text")
        for alert in alerts
    ):
        os.write(1, f"{place}\n".encode())


def _kind(name: str) -> Any:  # noqa: ANN401 - a text in old versions of apprise, an enumeration in new ones
    return getattr(apprise.NotifyType, name.upper())


if __name__ == "__main__":
    main()
