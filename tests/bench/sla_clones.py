"""Many clocks in the tables of the SLA service, made of a few real ones without the log of as many conversations."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from trunkline.sla.v1.sla_event_pb2 import SlaEvent
from trunkline_common import postgres
from trunkline_common.kafka import Outgoing, partition_for
from trunkline_common.postgres import Pool
from trunkline_sla.evaluation_model import Metric
from trunkline_sla.wire import TOPIC
from trunkline_sla.wire_facts import clock_id

from deploy.local.services import Services
from tests import kit
from tests.bench import records
from tests.bench.sla_load import PARTITIONS, TENANT, one_in_each
from tests.bench.workbench import Bench

CHUNK, DRAIN_S = 20_000, 100.0
#: TRUNKLINE_SLA_LATENESS_MS: no timer fires before.
LATENESS_S = 0.5
#: Every second of the day counts, so that clocks can be moved to any time.
ALL_DAY = [["00:00", "24:00"]]
REAL = "select count(*) from clock where next_at is not null"
PATTERN = """
create table pattern as select c.*, v.doc as conversation, v.tzdata
from clock c join conversation v using (conversation_id) where c.part = 0 and c.next_at is not null
"""
#: $1 is how much later than the pattern's everything happens.
CLOCKS = """
with p as materialized (
    select pattern.*, pattern.doc || (
        select jsonb_object_agg(key, value::bigint + extract(epoch from $1::interval)::bigint)
        from jsonb_each_text(pattern.doc) where key in ('started_at', 'since', 'changed_at', 'due_at', 'next_at')
    ) as moved from pattern
)
insert into clock (clock_id, tenant, conversation_id, part, metric, cycle, gen, state, target_s, business, started_at,
                   since, consumed_s, due_at, next_at, reason, policy_id, calendar_id, config_version, team, channel,
                   traceparent, current, doc)
select n.clock_id, p.tenant, n.conversation_id, n.part, p.metric, p.cycle, p.gen, p.state, p.target_s, p.business,
       p.started_at + $1, p.since + $1, p.consumed_s, p.due_at + $1, p.next_at + $1, p.reason, p.policy_id,
       p.calendar_id, p.config_version, p.team, p.channel, p.traceparent, p.current, p.moved
from unnest($2::text[], $3::text[], $4::text[], $5::int[]) as n (clock_id, conversation_id, metric, part)
     join p on p.metric = n.metric
"""
CONVERSATIONS = """
insert into conversation (conversation_id, tenant, part, seq, n, team, channel, config_version, tzdata, open, doc)
select n.conversation_id, p.tenant, n.part, 3, 3, p.team, p.channel, p.config_version, p.tzdata, true, p.conversation
from unnest($1::text[], $2::int[]) as n (conversation_id, part), (select * from pattern limit 1) as p
"""
INDEXES = """
select indexname, indexdef from pg_indexes
where schemaname = 'sla' and tablename in ('clock', 'conversation') and indexname not like '%_pkey'
"""


@dataclass(slots=True)
class Clones:
    """The tables of a service that is not running. `metrics`: the clocks of every conversation made."""

    services: Services
    database: Pool
    metrics: Sequence[Metric]

    @asynccontextmanager
    async def unindexed(self) -> AsyncIterator[None]:
        """Many rows at once: but for the primary keys, indexes are made when all are there."""
        found = await self.database.fetch(INDEXES)
        for name, _ in found:
            await self.database.execute(f"drop index {name}")
        yield
        for _, definition in found:
            await self.database.execute(definition)

    async def due(self, conversations: int, at: datetime) -> None:
        """So many conversations with a clock that is due then."""
        await self.add(conversations, at - await self.database.fetchval("select min(due_at) from pattern"))

    async def start_before(self, at: datetime) -> None:
        """The service, ready before that; then it is that time."""
        await self.services.start("sla")
        if (left := at.timestamp() - time.time()) < 0:
            raise AssertionError(f"this machine is too slow: ready {-left:.1f} s after the first clock was due")
        await asyncio.sleep(left)

    async def add(self, conversations: int, later: timedelta) -> None:
        """So many conversations whose clocks say something so much later than the pattern's."""
        for start in range(0, conversations, CHUNK):
            ids = [str(uuid.uuid4()) for _ in range(min(CHUNK, conversations - start))]
            parts = [partition_for(key.encode(), PARTITIONS) for key in ids]  # where what is said of them goes, too
            clocks = list(zip(*self._clocks(ids, parts), strict=True))
            await self.database.execute(CLOCKS, later, *clocks)
            await self.database.execute(CONVERSATIONS, ids, parts)

    def _clocks(self, ids: Sequence[str], parts: Sequence[int]) -> Iterator[tuple[str, str, str, int]]:
        for conversation_id, part in zip(ids, parts, strict=True):
            for metric in self.metrics:
                yield clock_id(TENANT, conversation_id, metric, 1), conversation_id, metric, part


@asynccontextmanager
async def prepared(bench: Bench, promised: Outgoing, *metrics: Metric) -> AsyncIterator[Clones]:
    """A real conversation in every partition, read by the service, which is stopped then."""
    async with (
        Services(bench.stack) as services,
        postgres.connect(bench.stack.database_url, "sla", size=2, application="bench") as database,
    ):
        await services.start("sla")
        talks = one_in_each(PARTITIONS)
        await records.fill(bench.stack.bootstrap, [promised, *(r for talk in talks for r in talk.records())])

        async def read() -> bool:
            return int(await database.fetchval(REAL)) >= len(talks) * len(metrics)

        await kit.eventually(read, what="the clocks of real conversations")
        await services.stop("sla")
        await database.execute(PATTERN)
        yield Clones(services, database, metrics)


# -- what comes of them

COMMITTED = "select count(*) from breach where tenant = $1 and breached_at between $2 and $3"
UNSENT = "select exists (select from outbox)"


@dataclass(frozen=True, slots=True)
class Said:
    """Of every breach in seconds: how late the timer was, and how late the record left."""

    fired: list[float]
    sent: list[float]
    #: Records that had been sent before: an outage between sending and noting it.
    again: int


async def committed(database: Pool, first: datetime, last: datetime, count: int) -> float:
    """When so many breaches of that time are durable, as time.time() has it."""

    async def all_there() -> bool:
        return int(await database.fetchval(COMMITTED, TENANT, first, last)) >= count

    await kit.eventually(all_there, seconds=DRAIN_S, what=f"{count} breaches")
    return time.time()


async def said(bench: Bench, database: Pool, first: datetime, last: datetime, count: int) -> Said:
    """What was published of the clocks due in that time: each of them, under an id of its own."""

    async def relayed() -> bool:
        return not await database.fetchval(UNSENT)

    await kit.eventually(relayed, seconds=DRAIN_S, what="an empty outbox")
    found: dict[str, tuple[float, float]] = {}
    records_read = 0
    for raw in await kit.read_topic(bench.stack.bootstrap, TOPIC):
        event = SlaEvent.FromString(raw.value)
        due = event.due_at.ToDatetime(tzinfo=UTC)
        if event.HasField("breached") and first <= due <= last:
            records_read += 1
            found.setdefault(event.event_id, (event.late_ms / 1000, raw.timestamp / 1000 - due.timestamp()))
    if len(found) != count:
        raise AssertionError(f"{len(found)} breaches instead of {count}")
    return Said([fired for fired, _ in found.values()], [sent for _, sent in found.values()], records_read - count)
