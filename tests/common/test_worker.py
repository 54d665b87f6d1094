"""The consumer pattern on the real Kafka and PostgreSQL, with the smallest processor there can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from trunkline_common import deadletters, outbox, partitions
from trunkline_common.backlog import FULL_RECORDS, MAX_RECORDS
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.errors import Fenced, Refused
from trunkline_common.kafka import KafkaError, TopicPartition, partition_for
from trunkline_common.partitions import Claim
from trunkline_common.postgres import Connection, Pool, transaction
from trunkline_common.processor import Batch, Request
from trunkline_common.worker import Context, Worker

from deploy.local.stack import Stack
from tests import kit
from tests.common.effects import Counting, NoRecords, Probe, Service, Unreliable, service

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(name="one", loop_scope="session")
async def _one(stack: Stack) -> AsyncIterator[Service]:
    """A service whose topic has one partition."""
    async with service(stack) as made:
        yield made


@pytest.fixture(name="probe")
def _probe() -> Probe:
    made = Probe()
    made.gate.set()
    return made


async def ask(consumer: Consumer, text: str) -> str:
    """Ask the owner of partition 0."""
    worker = consumer.worker(0)
    assert worker is not None
    return str(await asyncio.wait_for(worker.submit(Request(text)), 15))


async def test_a_batch_is_one_transaction(one: Service, probe: Probe) -> None:
    """Offset, effects and outbox rows bear the same transaction id."""
    probe.gate.clear()
    unreachable = Unreliable(one.bootstrap, failures=1_000_000)
    async with unreachable, one.consumer(probe, producer=unreachable):
        await one.send("e1", "e2", "bad")
        probe.gate.set()
        await one.until_counted("e1", "e2")

        async def all_written() -> bool:
            return bool(await one.pool.fetchval("select count(*) from outbox") == 3)

        await kit.eventually(all_written, what="two messages and a dead letter in the outbox")
        ids = {
            table: [row["xmin"] for row in await one.pool.fetch(f"select xmin::text from {table}")]  # noqa: S608
            for table in ("consumer_partition", "effect", "outbox")
        }
    # Kafka may hand the three over in more than one batch, the last of them with the dead letter alone.
    assert len(probe.batches) == len({x for found in ids.values() for x in found})
    assert set(ids["effect"]) <= set(ids["outbox"])
    assert ids["consumer_partition"] == [ids["outbox"][-1]]


async def test_a_batch_that_fails_leaves_nothing_and_is_done_once(one: Service, probe: Probe) -> None:
    """An outage after everything was written: tried again, counted once, said once."""
    failures = iter([OSError("gone"), OSError("gone again")])
    seen: list[dict[str, int]] = []

    async def fail(_tx: Connection, _batch: Batch) -> None:
        seen.append(await one.effects())
        if (error := next(failures, None)) is not None:
            raise error

    probe.inside = fail
    await one.send("e1", "e2", "e3")
    async with one.consumer(probe):
        assert await one.until_counted("e1", "e2", "e3") == {"e1": 1, "e2": 1, "e3": 1}
        said = await one.said(one.out, 3)
    assert seen[:3] == [{}, {}, {}]
    assert [record.value for record in said] == [b"e1", b"e2", b"e3"]
    assert await one.next_offset() == 3


async def test_a_request_is_answered_after_commit(one: Service, probe: Probe) -> None:
    """What was answered is there for others to see."""
    async with one.consumer(probe) as consumer:
        assert await ask(consumer, "hello") == "HELLO"
        assert await one.effects() == {"hello": 1}


async def test_a_request_whose_commit_fails_is_not_answered(one: Service, probe: Probe) -> None:
    """The constraint is checked at COMMIT, after everything the processor does. The process goes on."""
    await one.pool.execute("alter table effect add unique (count, part) deferrable initially deferred")
    async with one.consumer(probe) as consumer:
        assert await ask(consumer, "first") == "FIRST"
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                await ask(consumer, "second")
            assert (refused.value.code, refused.value.reason) == ("INTERNAL", "INTERNAL")
    assert await one.effects() == {"first": 1}


def defect(_tx: Connection, batch: Batch) -> None:
    """A bug that some records and some requests meet."""
    found = [record.value or b"" for record in batch.records] + [str(r.content).encode() for r in batch.requests]
    if any(text.startswith(b"boom") for text in found):
        raise LookupError("a bug")


async def in_one_batch(one: Service, consumer: Consumer, probe: Probe, records: list[str], requests: list[str]) -> Any:
    """What the requests are answered, all of it having waited for the batch before."""
    worker = consumer.worker(0)
    assert worker is not None

    async def all_there() -> bool:
        return len(worker._backlog._records) == len(records)

    probe.gate.clear()
    before = asyncio.create_task(ask(consumer, "before"))
    await kit.eventually(lambda: taken(consumer), what="the batch before in hand")
    asked = [asyncio.create_task(ask(consumer, text)) for text in requests]
    if records:
        await one.send(*records)
    await kit.eventually(all_there, what="the records")
    probe.gate.set()
    await before
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_an_input_that_meets_a_defect_is_refused_alone(one: Service, probe: Probe) -> None:
    """Everything else in its batch is done, once and in order; the state is what is committed, each time."""
    probe.inside = defect
    async with one.consumer(probe) as consumer:
        requests = ["hello", "boom", "bye"]
        hello, boom, bye = await in_one_batch(one, consumer, probe, ["e1", "boom1", "e2", "e3"], requests)
        assert (hello, bye) == ("HELLO", "BYE")
        assert isinstance(boom, Refused)
        assert (boom.code, boom.reason) == ("INTERNAL", "INTERNAL")
        assert await ask(consumer, "after") == "AFTER"
        said, [dead] = await one.said(one.out, 3), await one.said(one.dlq, 1)
    assert await one.effects() == dict.fromkeys(("before", "e1", "e2", "e3", "hello", "bye", "after"), 1)
    assert [record.value for record in said] == [b"e1", b"e2", b"e3"]
    assert (dead.value, dead.headers["dlq.reason"], dead.headers["dlq.offset"]) == (b"boom1", b"INTERNAL_ERROR", b"1")
    assert b"LookupError" in dead.headers["dlq.detail"]
    assert b"a bug" not in dead.headers["dlq.detail"]
    assert await one.next_offset() == 4
    assert len(probe.loads) == 1 + 3  # after the batch, after the record and after the request


async def test_a_record_that_leads_to_one_too_large_is_refused_alone(
    one: Service, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No broker would take it: it was to be published, so what led to it is a dead letter."""
    monkeypatch.setattr(outbox, "MAX_VALUE", 100)
    monkeypatch.setattr(deadletters, "LARGEST_VALUE", 50)
    async with one.consumer(probe) as consumer:
        await in_one_batch(one, consumer, probe, ["e1", "large" * 40, "e2"], [])
        assert [record.value for record in await one.said(one.out, 2)] == [b"e1", b"e2"]
        [dead] = await one.said(one.dlq, 1)
    assert (dead.value, dead.headers["dlq.reason"]) == (b"large" * 10, b"INTERNAL_ERROR")


async def test_a_defect_that_no_input_is_the_cause_of_refuses_none(one: Service, probe: Probe) -> None:
    """It raises without them too: the process ends as it would have, and whoever comes next has it all before them."""

    def always(_tx: Connection, _batch: Batch) -> None:
        raise LookupError("a bug of its own")

    async def two_requests() -> None:
        async with one.consumer(probe) as consumer:
            probe.inside = always
            found = await asyncio.gather(ask(consumer, "r1"), ask(consumer, "r2"), return_exceptions=True)
            assert [(f.code, f.metadata) for f in found if isinstance(f, Refused)] == [
                ("UNAVAILABLE", {"dependency": "owner"})
            ] * 2

    with pytest.raises(ExceptionGroup) as broken:
        await two_requests()
    assert broken.group_contains(LookupError, match="of its own")
    assert await one.effects() == {}


async def test_an_outage_while_the_cause_is_looked_for_changes_nothing(one: Service, probe: Probe) -> None:
    """Records are tried again, requests are to be asked again; the cause is found after it."""
    seen = 0

    def sometimes(tx: Connection, batch: Batch) -> None:
        nonlocal seen
        seen += 1
        if seen % 3 == 0:
            raise OSError("gone")
        defect(tx, batch)

    async with one.consumer(probe) as consumer:
        probe.inside = sometimes
        await one.send("e1", "boom1", "e2", "boom2", "e3")
        await one.until_counted("e1", "e2", "e3")
        dead = await one.said(one.dlq, 2)
        assert consumer.worker(0) is not None
    assert [record.value for record in dead] == [b"boom1", b"boom2"]
    assert await one.effects() == dict.fromkeys(("e1", "e2", "e3"), 1)


async def test_requests_that_wait_share_a_transaction(one: Service, probe: Probe) -> None:
    """What arrives while one runs goes together into the next."""
    async with one.consumer(probe) as consumer:
        probe.gate.clear()
        first = asyncio.create_task(ask(consumer, "first"))
        await kit.eventually(lambda: taken(consumer), what="the first request in hand")
        others = [asyncio.create_task(ask(consumer, f"r{n}")) for n in range(20)]
        await asyncio.sleep(0)
        probe.gate.set()
        assert await asyncio.gather(first, *others) == ["FIRST", *(f"R{n}" for n in range(20))]
    assert [len(batch.requests) for batch in probe.batches] == [1, 20]


async def taken(consumer: Consumer) -> bool:
    """Whether a batch is being handled."""
    worker = consumer.worker(0)
    return worker is not None and bool(worker._asked._in_hand)


async def test_an_invalid_record_goes_to_the_dead_letters_and_its_neighbours_flow(one: Service, probe: Probe) -> None:
    """As it was, with the reason, from the same transaction."""
    await one.send("e1", "bad", "e2", partition_key="who")
    async with one.consumer(probe):
        assert await one.until_counted("e1", "e2") == {"e1": 1, "e2": 1}
        (dead,) = await one.said(one.dlq, 1)
    assert (dead.key, dead.value) == (b"who", b"bad")
    facts = {name: dead.headers[f"dlq.{name}"].decode() for name in ("reason", "group", "topic", "partition", "offset")}
    assert facts == {
        "reason": "NOT_AN_EVENT",
        "group": one.name,
        "topic": one.topic,
        "partition": "0",
        "offset": "1",
    }


async def test_a_flood_of_invalid_records_stops_its_partition_only(stack: Stack, probe: Probe) -> None:
    """Nothing of the flood is consumed or dead-lettered; the other partition goes on."""
    keys = {partition_for(key.encode(), 2): key for key in ("a", "b", "c", "d")}
    async with service(stack, partitions=2) as two:
        async with two.consumer(probe) as consumer:
            probe.gate.clear()
            await two.send(*(f"bad{n}" for n in range(60)), partition_key=keys[0])
            probe.gate.set()
            await kit.eventually(lambda: stopped(consumer, 0), what="partition 0 stopped")
            await two.send("e1", partition_key=keys[1])
            assert await two.until_counted("e1") == {"e1": 1}
        assert await two.next_offset(0) < 60
        assert await two.next_offset(1) == 1


async def stopped(consumer: Consumer, partition: int) -> bool:
    """Whether the worker of a partition has given up."""
    worker = consumer.worker(partition)
    return worker is not None and not worker.claimed.is_set()


async def test_outages_do_not_make_a_flood_of_a_few_invalid_records(
    one: Service, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is tried again is counted once."""
    write, outages = outbox.write, iter(range(3))

    async def flaky(*args: object) -> None:
        if next(outages, None) is not None:
            raise OSError("postgresql is gone")
        await write(*args)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(outbox, "write", flaky)
    await one.send_many([f"bad{n}" for n in range(30)])
    async with one.consumer(probe):
        assert len(await one.said(one.dlq, 30)) == 30
    assert await one.next_offset() == 30


async def test_where_strangers_write_no_flood_stops_the_partition(one: Service, probe: Probe) -> None:
    """Everything they send is refused and kept."""
    await one.send_many([f"bad{n}" for n in range(120)])
    async with one.consumer(probe, poison_limit=False):
        assert len(await one.said(one.dlq, 120)) == 120


async def test_records_of_a_slow_partition_are_bounded(one: Service, probe: Probe) -> None:
    """Fetching pauses above the mark and goes on below it; nothing is lost and order is kept."""
    probe.gate.clear()
    events = [f"e{n:05}" for n in range(12_000)]
    await one.send_many(events)
    async with one.consumer(probe) as consumer:
        worker = consumer.worker(0)
        assert worker is not None

        async def paused() -> bool:
            return worker._paused

        await kit.eventually(paused, what="fetching paused")
        waiting = len(worker._backlog._records)
        assert FULL_RECORDS < waiting < 3 * FULL_RECORDS
        probe.gate.set()
        assert len(await one.until_counted(events[-1])) == len(events)
        said = await one.said(one.out, len(events))
    assert max(len(batch.records) for batch in probe.batches) <= MAX_RECORDS
    assert [record.value for record in said] == [event.encode() for event in events]


@pytest.mark.parametrize(("sabotage", "epochs"), [("", {"e1": 1, "e2": 3}), ("no_fence", {"e1": 1, "e2": 1})])
async def test_a_stale_owner_writes_nothing(
    one: Service, probe: Probe, monkeypatch: pytest.MonkeyPatch, sabotage: str, epochs: dict[str, int]
) -> None:
    """P7: claimed by another between two batches. Without the fence the stale owner writes: the test can fail."""
    monkeypatch.setenv("TRUNKLINE_SABOTAGE", sabotage)
    async with one.consumer(probe):
        await one.send("e1")
        await one.until_counted("e1")
        async with transaction(one.pool) as tx:
            other, offset = await partitions.claim(tx, one.name, one.topic, 0, "another process", 0)
        assert (other.epoch, offset) == (2, 1)
        await one.send("e2")
        assert await one.until_counted("e2") == {"e1": 1, "e2": 1}
        found = {r["event_id"]: r["epoch"] for r in await one.pool.fetch("select event_id, epoch from effect")}
    assert found == epochs


async def test_the_older_of_two_claims_is_fenced_and_its_transaction_leaves_nothing(one: Service) -> None:
    """The claim row decides, not the clock and not Kafka."""
    claims = []
    for owner in ("old", "new"):
        async with transaction(one.pool) as tx:
            claims.append(await partitions.claim(tx, "g", "t", 0, owner, 7))
    (old, _), (new, start) = claims

    async def write_as_the_old_one() -> None:
        async with transaction(one.pool) as tx:
            await tx.execute("insert into effect values ('stale', 0, 1)")
            await partitions.fence(tx, old, start, 9)

    with pytest.raises(Fenced):
        await write_as_the_old_one()
    with pytest.raises(Fenced):
        await partitions.position(one.pool, old)
    async with transaction(one.pool) as tx:
        await partitions.fence(tx, new, start, 9)
    assert (await one.effects(), await partitions.position(one.pool, new)) == ({}, 9)
    await partitions.release(one.pool, old)
    assert await partitions.owner_of(one.pool, "g", "t", 0) == "new"


class Broken(Counting):
    """Cannot load."""

    async def load(self, _pool: Pool, _claim: Claim) -> None:
        """A bug."""
        raise LookupError("a bug in load")


async def test_an_owner_that_cannot_load_ends_with_the_reason(one: Service, probe: Probe) -> None:
    """Before its first load it has no processor, and none to close."""
    context = Context(
        one.name, "here", one.dlq, one.pool, one.producer, lambda _partition: Broken(one.out, probe), utc_now
    )
    with pytest.raises(LookupError, match="a bug in load"):
        await Worker(TopicPartition(one.topic, 0), context, NoRecords()).run()


class Reading(Counting):
    """Reads Kafka when it loads its state, which fails at first."""

    failures = 1

    async def load(self, pool: Pool, claim: Claim) -> None:
        """An outage, then nothing in the way."""
        if Reading.failures:
            Reading.failures -= 1
            raise KafkaError("nobody answers")
        await super().load(pool, claim)


async def test_an_owner_that_reads_kafka_to_load_waits_for_it(one: Service, probe: Probe) -> None:
    """As it waits for PostgreSQL: no outage ends a process."""
    context = Context(
        one.name, "here", one.dlq, one.pool, one.producer, lambda _partition: Reading(one.out, probe), utc_now
    )
    worker = Worker(TopicPartition(one.topic, 0), context, NoRecords())
    running = asyncio.create_task(worker.run())
    claimed = asyncio.create_task(worker.claimed.wait())
    await asyncio.wait({running, claimed}, timeout=15, return_when=asyncio.FIRST_COMPLETED)
    assert claimed.done()
    worker.stop()
    await running


async def test_the_same_offsets_are_consumed_once(one: Service) -> None:
    """A batch whose COMMIT went through although nobody heard of it cannot be done again."""
    async with transaction(one.pool) as tx:
        own, start = await partitions.claim(tx, "g", "t", 0, "here", 0)
        await partitions.fence(tx, own, start, 5)
    with pytest.raises(Fenced):
        async with transaction(one.pool) as tx:
            await partitions.fence(tx, own, start, 5)


async def test_the_next_owner_begins_where_the_last_one_committed(one: Service, probe: Probe) -> None:
    """Kafka's committed offset has no say; nothing counts twice."""
    await one.send("e1", "e2")
    async with one.consumer(probe):
        await one.until_counted("e1", "e2")
    await one.send("e3")
    async with one.consumer(probe):
        assert await one.until_counted("e3") == {"e1": 1, "e2": 1, "e3": 1}
    assert [claim.epoch for claim in probe.loads] == [1, 2]
    assert [len(batch.records) for batch in probe.batches][-1] == 1
