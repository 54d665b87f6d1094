from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from trunkline.conversations.v1.conversation_event_pb2 import ConversationAssigned, ConversationResolved
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_insights import wire
from trunkline_insights.partitions import Boards, Shards
from trunkline_insights.queues import HEARTBEAT, Figures, Partial, Queue
from trunkline_insights.replay import Replay

from tests.insights.events import T0, at, event, queued

QUEUE = Queue("acme", "billing")
POISON = b"\xff\xff"


class Topic(Replay):
    """A topic in memory: what Replay reads, without Kafka."""

    def __init__(self, *logs: list[bytes]) -> None:
        super().__init__("", "log")
        self.logs, self.reads = logs, 0
        self.gate = asyncio.Event()
        self.gate.set()

    def record(self, partition: int, offset: int) -> Record:
        return Record("log", partition, offset, b"", self.logs[partition][offset], {}, 0)

    async def since(self, starts: Mapping[int, int], take: Callable[[Record], None]) -> dict[int, int]:
        if starts:
            await self.gate.wait()
        self.reads += 1
        for partition, start in starts.items():
            for offset in range(start, len(self.logs[partition])):
                take(self.record(partition, offset))
        return {p: len(self.logs[p]) for p in starts}

    async def tail(self, partitions: set[int], records: int, take: Callable[[Record], None]) -> None:
        await self.since({p: max(0, len(self.logs[p]) - records) for p in partitions}, take)


def waits(conversation: str, since: float = 0) -> bytes:
    return event(conversation, 1, queued("billing", at(since)))


def figures(shards: Shards) -> dict[int, Figures]:
    return {p.source_partition: p.figures for p in shards.partials(T0 + timedelta(days=1))}


async def test_an_assigned_partition_is_rebuilt_from_the_beginning_of_the_log() -> None:
    shards = Shards(Topic([waits("a"), waits("b")], [waits("c", 5)]))
    await shards.assign([0, 1])
    assert figures(shards) == {0: Figures(2, 0, at(0)), 1: Figures(1, 0, at(5))}


async def test_nothing_is_published_before_the_state_is_complete() -> None:
    topic = Topic([waits("a")])
    topic.gate.clear()
    shards = Shards(topic)
    assigning = asyncio.create_task(shards.assign([0]))
    await asyncio.sleep(0)
    assert figures(shards) == {}
    topic.gate.set()
    await assigning
    assert figures(shards) == {0: Figures(1, 0, at(0))}


async def test_what_was_read_already_is_not_applied_again_when_faust_delivers_it() -> None:
    topic = Topic([waits("a"), event("a", 2, ConversationAssigned(team="billing"))])
    shards = Shards(topic)
    await shards.assign([0])
    await shards.take(topic.record(0, 0))
    assert figures(shards) == {0: Figures(0, 1)}


async def test_records_that_faust_did_not_deliver_are_read() -> None:
    topic = Topic([waits("a")])
    shards = Shards(topic)
    await shards.assign([0])
    topic.logs[0].extend([waits("b"), waits("c"), waits("d")])
    await shards.take(topic.record(0, 3))
    assert figures(shards) == {0: Figures(4, 0, at(0))}


async def test_a_sweep_finds_what_was_lost_at_the_end_of_a_partition() -> None:
    topic = Topic([waits("a")])
    shards = Shards(topic)
    await shards.assign([0])
    topic.logs[0].append(event("a", 2, ConversationResolved()))
    await shards.sweep()
    assert figures(shards) == {0: Figures()}


async def test_a_partition_that_stays_is_read_only_from_where_it_stands() -> None:
    topic = Topic([waits("a")], [waits("b")])
    shards = Shards(topic)
    await shards.assign([0])
    await shards.assign([0, 1])
    assert figures(shards) == {0: Figures(1, 0, at(0)), 1: Figures(1, 0, at(0))}
    await shards.assign([1])
    assert figures(shards) == {1: Figures(1, 0, at(0))}


async def test_a_partition_that_goes_and_comes_back_during_a_sweep_is_still_read_whole() -> None:
    topic = Topic([waits("a")])
    shards = Shards(topic)
    await shards.assign([0])
    topic.logs[0].append(waits("b"))
    topic.gate.clear()
    sweeping = asyncio.create_task(shards.sweep())
    await asyncio.sleep(0)
    await shards.assign([])
    assigning = asyncio.create_task(shards.assign([0]))
    topic.gate.set()
    await asyncio.gather(sweeping, assigning)
    assert figures(shards) == {0: Figures(2, 0, at(0))}


async def test_poison_is_refused_when_delivered_and_its_neighbours_count() -> None:
    topic = Topic([waits("a")])
    shards = Shards(topic)
    await shards.assign([0])
    topic.logs[0].extend([POISON, waits("b")])
    with pytest.raises(InvalidMessage):
        await shards.take(topic.record(0, 1))
    await shards.take(topic.record(0, 2))
    assert figures(shards) == {0: Figures(2, 0, at(0))}
    assert topic.reads == 1


async def test_poison_passed_over_in_the_rebuild_is_still_refused_when_delivered() -> None:
    topic = Topic([POISON, waits("a")])
    shards = Shards(topic)
    await shards.assign([0])
    assert figures(shards) == {0: Figures(1, 0, at(0))}
    with pytest.raises(InvalidMessage):
        await shards.take(topic.record(0, 0))


async def test_with_dedupe_sabotaged_a_record_written_twice_counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_SABOTAGE", "no_dedupe")
    resolved = event("a", 2, ConversationResolved())
    shards = Shards(Topic([waits("a"), resolved, waits("a")]))
    await shards.assign([0])
    assert figures(shards) == {0: Figures(1, 0, at(0))}


async def test_shares_are_published_when_they_change_and_all_of_them_at_the_heartbeat() -> None:
    shards = Shards(Topic([waits("a")]))
    await shards.assign([0])
    assert len(shards.partials(T0)) == 1
    assert shards.partials(at(1)) == []
    assert len(shards.partials(T0 + HEARTBEAT)) == 1


def share(source: int, depth: int, seconds: float) -> bytes:
    return wire.partial_to_record(Partial(QUEUE, source, Figures(depth), at(seconds))).value or b""


async def test_the_boards_of_a_new_partition_are_filled_from_the_end_of_the_partials() -> None:
    topic = Topic([share(0, 1, 0), share(3, 5, 1), share(0, 2, 2)])
    boards = Boards(topic)
    await boards.assign([0])
    assert [s.figures.depth for s in boards.snapshots(at(3))] == [7]


async def test_the_boards_publish_nothing_before_they_are_complete() -> None:
    topic = Topic([share(0, 1, 0)])
    boards = Boards(topic)
    await boards.take(topic.record(0, 0))
    assert boards.snapshots(at(0)) == []


async def test_a_delivered_share_replaces_its_predecessor() -> None:
    topic = Topic([share(0, 1, 0)])
    boards = Boards(topic)
    await boards.assign([0])
    topic.logs[0].append(share(0, 4, 1))
    await boards.take(topic.record(0, 1))
    assert [s.figures.depth for s in boards.snapshots(at(2))] == [4]
