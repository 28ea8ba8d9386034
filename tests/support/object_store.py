"""A real server of buckets in a process of its own, and a proxy that delays its answers."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.session import Session

_STARTS_WITHIN = 30  # seconds
BUCKET = "shop-files"


@dataclass(frozen=True)
class Store:
    """A server with one bucket."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What makes a command use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "reader",
            "AWS_SECRET_ACCESS_KEY": "s3cr3t",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self) -> Any:  # noqa: ANN401 - the library makes its classes as it runs
        """A client of its own, for the tests."""
        return Session().create_client(
            "s3",
            region_name="eu-central-1",
            endpoint_url=self.url,
            aws_access_key_id="reader",
            aws_secret_access_key="s3cr3t",
        )

    def objects(self, prefix: str) -> dict[str, bytes]:
        """All objects below a prefix."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return {
            key.removeprefix(f"{prefix}/"): client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys
        }


def result_files(store: Store, data_dir: str) -> dict[str, bytes]:
    """Every result file of a data directory in the bucket by its name, as `contents` has them of a folder."""
    objects = store.objects(data_dir.removeprefix(f"s3://{BUCKET}/"))
    paths = ((PurePosixPath(name), content) for name, content in objects.items())
    return {
        str(path): content
        for path, content in paths
        if path.name not in {"source.json", "run.json", ".stamps"}
        and path.parts[0] != "locks"
        and path.parts[:2] != ("log", "runs")
    }


@contextmanager
def object_store() -> Iterator[Store]:
    """Start a server with an empty bucket."""
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        port: int = reserved.getsockname()[1]
    program = str(Path(sys.executable).with_name("moto_server"))
    process = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        store = Store(f"http://127.0.0.1:{port}")
        for _ in range(_STARTS_WITHIN * 10):
            assert process.poll() is None, "moto_server ended"
            with suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{store.url}/moto-api/", timeout=5).close()
                break
            time.sleep(0.1)
        store.client().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield store
    finally:
        process.kill()
        process.wait()


@contextmanager
def delayed(store: Store, seconds: float) -> Iterator[Store]:
    """The same server, which takes so long for each answer."""
    there = int(store.url.rpartition(":")[2])
    loop = asyncio.new_event_loop()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while content := await reader.read(1 << 20):
                writer.write(content)
                await writer.drain()
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)  # the server takes one request a connection
        back, on = await asyncio.open_connection("127.0.0.1", there)
        await asyncio.gather(copy(reader, on), copy(back, writer))

    server = loop.run_until_complete(asyncio.start_server(pass_on, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield Store(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
