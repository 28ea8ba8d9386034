"""A real browser that is told what to do through its debugging port; it needs no driver and no package."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run")


class Browser:
    """A tab of a headless Chromium."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self._number = 0

    async def __aenter__(self) -> Self:
        assert CHROMIUM is not None
        profile = self.folder / "profile"
        self._process = subprocess.Popen(  # noqa: ASYNC220 - it takes milliseconds
            [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port_file = profile / "DevToolsActivePort"
        async with asyncio.timeout(60):
            while not port_file.exists() or "\n" not in port_file.read_text():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)
        port = port_file.read_text().splitlines()[0]
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{port}/json") as answer:
            tab = next(of for of in await answer.json() if of["type"] == "page")
        self._socket = await self._session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.tell(f"{domain}.enable")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()
        await self._session.close()
        self._process.terminate()
        self._process.wait(30)

    async def tell(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and give its result; keep the events that come before it."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = json.loads((await self._socket.receive(60)).data)
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    async def open(self, page: Path) -> None:
        """Open a file, and wait until it is read."""
        await self.tell("Page.navigate", url=page.as_uri())
        async with asyncio.timeout(30):
            while await self.run("document.readyState") != "complete":  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.05)

    async def run(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """The value of an expression on the page."""
        result = await self.tell("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")
