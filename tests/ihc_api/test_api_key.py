"""The key leaves in one header, and shows nowhere else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from api_cases import Api, make_journeys

from pipeline.errors import ApiError, ApiKeyError
from pipeline.ihc_api.key import Secret, api_key, clean_key, require_api_key

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


@pytest.mark.parametrize("around", ["{}", "{}\n", "\r\n{}\r\n", " \t{} ", "\ufeff{}\n"])
def test_blanks_and_line_ends_around_the_key_are_cut(
    start_api: Callable[..., Api], tmp_path: Path, around: str
) -> None:
    given = around.format(KEY)
    (tmp_path / "key").write_text(given, encoding="utf-8", newline="")
    assert api_key({"IHC_API_KEY": given}) == api_key({"IHC_API_KEY_FILE": f" {tmp_path / 'key'}\n"}) == KEY
    api = start_api(key=KEY)
    assert api.attribute(make_journeys([1]), given).rejected == {}


def test_the_variable_comes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("other")
    environ = {"IHC_API_KEY_FILE": str(tmp_path / "key")}
    assert api_key(environ) == "other"
    assert api_key({"IHC_API_KEY": KEY, **environ}) == KEY
    assert api_key({"IHC_API_KEY": " \n", **environ}) == "other"
    assert isinstance(api_key(environ), Secret)


@pytest.mark.parametrize("environ", [{}, {"IHC_API_KEY": ""}, {"IHC_API_KEY": "\n", "IHC_API_KEY_FILE": " "}])
def test_without_a_key_both_variables_are_named(environ: dict[str, str]) -> None:
    assert api_key(environ) is None
    with pytest.raises(ApiKeyError, match="variable IHC_API_KEY, or IHC_API_KEY_FILE to a file"):
        require_api_key(environ)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds no key"),
        (b" \n", "holds no key"),
        (f"{KEY}\n{KEY}".encode(), "a line end, a control character"),
        (f"{KEY}\0".encode(), "a control character"),
        (f"{KEY}\xff".encode("latin-1"), "a letter beyond ASCII"),
    ],
)
def test_a_file_that_holds_no_key_is_named_without_its_content(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ApiKeyError, match=rf"^{path} \(IHC_API_KEY_FILE\) holds ") as caught:
        api_key({"IHC_API_KEY_FILE": str(path)})
    assert problem in str(caught.value)
    assert KEY not in messages(caught.value)


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ApiKeyError, match=rf"{path} \(IHC_API_KEY_FILE\) cannot be read"):
            api_key({"IHC_API_KEY_FILE": str(path)})


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Injected: 1", f"{KEY}ü"])
def test_a_key_that_no_header_can_hold_is_not_sent_nor_shown(api: Api, key: str) -> None:
    with pytest.raises(ApiKeyError, match=r"^IHC_API_KEY holds a line end") as caught:
        api.attribute(make_journeys([1]), Secret(key))
    assert KEY not in messages(caught.value)
    with pytest.raises(ApiKeyError):
        clean_key(key)
    assert api.sandbox.seen.count == 0


def test_a_reason_for_a_rejection_that_repeats_the_key_is_passed_on_without_it(start_api: Callable[..., Api]) -> None:
    api = start_api(key="failed on demand")  # as the sandbox says of a journey
    api.suffer(conversions={"c00001": "206"})
    result = api.attribute(make_journeys([1] * 3), Secret("failed on demand"))
    assert result.rejected == {"c00001": "conversion_id: c00001 error: ***"}
