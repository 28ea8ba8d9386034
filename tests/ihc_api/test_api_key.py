"""The key leaves in one header, and shows nowhere else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

import pytest
from api_cases import Api, make_journeys

from pipeline.ihc_api.key import Secret
from pipeline.errors import ApiError

KEY = "canary-71b04e"


def messages(error: BaseException) -> str:
    """Everything that could be shown of an error: the chain, reprs, and the locals of our own frames."""
    shown = []
    link: BaseException | None = error
    while link is not None:
        shown.append(repr(link))
        stack = traceback.TracebackException.from_exception(link, capture_locals=True).stack
        shown += [f"{frame.name} {frame.locals}" for frame in stack if "/pipeline/" in frame.filename]
        link = link.__cause__ or link.__context__
    return "\n".join(shown)


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"every": {"500": 3, "reset": 7, "html": 5, "206": 4}},
        {"every": {"403": 2}},
        {"every": {"404": 2}},
        {"every": {"302": 2}},
        {"every": {"400": 1}},
        {"every": {"429": 1}, "retry_after": 3600},
        {"every": {"reset-in-body": 1}},
        {"every": {"hang": 1}},
    ],
)
def test_the_key_shows_in_no_log_message_error_or_file(
    start_api: Callable[..., Api], faults: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api = start_api(key=KEY)
    api.suffer(**faults)
    shown = ""
    try:
        api.attribute(make_journeys([1] * 40), Secret(KEY), max_customer_journeys=4, retry_budget=0.2, read_timeout=0.1)
    except ApiError as error:
        shown = messages(error)
        assert "ask" in shown  # the frames are there
    assert api.sandbox.seen.count > 0
    assert KEY not in shown
    assert KEY not in caplog.text
    for path in api.folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_a_secret_is_a_text_that_does_not_show_itself() -> None:
    secret = Secret(KEY)
    assert secret == KEY
    assert KEY not in repr({"key": [secret]})
