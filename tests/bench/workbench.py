"""What a benchmark works with: the stack, processes of its own, and how often to measure."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trunkline_common import kafka, postgres

from deploy.local.process import Process
from deploy.local.readiness import accepts
from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.bench.report import Result
from tests.kit import eventually

CHILD_S = 120.0
STOP_S = 5.0


class Bench:
    """One benchmark's surroundings. `quick` only shows that everything works: its figures mean nothing."""

    def __init__(self, folder: Path, stack: Stack | None, *, quick: bool, say: Callable[[str], None]) -> None:
        self.folder, self.quick, self.say = folder, quick, say
        self._stack = stack
        self._numbers = itertools.count(1)

    @property
    def stack(self) -> Stack:
        """Kafka and PostgreSQL, started for this benchmark alone."""
        if self._stack is None:
            raise RuntimeError("this benchmark asked for no stack")
        return self._stack

    @property
    def runs(self) -> int:
        """How often ours and the baseline take turns."""
        return 1 if self.quick else 3

    def count(self, full: int, quick: int) -> int:
        """How many, or how few when quick."""
        return quick if self.quick else full

    def unique(self, name: str) -> str:
        """A name nobody else has in this stack: a group, a schema."""
        return f"bench_{name}_{next(self._numbers)}"

    async def child(self, module: str, task: Mapping[str, Any], seconds: float = CHILD_S) -> dict[str, Any]:
        """Run a program of tests/bench/children to its end; what it found."""
        process, result = self._child(module, task)
        await process.run(seconds)
        found: dict[str, Any] = json.loads(result.read_text())
        return found

    @asynccontextmanager
    async def server(self, module: str, address: str, task: Mapping[str, Any]) -> AsyncIterator[Process]:
        """A program of tests/bench/children that listens, until the block is left."""
        process, _ = self._child(module, {"address": address, **task})
        process.start()
        try:

            async def listening() -> bool:
                process.check()
                return await accepts(address)

            await eventually(listening, what=f"{module} listening")
            yield process
        finally:
            await process.stop(STOP_S)

    def _child(self, module: str, task: Mapping[str, Any]) -> tuple[Process, Path]:
        name = f"{module}-{next(self._numbers)}"
        result = self.folder / f"{name}.json"
        command = [sys.executable, "-m", f"tests.bench.children.{module}", json.dumps(task), str(result)]
        env = dict(os.environ)
        if self._stack is not None:
            env |= {"KAFKA_BOOTSTRAP_SERVERS": self.stack.bootstrap, "DATABASE_URL": self.stack.database_url}
        return Process(name, self.folder, command, env), result

    @asynccontextmanager
    async def services(self, *kinds: str) -> AsyncIterator[Services]:
        """Our real processes with their default settings, until the block is left."""
        async with Services(self.stack) as running:
            await running.start_all(kinds)
            yield running

    @asynccontextmanager
    async def schema(self, name: str, package: str = "tests.bench") -> AsyncIterator[str]:
        """A schema with fresh tables of a package, so that no run pays for the rows of the one before."""
        made = self.unique(name)
        async with postgres.connect(self.stack.database_url, made, size=1) as pool:
            await postgres.migrate(pool, made, package)
            try:
                yield made
            finally:
                await pool.execute(f'drop schema "{made}" cascade')

    async def topic(self, name: str, partitions: int) -> str:
        """A topic of the benchmarks, empty in a fresh stack."""
        async with kafka.admin(self.stack.bootstrap) as client:
            await kafka.create_topics(client, [(name, partitions, 1, {"cleanup.policy": "delete"})])

            async def there() -> bool:
                return name in await kafka.describe_topics(client, [name])

            await eventually(there, what=f"topic {name}")
        return name


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A measurement that can be chosen by name."""

    name: str
    about: str
    measure: Callable[[Bench], Awaitable[list[Result]]]
    needs_stack: bool = True
