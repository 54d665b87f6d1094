"""Thousands of clocks that are due when a test wants them to be, and what must have been said of each of them."""

from __future__ import annotations

import json
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from trunkline.sla.v1.sla_event_pb2 import SlaEvent
from trunkline_common.kafka import partition_for
from trunkline_sla.evaluation_model import Metric
from trunkline_sla.wire_facts import clock_id

from deploy.local.process import Process
from deploy.local.services import KINDS, Services
from deploy.local.stack import Stack
from tests import kit
from tests.faults.builds import PATIENCE_S, FaultFile
from tests.faults.world import PARTITIONS, Fleet, fault_of
from tests.sla.service import at, heard, new_tenant, promises, version
from tests.sla.talk import Talk, produce

TARGET_S = 3600
#: The service as it is, or without a mechanism of its own.
BUILDS = {"sla": replace(KINDS["sla"], command=(sys.executable, "-m", "tests.faults.sla_build"))}


@asynccontextmanager
async def alone(fleet: Fleet) -> AsyncIterator[Services]:
    """The SLA service is the test's own, of any build; the fleet's takes no part."""
    if "sla" in fleet.built:
        await fleet.services.stop("sla")
    env = {"TRUNKLINE_SESSION_TIMEOUT_MS": "6000", "TRUNKLINE_INSTANCE": "sla", **fault_of(fleet.stack, "sla").env}
    async with Services(fleet.stack, env=env, drain_s=10, kinds=BUILDS) as services:
        try:
            yield services
        finally:
            fleet.fault("sla").disarm()


@dataclass(slots=True)
class Crowd:
    """Conversations that wait for their first response, copied from a real one; `due` says until when each has time."""

    stack: Stack
    services: Services
    tenant: str
    #: The rows of the real one, by table, and its own deadline.
    real: Mapping[str, list[dict[str, Any]]]
    original: Talk
    due: dict[str, datetime] = field(default_factory=dict)
    #: Another database than the stack's.
    url: str = ""

    @property
    def fault(self) -> FaultFile:
        """Of the process named sla."""
        return fault_of(self.stack, "sla")

    async def add(self, count: int, due: datetime) -> list[str]:
        """So many more, armed when the next process starts."""
        found = [str(uuid.uuid4()) for _ in range(count)]
        await self.arm(found, due)
        return found

    async def arm(self, ids: Sequence[str], due: datetime) -> None:
        """Have them due at another time; nobody must own their partitions."""
        due = due.replace(microsecond=0)
        self.due |= dict.fromkeys(ids, due)
        shift = due - timedelta(seconds=TARGET_S) - self.original.at
        connection = await asyncpg.connect(self.stack.database_url, server_settings={"search_path": "sla"})
        try:
            async with connection.transaction():
                for table, rows in self.real.items():
                    await connection.execute(f"delete from {table} where conversation_id = any($1)", ids)  # noqa: S608
                    copies = [self._copy(row, key, shift) for key in ids for row in rows]
                    await connection.copy_records_to_table(table, records=copies, columns=list(rows[0]))
        finally:
            await connection.close()

    def _copy(self, row: dict[str, Any], key: str, shift: timedelta) -> tuple[Any, ...]:
        """The row of another conversation, at another time."""
        moved = {name: value + shift if isinstance(value, datetime) else value for name, value in row.items()}
        moved |= {"conversation_id": key, "part": partition_for(key.encode(), PARTITIONS)}
        moved["doc"] = json.dumps(_later(json.loads(row["doc"]), shift // timedelta(seconds=1)))
        if "clock_id" in row:
            moved["clock_id"] = clock_id(self.tenant, key, Metric.FIRST_RESPONSE, 1)
        return tuple(moved.values())

    async def answer(self, ids: Sequence[str]) -> None:
        """Replies a second before their deadlines, in the log."""
        records = []
        for key in ids:
            talk = Talk(self.tenant, key, at=self.due[key] - timedelta(seconds=1), events=list(self.original.events))
            records += talk.replies("ben").records()[-1:]
        await produce(self.stack.bootstrap, records)

    async def read(self, ids: Sequence[str]) -> None:
        """Wait until their replies are read, and what came of them is published."""
        query = "select count(*) from clock where conversation_id = any($1) and ended_at is not null"

        async def look() -> bool:
            done = await self.rows(query, list(ids)) == [(len(ids),)]
            return done and await self.rows("select from outbox limit 1") == []

        await kit.eventually(look, seconds=PATIENCE_S, what="the replies read")

    # -- processes

    async def start(self, name: str = "sla", without: str = "", *, wait: bool = True, **env: str) -> Process:
        """A process of that build."""
        return await self.services.start("sla", instance=name, env={"SLA_WITHOUT": without, **env}, wait=wait)

    async def dies(self, point: Any, nth: int, **env: str) -> None:
        """A process ends itself at the n-th pass of the point."""
        self.fault.arm("CRASH_AT", point, nth)
        await self.fault.bites(await self.start(wait=False, **env))

    # -- what is there

    async def rows(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        """What PostgreSQL holds."""
        url = self.url or self.stack.database_url
        connection = await asyncpg.connect(url, server_settings={"search_path": "sla"})
        try:
            return [tuple(row) for row in await connection.fetch(query, *args)]
        finally:
            await connection.close()

    async def breached(self, ids: Iterable[str]) -> int:
        """How many of them have breached, by the tables."""
        query = "select count(*) from clock where conversation_id = any($1) and breached_at is not null"
        return int((await self.rows(query, list(ids)))[0][0])

    async def finished(self, ids: Sequence[str]) -> None:
        """Wait until all of them have breached and everything is published."""

        async def look() -> bool:
            return await self.breached(ids) == len(ids) and await self.rows("select from outbox limit 1") == []

        await kit.eventually(look, seconds=PATIENCE_S, what="every breach")

    async def said(self) -> list[SlaEvent]:
        """What was published of those that were added, copies included."""
        found = await kit.read_topic(self.stack.bootstrap, "trunkline.sla.v1")
        return [SlaEvent.FromString(r.value) for r in found if r.key.decode() in self.due]

    async def heard(self, talk: Talk) -> None:
        """Have a conversation breach that begins now, and was due already."""
        await produce(self.stack.bootstrap, talk.records())
        await heard(self.stack, self.tenant, talk)


def check(said: Sequence[SlaEvent], due: Mapping[str, datetime]) -> None:
    """Exactly once after copies are dropped, none missed, none early, each at its own instant."""
    breaches = [event for event in {e.event_id: e for e in said}.values() if event.HasField("breached")]
    count = Counter(event.conversation_id for event in breaches)
    assert not set(due) - set(count), f"breaches missed: {len(set(due) - set(count))}"
    assert not set(count) - set(due), f"breaches of what was not due: {len(set(count) - set(due))}"
    assert set(count.values()) <= {1}, "breached more than once"
    for event in breaches:
        assert at(event.occurred_at) == at(event.due_at) == due[event.conversation_id], "at another instant"
        assert at(event.emitted_at) > at(event.due_at), "early"


async def crowd(stack: Stack, services: Services) -> Crowd:
    """The real one, and nobody yet who is like it; the process has ended again."""
    tenant = new_tenant()
    original = Talk(tenant, at=datetime.now(UTC).replace(microsecond=0)).begin()
    await produce(stack.bootstrap, [version(tenant, 1, [promises("p", first_response=TARGET_S)]), *original.records()])
    await services.start("sla")
    await heard(stack, tenant, original)
    await services.stop("sla")
    made = Crowd(stack, services, tenant, {}, original)
    connection = await asyncpg.connect(stack.database_url, server_settings={"search_path": "sla"})
    try:
        tables = ("conversation", "clock")
        query = "select * from {} where conversation_id = $1"
        found = [await connection.fetch(query.format(table), original.conversation_id) for table in tables]
    finally:
        await connection.close()
    return replace(made, real={table: [dict(r) for r in rows] for table, rows in zip(tables, found, strict=True)})


def _later(plain: Any, seconds: int) -> Any:
    """Every instant in a document so much later."""
    if isinstance(plain, dict):
        return {name: _later(value, seconds) for name, value in plain.items()}
    if isinstance(plain, list):
        return [_later(value, seconds) for value in plain]
    return plain + seconds if type(plain) is int and plain > 1_000_000_000 else plain
