"""Drain the conversations log with the projector of the SLA service, in tables of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from trunkline_common import postgres
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.kafka import Producer
from trunkline_common.postgres import Connection, Pool
from trunkline_common.processor import Batch, Effects
from trunkline_common.tenants import Tenants
from trunkline_common.worker import Context
from trunkline_sla.processor import Projector
from trunkline_sla.wire_config import Book

from tests.bench.children import task, work

#: The partition's first record is read: it is not being made anew from its beginning.
READ = "insert into consumer_partition select $1, $2, part, 0, '', 1 from generate_series(0, $3 - 1) as part"


class Metered(Projector):
    """Counts what is durable."""

    def __init__(self, meter: task.Meter, partition: int, book: Book) -> None:
        super().__init__(partition, book, timedelta(milliseconds=500), _nothing)
        self._meter, self._in_hand = meter, 0

    async def prepare(self, batch: Batch) -> None:
        """The clock starts."""
        self._meter.begin()
        await super().prepare(batch)

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """As it is."""
        self._in_hand = len(batch.records)
        return await super().process(tx, batch)

    def committed(self) -> None:
        """The batch counts."""
        self._meter.add(self._in_hand)


async def _nothing(_partition: int) -> AsyncIterator[list[str]]:
    for ids in list[list[str]]():
        yield ids


async def main(asked: task.Task) -> dict[str, Any]:
    """Drain `total` records."""
    meter = task.Meter(asked["total"])
    async with (
        postgres.connect(task.database_url(), asked["schema"]) as pool,
        Producer(task.bootstrap(), "bench") as producer,
        asyncio.TaskGroup() as tasks,
    ):
        await pool.execute(READ, asked["group"], asked["topic"], asked["partitions"])
        tenants = Tenants(task.bootstrap())
        following = tasks.create_task(tenants.run())
        await tenants.loaded()
        consumer = _consumer(asked, pool, producer, meter, Book(tenants, utc_now()))
        running = tasks.create_task(consumer.run())
        await meter.done.wait()
        await work.published(pool)
        found = meter.found()
        consumer.stop()
        await running
        following.cancel()
    return found


def _consumer(asked: task.Task, pool: Pool, producer: Producer, meter: task.Meter, book: Book) -> Consumer:
    context = Context(
        group=asked["group"],
        owner="bench",
        dlq_topic="bench.dlq",
        pool=pool,
        producer=producer,
        make=lambda partition: Metered(meter, partition, book),
        clock=utc_now,
    )
    return Consumer(context, asked["topic"], bootstrap=task.bootstrap(), instance="", session_timeout_ms=30_000)


if __name__ == "__main__":
    task.run(main)
