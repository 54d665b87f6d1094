"""Stands for a service in tests of the supervisor: serves health and /healthz, writes its environment, obeys FAKE."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


async def _answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    writer.close()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def touch(file: str) -> None:
    Path(file).touch()


async def main() -> None:
    behaviour = os.environ.get("FAKE", "")
    if behaviour == "refuse":
        raise SystemExit("settings refused: TRUNKLINE_FAKE is not set")
    stopped = asyncio.Event()
    if behaviour != "deaf":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if listen := os.environ.get("TRUNKLINE_GRPC_LISTEN"):
        server.add_insecure_port(listen)
    await server.start()
    state = (
        health_pb2.HealthCheckResponse.NOT_SERVING if behaviour == "never" else health_pb2.HealthCheckResponse.SERVING
    )
    await servicer.set("", state)
    if http := os.environ.get("TRUNKLINE_HTTP_LISTEN"):
        host, port = http.split(":")
        await asyncio.start_server(_answer, host, int(port))
    say(json.dumps(dict(os.environ)))
    touch(os.environ["TRUNKLINE_READY_FILE"])
    await stopped.wait()
    say("drained")


if __name__ == "__main__":
    asyncio.run(main())
