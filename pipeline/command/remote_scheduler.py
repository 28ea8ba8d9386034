"""The scheduler that a command reaches over the network, or does not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlparse

from luigi.rpc import RemoteScheduler, RPCError

from pipeline.command.luigi_defaults import exit_code

_SECONDS_BETWEEN_FIRST_TRIES = 1  # a luigid that does not answer at the start within seconds will not answer
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class UnreachableSchedulerError(SystemExit):
    """luigid does not answer: the command ends with the code for `not_run`, wherever it asked."""

    def __init__(self, url: str) -> None:
        super().__init__(exit_code("not_run"))
        self._url = url

    def __str__(self) -> str:
        return (
            f"the scheduler at {self._url} does not answer; start it (make luigid), or leave it out with "
            "--local-scheduler; what was built stays"
        )


class CommandScheduler(RemoteScheduler):
    """Raises `UnreachableSchedulerError` where luigid does not answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._patience = int(vars(self)["_rpc_retry_wait"])  # for one that has answered, and is perhaps being restarted
        self._rpc_retry_wait: int = min(self._patience, _SECONDS_BETWEEN_FIRST_TRIES)
        self._rpc_log_retries = False  # ten tracebacks say less than one line

    def _fetch(self, url_suffix: str, body: dict[str, Any]) -> str:
        self._fetcher.check_pid()  # a fork opens a session of its own
        if urlparse(self._url).hostname in _LOOPBACK:
            self._fetcher.session.trust_env = False  # no proxy knows this machine's loopback
        try:
            answer = str(super()._fetch(url_suffix, body))
        except RPCError:
            raise UnreachableSchedulerError(self._url) from None
        self._rpc_retry_wait = self._patience
        return answer
