"""Asks the process that knows the past, and runs simulations in it, one at a time."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import IO, Any
from uuid import UUID

import structlog
from trunkline.router.v1 import explain_service_pb2 as api
from trunkline_common.clock import utc_now
from trunkline_common.errors import Refused, Violation
from trunkline_common.postgres import OUTAGES, Pool
from trunkline_common.text import clean

from trunkline_router import simulation_store

log = structlog.get_logger(__name__)

ALIVE_EVERY_S = 5.0
AGAIN_S = 1.0  # while PostgreSQL does not take how one ended
AT_ONCE = 2  # explanations and replays of one process; each takes a process of its own
COMMAND = (sys.executable, "-m", "trunkline_router.past")


class PastFailed(Exception):
    """The process that knows the past ended without an answer; its standard error says why."""

    def __init__(self, kind: str, code: int) -> None:
        super().__init__(f"{kind} ended with {code} and no answer")
        self.kind, self.code = kind, code


class Past:
    """Asks it; what it is asked for ends with whoever asks. `share`: how much of a core a simulation takes."""

    def __init__(self, database_url: str, command: Sequence[str] = COMMAND, share: float = 1.0) -> None:
        self._database_url, self._command, self._share = database_url, command, share
        self._free = asyncio.Semaphore(AT_ONCE)

    async def ask(self, kind: str, pool: str, **facts: Any) -> bytes:
        """The answer's bytes. Raises Refused."""
        async with self._free, aclosing(self.run(kind, pool, **facts)) as lines:
            async for line in lines:
                if isinstance(line, bytes):
                    return line
        raise PastFailed(kind, 0)

    async def run(self, kind: str, pool: str, **facts: Any) -> AsyncGenerator[float | bytes, None]:
        """How far it is, 0 to 1, then the answer's bytes. Raises Refused."""
        request = {"kind": kind, "pool": pool, "database_url": self._database_url, "share": self._share, **facts}
        process = await asyncio.to_thread(_started, self._command, json.dumps(request))
        try:
            while line := await asyncio.to_thread(_pipe(process.stdout).readline):
                yield _read(json.loads(line))
            if (code := await asyncio.to_thread(process.wait)) != 0:
                raise PastFailed(kind, code)
        finally:
            await asyncio.to_thread(_end, process)


def _started(command: Sequence[str], request: str) -> subprocess.Popen[str]:
    """The process, asked. Not started by the loop: beside gRPC's threads, 1 in 30 that uvloop forked was lost."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    with suppress(BrokenPipeError):  # it has ended; how, its exit code tells
        _pipe(process.stdin).write(request)
        _pipe(process.stdin).close()
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()  # which ends a thread that still reads, too
    process.wait()
    _pipe(process.stdout).close()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # noqa: S101 - asked for as a pipe
    return stream


def _read(line: Mapping[str, Any]) -> float | bytes:
    if "refused" in line:
        told = line["refused"]
        violations = [Violation(**v) for v in told["violations"]]
        raise Refused(told["code"], told["reason"], told["message"], metadata=told["metadata"], violations=violations)
    return base64.b64decode(line["answer"]) if "answer" in line else float(line["progress"])


class Simulations:
    """Those of this process."""

    def __init__(self, db: Pool, past: Past, tasks: asyncio.TaskGroup) -> None:
        self._db, self._past, self._tasks = db, past, tasks
        self._turn = asyncio.Semaphore(1)
        self._running: dict[tuple[str, UUID], asyncio.Task[None]] = {}

    def begin(self, tenant: str, simulation: api.Simulation, config: bytes) -> None:
        """Run it, as soon as those begun before have ended."""
        key = tenant, UUID(simulation.simulation_id)
        running = self._tasks.create_task(self._run(tenant, simulation, config))
        self._running[key] = running
        running.add_done_callback(lambda _: self._running.pop(key, None))

    def cancel(self, tenant: str, name: str) -> None:
        """End it now, if this process runs it; another one sees within seconds that nobody wants it."""
        if (running := self._running.get((tenant, UUID(name)))) is not None:
            running.cancel()

    def stop(self) -> None:
        """End them all; who asks for one is told so after a minute."""
        for running in self._running.values():
            running.cancel()

    async def _run(self, tenant: str, simulation: api.Simulation, config: bytes) -> None:
        name, done = simulation.simulation_id, [0.0]
        alive = self._tasks.create_task(self._alive(tenant, name, done))
        try:
            await self._end(tenant, name, *await self._outcome(simulation, config, done))
        finally:
            alive.cancel()

    async def _outcome(self, simulation: api.Simulation, config: bytes, done: list[float]) -> tuple[bytes | None, str]:
        """The comparison, or why there is none."""
        try:
            async with self._turn:
                return await self._compare(simulation, config, done), ""
        except Exception as error:
            log.warning("a simulation failed", simulation=simulation.simulation_id, exc_info=True)
            return None, clean(f"it failed: {error}")

    async def _end(self, tenant: str, name: str, comparison: bytes | None, error: str) -> None:
        """Write it down as soon as PostgreSQL takes it; until then it says that it is alive, or counts as lost."""
        while True:
            try:
                return await simulation_store.end(self._db, tenant, name, comparison, error)
            except OUTAGES as outage:
                log.warning("cannot say that a simulation has ended", simulation=name, error=repr(outage))
                await asyncio.sleep(AGAIN_S)

    async def _compare(self, simulation: api.Simulation, config: bytes, done: list[float]) -> bytes:
        facts = {
            "since": simulation.since.ToDatetime().isoformat() + "+00:00",
            "until": simulation.until.ToDatetime().isoformat() + "+00:00",
            "config": base64.b64encode(config).decode(),
        }
        async with aclosing(self._past.run("simulate", simulation.pool, **facts)) as lines:
            async for line in lines:
                if isinstance(line, bytes):
                    return line
                done[0] = line
        raise PastFailed("simulate", 0)

    async def _alive(self, tenant: str, name: str, done: list[float]) -> None:
        """Say so, now and then; whoever hears nothing for a minute knows that it has ended."""
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            try:
                if not await simulation_store.alive(self._db, tenant, name, done[0], utc_now()):
                    self.cancel(tenant, name)
            except OUTAGES as error:
                log.warning("cannot say that a simulation runs", simulation=name, error=repr(error))


@asynccontextmanager
async def simulations(db: Pool, past: Past) -> AsyncIterator[Simulations]:
    """Simulations that end with the block."""
    async with asyncio.TaskGroup() as tasks:
        made = Simulations(db, past, tasks)
        yield made
        made.stop()
