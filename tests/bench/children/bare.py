"""Drain a topic with aiokafka's getmany and asyncpg, nothing between: the same work, written for speed alone.

No claims by others, no rebalance, no dead letters, no back-off, no traces, no metrics: it is not safe to copy.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent

from tests.bench.children import task, work

CLAIM = "insert into consumer_partition values ($1, $2, $3, 1, 'bare', $4)"
FENCE = """
update consumer_partition set next_offset = $5
where grp = $1 and topic = $2 and part = $3 and epoch = 1 and next_offset = $4
"""
OUTBOX = """
insert into outbox (grp, part, topic, key, value, headers)
select $1, $2, $3, * from unnest($4::bytea[], $5::bytea[], $6::text[])
"""
PENDING = "select id, key, value, headers from outbox where grp = $1 and part = 0 order by id limit 4000"
SENT = "delete from outbox where grp = $1 and part = 0 and id = any($2::bigint[])"
CHUNK = 4000


class Relay:
    """Publishes what was committed, in order."""

    def __init__(self, pool: Any, producer: AIOKafkaProducer, group: str) -> None:
        self._pool, self._producer, self._group = pool, producer, group
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            while rows := await self._pool.fetch(PENDING, self._group):
                ids = await self._send(rows)
                await self._pool.execute(SENT, self._group, ids)

    async def _send(self, rows: list[Any]) -> list[int]:
        builders: dict[int, Any] = {}
        partitions = len(await self._producer.partitions_for(work.OUT))
        sent: list[int] = []
        for row in rows:
            place = (murmur2(row["key"]) & 0x7FFFFFFF) % partitions
            if place not in builders:
                builders[place] = self._producer.create_batch()
            headers = [(name, value.encode()) for name, value in json.loads(row["headers"]).items()]
            if not builders[place].append(timestamp=None, key=row["key"], value=row["value"], headers=headers):
                break
            sent.append(row["id"])
        for builder in builders.values():
            builder.close()
        futures = [await self._producer.send_batch(b, work.OUT, partition=p) for p, b in builders.items()]
        await asyncio.gather(*futures)
        return sent


def _consumer(asked: task.Task) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        asked["topic"],
        bootstrap_servers=task.bootstrap(),
        group_id=asked["group"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=1 << 20,
        fetch_max_bytes=16 << 20,
        fetch_max_wait_ms=100,
    )


@asynccontextmanager
async def _started(asked: task.Task) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaProducer, Any]]:
    consumer = _consumer(asked)
    producer = AIOKafkaProducer(
        bootstrap_servers=task.bootstrap(),
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        max_batch_size=512 * 1024,
    )
    pool = await asyncpg.create_pool(
        task.database_url(), min_size=2, max_size=2, server_settings={"search_path": asked["schema"]}
    )
    try:
        await producer.start()
        await consumer.start()
        yield consumer, producer, pool
    finally:
        await consumer.stop()
        await producer.stop()
        pool.terminate()


async def main(asked: task.Task) -> dict[str, Any]:
    """Drain `total` records of the partitions named."""
    meter = task.Meter(asked["total"])
    async with _started(asked) as (consumer, producer, pool):
        relay = Relay(pool, producer, asked["group"])
        relaying = asyncio.create_task(relay.run())
        next_offset: dict[TopicPartition, int] = {}
        while not meter.done.is_set():
            batches = await consumer.getmany(timeout_ms=100, max_records=CHUNK)
            if batches:
                meter.begin()
                await _transact(pool, asked, batches, next_offset)
                meter.add(sum(map(len, batches.values())))
                if not asked.get("hold"):
                    relay.wake.set()
        relay.wake.set()
        await work.published(pool)
        found = meter.found()
        relaying.cancel()
        with suppress(asyncio.CancelledError):
            await relaying
    return found


async def _transact(
    pool: Any, asked: task.Task, batches: dict[TopicPartition, list[Any]], next_offset: dict[TopicPartition, int]
) -> None:
    group, events = asked["group"], []
    async with pool.acquire() as connection, connection.transaction():
        for tp, records in batches.items():
            start, end = next_offset.get(tp), records[-1].offset + 1
            if start is None:
                await connection.execute(CLAIM, group, tp.topic, tp.partition, end)
            elif await connection.execute(FENCE, group, tp.topic, tp.partition, start, end) != "UPDATE 1":
                raise RuntimeError("fenced")
            events += [InboundEvent.FromString(record.value) for record in records]
        await connection.execute(work.UPSERT, *work.columns(events))
        if asked["publish"]:
            await connection.execute(OUTBOX, group, 0, work.OUT, *_rows(events))
    for tp, records in batches.items():
        next_offset[tp] = records[-1].offset + 1


def _rows(events: list[InboundEvent]) -> tuple[list[bytes], list[bytes], list[str]]:
    keys, values = zip(*map(work.outgoing, events), strict=True)
    headers = [json.dumps({n: v.decode() for n, v in work.headers(event).items()}) for event in events]
    return list(keys), list(values), headers


if __name__ == "__main__":
    task.run(main)
