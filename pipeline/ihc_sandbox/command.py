"""The console command `ihc-sandbox`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence

import msgspec

from pipeline.ihc_sandbox.faults import Faults
from pipeline.ihc_sandbox.server import serve
from pipeline.ihc_sandbox.service import Limits, Sandbox

KEY_VARIABLE = "SANDBOX_API_KEY"


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; print one line with the URL when ready."""
    options = _parser().parse_args(arguments)
    try:
        faults = msgspec.convert(
            {
                "latency": options.latency,
                "every": dict(options.every),
                "retry_after": options.retry_after,
                "outage_after": options.outage_after,
            },
            Faults,
        )
        limits = Limits(options.max_customer_journeys, options.max_sessions, options.max_megabytes * 2**20)
        sandbox = Sandbox(limits, os.environ.get(KEY_VARIABLE) or None, faults, options.conv_type_id)
        asyncio.run(_serve(sandbox, options.host, options.port))
    except (OSError, msgspec.ValidationError) as error:
        sys.exit(f"ihc-sandbox: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ihc-sandbox",
        description="Serves the wire format of the IHC attribution API with the embedded model. "
        f"With the environment variable {KEY_VARIABLE} set it demands that key. "
        "GET /statistics shows what it saw; POST /faults with JSON such as "
        '{"latency": 0.1, "every": {"500": 7}, "retry_after": 2, "outage_after": 50} changes what goes wrong.',
    )
    parser.add_argument("--port", type=int, default=8080, help="0 picks a free one (default %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="default %(default)s")
    parser.add_argument("--max-customer-journeys", type=int, default=100, metavar="N", help="in one request")
    parser.add_argument("--max-sessions", type=int, default=3000, metavar="N", help="in one request")
    parser.add_argument("--max-megabytes", type=int, default=16, metavar="N", help="of one request's body")
    parser.add_argument(
        "--conv-type-id",
        action="append",
        default=[],
        metavar="TYPE",
        help="a conversion type that it has beside default, with the same parameters; repeatable",
    )
    parser.add_argument("--latency", type=float, default=0, metavar="SECONDS", help="before every answer")
    parser.add_argument(
        "--every",
        type=_fault,
        action="append",
        default=[],
        metavar="FAULT=N",
        help="every Nth request suffers it: an HTTP status, hang, reset, garbage, html, truncated, ...; repeatable",
    )
    parser.add_argument("--retry-after", type=int, metavar="SECONDS", help="announced with 429 and 503")
    parser.add_argument("--outage-after", type=int, metavar="N", help="only 503 after N requests")
    return parser


def _fault(text: str) -> tuple[str, int]:
    kind, separator, period = text.partition("=")
    if not kind or not separator or not period.isdecimal() or int(period) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not FAULT=N, such as 500=7")
    return kind, int(period)


async def _serve(sandbox: Sandbox, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(sandbox, stop, _announce, host, port)


def _announce(url: str) -> None:
    print(f"ihc-sandbox: serving {url}", flush=True)  # noqa: T201 - its one line
