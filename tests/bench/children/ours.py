"""Drain a topic with the consumer of libs/common: what every service that owns state runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common import postgres
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Outgoing, Producer, Record
from trunkline_common.postgres import Connection, Pool
from trunkline_common.processor import Batch, Effects, Processor, decode
from trunkline_common.worker import Context

from tests.bench.children import task, work


def parse(record: Record) -> InboundEvent:
    """An event."""
    try:
        return InboundEvent.FromString(record.value or b"")
    except DecodeError as error:
        raise InvalidMessage("NOT_AN_INBOUND_EVENT", str(error)) from error


class Keep(Processor):
    """Upserts the last message of each conversation and passes every event on, or upserts alone."""

    def __init__(self, meter: task.Meter, *, publish: bool) -> None:
        self._meter, self._publish = meter, publish
        self._in_hand = 0

    async def prepare(self, _batch: Batch) -> None:
        """The clock starts."""
        self._meter.begin()

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """One upsert for the batch, one message per event."""
        parsed, rejected = decode(batch.records, parse)
        events = [event for _, event in parsed]
        await tx.execute(work.UPSERT, *work.columns(events))
        self._in_hand = len(batch.records)
        messages = [Outgoing(work.OUT, *work.outgoing(e), work.headers(e)) for e in events] if self._publish else []
        return Effects(messages, [], rejected)

    def committed(self) -> None:
        """The batch counts."""
        self._meter.add(self._in_hand)


class Held(Producer):
    """Publishes nothing before all is committed: the consumer's loop by itself."""

    def __init__(self, until: asyncio.Event) -> None:
        super().__init__(task.bootstrap(), "bench")
        self._until = until

    async def send_all(self, messages: Sequence[Outgoing]) -> int:
        """When the meter has stopped."""
        await self._until.wait()
        return await super().send_all(messages)


async def main(asked: task.Task) -> dict[str, Any]:
    """Drain `total` records."""
    meter = task.Meter(asked["total"], asked.get("marks", []))
    async with (
        postgres.connect(task.database_url(), asked["schema"]) as pool,
        Held(meter.done) if asked.get("hold") else Producer(task.bootstrap(), "bench") as producer,
        asyncio.TaskGroup() as tasks,
    ):
        consumer = _consumer(asked, pool, producer, meter)
        running = tasks.create_task(consumer.run())
        await meter.done.wait()
        await work.published(pool)
        found = meter.found()
        consumer.stop()
        await running
    return found


def _consumer(asked: task.Task, pool: Pool, producer: Producer, meter: task.Meter) -> Consumer:
    context = Context(
        group=asked["group"],
        owner="bench",
        dlq_topic="bench.dlq",
        pool=pool,
        producer=producer,
        make=lambda _partition: Keep(meter, publish=asked["publish"]),
        clock=utc_now,
    )
    return Consumer(context, asked["topic"], bootstrap=task.bootstrap(), instance="", session_timeout_ms=30_000)


if __name__ == "__main__":
    task.run(main)
