"""The outbox: everything is published, in order, with the same id however often; and the schema it lives in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest
import pytest_asyncio
from trunkline_common import outbox, partitions, postgres
from trunkline_common.kafka import Outgoing, Producer
from trunkline_common.outbox import Relay
from trunkline_common.postgres import UnknownSchema, transaction

from deploy.local.stack import Stack
from tests import kit
from tests.common.effects import Probe, Service, Unreliable, service

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(name="one", loop_scope="session")
async def _one(stack: Stack) -> AsyncIterator[Service]:
    """A service whose topic has one partition."""
    async with service(stack) as made:
        yield made


class Recording(Producer):
    """Keeps what it is given; takes so many at a time."""

    def __init__(self, at_once: int = 1000) -> None:
        super().__init__("nowhere:1", "recording")
        self.sent: list[bytes | None] = []
        self._at_once = at_once

    async def send_all(self, messages: Sequence[Outgoing]) -> int:
        """The longest prefix that fits."""
        self.sent += [message.value for message in messages[: self._at_once]]
        return min(len(messages), self._at_once)


def message(text: str) -> Outgoing:
    """Something to publish."""
    return Outgoing("t", b"k", text.encode(), {"ce_id": text.encode(), "odd": b"\xff\x00"})


async def test_order_holds_when_the_broker_fails_in_the_middle(one: Service) -> None:
    """P3: some are sent twice, with the same ce_id; none is overtaken and none is missing."""
    probe = Probe()
    probe.gate.set()
    events = [f"e{n}" for n in range(40)]
    await one.send_many(events)
    unreliable = Unreliable(one.bootstrap, failures=3)
    async with unreliable, one.consumer(probe, producer=unreliable):
        await one.until_counted(*events)

        async def all_said() -> list[str] | None:
            ids = [record.headers["ce_id"].decode() for record in await one.said(one.out, 1)]
            return ids if events[-1] in ids else None

        ids = await kit.eventually(all_said, what="the last event on the topic")
    assert len(ids) > len(events)
    assert list(dict.fromkeys(ids)) == events


async def test_rows_that_do_not_fit_in_one_batch_follow_in_the_next(one: Service) -> None:
    """All that was fetched leaves in order, is deleted once, and another partition's rows stay."""
    async with transaction(one.pool) as tx:
        await outbox.write(tx, "g", 0, [message(f"m{n}") for n in range(5)])
        await outbox.write(tx, "g", 1, [message("of another partition")])
    producer = Recording(at_once=2)
    relay = Relay(one.pool, producer, "g", 0)
    assert [await relay.drain() for _ in range(2)] == [5, 0]
    assert producer.sent == [f"m{n}".encode() for n in range(5)]
    assert await one.pool.fetchval("select count(*) from outbox") == 1


class Acknowledging(Recording):
    """Keeps what was acknowledged before each send."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[bytes | None, int] = {}

    async def send_all(self, messages: Sequence[Outgoing]) -> int:
        """One batch a partition, all at once: until this returns any of them may be there without another."""
        self.before |= {message.value: len(self.sent) for message in messages}
        return await super().send_all(messages)


async def test_what_the_group_reads_itself_leaves_when_all_before_it_is_acknowledged(one: Service) -> None:
    """Who reads it may publish at once: that must not get before what is still on its way from here."""
    rows = [("log", "a1"), ("log", "a2"), ("in", "to b"), ("in", "to c"), ("log", "a3"), ("in", "to d"), ("log", "a4")]
    async with transaction(one.pool) as tx:
        await outbox.write(tx, "g", 0, [message(text)._replace(topic=topic) for topic, text in rows])
    producer = Acknowledging()
    assert await Relay(one.pool, producer, "g", 0, "in").drain() == len(rows)
    assert producer.sent == [text.encode() for _, text in rows]
    assert [producer.before[text] for text in (b"to b", b"to c", b"to d")] == [2, 2, 5]
    assert producer.before[b"a1"] == producer.before[b"a2"] == 0


async def test_headers_come_out_as_they_went_in(one: Service) -> None:
    """Bytes, whatever they are."""

    class Kept(Recording):
        headers: dict[str, bytes]

        async def send_all(self, messages: Sequence[Outgoing]) -> int:
            self.headers = dict(messages[0].headers)
            return len(messages)

    async with transaction(one.pool) as tx:
        await outbox.write(tx, "g", 0, [message("m")])
    kept = Kept()
    assert await Relay(one.pool, kept, "g", 0).drain() == 1
    assert kept.headers == {"ce_id": b"m", "odd": b"\xff\x00"}


@pytest.mark.parametrize(("sabotage", "sent"), [("", [b"late", b"early"]), ("relay_id_gt", [b"late"])])
async def test_a_row_that_becomes_visible_late_is_not_skipped(
    one: Service, monkeypatch: pytest.MonkeyPatch, sabotage: str, sent: list[bytes]
) -> None:
    """Ids of concurrent transactions appear out of order. With `id > last` the early one is lost: the test can fail."""
    monkeypatch.setattr(Relay, "_sabotage_last", 0)
    monkeypatch.setenv("TRUNKLINE_SABOTAGE", sabotage)
    producer = Recording()
    relay = Relay(one.pool, producer, "g", 0)
    async with transaction(one.pool) as slow:
        await outbox.write(slow, "g", 0, [message("early")])
        async with transaction(one.pool) as quick:
            await outbox.write(quick, "g", 0, [message("late")])
        assert await relay.drain() == 1
    await relay.drain()
    assert producer.sent == sent


async def test_a_batch_that_rolls_back_publishes_nothing(one: Service) -> None:
    """The outbox is part of the transaction."""
    with suppress(LookupError):
        async with transaction(one.pool) as tx:
            await outbox.write(tx, "g", 0, [message("m")])
            raise LookupError
    assert await Relay(one.pool, Recording(), "g", 0).drain() == 0


async def test_migrations_are_applied_once(one: Service) -> None:
    """A second start finds nothing to do."""
    before = await one.pool.fetch("select name, sha256 from schema_version")
    await postgres.migrate(one.pool, one.name, "trunkline_common")
    assert await one.pool.fetch("select name, sha256 from schema_version") == before
    assert [row["name"] for row in before] == ["trunkline_common/0001_core.sql"]


@pytest.mark.parametrize(
    "change",
    [
        "insert into schema_version values ('trunkline_common/9999_future.sql', 'x')",
        "update schema_version set sha256 = 'changed'",
    ],
    ids=["of a newer build", "changed after it was applied"],
)
async def test_a_schema_this_build_does_not_know_is_refused(one: Service, change: str) -> None:
    """It must not be written to."""
    await one.pool.execute(change)
    with pytest.raises(UnknownSchema, match="is unknown to this build or was changed; upgrade the build"):
        await postgres.migrate(one.pool, one.name, "trunkline_common")


async def test_what_a_crash_brings_back_is_sent_without_being_told(
    one: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DELETE does not wait for the disk: a row may be there again, and nothing is committed that wakes the relay."""
    monkeypatch.setattr(outbox, "LOOK_EVERY_S", 0.05)
    looked = asyncio.Event()

    class Looking(Relay):
        async def drain(self) -> int:
            found = await super().drain()
            looked.set()
            return found

    producer = Recording()
    relaying = asyncio.create_task(Looking(one.pool, producer, "g", 0).run())
    try:
        await looked.wait()
        async with transaction(one.pool) as tx:
            await outbox.write(tx, "g", 0, [message("back")])

        async def sent() -> bool:
            return producer.sent == [b"back"] and not await one.pool.fetchval("select count(*) from outbox")

        await kit.eventually(sent, seconds=10, what="the row sent and gone")
    finally:
        relaying.cancel()


async def test_who_was_replaced_publishes_nothing(one: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are its successor's to publish: an owner that wakes up late would send what was sent once more."""
    async with transaction(one.pool) as tx:
        for _ in range(2):
            own, _ = await partitions.claim(tx, "g", "in", 0, "somebody", 0)
        await outbox.write(tx, "g", 0, [message("m")])
    late, present = Recording(), Recording()
    assert await Relay(one.pool, late, "g", 0, "in", own.epoch - 1).drain() == 0
    monkeypatch.setenv("TRUNKLINE_SABOTAGE", "no_fence")
    assert await Relay(one.pool, late, "g", 0, "in", own.epoch - 1).drain() == 1
    monkeypatch.delenv("TRUNKLINE_SABOTAGE")
    async with transaction(one.pool) as tx:
        await outbox.write(tx, "g", 0, [message("m")])
    assert await Relay(one.pool, present, "g", 0, "in", own.epoch).drain() == 1
