"""`make up` as a person uses it: ready, lines that work when copied, Ctrl-C; and a death that is not hidden."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local import envfile
from deploy.local.process import recall
from tests.kit import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
READY_S, STOP_S, LINE_S = 90.0, 40.0, 20.0
LAST = "follow the log of conversations:"
NAMES = {
    "KAFKA_BOOTSTRAP_SERVERS",
    "DATABASE_URL",
    "INGEST_HTTP",
    "INGEST_SMTP",
    "INGEST_GRPC",
    "ROUTER_GRPC",
    "TIMELINE_GRPC",
    "SLA_GRPC",
    "INSIGHTS_GRPC",
}


class Up:
    """The running command and everything it has printed."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process, self.folder = process, folder
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    @property
    def output(self) -> str:
        """What it has printed, as text."""
        return "\n".join(self.lines)

    def after(self, headline: str) -> str:
        """The line printed below the one that begins so."""
        at = next(n for n, line in enumerate(self.lines) if line.startswith(headline))
        return self.lines[at + 1].strip()

    async def ready(self) -> None:
        """Wait until the last of the lines to copy is printed."""

        async def printed() -> bool:
            assert self.process.returncode is None, self.output
            return any(line.startswith(LAST) for line in self.lines[:-1])

        await eventually(printed, seconds=READY_S, what=f"ready; it said\n{self.output}")

    def children(self) -> list[psutil.Process]:
        """All that runs because of it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    async def ended(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(STOP_S):
            await self._reading
            return await self.process.wait()


@asynccontextmanager
async def up(folder: Path, *arguments: str) -> AsyncIterator[Up]:
    """`python -m deploy.local.up` in a folder of its own, ready."""
    command = [sys.executable, "-m", "deploy.local.up", "--folder", str(folder), *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=STDOUT)
    running = Up(process, folder)
    try:
        await running.ready()
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await running.ended()


async def shell(line: str) -> str:
    """What a line prints when it is pasted into a shell."""
    process = await asyncio.create_subprocess_shell(line, cwd=ROOT, stdout=PIPE, stderr=STDOUT)
    try:
        async with asyncio.timeout(LINE_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return output.decode()


async def test_what_it_prints_works_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Nine addresses, a token, a webhook that answers 200, a call that names the agents, a log that has the text."""
    async with up(tmp_path) as running:
        assert set(envfile.read(tmp_path)) == NAMES
        assert all(f"  {name}={value}" in running.lines for name, value in envfile.read(tmp_path).items())
        assert running.after("a token (supervisor of tenant demo").count(".") == 2
        await _a_customer_writes(running.after("a customer writes on WhatsApp:"))
        agents = json.loads(await shell(running.after("ask over gRPC:")))["agents"]
        assert {agent["agent_id"] for agent in agents} == {"ana", "ben", "cleo", "dan"}
        first: dict[str, Any] = json.loads(await shell(running.after(LAST) + " --count 1"))
        assert "conversation_started" in first["value"]
        children = running.children()
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0, running.output
    assert running.lines[-1] == "stopped"
    _nothing_is_left(tmp_path, children)


async def _a_customer_writes(line: str) -> None:
    async def answered() -> bool:  # 404 until ingest has read the configuration that was just applied
        return (await shell(line)).startswith("HTTP/1.1 200")

    await eventually(answered, what=f"200 for {line}")


async def test_a_service_that_dies_ends_it_with_its_last_lines(tmp_path: Path) -> None:
    async with up(tmp_path, "--only", "sla") as running:
        children = running.children()
        sla = recall(tmp_path / "pids" / "sla.json")
        assert sla
        sla.kill()
        assert await running.ended() == 1
    _, told, last_lines = running.output.partition("sla ended with SIGKILL; its last lines:\n")
    assert told, running.output
    assert json.loads(last_lines.splitlines()[-1])["event"] == "ready"
    _nothing_is_left(tmp_path, children)


def _nothing_is_left(folder: Path, children: list[psutil.Process]) -> None:
    assert children
    assert [child for child in children if child.is_running()] == []
    assert list((folder / "pids").glob("*")) == []
    assert not (folder / "env").exists()
