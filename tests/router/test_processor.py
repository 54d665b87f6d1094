"""The owner of a partition, its pools read from PostgreSQL again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common.clock import utc_now
from trunkline_common.errors import Refused
from trunkline_common.kafka import Outgoing, Producer, Record, TopicPartition
from trunkline_common.partitions import Claim
from trunkline_common.postgres import Pool, transaction
from trunkline_common.processor import Batch, Effects, Request
from trunkline_common.worker import Context, Worker
from trunkline_router import leaving, store, wire, wire_handover
from trunkline_router.advice import Advisor
from trunkline_router.draft import Draft
from trunkline_router.engine import SYSTEM, handle
from trunkline_router.facts import CustomerLookup
from trunkline_router.inputs import Configure, Input, ReceiveMessage
from trunkline_router.lookup import not_asked
from trunkline_router.pool import Pool as PoolState
from trunkline_router.processor import PoolProcessor
from trunkline_router.requests import Read
from trunkline_router.state import Engine
from trunkline_router.wire_config import to_pool_configured

from tests import kit
from tests.common.effects import NoRecords
from tests.router.given import CUSTOMER, message
from tests.router.pools import document

pytestmark = [pytest.mark.stack, pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="session")]
#: No process that runs beside has it.
PARTITION = 1000


async def nobody(event: InboundEvent) -> CustomerLookup:
    """No timeline."""
    return CustomerLookup(fallback=f"nobody knows {event.channel}")


class Owner:
    """A process that owns the partition of a pool, with all that it sends."""

    def __init__(self, db: Pool, tenant: str) -> None:
        self.db, self.tenant, self.sent = db, tenant, list[Any]()
        self.processor = PoolProcessor(db, Advisor(nobody, not_asked))

    async def claim(self) -> None:
        """Begin with what is committed."""
        self.processor = PoolProcessor(self.db, Advisor(nobody, not_asked))
        await self.processor.load(self.db, Claim("router", "trunkline.inbound.v1", PARTITION, 1))

    async def handle(self, *requests: Any, records: Sequence[Record] = (), commit: bool = True) -> Effects:
        """One batch; without a COMMIT as if it had died before."""
        batch = Batch(records, [Request(r) for r in requests], utc_now() + timedelta(seconds=1))
        await self.processor.prepare(batch)
        async with self.db.acquire() as tx:
            ends = tx.transaction()
            await ends.start()
            found = await self.processor.process(tx, batch)
            await (ends.commit() if commit else ends.rollback())
        self.sent += found.messages if commit else []
        return found

    def idle(self) -> bool:
        """Whether nothing is due."""
        return self.processor.next_due() is None

    def handed_over(self) -> list[str]:
        """The conversations that were sent to another pool."""
        events = [InboundEvent.FromString(m.value) for m in self.sent if m.topic == wire_handover.INBOUND]
        return [e.conversation_id for e in events if e.HasField("hand_over")]


async def pool_with(db: Pool, waiting: int) -> tuple[Owner, list[str]]:
    """A pool of a tenant of its own, in which so many conversations wait; its document has been dropped meanwhile."""
    tenant = f"t-{kit.new_id()}"
    engine = Engine(PoolState(f"{tenant}/c"))
    first, second = document(1, ["a", "c"], "c"), document(2, ["a"], "a")
    first.tenant = second.tenant = tenant
    first.agents.pop()
    handle(engine, Input(Configure(to_pool_configured(first, engine.pool.id)), "config/1", SYSTEM), utc_now())
    names = [kit.new_id() for _ in range(waiting)]
    for name in names:
        handle(engine, Input(message(name), kit.new_id(), CUSTOMER), utc_now())
    async with transaction(db) as tx:
        await tx.execute("delete from pool_snapshot where part = $1", PARTITION)
        await store.snapshot(tx, PARTITION, engine.pool)
        for config in (first, second):
            await store.put_config(tx, config)
    return Owner(db, tenant), names


async def test_a_document_that_nobody_was_told_of_is_found_by_who_owns_the_pool_next(db: Pool) -> None:
    """It came into force while the partition was between owners."""
    owner, names = await pool_with(db, 1)
    await owner.claim()
    assert not owner.idle()
    await owner.handle()
    assert owner.handed_over() == names
    assert owner.idle()


async def test_who_owns_no_pool_or_nothing_new_has_nothing_to_do(db: Pool) -> None:
    """After the first look."""
    owner, _ = await pool_with(db, 0)
    await owner.claim()
    await owner.handle()
    assert owner.idle()
    await owner.claim()
    assert (await owner.handle()).messages == []
    assert owner.idle()
    async with transaction(db) as tx:
        await tx.execute("delete from pool_snapshot where part = $1", PARTITION)
    await owner.claim()
    assert owner.idle()


async def test_a_pool_that_was_alone_asks_before_it_begins_a_conversation(db: Pool) -> None:
    """Its owner has not heard that there is another pool now: ingest had, and a conversation has begun there."""
    tenant, name = f"t-{kit.new_id()}", kit.new_id()
    owner = Owner(db, tenant)
    only, other = Engine(PoolState(f"{tenant}/a")), Engine(PoolState(f"{tenant}/b"))
    first, second = document(1, ["a"], "a"), document(2, ["a", "b"], "b")
    first.tenant = second.tenant = tenant
    handle(only, Input(Configure(to_pool_configured(first, only.pool.id)), "config/1", SYSTEM), utc_now())
    handle(other, Input(Configure(to_pool_configured(second, other.pool.id)), "config/2", SYSTEM), utc_now())
    begun = handle(other, Input(message(name), kit.new_id(), CUSTOMER), utc_now())
    async with transaction(db) as tx:
        await tx.execute("delete from pool_snapshot where part = $1", PARTITION)
        await store.put_config(tx, first)
        await store.snapshot(tx, PARTITION, only.pool)
    await owner.claim()
    await owner.handle()
    async with transaction(db) as tx:
        await store.put_config(tx, second)
        events = [wire.to_pool_event(e, other.pool.id, 1, utc_now()) for e in begun]
        rows = [(other.pool.id, e.pool_seq, name, s.SerializeToString()) for e, s in zip(begun, events, strict=True)]
        await store.record(tx, PARTITION + 1, rows, [], utc_now())
    event = kit.inbound(tenant, name, "still here", account="app")
    event.pool = only.pool.id
    found = kit.record(event)
    await owner.handle(records=[Record(found.topic, PARTITION, 0, found.key, found.value, found.headers, 0)])
    [sent] = (InboundEvent.FromString(m.value) for m in owner.sent if m.topic == wire_handover.INBOUND)
    assert (sent.pool, sent.conversation_id, sent.from_pool) == (other.pool.id, name, only.pool.id)


async def test_what_leaves_a_pool_leaves_once_whoever_owns_it_in_between(
    db: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that did not end left everything where it was; its successor goes on from there."""
    monkeypatch.setattr(leaving, "BATCH", 2)
    owner, names = await pool_with(db, 5)
    await owner.claim()
    sizes = []
    while not owner.idle():
        before = len(owner.handed_over())
        await owner.handle(commit=False)
        await owner.claim()
        await owner.handle()
        sizes.append(len(owner.handed_over()) - before)
    assert owner.handed_over() == names
    assert sizes == [2, 2, 1]


class Fragile(PoolProcessor):
    """Has a defect that a message of a customer meets, after it was decided."""

    def _decide(self, draft: Draft, engine: Engine, asked: Input, traceparent: str) -> None:
        super()._decide(draft, engine, asked, traceparent)
        if isinstance(asked.body, ReceiveMessage) and asked.body.content.text == "boom":
            raise LookupError("a bug")


class Memory(Producer):
    """Keeps what is published."""

    def __init__(self) -> None:
        super().__init__("nowhere", "memory")
        self.sent: list[Outgoing] = []

    async def send_all(self, messages: Sequence[Outgoing]) -> int:
        """All of it."""
        self.sent += messages
        return len(messages)


async def test_a_message_and_a_command_that_meet_a_defect_are_refused_alone(db: Pool) -> None:
    """The pool goes on with what its log says: nothing of them is in it, and everything else of the batch is, once."""
    tenant, names, sent = f"t-{kit.new_id()}", [kit.new_id() for _ in range(3)], Memory()
    pool, first = f"{tenant}/a", document(1, ["a"], "a")
    first.tenant = tenant
    async with transaction(db) as tx:
        await tx.execute("delete from pool_snapshot where part = $1", PARTITION)
        await store.put_config(tx, first)
    records = []
    for offset, (name, text) in enumerate(zip(names, ["hello", "boom", "hello"], strict=True)):
        event = kit.inbound(tenant, name, text, account="app")
        event.pool = pool
        made = kit.record(event)
        records.append(Record(made.topic, PARTITION, offset, made.key, made.value, made.headers, 0))

    def here(engine: Engine) -> set[str]:
        return set(engine.pool.conversations)

    def broken(engine: Engine) -> None:
        raise LookupError(f"a bug in {len(engine.pool.conversations)}")

    def fragile(_partition: int) -> PoolProcessor:
        return Fragile(db, Advisor(nobody, not_asked))

    context = Context(f"router-{tenant}", "here", "dlq", db, sent, fragile, utc_now)
    worker = Worker(TopicPartition("trunkline.inbound.v1", PARTITION), context, NoRecords())
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(worker.claimed.wait(), 10)
    worker.offer(records)
    asked = [worker.submit(Request(Read(pool, respond))) for respond in (here, broken, here)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [f.reason if isinstance(f, Refused) else f for f in found] == [
        {names[0], names[2]},
        "INTERNAL",
        {names[0], names[2]},
    ]
    worker.stop()
    await running
    [dead] = [m for m in sent.sent if m.topic == "dlq"]
    assert (dead.headers["dlq.reason"], dead.headers["dlq.offset"]) == (b"INTERNAL_ERROR", b"1")
    log = [wire.from_pool_event(event) for event in await store.log_after(db, pool, 0, 1000)]
    assert [event.pool_seq for event in log] == list(range(1, len(log) + 1))
    assert {event.conversation_id for event in log} == {"", names[0], names[2]}


async def test_a_pool_that_was_dropped_still_answers(db: Pool) -> None:
    """What it has is shown as it is."""
    owner, [name] = await pool_with(db, 1)
    await owner.claim()
    [status] = (
        await owner.handle(Read(f"{owner.tenant}/c", lambda engine: engine.pool.conversations[name].status))
    ).answers
    assert status == "QUEUED"
