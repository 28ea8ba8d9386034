from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from api_cases import Api

from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.pacing import Backoff
from pipeline.ihc_api.settings import ApiSettings
from pipeline.ihc_sandbox.server import running
from pipeline.ihc_sandbox.service import Limits, Sandbox
from targets.files import LocalFiles


@pytest.fixture
def start_api(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Api]:
    """Starts a sandbox of these limits, key and faults; backoff is short so that tests are."""

    def start(limits: Limits | None = None, key: str | None = None) -> Api:
        sandbox = Sandbox(limits, key)
        server = running(sandbox)
        url = server.__enter__()
        request.addfinalizer(partial(server.__exit__, None, None, None))
        defaults = {
            "url": url,
            "conv_type_id": "default",
            "backoff": Backoff(first=0.01, longest=0.1),
            "retry_budget": 10.0,
            "read_timeout": 1.0,
        }
        folder = tmp_path / "answers"
        store = AnswerStore(LocalFiles(folder))
        return Api(sandbox, url, store, folder, lambda **changed: ApiSettings(**defaults | changed))

    return start


@pytest.fixture
def api(start_api: Callable[..., Api]) -> Api:
    return start_api()
