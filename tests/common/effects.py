"""The smallest service that owns state: it counts each event once, says so on a topic, and answers in upper case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from trunkline_common import kafka, postgres
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import KafkaError, Outgoing, Producer, Record, TopicPartition
from trunkline_common.partitions import Claim
from trunkline_common.postgres import Connection, Pool
from trunkline_common.processor import Batch, Effects, Processor, decode
from trunkline_common.worker import Context

from deploy.local.stack import Stack
from tests import kit

TABLE = "create table effect (event_id text primary key, part int, epoch bigint, count int not null default 1)"
PUT = """
insert into effect (event_id, part, epoch) select e.id, $2, $3 from unnest($1::text[]) as e (id)
on conflict (event_id) do update set count = effect.count + 1
"""


@dataclass
class Probe:
    """What a test sees of the processors, and where it takes part."""

    loads: list[Claim] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    #: Called inside the transaction after everything is written.
    inside: Callable[[Connection, Batch], object] = lambda _tx, _batch: None
    gate: asyncio.Event = field(default_factory=asyncio.Event)


def parse(record: Record) -> str:
    """An event id; "bad" is not one."""
    text = (record.value or b"").decode()
    if text.startswith("bad"):
        raise InvalidMessage("NOT_AN_EVENT", text)
    return text


class Counting(Processor):
    """One effect and one message for each event."""

    def __init__(self, out: str, probe: Probe) -> None:
        self._out, self._probe = out, probe

    async def load(self, _pool: Pool, claim: Claim) -> None:
        """There is no state but the claim."""
        self._claim = claim
        self._probe.loads.append(claim)

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """Count and say."""
        await self._probe.gate.wait()
        parsed, rejected = decode(batch.records, parse)
        asked = [str(request.content) for request in batch.requests]
        ids = [event_id for _, event_id in parsed] + asked
        await tx.execute(PUT, ids, self._claim.partition, self._claim.epoch)
        self._probe.batches.append(batch)
        made = self._probe.inside(tx, batch)
        if asyncio.iscoroutine(made):
            await made
        messages = [
            Outgoing(self._out, r.key, event_id.encode(), {"ce_id": event_id.encode()}) for r, event_id in parsed
        ]
        return Effects(messages, [text.upper() for text in asked], rejected)


class Unreliable(Producer):
    """Fails after it has sent, as a broker does whose answer is lost."""

    def __init__(self, bootstrap: str, failures: int) -> None:
        super().__init__(bootstrap, "unreliable")
        self.failures = failures

    async def send_all(self, messages: Sequence[Outgoing]) -> int:
        """Send some; then say that it failed."""
        if not self.failures:
            return await super().send_all(messages)
        self.failures -= 1
        await super().send_all(messages[: len(messages) // 2 + 1])
        raise KafkaError("the answer was lost")


class NoRecords:
    """A topic without records."""

    async def begin(self, _tp: TopicPartition) -> int:
        """Nothing was deleted."""
        return 0

    async def end(self, _tp: TopicPartition) -> int:
        """Nothing was written."""
        return 0

    def start_at(self, tp: TopicPartition, offset: int) -> None:
        """There is nothing to deliver."""

    def pause(self, tp: TopicPartition) -> None:
        """There is nothing to fetch."""

    def resume(self, tp: TopicPartition) -> None:
        """There is nothing to fetch."""


class Service:
    """A consumer of a topic of its own, with a schema of its own."""

    def __init__(self, stack: Stack, name: str, pool: Pool, producer: Producer) -> None:
        self.bootstrap, self.name, self.pool, self.producer = stack.bootstrap, name, pool, producer
        self.topic, self.out, self.dlq = f"{name}.in", f"{name}.out", f"{name}.dlq"

    async def send(self, *events: str, partition_key: str = "k") -> None:
        """Produce events, in order."""
        for event in events:
            await self.producer.send(Outgoing(self.topic, partition_key.encode(), event.encode()), timeout=15)

    async def send_many(self, events: Sequence[str], size: int = 0) -> None:
        """Produce many at once, each at least that large."""
        left = [Outgoing(self.topic, b"k", event.ljust(size).encode()) for event in events]
        while left:
            del left[: await self.producer.send_all(left)]

    @asynccontextmanager
    async def consumer(
        self, probe: Probe, *, producer: Producer | None = None, poison_limit: bool = True
    ) -> AsyncIterator[Consumer]:
        """A running consumer, ready; stopped at the end, and whatever broke it is raised."""
        context = Context(
            group=self.name,
            owner="here",
            dlq_topic=self.dlq,
            pool=self.pool,
            producer=producer or self.producer,
            make=lambda _partition: Counting(self.out, probe),
            clock=utc_now,
            poison_limit=poison_limit,
        )
        made = Consumer(context, self.topic, bootstrap=self.bootstrap, instance="", session_timeout_ms=6000)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(made.run())
            await made.ready()
            yield made
            made.stop()

    async def effects(self) -> dict[str, int]:
        """How often each event counted."""
        return {r["event_id"]: r["count"] for r in await self.pool.fetch("select event_id, count from effect")}

    async def until_counted(self, *events: str) -> dict[str, int]:
        """The effects once these are there."""

        async def look() -> dict[str, int] | None:
            found = await self.effects()
            return found if set(events) <= set(found) else None

        return await kit.eventually(look, what=f"effects of {events}")

    async def next_offset(self, partition: int = 0) -> int:
        """What the claim row says is next."""
        sql = "select next_offset from consumer_partition where part = $1"
        return int(await self.pool.fetchval(sql, partition))

    async def said(self, topic: str, number: int) -> list[Record]:
        """The records of a topic once there are that many."""

        async def look() -> list[Record] | None:
            found = [kafka.to_record(raw) for raw in await kit.read_topic(self.bootstrap, topic)]
            return found if len(found) >= number else None

        return await kit.eventually(look, what=f"{number} records in {topic}")


@asynccontextmanager
async def service(stack: Stack, partitions: int = 1) -> AsyncIterator[Service]:
    """Topics and tables for one test."""
    name = f"w{kit.new_id()[:8]}"
    async with kafka.admin(stack.bootstrap) as client:
        topics = [(f"{name}.{kind}", partitions, 1, dict[str, str]()) for kind in ("in", "out", "dlq")]
        await kafka.create_topics(client, topics)

        async def visible() -> bool:
            return len(await kafka.describe_topics(client, [topic for topic, *_ in topics])) == len(topics)

        await kit.eventually(visible, what="the topics")
    async with postgres.connect(stack.database_url, name) as pool, Producer(stack.bootstrap, name) as producer:
        await postgres.migrate(pool, name, "trunkline_common")
        await pool.execute(TABLE)
        yield Service(stack, name, pool, producer)
