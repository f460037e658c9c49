"""One message there and back on a bidirectional grpc.aio stream, bare.

python -m bench.pingpong serve ADDRESS                  prints a line when it listens; ends with its parent's signal
python -m bench.pingpong measure ADDRESS RUNS COUNT     prints a JSON list, microseconds per round trip of each run
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from perdure_proto.v1.journal_pb2 import Entry
from perdure_proto.v1.runner_pb2 import Committed, FromHost, Record, Records, ToHost
from perdure_proto.v1.runner_pb2_grpc import HostsServicer, HostsStub, add_HostsServicer_to_server

from bench.place import turns


class Pong(HostsServicer):
    """Answers every message of a host with the same acknowledgement."""

    async def Attach(self, request_iterator: AsyncIterator[FromHost], context: Any) -> None:  # noqa: N802, ARG002
        answer = ToHost(committed=Committed(session_id="s", epoch=1, no=1, seq=1))
        while await context.read() is not grpc.aio.EOF:
            await context.write(answer)


async def serve(address: str) -> None:
    server = grpc.aio.server()
    add_HostsServicer_to_server(Pong(), server)
    server.add_insecure_port(address)
    await server.start()
    print("listening", flush=True)
    await server.wait_for_termination()


async def measure(address: str, runs: int, count: int) -> list[float]:
    entry = Entry(lane="main", ordinal=1, kind="ENTRY_KIND_ACTIVITY", function="main.one")
    message = FromHost(records=Records(session_id="s", epoch=1, records=[Record(no=1, entry=entry)], sync=True))
    took = []
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = HostsStub(channel).Attach()
        for _ in range(runs):
            began, done = time.perf_counter(), 0
            for _ in turns(count, 1.0):
                await call.write(message)
                await call.read()
                done += 1
            took.append((time.perf_counter() - began) / done * 1e6)
        call.cancel()
    return took


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(sys.argv[2]))
    else:
        print(json.dumps(asyncio.run(measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))))
