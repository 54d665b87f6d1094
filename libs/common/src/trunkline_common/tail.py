"""Topics read without a group, every partition, without end: as a dictionary, or as a stream from given offsets on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import structlog

from trunkline_common.kafka import GroupConsumer, KafkaError, Record, TopicPartition, reader, to_record

log = structlog.get_logger(__name__)

#: The next offset of every partition, in order.
Place = tuple[int, ...]
AT_ONCE = 500
AGAIN_S = 0.5  # nothing says when Kafka answers again


async def follow(
    bootstrap: str, topic: str, start: Sequence[int] | None, *, every: float = 1.0
) -> AsyncGenerator[tuple[list[Record], Place], None]:
    """First no records and where it stands; then, at least `every` seconds, what has come and where that leads.

    `start` None: from the end that the topic has at this moment. While Kafka does not answer, it waits. Partitions
    that `start` does not know are read whole. Close it (contextlib.aclosing) to let the connections go.
    """
    async with reader(bootstrap, topic) as consumer:
        partitions = sorted(consumer.assignment())
        place = await _ends(consumer, partitions) if start is None else [*start, *[0] * len(partitions)]
        place = place[: len(partitions)]
        for partition, offset in zip(partitions, place, strict=True):
            consumer.seek(partition, offset)
        yield [], tuple(place)
        while True:
            found = await consumer.getmany(timeout_ms=int(every * 1000), max_records=AT_ONCE)
            await asyncio.sleep(0)  # getmany does not suspend while it holds records
            records = [to_record(raw) for batch in found.values() for raw in batch]
            for record in records:
                place[record.partition] = record.offset + 1
            yield records, tuple(place)


async def _ends(consumer: GroupConsumer, partitions: Sequence[TopicPartition]) -> list[int]:
    while True:
        try:
            ends = await consumer.end_offsets(partitions)
        except (KafkaError, OSError):
            await asyncio.sleep(AGAIN_S)
        else:
            return [ends[partition] for partition in partitions]


class CompactedTable:
    """A compacted topic as a dictionary: read whole at the start, then followed. Values are the newest per key."""

    def __init__(self, bootstrap: str, topic: str, on_change: Callable[[str, bytes | None], None]) -> None:
        self._bootstrap, self._topic, self._on_change = bootstrap, topic, on_change
        self.loaded = asyncio.Event()

    async def run(self) -> None:
        """Follow the topic until cancelled; `loaded` is set when everything that was there at the start is read.

        After an outage that the reader does not survive the topic is read from its beginning again.
        """
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                log.warning("kafka does not answer; reading again", topic=self._topic, error=repr(error))
                await asyncio.sleep(AGAIN_S)

    async def _read(self) -> None:
        async with reader(self._bootstrap, self._topic) as consumer:
            partitions = sorted(consumer.assignment())
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            waiting = {tp for tp in partitions if ends[tp] > 0}
            while True:
                waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}
                if not waiting:
                    self.loaded.set()
                batches = await consumer.getmany(timeout_ms=500)
                await asyncio.sleep(0)  # getmany does not suspend while it holds records
                for raw in (r for records in batches.values() for r in records):
                    self._on_change((raw.key or b"").decode("utf-8", "replace"), raw.value)
