"""The partitions this worker has been given: their state, how it is rebuilt, and what is taken from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

import structlog
from trunkline_common import faultpoints, telemetry
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record

from trunkline_insights import wire
from trunkline_insights.queues import HEARTBEAT, Board, Partial, Shard, Snapshot, Step
from trunkline_insights.replay import Replay

log = structlog.get_logger(__name__)

GROUP = "insights"
#: More than every share of a partition's queues is repeated within one heartbeat.
TAIL = 20_000


class Share(Protocol):
    """What Shards and Boards are to the process: partitions come and go, and it is ready when they are rebuilt."""

    ready: asyncio.Event

    async def assign(self, partitions: Iterable[int]) -> None:
        """These and no others are ours now; returns when their state is complete."""

    async def take(self, record: Record) -> None:
        """One record that Faust delivered. Raises InvalidMessage."""


class Shards:
    """Of the conversations log. What Faust delivers is taken in offset order without holes, or read again.

    A shard holds exactly the records before its `next_offset`, whoever read them, so it stays right when its partition
    goes and comes back, when Faust repeats records, and when Faust loses some in a rebalance.
    """

    def __init__(self, replay: Replay) -> None:
        self.ready = asyncio.Event()
        self._replay = replay
        self._shards: dict[int, Shard] = {}
        self._beat: datetime | None = None

    async def assign(self, partitions: Iterable[int]) -> None:
        self.ready.clear()
        self._shards = {p: self._shards.get(p) or Shard() for p in partitions}
        self._beat = None
        await self._catch_up(self._shards)
        self.ready.set()

    async def take(self, record: Record) -> None:
        await self.ready.wait()
        shard = self._shards.get(record.partition)
        if shard is not None and record.offset > shard.next_offset:
            log.warning("records were not delivered; reading them", partition=record.partition, at=shard.next_offset)
            await self._catch_up({record.partition: shard})
        expected = shard is not None and record.offset == shard.next_offset
        if shard is not None and expected:
            shard.next_offset += 1
        step = wire.parse_step(record.value)
        if shard is not None and expected:
            _count(shard.apply(step, dedupe=not faultpoints.sabotaged("no_dedupe")), step)

    async def sweep(self) -> None:
        """Read what Faust has not delivered yet: a loss at the end of a partition shows in no later record."""
        if self.ready.is_set():
            await self._catch_up(self._shards)

    async def _catch_up(self, shards: Mapping[int, Shard]) -> None:
        """Whatever happens meanwhile, what is read for a shard goes to that shard."""
        held = dict(shards)
        starts = {p: shard.next_offset for p, shard in held.items()}
        ends = await self._replay.since(starts, lambda record: _read(held[record.partition], record))
        for partition, end in ends.items():
            held[partition].next_offset = max(end, held[partition].next_offset)

    def partials(self, now: datetime) -> list[Partial]:
        """The shares to publish: what changed, and all of them once per HEARTBEAT; none before they are complete."""
        if not self.ready.is_set():
            return []
        everything = self._beat is None or now >= self._beat + HEARTBEAT
        if everything:
            self._beat = now
        return [x for p, shard in self._shards.items() for x in shard.partials(p, now, everything=everything)]


class Boards:
    """Of the partials. Their newest alone counts, so nothing is made of order, repetition or loss."""

    def __init__(self, replay: Replay) -> None:
        self.ready = asyncio.Event()
        self._replay = replay
        self._boards: dict[int, Board] = {}

    async def assign(self, partitions: Iterable[int]) -> None:
        self.ready.clear()
        given = set(partitions)
        new = given - self._boards.keys()
        self._boards = {p: self._boards.get(p) or Board() for p in given}
        await self._replay.tail(new, TAIL, self._read)
        self.ready.set()

    async def take(self, record: Record) -> None:
        partial = wire.parse_partial(record.value)
        if record.partition in self._boards:
            self._boards[record.partition].take(partial)

    def _read(self, record: Record) -> None:
        try:
            partial = wire.parse_partial(record.value)
        except InvalidMessage:
            return
        if record.partition in self._boards:
            self._boards[record.partition].take(partial)

    def snapshots(self, now: datetime) -> list[Snapshot]:
        """What is to be published; nothing before the boards are complete."""
        if not self.ready.is_set():
            return []
        return [snapshot for board in self._boards.values() for snapshot in board.snapshots(now)]


def _read(shard: Shard, record: Record) -> None:
    """Poison is passed over here: whoever was delivered it has written, or will write, its dead letter."""
    if record.offset < shard.next_offset:
        return
    shard.next_offset = record.offset + 1
    try:
        step = wire.parse_step(record.value)
    except InvalidMessage:
        return
    shard.apply(step, dedupe=not faultpoints.sabotaged("no_dedupe"))


def _count(outcome: str, step: Step) -> None:
    if outcome == "duplicate":
        telemetry.count("trunkline.log.duplicates", 1, group=GROUP)
    if outcome == "gap":
        telemetry.count("trunkline.log.gaps", 1, group=GROUP)
        log.error("events of a conversation are missing", conversation_id=step.conversation_id, seq=step.seq)
