"""The sandbox as a server: in the foreground, or in a thread beside a program that rehearses with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from pipeline.attribution.sandbox.service import PATH, Sandbox


async def serve(
    sandbox: Sandbox, stop: asyncio.Event, ready: Callable[[str], None], host: str = "127.0.0.1", port: int = 0
) -> None:
    """Serve until `stop` is set; port 0 picks a free one. Calls `ready` with the URL. Raises `OSError`."""
    runner = web.AppRunner(sandbox.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        name, bound = runner.addresses[0][:2]
        ready(f"http://[{name}]:{bound}{PATH}" if ":" in name else f"http://{name}:{bound}{PATH}")
        await stop.wait()
    finally:
        await runner.cleanup()


@contextmanager
def running(sandbox: Sandbox, port: int = 0) -> Iterator[str]:
    """The URL of `sandbox`, which serves in a thread as long as the block runs."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    started = threading.Event()
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        started.set()

    def run() -> None:
        try:
            loop.run_until_complete(serve(sandbox, stop, ready, port=port))
        finally:
            started.set()
            loop.close()

    thread = threading.Thread(target=run, name="ihc-sandbox")
    thread.start()
    started.wait()
    try:
        if not urls:
            raise OSError(f"the sandbox cannot listen on port {port}")
        yield urls[0]
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
