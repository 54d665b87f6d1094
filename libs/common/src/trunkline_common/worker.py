"""The owner of one partition: one task, one transaction per batch, the fence first (streaming C2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from trunkline_common import outbox, partitions, telemetry
from trunkline_common.asked import Asked
from trunkline_common.backlog import Backlog
from trunkline_common.clock import Clock
from trunkline_common.deadletters import dead_letters
from trunkline_common.errors import Busy, Fenced, PoisonFlood, unavailable
from trunkline_common.faultpoints import crash_point, sabotaged
from trunkline_common.kafka import KafkaError, Producer, Record, TopicPartition
from trunkline_common.partitions import Claim
from trunkline_common.poison import Poison
from trunkline_common.postgres import OUTAGES, Pool, transaction
from trunkline_common.processor import Batch, Effects, Processor, Request
from trunkline_common.refusing import Refusing
from trunkline_common.source import Source

log = structlog.get_logger(__name__)

LONGEST_SLEEP_S = 1.0  # on a timer: the wall clock may be set forward, or stand still with the machine (sla 12.6)
#: The batch is begun again after these.
AGAIN: tuple[type[BaseException], ...] = (*OUTAGES, Busy)


@dataclass(frozen=True, slots=True)
class Context:
    """What every partition of a consumer shares."""

    group: str
    owner: str
    dlq_topic: str
    pool: Pool
    producer: Producer
    make: Callable[[int], Processor]
    clock: Clock
    #: Stop a partition whose records are invalid in numbers. Off where strangers write the topic.
    poison_limit: bool = True


class Worker:
    """Owns a partition from claim to revocation. `run` until `stop`; `offer` records, `submit` requests."""

    def __init__(self, tp: TopicPartition, context: Context, source: Source) -> None:
        self.tp, self._context, self._source = tp, context, source
        self._backlog = Backlog()
        self._asked = Asked()
        #: How many records and requests of a batch that failed are still to be tried, each alone.
        self._apart = (0, 0)
        self._wake = asyncio.Event()
        self._paused = self._stopping = False
        self.claimed = asyncio.Event()
        self.position = self._end_at_claim = 0
        self._poison = Poison()
        self._processor: Processor | None = None  # until the first load

    # -- from the consumer's loop and the gRPC handlers

    def offer(self, records: Sequence[Record]) -> None:
        """Take fetched records; pauses the fetching when too many wait."""
        if not self.claimed.is_set():
            return
        self._backlog.add(records)
        if self._backlog.full and not self._paused:
            self._paused = True
            self._source.pause(self.tp)
        self._wake.set()

    async def submit(self, request: Request) -> Any:
        """Have a request handled in the next transaction; returns its answer after COMMIT or raises Refused."""
        if not self.claimed.is_set() or self._stopping:
            raise unavailable("owner")
        future = self._asked.add(request)
        self._wake.set()
        return await future

    def stop(self) -> None:
        """End after the batch that is being handled."""
        self._stopping = True
        self._wake.set()

    # -- the owner's life

    async def run(self) -> None:
        """Claim, load, handle batches; fenced while Kafka still assigns us the partition: claim again after a pause."""
        try:
            await self._live()
        finally:
            self._disown()

    async def _live(self) -> None:
        while not self._stopping:
            try:
                await self._own()
            except Fenced as error:
                telemetry.count("trunkline.partition.fenced", 1, group=self._context.group)
                log.warning("fenced: a newer owner wrote", group=self._context.group, error=str(error))
                self._disown()
                await asyncio.sleep(1.0)
            except PoisonFlood as error:
                telemetry.count("trunkline.partition.stopped", 1, group=self._context.group)
                log.critical("partition stopped: too many invalid records", error=str(error))
                return

    def _disown(self) -> None:
        self.claimed.clear()
        self._backlog.clear()
        self._apart = (0, 0)
        self._asked.refuse_all(unavailable("owner"))

    async def _own(self) -> None:
        own = await self._patiently(self._claim)
        relay = outbox.Relay(self._context.pool, self._context.producer, own.group, own.partition, own.topic, own.epoch)
        relaying = asyncio.create_task(relay.run())
        relaying.add_done_callback(lambda _: self._wake.set())  # a relay that ends by a bug ends its owner
        try:
            self._processor = await self._patiently(lambda: self._loaded(own))
            self._source.start_at(self.tp, self.position)
            self.claimed.set()
            while (batch := await self._next_batch(self._processor, relaying)) is not None:
                await self._handle(own, self._processor, batch, relay)
            await self._finish(own, relay)
        finally:
            if self._processor is not None:
                await self._processor.close()
            relaying.cancel()
            with suppress(asyncio.CancelledError):
                await relaying

    async def _finish(self, own: Claim, relay: outbox.Relay) -> None:
        with suppress(*OUTAGES, KafkaError):  # leaving: the next owner publishes what is left
            async with asyncio.timeout(2):
                while await relay.drain():
                    pass
        with suppress(*OUTAGES):
            await partitions.release(self._context.pool, own)

    async def _claim(self) -> Claim:
        first, self._end_at_claim = await self._source.begin(self.tp), await self._source.end(self.tp)
        async with transaction(self._context.pool) as tx:
            own, self.position = await partitions.claim(
                tx, self._context.group, self.tp.topic, self.tp.partition, self._context.owner, first
            )
        if self.position < first:
            log.error("records were deleted before they were read", topic=self.tp.topic, part=self.tp.partition,
                      next_offset=self.position, beginning=first)  # fmt: skip
        return own

    async def _loaded(self, own: Claim) -> Processor:
        processor = self._context.make(self.tp.partition)
        await processor.load(self._context.pool, own)
        return processor

    async def _patiently(self, attempt: Callable[[], Any]) -> Any:
        delay = 0.2
        while True:
            try:
                return await attempt()
            except (*OUTAGES, KafkaError) as error:  # a service may read Kafka to load its state
                log.warning("waiting for postgresql or kafka", group=self._context.group, error=repr(error))
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)

    # -- one batch

    async def _next_batch(self, processor: Processor, relaying: asyncio.Task[None]) -> Batch | None:
        while not self._stopping:
            if relaying.done():
                relaying.result()
            self._wake.clear()
            now, due = self._context.clock(), processor.next_due()
            if self.position < self._end_at_claim:
                due = None  # what is due may have been answered by a record still to be read (sla 12.4)
            if self._backlog or self._asked or (due is not None and due <= now):
                return self._take_batch(now)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else min((due - now).total_seconds(), LONGEST_SLEEP_S)):
                    await self._wake.wait()
        return None

    def _take_batch(self, now: datetime) -> Batch:
        apart = self._apart != (0, 0)
        batch = self._take_one(now) if apart else Batch(self._backlog.take(), self._asked.take(), now)
        if self._paused and self._backlog.low:
            self._paused = False
            self._source.resume(self.tp)
        caught_up = not apart and _end(batch, self.position) >= self._end_at_claim and not self._backlog
        return replace(batch, caught_up=caught_up)

    def _take_one(self, now: datetime) -> Batch:
        records, requests = self._apart
        self._apart = (records - 1, requests) if records else (0, requests - 1)
        return Batch(self._backlog.take(min(records, 1)), self._asked.take(0 if records else 1), now)

    async def _handle(self, own: Claim, processor: Processor, batch: Batch, relay: outbox.Relay) -> None:
        """Commit the batch and answer; after an outage give the records back and load the state anew.

        What raises anything else is not to end the process for all: it is found and refused.
        """
        began = time.perf_counter()
        spans, records = telemetry.process_spans(batch.records, self._context.group)
        batch = replace(batch, records=records)
        crash_point("batch.taken", batch)
        try:
            with telemetry.handling(spans):
                await processor.prepare(batch)
                effects = await self._transact(own, processor, batch)
        except AGAIN as error:
            await self._recover(own, processor, batch, error)
            return
        except (Fenced, PoisonFlood):
            raise
        except Exception as error:
            if isinstance(processor, Refusing) or not (batch.records or batch.requests):
                raise
            await self._isolate(own, processor, batch, relay, error)
            return
        crash_point("batch.after_commit", batch)
        self.position = _end(batch, self.position)
        processor.committed()
        self._asked.answer(effects.answers)
        if effects.messages or effects.rejected:
            relay.wake()
        telemetry.observe("messaging.process.duration", time.perf_counter() - began, group=own.group)

    async def _transact(self, own: Claim, processor: Processor, batch: Batch) -> Effects:
        start, end = self.position, _end(batch, self.position)
        if sabotaged("commit_first"):
            async with transaction(self._context.pool) as tx:
                await partitions.fence(tx, own, start, end)
            start = end
        async with transaction(self._context.pool) as tx:
            await partitions.fence(tx, own, start, end)
            effects = await processor.process(tx, batch)
            poison = copy(self._poison)  # a batch that is tried again counts once
            if self._context.poison_limit:
                poison.check(self.tp, batch.records, effects.rejected)
            letters = dead_letters(effects.rejected, self._context.dlq_topic, own.group)
            await outbox.write(tx, own.group, own.partition, [*effects.messages, *letters])
            crash_point("batch.before_commit", batch)
        self._poison = poison
        return effects

    async def _recover(self, own: Claim, processor: Processor, batch: Batch, error: BaseException) -> None:
        """Nobody knows whether the COMMIT went through: read the position again, keep what is left, load anew."""
        telemetry.count("trunkline.batch.retries", 1, group=own.group)
        log.warning("batch kept, trying again", group=own.group, part=own.partition, error=repr(error))
        waiting_for = error.waiting_for if isinstance(error, Busy) else "postgresql"
        self._asked.refuse(unavailable(waiting_for))
        self._backlog.give_back(batch.records)
        await asyncio.sleep(0.2)
        self.position = await self._patiently(lambda: partitions.position(self._context.pool, own))
        self._backlog.drop_before(self.position)
        await self._reload(own, processor)

    async def _isolate(self, own: Claim, processor: Processor, batch: Batch, relay: outbox.Relay,
                       error: Exception) -> None:  # fmt: skip
        """Its inputs are tried again, each alone; one that raises alone is refused if all is well without it."""
        log.exception("a defect", group=own.group, part=own.partition, records=len(batch.records),
                      requests=len(batch.requests))  # fmt: skip
        telemetry.count("trunkline.batch.defects", 1, group=own.group)
        made = await self._reload(own, processor)
        if len(batch.records) + len(batch.requests) == 1:
            await self._handle(own, Refusing(made, error), batch, relay)
            return
        self._backlog.give_back(batch.records)
        self._asked.give_back()
        self._apart = len(batch.records), len(batch.requests)

    async def _reload(self, own: Claim, processor: Processor) -> Processor:
        await processor.close()
        made: Processor = await self._patiently(lambda: self._loaded(own))
        self._processor = made
        return made


def _end(batch: Batch, position: int) -> int:
    return batch.records[-1].offset + 1 if batch.records else position
