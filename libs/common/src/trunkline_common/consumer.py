"""The consumer loop of every service that owns state: Kafka gives partitions, each gets a Worker, records go to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import structlog

from trunkline_common.kafka import (
    ConsumerRebalanceListener,
    GroupConsumer,
    KafkaError,
    TopicPartition,
    group_consumer,
    to_record,
)
from trunkline_common.settings import CommonSettings
from trunkline_common.worker import Context, Worker

log = structlog.get_logger(__name__)

HINT_SECONDS = 5.0  # how often Kafka is told the offset that PostgreSQL holds, for lag tools


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """Consumes one topic for one group until stopped. `run` in a task group; a bug in a worker ends it."""

    def __init__(self, context: Context, topic: str, *, bootstrap: str, instance: str, session_timeout_ms: int) -> None:
        self._context, self._topic = context, topic
        self._bootstrap, self._instance, self._session_timeout_ms = bootstrap, instance, session_timeout_ms
        self._kafka: GroupConsumer | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[TopicPartition, tuple[Worker, asyncio.Task[None]]] = {}
        self._stopping = False
        self._starting: asyncio.Task[None] | None = None
        self.assigned = asyncio.Event()

    @classmethod
    def of(cls, settings: CommonSettings, context: Context, topic: str) -> Consumer:
        """The consumer of a process, a member of its group as the settings say."""
        return cls(
            context,
            topic,
            bootstrap=settings.kafka,
            instance=settings.instance,
            session_timeout_ms=settings.session_timeout_ms,
        )

    def worker(self, partition: int) -> Worker | None:
        """The worker of a partition this process owns."""
        found = self._running.get(TopicPartition(self._topic, partition))
        return found[0] if found else None

    def workers(self) -> list[Worker]:
        """The workers of all partitions this process owns."""
        return [worker for worker, _ in self._running.values()]

    async def ready(self) -> None:
        """Wait until every partition Kafka gave us is claimed."""
        await self.assigned.wait()
        for worker, _ in list(self._running.values()):
            await worker.claimed.wait()

    def stop(self) -> None:
        """Finish the batches in hand, publish, release, leave; a consumer still waiting for Kafka ends at once."""
        self._stopping = True
        if self._starting is not None:
            self._starting.cancel()

    async def run(self) -> None:
        """Consume until `stop`."""
        try:
            await self._consume()
        except asyncio.CancelledError:
            if not self._stopping or self._kafka is not None:
                raise

    async def _consume(self) -> None:
        self._starting = asyncio.current_task()
        async with (
            group_consumer(
                self._bootstrap,
                self._context.group,
                instance=self._instance,
                session_timeout_ms=self._session_timeout_ms,
            ) as kafka,
            asyncio.TaskGroup() as self._tasks,
        ):
            self._kafka, self._starting = kafka, None
            kafka.subscribe([self._topic], listener=self)
            try:
                await self._poll(kafka)
            finally:
                await self._stop_workers(list(self._running))

    async def _poll(self, kafka: GroupConsumer) -> None:
        hinted = time.monotonic()
        while not self._stopping:
            batches = await kafka.getmany(timeout_ms=100, max_records=4000)
            await asyncio.sleep(0)  # getmany does not suspend while it holds records
            for tp, raws in batches.items():
                found = self._running.get(tp)
                if found is not None:
                    found[0].offer([to_record(raw) for raw in raws])
            if time.monotonic() - hinted > HINT_SECONDS:
                hinted = time.monotonic()
                await self._hint(kafka)

    async def _hint(self, kafka: GroupConsumer) -> None:
        offsets = {tp: w.position for tp, (w, _) in self._running.items() if w.claimed.is_set()}
        try:
            if offsets:
                async with asyncio.timeout(1):
                    await kafka.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            log.info("offset hint not taken", error=repr(error))

    # -- rebalance: aiokafka delivers records while on_partitions_assigned still runs, so pause first, await later

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Start a worker for each partition; it claims, seeks and resumes."""
        assert self._kafka is not None  # noqa: S101 - subscribed in run
        assert self._tasks is not None  # noqa: S101 - subscribed in run
        self._kafka.pause(*assigned)
        if self._stopping:
            return
        for tp in sorted(assigned):
            worker = Worker(tp, self._context, self)
            self._running[tp] = (worker, self._tasks.create_task(worker.run(), name=f"{tp.topic}[{tp.partition}]"))
        self.assigned.set()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Finish the batches in hand within a budget, then let go; the fence guards what is later than that."""
        await self._stop_workers(list(revoked))

    async def _stop_workers(self, tps: list[TopicPartition]) -> None:
        leaving = [self._running.pop(tp) for tp in tps if tp in self._running]
        for worker, _ in leaving:
            worker.stop()
        tasks = [task for _, task in leaving]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=8)
            for task in late:
                task.cancel()

    # -- what workers ask

    async def begin(self, tp: TopicPartition) -> int:
        """The partition's first offset."""
        return await self._offset(self._consumer().beginning_offsets, tp)

    async def end(self, tp: TopicPartition) -> int:
        """The offset after the partition's last record."""
        return await self._offset(self._consumer().end_offsets, tp)

    async def _offset(self, ask: Callable[[list[TopicPartition]], Awaitable[Any]], tp: TopicPartition) -> int:
        try:
            return int((await ask([tp]))[tp])
        except KafkaError as error:
            raise OSError(f"kafka: {error}") from error

    def _consumer(self) -> GroupConsumer:
        assert self._kafka is not None  # noqa: S101 - workers live inside run
        return self._kafka

    def start_at(self, tp: TopicPartition, offset: int) -> None:
        """Deliver from this offset on."""
        if tp in self._consumer().assignment():
            self._consumer().seek(tp, offset)
            self._consumer().resume(tp)

    def pause(self, tp: TopicPartition) -> None:
        """Stop fetching."""
        if tp in self._consumer().assignment():
            self._consumer().pause(tp)

    def resume(self, tp: TopicPartition) -> None:
        """Fetch again."""
        if tp in self._consumer().assignment():
            self._consumer().resume(tp)
