"""Kafka: records, consumers, the producer, topics. The only module that imports aiokafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError
from aiokafka.partitioner import murmur2

log = structlog.get_logger(__name__)

__all__ = [
    "ConsumerRebalanceListener",
    "GroupConsumer",
    "KafkaError",
    "Outgoing",
    "Producer",
    "Record",
    "TopicPartition",
    "partition_for",
]

GroupConsumer = AIOKafkaConsumer


class Record(NamedTuple):
    """One record as read. `headers` keeps the last of equal names; `timestamp_ms` is the broker's or producer's."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    timestamp_ms: int
    traceparent: str = ""


class Outgoing(NamedTuple):
    """One record to be written."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = MappingProxyType({})


@lru_cache(maxsize=1 << 16)
def partition_for(key: bytes, partitions: int) -> int:
    """The partition a keyed record goes to: murmur2 like the Java client (librdkafka: partitioner=murmur2_random)."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


@asynccontextmanager
async def group_consumer(
    bootstrap: str, group: str, *, instance: str = "", session_timeout_ms: int = 30_000
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer that commits nothing by itself; eager sticky assignment (aiokafka has no cooperative one)."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        group_instance_id=f"{group}-{instance}" if instance else None,
        client_id=group,
        enable_auto_commit=False,
        # The truth about where to begin is in PostgreSQL; this is only for the instant before the seek.
        auto_offset_reset="earliest",
        partition_assignment_strategy=[StickyPartitionAssignor],
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=2_000,
        max_partition_fetch_bytes=1 << 20,
        fetch_max_bytes=16 << 20,
        fetch_max_wait_ms=100,
    )
    await _retry_start(consumer.start, bootstrap)
    try:
        yield consumer
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()


async def _retry_start(start: Callable[[], object], bootstrap: str) -> None:
    delay = 0.2
    while True:
        try:
            await start()  # type: ignore[misc]
        except (KafkaError, OSError) as error:
            log.warning("kafka does not answer; trying again", bootstrap=bootstrap, error=str(error), delay_s=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)
        else:
            return


def to_record(raw: object) -> Record:
    """An aiokafka record as ours."""
    r = raw  # an aiokafka.structs.ConsumerRecord, untyped at the driver's edge
    return Record(
        r.topic,  # type: ignore[attr-defined]
        r.partition,  # type: ignore[attr-defined]
        r.offset,  # type: ignore[attr-defined]
        r.key,  # type: ignore[attr-defined]
        r.value,  # type: ignore[attr-defined]
        {k: v or b"" for k, v in r.headers},  # type: ignore[attr-defined]
        r.timestamp,  # type: ignore[attr-defined]
    )


class Producer:
    """An idempotent acks=all producer. `send_all` keeps order per partition by construction."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._bootstrap, self._client_id = bootstrap, client_id
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __aenter__(self) -> Producer:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._producer is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(self._producer.stop(), 5)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    compression_type="lz4",
                    max_batch_size=512 * 1024,
                    linger_ms=0,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def ready(self) -> bool:
        """Whether the broker answers (and connect if that has not happened yet)."""
        try:
            producer = await asyncio.wait_for(self._started(), 2)
            await asyncio.wait_for(producer.client.force_metadata_update(), 2)
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    @asynccontextmanager
    async def _usable(self) -> AsyncIterator[AIOKafkaProducer]:
        """The producer; one that has failed for good (a broken sequence) is replaced at the next use."""
        producer: AIOKafkaProducer = await self._started()
        try:
            yield producer
        except KafkaError as error:
            harmless = error.retriable or isinstance(error, MessageSizeTooLargeError)
            if not harmless and self._producer is producer:
                await self._replace()
            raise

    async def _replace(self) -> None:
        broken, self._producer = self._producer, None
        if broken is not None:
            await broken.stop()

    async def send(self, message: Outgoing, *, timeout: float) -> None:
        """Write one record; returns when every in-sync replica has it. Raises TimeoutError or KafkaError."""
        async with asyncio.timeout(timeout), self._usable() as producer:
            headers = list(message.headers.items())
            await producer.send_and_wait(message.topic, message.value, message.key, headers=headers)

    async def send_all(self, messages: Sequence[Outgoing]) -> int:
        """Write the longest prefix that fits in one batch per partition; returns its length when all are acknowledged.

        One batch per partition in flight means a failed batch cannot be overtaken by the one after it.
        """
        async with self._usable() as producer:
            partitions = {t: len(await producer.partitions_for(t)) for t in {message.topic for message in messages}}
            builders: dict[tuple[str, int], Any] = {}
            taken = 0
            for message in messages:
                place = message.topic, partition_for(message.key or b"", partitions[message.topic])
                if place not in builders:
                    builders[place] = producer.create_batch()
                headers = list(message.headers.items())
                if not builders[place].append(timestamp=None, key=message.key, value=message.value, headers=headers):
                    break
                taken += 1
            await asyncio.gather(*(self._write(producer, *place, batch) for place, batch in builders.items()))
        return taken

    async def _write(self, producer: AIOKafkaProducer, topic: str, partition: int, batch: Any) -> None:
        """In turn. Left to aiokafka, those that wait for a partition overtake each other, and it gives one up too soon:
        what is left of the request's time-out is diminished by all the time so far after each of its waits.
        """
        async with self._turns[topic, partition]:
            await (await producer.send_batch(batch, topic, partition=partition))


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker has it."""

    partitions: int
    config: Mapping[str, str]


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create_topics(client: AIOKafkaAdminClient, wanted: Iterable[tuple[str, int, int, Mapping[str, str]]]) -> None:
    """Create (name, partitions, replicas, config) topics; one that exists is left as it is."""
    new = [NewTopic(n, p, r, topic_configs=dict(c)) for n, p, r, c in wanted]
    if not new:
        return
    with suppress(TopicAlreadyExistsError):
        response = await client.create_topics(new)
        for topic, code, *rest in response.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):
                raise KafkaError(f"topic {topic} was not created: error {code} {rest}")


async def describe_topics(client: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, TopicState]:
    """Those of the named topics that exist."""
    described = await client.describe_topics(list(names))
    partitions = {t["topic"]: len(t["partitions"]) for t in described if t["error_code"] == 0}
    if not partitions:
        return {}
    found = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, n) for n in partitions])
    configs: dict[str, dict[str, str]] = {}
    for response in found:
        for _, _, _, name, entries in response.resources:
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return {name: TopicState(count, configs.get(name, {})) for name, count in partitions.items()}


@asynccontextmanager
async def reader(bootstrap: str, *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer without a group: of every partition of the topics, or of what it is assigned then."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=1 << 18,  # a process may hold many of them
    )
    try:
        await _retry_start(consumer.start, bootstrap)
        yield consumer
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()


async def read_whole(bootstrap: str, topic: str, partition: int) -> AsyncIterator[list[Record]]:
    """What a partition holds at the time of the call, from its beginning, batch by batch."""
    tp = TopicPartition(topic, partition)
    async with reader(bootstrap) as consumer:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            batches = await consumer.getmany(tp, timeout_ms=500)
            await asyncio.sleep(0)  # getmany does not suspend while it holds records
            yield [to_record(raw) for raw in batches.get(tp, [])]
