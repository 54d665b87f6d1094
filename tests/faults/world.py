"""The real services, builds of them without one mechanism, deaths at a named point, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline_common.faultpoints import CrashPoint
from trunkline_common.kafka import Outgoing, Producer, partition_for

from deploy.local.process import together
from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit
from tests.faults.builds import PATIENCE_S, Build, FaultFile, sabotage, stopped

INBOUND, LOG = "trunkline.inbound.v1", "trunkline.conversations.v1"
INGRESS = "trunkline.ingress.v1"
#: What each service consumes, and the schema of its partitions and its outbox.
CONSUMES = {"router": (INBOUND, "router"), "timeline": (LOG, "timeline"), "sla": (LOG, "sla"),
            "intake": (INGRESS, "ingest")}  # fmt: skip
PARTITIONS = 24
#: No clock of it says anything while the tests run.
CONFIG = """
teams: [{id: support}, {id: billing}]
agents: [{id: ana, name: Ana, teams: [support], capacity: 3}]
accounts:
  - {id: web-form, channel: form, team: support}
  - {id: own-app, channel: app, team: billing}
sla_policies:
  - {id: standard, metrics: {first_response: {target_s: 36000}, next_response: {target_s: 36000}}}
sources: [{source: "https://crm.demo.example", accounts: [own-app]}]
"""


@dataclass(slots=True)
class Fleet:
    """Processes that outlive a test. Static members, so that a restarted one takes its partitions back at once."""

    stack: Stack
    services: Services
    built: dict[str, Build] = field(default_factory=dict)

    async def build(self, **wanted: Build) -> None:
        """Have each named service run without a mechanism (or with all of them: ""); one that already does goes on."""
        await together(*(self._run(name, build) for name, build in wanted.items() if not self._runs(name, build)))

    def _runs(self, name: str, build: Build) -> bool:
        if self.built.get(name) != build:
            return False
        process = self.services.process(name)
        return process.running and not stopped(process)

    async def _run(self, name: str, build: Build) -> None:
        if name in self.built:
            await self.services.stop(name)
        self.built[name] = build
        await self.services.start(name, env=sabotage(build))

    def fault(self, name: str) -> FaultFile:
        """The fault of a service."""
        return fault_of(self.stack, name)

    def disarm(self) -> None:
        """Let whoever starts next live."""
        for name in CONSUMES:
            self.fault(name).disarm()


def fault_of(stack: Stack, name: str) -> FaultFile:
    """The fault of a service."""
    return FaultFile(stack.folder / "faults" / name)


@asynccontextmanager
async def fleet(stack: Stack) -> AsyncIterator[Fleet]:
    """Router, timeline, sla and intake."""
    env_of = {name: {"TRUNKLINE_INSTANCE": name, **fault_of(stack, name).env} for name in CONSUMES}
    async with Services(stack, env={"TRUNKLINE_SESSION_TIMEOUT_MS": "6000"}, env_of=env_of) as services:
        yield Fleet(stack, services)


@dataclass(slots=True)
class World:
    """The fleet with a tenant of its own."""

    fleet: Fleet
    producer: Producer
    tenant: str

    @property
    def stack(self) -> Stack:
        """Its Kafka and PostgreSQL."""
        return self.fleet.stack

    @property
    def services(self) -> Services:
        """Its processes."""
        return self.fleet.services

    @property
    def partition(self) -> int:
        """Where the inbound events of the tenant's pool are."""
        return partition_for(f"{self.tenant}/default".encode(), PARTITIONS)

    # -- what happens

    async def configure(self) -> int:
        """Put the configuration in force; its version."""
        return await kit.apply_config(self.services, self.tenant, CONFIG)

    async def quiet(self, config: str = CONFIG, write: Sequence[Callable[[], Awaitable[Any]]] = ()) -> None:
        """Wait until the router does nothing of its own accord; `write` sends a message to each pool, if several.

        After its start it handles a request for every configuration there is, the newest last. So it is given one that
        reaches the pools' owners in that way alone (see `new_tenant`), and messages until one is decided by it. Each
        has decided something before, as a pool that is new takes the newest version there is without being told. One
        that is its tenant's only pool may look first and be told later: what is armed waits for its messages.
        """
        writing = write or [self._write]
        await self.arrived([await say() for say in writing])
        version = await kit.apply_config(self.services, self.tenant, config)

        async def told(say: Callable[[], Awaitable[Any]]) -> bool:
            event = await say()
            return (await self.arrived([event]))[event.conversation_id][0].config_version == version

        for say in writing:
            await kit.eventually(
                lambda s=say: told(s),  # type: ignore[misc]
                seconds=PATIENCE_S,
                what="the configuration known to the pool's owner",
            )

    async def _write(self) -> Any:
        [event] = await self.send(1)
        return event

    async def send(self, count: int) -> list[Any]:
        """Customer messages, each of a new customer."""
        events = [kit.inbound(self.tenant, kit.new_id(), f"message {n}") for n in range(count)]
        await self.deliver(events)
        return events

    async def deliver(self, events: Iterable[Any]) -> None:
        """Publish them, as ingest does, and again where a provider delivers again."""
        await asyncio.gather(*(kit.send(self.producer, e) for e in events))

    async def produce_ingress(self) -> str:
        """A JSON CloudEvent of the tenant's registered source; its text."""
        text = kit.new_id()
        data = {
            "tenant": self.tenant,
            "account": "own-app",
            "message_id": text,
            "thread_key": text,
            "contact": {"address": "user-7"},
            "content": {"text": text},
        }
        headers = {
            "ce_specversion": "1.0",
            "ce_id": text,
            "ce_source": "https://crm.demo.example",
            "ce_type": "trunkline.ingest.v1.IngressMessage",
            "content-type": "application/json",
        }
        encoded = {name: value.encode() for name, value in headers.items()}
        await self.producer.send(Outgoing(INGRESS, b"k", json.dumps(data).encode(), encoded), timeout=30)
        return text

    async def introduce(self) -> None:
        """Send events until intake has heard of the tenant, and the router has one of them."""

        async def known() -> bool:
            text = await self.produce_ingress()
            await self.settled("intake", "router")
            return any(
                e.message_received.content.text == text for events in (await self.log()).values() for e in events
            )

        await kit.eventually(known, seconds=PATIENCE_S, what="an event of the tenant in the log")

    async def publish_again(self) -> None:
        """The tenant's whole log once more, as by a relay that was killed before it deleted its rows."""
        mine = [r for r in await kit.read_topic(self.stack.bootstrap, LOG) if _of(r, self.tenant)]
        rest = [Outgoing(LOG, r.key, r.value, dict(r.headers)) for r in mine]
        while rest:
            rest = rest[await self.producer.send_all(rest) :]

    async def strike(self, names: Sequence[str], point: CrashPoint, poison: Outgoing | None = None) -> list[Any]:
        """Have running services kill themselves at the point, with messages in hand; returns the messages.

        The tenant's have to be in hand, not another tenant's timer; and of a router more than a configuration again.
        """
        sent: list[Any] = []
        deadline = time.monotonic() + PATIENCE_S
        processes = [self.services.process(name) for name in names]
        for name in names:
            self.fleet.fault(name).arm("CRASH_AT", point, holding=self.tenant + "/" * (name == "router"))
        if poison is not None:
            await self.producer.send(poison, timeout=30)
        while any(process.running for process in processes):
            assert time.monotonic() < deadline, f"{point} was not passed"
            sent += await self.send(1)
            await asyncio.sleep(0.03)
        for name, process in zip(names, processes, strict=True):
            await self.fleet.fault(name).bites(process)
        return sent

    @asynccontextmanager
    async def holding(self, table: str) -> AsyncIterator[None]:
        """Nobody gets to the table within this block."""
        connection = await asyncpg.connect(self.stack.database_url)
        try:
            await connection.execute(f"begin; lock table {table} in access exclusive mode")
            yield
        finally:
            connection.terminate()

    async def held(self, table: str) -> None:
        """Wait until somebody waits for the table."""
        query = "select count(*) from pg_locks where relation = $1::text::regclass and not granted"

        async def waits() -> bool:
            return bool((await self.rows(query, table))[0][0])

        await kit.eventually(waits, seconds=PATIENCE_S, what=f"somebody waiting for {table}")

    # -- what is there

    async def rows(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        """What PostgreSQL holds."""
        connection = await asyncpg.connect(self.stack.database_url)
        try:
            return [tuple(row) for row in await connection.fetch(query, *args)]
        finally:
            await connection.close()

    async def settled(self, *names: str) -> None:
        """Wait until the services, in this order, have consumed all there is and published all they had to."""
        for name in names:
            await kit.eventually(
                lambda name=name: self._is_settled(name),  # type: ignore[misc]
                seconds=PATIENCE_S,
                what=f"{name} at the end of its topic",
            )

    async def _is_settled(self, name: str) -> bool:
        topic, schema = CONSUMES[name]
        end = await ends(self.stack, topic)
        found = await self.rows(f"select part, next_offset from {schema}.consumer_partition where grp = $1", name)  # noqa: S608
        left = await self.rows(f"select count(*) from {schema}.outbox where grp = $1", name)  # noqa: S608
        consumed: dict[int, int] = dict(found)
        return bool(end) and left == [(0,)] and all(consumed.get(part, 0) >= at for part, at in end.items())

    async def log(self) -> dict[str, list[ConversationEvent]]:
        """The tenant's part of the conversations log, copies included."""
        return await kit.conversation_log(self.stack.bootstrap, self.tenant)

    async def arrived(self, events: Sequence[Any]) -> dict[str, list[ConversationEvent]]:
        """The log once it holds a queueing of every message's conversation."""

        async def look() -> dict[str, list[ConversationEvent]] | None:
            log = await self.log()
            done = all("conversation_queued" in kit.kinds(log.get(e.conversation_id, [])) for e in events)
            return log if done else None

        return await kit.eventually(look, seconds=PATIENCE_S, what="every message in the log")

    async def letters(self, topic: str, poison: Outgoing) -> list[dict[str, bytes]]:
        """The headers of the dead letters of a record."""
        found = await kit.read_topic(self.stack.bootstrap, topic)
        return [dict(r.headers) for r in found if (r.key, r.value) == (poison.key, poison.value)]


async def ends(stack: Stack, topic: str) -> dict[int, int]:
    """The end of each partition; nothing while Kafka does not answer."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap, enable_auto_commit=False)
    try:
        await consumer.start()
        found = await consumer.end_offsets([TopicPartition(topic, n) for n in range(PARTITIONS)])
    except KafkaError:
        return {}
    finally:
        await consumer.stop()
    return {tp.partition: end for tp, end in found.items()}


def new_tenant() -> str:
    """A tenant whose configuration is applied by the owner of another partition than its pool's."""
    while True:
        name = f"f-{kit.new_id()[:8]}"
        if partition_for(name.encode(), PARTITIONS) != partition_for(f"{name}/default".encode(), PARTITIONS):
            return name


def _of(record: Any, tenant: str) -> bool:
    return bool(dict(record.headers).get("ce_tenant", b"").decode() == tenant)
