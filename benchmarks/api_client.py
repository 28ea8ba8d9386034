"""How fast the API client is, and how much memory it takes, on a real server on loopback.

Speed: full requests, at the latencies and numbers in flight of `CASES`, answered by a server that replays answers which
it built beforehand, so that it is not what is measured. Memory: the journeys of months, asked of the sandbox.
Ends with 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.ask import ask, credit_of
from pipeline.ihc_api.settings import ApiSettings
from pipeline.journeys.schema import JOURNEYS
from targets.files import LocalFiles

CASES = ((1.0, 16, 0.95), (0.1, 32, 0.35))
"""Seconds of latency, requests in flight, the promised share of the rate that these allow."""

MOST_MEGABYTES = 700
JOURNEYS_A_REQUEST, SESSIONS_A_JOURNEY = 100, 30
SESSIONS_A_REQUEST = JOURNEYS_A_REQUEST * SESSIONS_A_JOURNEY
# as in the reference data set: 58 % of journeys have one session, the longest has 37
LENGTHS, SHARES = (1, 2, 3, 4, 5, 6, 8, 12, 37), (0.58, 0.2, 0.11, 0.04, 0.03, 0.02, 0.01, 0.007, 0.003)
_ASK = """
import sys, pipeline
sys.path.insert(0, sys.argv[1])
from api_client import ask_and_print_peak
ask_and_print_peak(*sys.argv[2:])
"""
CHANNELS = ("Direct", "Email_Newsletter", "FB & IG Ads", "Google Ads", "Affiliate & Partnerships")


def ids(kind: str, count: int) -> pa.StringArray:
    """`count` ids of 64 hexadecimal characters, the number at their end."""
    text = "".join(f"{ord(kind):02x}{'0' * 50}{number:012x}" for number in range(count)).encode()
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(np.arange(0, len(text) + 1, 64, dtype=np.int32)), pa.py_buffer(text)
    )


def journeys(lengths: NDArray[np.int64]) -> pa.Table:
    """Journeys of so many sessions each."""
    random = np.random.default_rng(1)
    sessions = int(lengths.sum())
    journey = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(sessions) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = 1_693_000_000 + journey + position * 7200
    flags = [pa.array(random.integers(0, 2, sessions).astype(np.int8)) for _ in range(3)]
    channel = pa.array(CHANNELS).take(pa.array(random.integers(0, len(CHANNELS), sessions)))
    return pa.table(
        [
            ids("c", len(lengths)).take(pa.array(journey)),
            pa.array(at + 60),
            pa.array(np.full(sessions, 50.0)),
            pa.array(position.astype(np.int32)),
            ids("s", sessions),
            pa.array(at),
            channel,
            *flags,
            pa.array(np.zeros(sessions, dtype=np.int32)),
        ],
        schema=JOURNEYS,
    )


class Replay(asyncio.BufferedProtocol):
    """One connection: reads a request, and after the latency sends the answer that belongs to its first journey."""

    answers: list[bytes]
    arrivals: list[float]
    latency: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = bytearray(2**18)
        self.head = b""
        self.missing = 0

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the protocol's signature
        """Where the next bytes go: bodies are counted, not kept, so always to the same place."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count the body's bytes; keep only its beginning."""
        if self.missing:
            self.missing -= nbytes
        else:
            self.head += self.buffer[:nbytes]
            header, separator, body = self.head.partition(b"\r\n\r\n")
            if header.startswith(b"GET"):
                self._reply(json.dumps(self.arrivals).encode())
                return
            marker = body.find(b'"session_id"')
            if not separator or marker < 0:
                return
            self.arrivals.append(time.monotonic())
            first = int(body[: marker - 2].rpartition(b'"')[2], 16) % 16**12
            self.answer = self.answers[first // JOURNEYS_A_REQUEST]
            length = next(line for line in header.lower().split(b"\r\n") if line.startswith(b"content-length"))
            self.missing = int(length.split(b":")[1]) - len(body)
        if not self.missing:
            asyncio.get_running_loop().call_later(self.latency, self._reply, self.answer)

    def _reply(self, body: bytes) -> None:
        self.head = b""
        header = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.transport.writelines([header % len(body), body])


async def serve(requests: int, latency: float) -> None:
    """Answer `requests` full requests after `latency` seconds, again and again."""
    conv_ids = ids("c", requests * JOURNEYS_A_REQUEST).to_pylist()
    session_ids = ids("s", requests * SESSIONS_A_REQUEST).to_pylist()
    uneven = np.random.default_rng(2).dirichlet(np.ones(SESSIONS_A_JOURNEY)).round(4).tolist()
    uneven[-1] = round(1 - sum(uneven[:-1]), 4)
    values = [
        {
            "conversion_id": conv_ids[number // SESSIONS_A_JOURNEY],
            "session_id": session_id,
            "initializer": uneven[number % SESSIONS_A_JOURNEY],
            "holder": uneven[number % SESSIONS_A_JOURNEY],
            "closer": uneven[number % SESSIONS_A_JOURNEY],
            "ihc": uneven[number % SESSIONS_A_JOURNEY],
        }
        for number, session_id in enumerate(session_ids)
    ]
    Replay.arrivals = []
    Replay.latency = latency
    Replay.answers = [
        msgspec.json.encode(
            {"statusCode": 200, "value": values[first : first + SESSIONS_A_REQUEST], "partialFailureErrors": []}
        )
        for first in range(0, len(values), SESSIONS_A_REQUEST)
    ]
    del values, conv_ids, session_ids
    server = await asyncio.get_running_loop().create_server(Replay, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def throughput(requests: int, repeats: int, latency: float, in_flight: int) -> float:
    """The share of the request rate that latency and concurrency allow, with full requests: the median of some runs."""
    table = journeys(np.full(requests * JOURNEYS_A_REQUEST, SESSIONS_A_JOURNEY))
    command = [sys.executable, __file__, "--serve", str(requests), "--latency", str(latency)]
    print(f"{requests} requests of {SESSIONS_A_REQUEST} sessions, {in_flight} in flight, {latency * 1000:.0f} ms:")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            ratios = [measure_ratio(table, port, requests, latency, in_flight) for _ in range(repeats)]
        finally:
            server.terminate()
    print(f"  ratio: median {np.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    return float(np.median(ratios))


def measure_ratio(table: pa.Table, port: str, requests: int, latency: float, in_flight: int) -> float:
    """One run of `throughput`, with an empty store of answers."""
    settings = ApiSettings(url=f"http://127.0.0.1:{port}/", conv_type_id="default", concurrency=in_flight)
    with tempfile.TemporaryDirectory() as kept:
        cpu = time.process_time()
        started = time.monotonic()
        result = ask([lambda: table], settings, "key", AnswerStore(LocalFiles(Path(kept))))
        wall = time.monotonic() - started
        cpu = time.process_time() - cpu
    arrivals = read_arrivals(port)[-requests:]
    assert result.statistics.requests == requests, result.statistics
    asking = max(arrivals) + latency - min(arrivals)
    floor = -(-requests // in_flight) * latency
    print(
        f"  {requests / asking:.0f} requests/s of {requests / floor:.0f} possible, ratio {floor / asking:.2f} "
        f"(whole call {wall:.1f} s, {cpu / requests * 1000:.1f} ms of processor a request)"
    )
    return floor / asking


def read_arrivals(port: str) -> list[float]:
    """When the server saw each request, in seconds of its own clock."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as response:
        arrivals: list[float] = json.load(response)
    return arrivals


def memory(count: int) -> float:
    """The peak, in MB, of a process that reads `count` journeys of the reference data's lengths and asks for them."""
    lengths = np.random.default_rng(3).choice(LENGTHS, count, p=np.array(SHARES) / sum(SHARES))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journeys.parquet"
        pq.write_table(journeys(lengths), path, row_group_size=131_072)  # as the pipeline does
        sandbox = [sys.executable, "-c", "from pipeline.ihc_sandbox import main; main()", "--port", "0"]
        with subprocess.Popen(sandbox, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                url = server.stdout.readline().split()[-1]
                # the pipeline is imported first, as in a run, since it chooses Arrow's memory pool
                asking = [
                    sys.executable,
                    "-c",
                    _ASK,
                    str(Path(__file__).parent),
                    str(path),
                    url,
                    str(Path(folder) / "answers"),
                ]
                peak = float(subprocess.run(asking, stdout=subprocess.PIPE, text=True, check=True).stdout)
            finally:
                server.terminate()
    print(f"{count:,} journeys with {lengths.sum():,} sessions: peak memory {peak:.0f} MB")
    return peak


def ask_and_print_peak(path: str, url: str, answers: str) -> None:
    """What `memory` measures, in a process of its own."""
    settings, store = ApiSettings(url=url, conv_type_id="default"), AnswerStore(LocalFiles(Path(answers)))
    result = ask([lambda: pq.read_table(path, use_threads=False)], settings, "key", store)
    table = pq.read_table(path, use_threads=False)
    assert credit_of(table, settings, store, result.rejected).num_rows == table.num_rows
    # not `ru_maxrss`, which a process inherits from the one that started it
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1280, help="of the measurement of speed, 0 leaves it out")
    parser.add_argument("--repeats", type=int, default=3, help="of the measurement of speed")
    parser.add_argument("--journeys", type=int, default=500_000, help="of the measurement of memory, 0 leaves it out")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--latency", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, options.latency))
        return
    kept = True
    for latency, in_flight, promised in CASES if options.requests else ():
        kept &= throughput(options.requests, options.repeats, latency, in_flight) >= promised
    if options.journeys:
        kept &= memory(options.journeys) < MOST_MEGABYTES
    sys.exit(not kept)


if __name__ == "__main__":
    main()
