"""Alerts of runs: the cause of the log's last line, and no receiver that changes how a run ends."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
from journeys_command import held_up, journeys
from support.databases import SHOP_INTERVAL, change
from support.running import Outcome, Workplace
from support.servers import luigid

CANARY = "canary-90c4"


@contextmanager
def receiver(got: list[dict[str, Any]]) -> Iterator[str]:
    """The URL of a service that takes alerts as JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://ann:{CANARY}@127.0.0.1:{server.server_port}/{CANARY}"
        server.shutdown()


def last_message(outcome: Outcome) -> str:
    return outcome.log.splitlines()[-1].split(" ", 2)[2]


def test_failure_and_recovery_say_what_log_and_record_say(shop: Workplace) -> None:
    change(shop.database, "UPDATE session_sources SET event_time = '25:61' WHERE session_id = 'gap-1'")
    shop.files.mkdir()
    got: list[dict[str, Any]] = []
    with receiver(got) as url, socket.create_server(("127.0.0.1", 0)) as dead:
        hangs = f"json://127.0.0.1:{dead.getsockname()[1]}/{CANARY}"  # takes the connection, and never answers
        begun = time.monotonic()
        failed = journeys(shop, "--log-level", "DEBUG", ALERT_URLS=f"{url} {hangs}", ALERT_SECONDS="3")
        assert time.monotonic() - begun < 15
        assert failed.code == 30
        (alert,) = got
        reason = json.loads((shop.files / "log" / "run.json").read_bytes())["reason"]
        assert alert["message"].splitlines()[0] == reason == last_message(failed)
        assert alert["type"] == "failure"
        assert "receiver 2 of 2 of ALERT_URLS (json) did not take the alert within 3 s" in failed.log
        change(shop.database, "UPDATE session_sources SET event_time = '10:00:00' WHERE session_id = 'gap-1'")
        succeeded = journeys(shop, ALERT_URLS=url).succeeded()
    assert [alert["type"] for alert in got] == ["failure", "success"]
    assert reason in got[1]["message"]
    written = b"".join(path.read_bytes() for path in shop.files.rglob("*") if path.is_file())
    assert CANARY.encode() not in written
    assert CANARY not in failed.text + succeeded.text


def test_last_line_alert_and_dashboard_say_the_same_cause(shop: Workplace, tmp_path: Path) -> None:
    change(shop.database, "UPDATE session_sources SET event_time = '25:61' WHERE session_id = 'gap-1'")
    got: list[dict[str, Any]] = []
    with receiver(got) as url, luigid(tmp_path / "luigid") as server:
        shop.scheduler = server.options
        failed = shop.report(SHOP_INTERVAL, ALERT_URLS=url)
        named = {task["name"]: name for name, task in server.tasks().items() if task["status"] == "DISABLED"}
        shown = {name: json.loads(server.call("fetch_error", task_id=of)["error"]) for name, of in named.items()}
    assert failed.code == 30
    assert [*shown] == ["Sessions"]
    assert last_message(failed).endswith(f": {shown['Sessions']}")
    assert [alert["message"].splitlines()[0] for alert in got] == [last_message(failed)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ALERT_URLS": f"nosuch://{CANARY}"}, "receiver 1 of 1 (nosuch://...) is no URL that apprise knows"),
        ({"ALERT_URLS": CANARY}, "receiver 1 of 1 is no URL"),
        ({"ALERT_SECONDS": "0"}, "ALERT_SECONDS must be a number of at least 1"),
    ],
)
def test_receivers_that_cannot_be_are_refused_before_anything_is_built(
    shop: Workplace, settings: dict[str, str], said: str
) -> None:
    outcome = journeys(shop, **settings)
    assert outcome.code == 40
    assert said in last_message(outcome)
    assert CANARY not in outcome.text
    assert not shop.files.exists()


def test_a_wrong_option_is_told_too(shop: Workplace) -> None:
    got: list[dict[str, Any]] = []
    with receiver(got) as url:
        outcome = journeys(shop, "--no-such-option", ALERT_URLS=url)
    assert outcome.code == 40
    assert [alert["message"].splitlines()[0] for alert in got] == [last_message(outcome)]


def test_the_end_by_time_is_told(shop: Workplace) -> None:
    got: list[dict[str, Any]] = []
    with receiver(got) as url, held_up(shop):
        outcome = journeys(shop, MAX_RUN_SECONDS="2", ALERT_URLS=url)
    assert outcome.code == 30
    assert [alert["message"].splitlines()[0] for alert in got] == [last_message(outcome)]


def test_luigis_own_mail_holds_the_cause_without_a_traceback(shop: Workplace) -> None:
    change(shop.database, "UPDATE session_sources SET event_time = '25:61' WHERE session_id = 'gap-1'")
    mails: list[str] = []
    with mail_server(mails) as port:
        (shop.folder / "luigi.cfg").write_text(
            f"[email]\nreceiver = ops@shop.example\nforce_send = true\n[smtp]\nhost = 127.0.0.1\nport = {port}\n"
        )
        outcome = journeys(shop, LUIGI_CONFIG_PATH=str(shop.folder / "luigi.cfg"))
    assert outcome.code == 30
    (mail,) = [text for text in mails if " FAILED. " in text]
    assert "event_time is not HH:MM:SS" in mail
    assert "Traceback" not in "".join(mails)
    dead = journeys(shop, LUIGI_CONFIG_PATH=str(shop.folder / "luigi.cfg"))  # nobody listens there any more
    assert (dead.code, last_message(dead)) == (30, last_message(outcome))


@contextmanager
def mail_server(mails: list[str]) -> Iterator[int]:
    """The port of a server that takes mails, as much of SMTP as it needs; each as its headers and decoded texts."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                self.wfile.write({b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n"))
                if verb == b"DATA":
                    content = b"".join(iter(self.rfile.readline, b".\r\n"))
                    found = message_from_bytes(content)
                    texts = [part.get_payload(decode=True) for part in found.walk() if not part.is_multipart()]
                    mails.append("\n".join([str(found["Subject"]), *(str(text) for text in texts)]))
                    self.wfile.write(b"250 taken\r\n")
                if verb == b"QUIT":
                    return

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
