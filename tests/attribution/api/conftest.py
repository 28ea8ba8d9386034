from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from api_cases import Api

from pipeline.attribution.api.answers import AnswerStore
from pipeline.attribution.api.pacing import Backoff
from pipeline.attribution.api.settings import ApiSettings
from pipeline.attribution.sandbox.running import running
from pipeline.attribution.sandbox.service import Limits, Sandbox


@pytest.fixture
def start_api(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Api]:
    """Starts a sandbox of these limits, key and faults; backoff is short so that tests are."""

    def start(limits: Limits | None = None, key: str | None = None) -> Api:
        sandbox = Sandbox(limits, key)
        server = running(sandbox)
        url = server.__enter__()
        request.addfinalizer(partial(server.__exit__, None, None, None))
        defaults = {
            "api_url": url,
            "backoff": Backoff(first=0.01, longest=0.1),
            "retry_budget": 10.0,
            "read_timeout": 1.0,
        }
        return Api(sandbox, url, AnswerStore(tmp_path / "answers"), lambda **changed: ApiSettings(**defaults | changed))

    return start


@pytest.fixture
def api(start_api: Callable[..., Api]) -> Api:
    return start_api()
