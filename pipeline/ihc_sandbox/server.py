"""The sandbox as a server: in the foreground, or in a thread beside a program that rehearses with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from aiohttp import web

from pipeline.ihc_sandbox.service import PATH, Sandbox


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
    """The URL of `sandbox`, which serves in a thread as long as the block runs. Raises `OSError`."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    url: Future[str] = Future()

    def run() -> None:
        try:
            loop.run_until_complete(serve(sandbox, stop, url.set_result, port=port))
        except OSError as error:
            url.set_exception(error)

    thread = threading.Thread(target=run, name="ihc-sandbox")
    thread.start()
    try:
        yield url.result()
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
