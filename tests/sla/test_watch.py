"""The stream of what is published: nothing lost between two watches, nobody else's events, a bounded number."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest
from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline.sla.v1.sla_event_pb2 import METRIC_FIRST_RESPONSE, METRIC_RESOLUTION, Metric, SlaEvent
from trunkline_common.errors import Refused
from trunkline_common.kafka import KafkaError, Outgoing, Record
from trunkline_common.tail import follow
from trunkline_sla.server_watch import WatchCalls
from trunkline_sla.watch import BEAT_SECONDS, Read, Seats, Wanted, watch

from deploy.local.stack import Stack
from tests.sla.reads import TENANT, as_caller, sources
from tests.sla.talk import produce

TOPIC = "trunkline.sla.v1"


def event(
    name: str, *, tenant: str = TENANT, team: str = "support", metric: Metric.ValueType = METRIC_FIRST_RESPONSE
) -> SlaEvent:
    """Something that was published."""
    return SlaEvent(event_id=name, tenant=tenant, conversation_id=name, team=team, metric=metric)


def record(found: SlaEvent, partition: int = 0, offset: int = 0) -> Record:
    """As it is read."""
    headers = {"ce_tenant": found.tenant.encode()}
    return Record(TOPIC, partition, offset, None, found.SerializeToString(), headers, 0)


def message(found: SlaEvent) -> Outgoing:
    """As it is written."""
    return Outgoing(
        TOPIC, found.conversation_id.encode(), found.SerializeToString(), {"ce_tenant": found.tenant.encode()}
    )


class Time:
    """Passes when it is told."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


async def told(
    *reads: Read, wanted: Wanted | None = None, time: Time | None = None
) -> list[tuple[str, tuple[int, ...]]]:
    """Every event ("" for none) with its place."""

    async def given() -> AsyncGenerator[Read, None]:
        for read in reads:
            yield read

    found = watch(given(), wanted or Wanted(TENANT), time or Time())
    return [(e.event_id if e else "", place) async for e, place in found]


# -- what is told


async def test_it_begins_with_where_it_stands() -> None:
    """Before anything happens: nothing falls between this message and the first event."""
    assert await told(([], (4, 7))) == [("", (4, 7))]


async def test_each_event_comes_with_the_place_after_it() -> None:
    """Also where others' events lie between; partitions move each on their own."""
    records = [record(event("a"), 0, 4), record(event("x", tenant="other"), 0, 5), record(event("b"), 0, 6)]
    second = [record(event("c"), 1, 7)]
    found = await told(([], (4, 7)), ([*records, *second], (7, 8)))
    assert found[1:] == [("a", (5, 7)), ("b", (7, 7)), ("c", (7, 8))]


async def test_only_what_is_wanted_is_told() -> None:
    """Another tenant's, team's or metric's events are not; nor what cannot be read, or says two things."""
    forged = event("forged", tenant="other")
    records = [
        record(event("mine")),
        record(event("other", tenant="other")),
        Record(TOPIC, 0, 0, None, forged.SerializeToString(), {"ce_tenant": TENANT.encode()}, 0),
        Record(TOPIC, 0, 0, None, event("astray").SerializeToString(), {"ce_tenant": b"other"}, 0),
        Record(TOPIC, 0, 0, None, b"\xff", {"ce_tenant": TENANT.encode()}, 0),
        record(event("billing", team="billing")),
        record(event("resolution", metric=METRIC_RESOLUTION)),
    ]
    reads: tuple[Read, Read] = ([], (0,)), (records, (1,))
    assert [name for name, _ in (await told(*reads))[1:]] == ["mine", "billing", "resolution"]
    assert [name for name, _ in (await told(*reads, wanted=Wanted(TENANT, "billing")))[1:]] == ["billing"]
    one = Wanted(TENANT, metric=METRIC_RESOLUTION)
    assert [name for name, _ in (await told(*reads, wanted=one))[1:]] == ["resolution"]


async def test_a_quiet_watch_gets_a_newer_token() -> None:
    """After a while without an event of its own, however much others have; not after every batch."""
    time = Time()

    async def given() -> AsyncGenerator[Read, None]:
        yield [], (0,)
        for offset in range(1, 5):
            time.now += BEAT_SECONDS / 2
            yield [record(event("x", tenant="other"), 0, offset - 1)], (offset,)

    found = [place async for _, place in watch(given(), Wanted(TENANT), time)]
    assert found == [(0,), (2,), (4,)]


def test_there_are_only_so_many() -> None:
    """One more is asked to come again; a seat that was left is free."""
    seats = Seats(1)
    with seats.one():
        with pytest.raises(Refused) as refused, seats.one():
            raise AssertionError
        assert (refused.value.code, refused.value.reason) == ("RESOURCE_EXHAUSTED", "WATCH_LIMIT")
        assert refused.value.retry_after == 5.0
    with seats.one():
        pass


# -- the handler


def calls(follow: Any, most: int = 8) -> WatchCalls:
    """SlaService's watches."""
    as_caller()
    return WatchCalls(sources(None), follow, Seats(most))


async def test_a_watch_that_ends_leaves_its_seat_and_its_reader() -> None:
    """Whoever ends it."""
    closed = asyncio.Event()

    async def idle(_start: Sequence[int] | None) -> AsyncGenerator[Read, None]:
        try:
            yield [], (0,)
            await asyncio.Event().wait()
        finally:
            closed.set()

    handlers = calls(idle, most=1)
    async with aclosing(handlers.WatchSla(pb.WatchSlaRequest(), None)) as stream:
        assert (await anext(stream)).resume_token
        with pytest.raises(Refused, match="already"):
            await anext(handlers.WatchSla(pb.WatchSlaRequest(), None))
    await asyncio.wait_for(closed.wait(), 5)
    async with aclosing(handlers.WatchSla(pb.WatchSlaRequest(), None)) as stream:
        assert await anext(stream)


async def test_a_token_is_good_for_its_own_watch_only() -> None:
    """Not for another team, nor another tenant."""

    async def one(start: Sequence[int] | None) -> AsyncGenerator[Read, None]:
        yield [], tuple(start or (5, 6))

    handlers = calls(one)
    [first] = [m async for m in handlers.WatchSla(pb.WatchSlaRequest(team="support"), None)]
    assert not first.HasField("event")
    again = pb.WatchSlaRequest(team="support", resume_token=first.resume_token)
    assert [m.HasField("event") async for m in handlers.WatchSla(again, None)] == [False]
    again.team = "billing"
    with pytest.raises(Refused) as refused:
        await anext(handlers.WatchSla(again, None))
    assert (refused.value.reason, refused.value.metadata) == ("INVALID_PAGE_TOKEN", {"field": "resume_token"})
    as_caller("other")
    again.team = "support"
    with pytest.raises(Refused):
        await anext(handlers.WatchSla(again, None))
    with pytest.raises(Refused, match="metric"):
        await anext(handlers.WatchSla(pb.WatchSlaRequest(metric=99), None))  # type: ignore[arg-type]


async def test_a_defect_of_kafka_asks_for_another_try() -> None:
    """UNAVAILABLE, not INTERNAL: the token still holds."""

    async def broken(_start: Sequence[int] | None) -> AsyncGenerator[Read, None]:
        yield [], (0,)
        raise KafkaError("gone")

    stream = calls(broken).WatchSla(pb.WatchSlaRequest(), None)
    await anext(stream)
    with pytest.raises(Refused) as refused:
        await anext(stream)
    assert refused.value.code == "UNAVAILABLE"


# -- real Kafka


async def until(stream: AsyncIterator[pb.WatchSlaResponse], number: int) -> list[pb.WatchSlaResponse]:
    """The next so many events of a stream."""
    found: list[pb.WatchSlaResponse] = []
    async with asyncio.timeout(60):
        while len(found) < number:
            told = await anext(stream)
            found += [told] if told.HasField("event") else []
    return found


@pytest.mark.stack
async def test_nothing_falls_between_two_watches(stack: Stack) -> None:
    """What was published while nobody watched comes first, each conversation in order, once."""
    tenant = f"t-{uuid.uuid4().hex[:8]}"
    handlers = calls(partial(follow, stack.bootstrap, TOPIC))
    as_caller(tenant)
    await produce(stack.bootstrap, [message(event("before", tenant=tenant))])
    async with aclosing(handlers.WatchSla(pb.WatchSlaRequest(), None)) as stream:
        token = (await anext(stream)).resume_token
        await produce(stack.bootstrap, [message(event(f"e{i}", tenant=tenant)) for i in range(20)])
        found = await until(stream, 20)
        assert {m.event.event_id for m in found} == {f"e{i}" for i in range(20)}
    late = [event("same", tenant=tenant) for _ in range(3)]
    for i, one in enumerate(late):
        one.event_id = f"late{i}"
    await produce(stack.bootstrap, [message(one) for one in late])
    ids = []
    for resumed in (found[7].resume_token, token):
        request = pb.WatchSlaRequest(resume_token=resumed)
        async with aclosing(handlers.WatchSla(request, None)) as stream:
            ids.append([m.event.event_id for m in await until(stream, 15 if resumed != token else 23)])
    seen = {m.event.event_id for m in found[:8]}
    assert set(ids[0]) == {f"e{i}" for i in range(20)} - seen | {f"late{i}" for i in range(3)}
    assert [name for name in ids[1] if name.startswith("late")] == ["late0", "late1", "late2"]
    assert len(set(ids[1])) == 23


async def test_a_watch_waits_for_kafka_until_it_is_cancelled() -> None:
    """No error, no answer; the caller's deadline ends it and nothing stays open."""
    asking = asyncio.ensure_future(anext(follow("127.0.0.1:1", TOPIC, None)))
    done, _ = await asyncio.wait({asking}, timeout=0.5)
    assert not done
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
