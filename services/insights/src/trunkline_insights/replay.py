"""Reading a stretch of a topic again: from where the caller stands to where the topic ends now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from trunkline_common import kafka
from trunkline_common.kafka import GroupConsumer, KafkaError, Record, TopicPartition

log = structlog.get_logger(__name__)

#: Only a name for the broker's logs and access rules: nothing is joined and nothing committed.
GROUP = "insights-replay"
RETRY_SECONDS = 1.0


class Replay:
    """Reads with a plain consumer, which is much faster than Faust's agents and misses nothing.

    While Kafka does not answer it tries again, so a record may be handed over twice.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic

    async def since(self, starts: Mapping[int, int], take: Callable[[Record], None]) -> dict[int, int]:
        """Hand over every record from each partition's start to its end, in order; returns the ends."""
        if not starts:
            return {}
        chosen = {TopicPartition(self._topic, p): at for p, at in starts.items()}
        return await self._patiently(lambda consumer: _read(consumer, chosen, take))

    async def tail(self, partitions: set[int], records: int, take: Callable[[Record], None]) -> None:
        """Hand over about the last `records` records of each partition."""

        async def read(consumer: GroupConsumer) -> dict[int, int]:
            ends = await consumer.end_offsets([TopicPartition(self._topic, p) for p in partitions])
            return await _read(consumer, {tp: end - records for tp, end in ends.items()}, take)

        if partitions:
            await self._patiently(read)

    async def _patiently(self, read: Callable[[GroupConsumer], Awaitable[dict[int, int]]]) -> dict[int, int]:
        while True:
            try:
                async with kafka.group_consumer(self._bootstrap, GROUP) as consumer:
                    return await read(consumer)
            except (KafkaError, OSError) as error:
                log.warning("kafka does not answer; reading again", topic=self._topic, error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)


async def _read(
    consumer: GroupConsumer, starts: Mapping[TopicPartition, int], take: Callable[[Record], None]
) -> dict[int, int]:
    first = await consumer.beginning_offsets(list(starts))
    ends: dict[TopicPartition, int] = await consumer.end_offsets(list(starts))
    at = {tp: max(start, first[tp]) for tp, start in starts.items()}
    consumer.assign([tp for tp in at if at[tp] < ends[tp]])
    for tp in consumer.assignment():
        consumer.seek(tp, at[tp])
    while any(at[tp] < ends[tp] for tp in at):
        for tp, records in (await consumer.getmany(timeout_ms=200, max_records=2000)).items():
            for raw in records:
                take(kafka.to_record(raw))
            at[tp] = await consumer.position(tp)
        # getmany does not suspend while it has records in hand, and others live in this loop too.
        await asyncio.sleep(0)
    return {tp.partition: ends[tp] for tp in ends}
