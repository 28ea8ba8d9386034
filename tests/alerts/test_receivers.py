"""The receivers of alerts, whose URLs are repeated nowhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.alerts.urls import receivers
from pipeline.errors import SettingsError

CANARY = "canary-71f0"


def test_they_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("# of the team\njson://one.example/a,b\n\nmailtos://ann:secret@two.example\n")
    found = receivers({"ALERT_URLS_FILE": f"{tmp_path / 'urls'}"})
    assert found == ["json://one.example/a,b", "mailtos://ann:secret@two.example"]
    assert "secret" not in repr(found)
    assert receivers({"ALERT_URLS": " json://x \n xml://y", "ALERT_URLS_FILE": "/none"}) == ["json://x", "xml://y"]
    assert receivers({"ALERT_URLS": "", "ALERT_URLS_FILE": " "}) == []


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ALERT_URLS": f"json://x {CANARY}"}, "ALERT_URLS: receiver 2 of 2 is no URL"),
        ({"ALERT_URLS_FILE": "/none/urls"}, r"/none/urls \(ALERT_URLS_FILE\) cannot be read"),
        ({"ALERT_URLS_FILE": "/dev/null"}, r"/dev/null \(ALERT_URLS_FILE\) holds no URL"),
    ],
)
def test_what_is_wrong_is_said_without_the_url(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        receivers(environ)
    assert CANARY not in str(caught.value)


def test_without_apprise_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError, match=r"pip install 'marketing-attribution-pipeline\[alerts\]'"):
        receivers({"ALERT_URLS": "json://x"})
    assert receivers({}) == []
