"""What there is to tell of a run that ended, in the light of what was told before."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.console import on_one_line

_NOT_FAILED = (0, 10)  # another one is running, and tells of itself
_SIGNALLED = 128  # somebody ended it
_KEPT = {"failed": 200, "dead_feeds": 2_000}
_INTERVAL = re.compile(r"(\d{4}-\d\d-\d\d)-(\d{4}-\d\d-\d\d)")


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that ended: `reason` is the last line of its log, `reasons` all causes, `end` a time in UTC."""

    task: str
    interval: str | None = None
    model: str | None = None
    exit_code: int
    reason: str
    reasons: Sequence[str] = ()
    end: str = field(default_factory=_now)
    dead_feeds: Sequence[Mapping[str, str]] = ()

    @property
    def named(self) -> str:
        """The command in words."""
        return " ".join(filter(None, (self.task, self.interval, self.model))) or "no task"

    @property
    def has_failed(self) -> bool:
        """Whether it is a failure that somebody has to know of: neither "is running" nor the end by a signal."""
        return self.exit_code not in _NOT_FAILED and self.exit_code < _SIGNALLED


class Alert(NamedTuple):
    """A message; `kind` is apprise's: failure, success, or warning."""

    kind: str
    title: str
    body: str


def alerts_of(ended: Ended, told: Mapping[str, Any], host: str) -> tuple[list[Alert], dict[str, Any]]:
    """The alerts of a command that ended, and what is then told.

    A success recovers from the failures of the same task that it makes up for: of no interval, or of one whose last day
    is among its own. A dead feed is told once.
    """
    failed, feeds = [*told.get("failed", ())], [*told.get("dead_feeds", ())]
    where = f"\n{ended.end}, {host}"
    alerts = []
    if ended.has_failed:
        others = "".join(f"\nalso: {reason}" for reason in ended.reasons if reason != ended.reason)
        title = f"attribution: {ended.named} failed (exit code {ended.exit_code})"
        alerts.append(Alert("failure", title, f"{ended.reason}{others}{where}"))
        before = [of for of in failed if _same(of, ended)]
        since = before[0]["since"] if before else ended.end
        count = sum(of["failures"] for of in before) + 1
        failed = [of for of in failed if not _same(of, ended)]
        failed.append({**_key(ended), "since": since, "failures": count, "reason": ended.reason})
    elif ended.exit_code == 0:
        recovered = [of for of in failed if _makes_up_for(ended, of)]
        failed = [of for of in failed if of not in recovered]
        if recovered:
            count = sum(of["failures"] for of in recovered)
            since = min(of["since"] for of in recovered)
            body = f"succeeded, after {count} failure{'s' * (count != 1)} since {since}; the last: "
            alerts.append(
                Alert("success", f"attribution: {ended.named} recovered", f"{body}{recovered[-1]['reason']}{where}")
            )
        new = [dead for dead in ended.dead_feeds if [dead["date"], dead["feed"]] not in feeds]
        if new:
            body = "\n".join(on_one_line(f"{dead['date']}: {dead['reason']}") for dead in new)
            alerts.append(Alert("warning", f"attribution: {ended.named}: a feed looks dead", f"{body}{where}"))
            feeds += [[dead["date"], dead["feed"]] for dead in new]
    return alerts, {"failed": failed[-_KEPT["failed"] :], "dead_feeds": feeds[-_KEPT["dead_feeds"] :]}


def _key(ended: Ended) -> dict[str, str | None]:
    return {"task": ended.task, "model": ended.model, "interval": ended.interval}


def _same(failure: Mapping[str, Any], ended: Ended) -> bool:
    return all(failure[name] == value for name, value in _key(ended).items())


def _makes_up_for(ended: Ended, failure: Mapping[str, Any]) -> bool:
    if failure["task"] != ended.task or failure["model"] not in {None, ended.model}:
        return False
    of_failure, own = (_INTERVAL.fullmatch(interval or "") for interval in (failure["interval"], ended.interval))
    if of_failure is None or own is None:
        return failure["interval"] in {None, ended.interval}
    return own[1] < of_failure[2] <= own[2]
