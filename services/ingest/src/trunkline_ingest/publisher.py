"""From facts to acknowledged records, within a stated time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common import telemetry
from trunkline_common.kafka import KafkaError, Outgoing, Producer

from trunkline_ingest import wire
from trunkline_ingest.channels.adapter import Arrival
from trunkline_ingest.model import Fact, Message, Unknown

log = structlog.get_logger(__name__)

BUDGET_SECONDS = 2.5


class KafkaDown(Exception):
    """The records are not known to be durable: whoever sent them must send them again."""


class Publisher(Protocol):
    """Returns when every record is durable, in order for records of one key. Raises KafkaDown within the budget."""

    async def publish(self, messages: Sequence[Outgoing]) -> None: ...


class KafkaPublisher:
    """A Publisher on Kafka. What a failed call did write is written again by the sender's retry, under the same ids."""

    def __init__(self, producer: Producer, budget: float = BUDGET_SECONDS) -> None:
        self._producer, self._budget = producer, budget
        self._lanes: dict[bytes | None, _Lane] = {}  # as many as there are pools

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if not messages:
            return
        with telemetry.sends(messages):
            await asyncio.shield(self._lane(messages[0].key).join(messages))  # who gives up takes nobody along

    def _lane(self, key: bytes | None) -> _Lane:
        found = self._lanes.get(key)
        if found is None:
            found = self._lanes[key] = _Lane(self._producer, self._budget)
        return found


class _Lane:
    """The calls for one key. Those that come while a write is in the air go into the next together: one batch, one
    acknowledgement, one outcome.
    """

    def __init__(self, producer: Producer, budget: float) -> None:
        self._producer, self._budget = producer, budget
        self._turn = asyncio.Lock()
        self._next: tuple[list[Outgoing], asyncio.Task[None]] | None = None

    def join(self, messages: Sequence[Outgoing]) -> asyncio.Task[None]:
        """The write that these messages are part of."""
        if self._next is None:
            gathered: list[Outgoing] = []
            self._next = gathered, asyncio.create_task(self._write(gathered))
        self._next[0].extend(messages)
        return self._next[1]

    async def _write(self, gathered: list[Outgoing]) -> None:
        try:
            async with asyncio.timeout(self._budget):  # of the call that came first; the others wait for less
                await self._begin()
                try:
                    await self._send(gathered)
                finally:
                    self._turn.release()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("kafka did not acknowledge", records=len(gathered), error=type(error).__name__)
            raise KafkaDown from error

    async def _begin(self) -> None:
        try:
            await self._turn.acquire()
        finally:
            self._next = None  # whoever comes from here on is written next

    async def _send(self, rest: list[Outgoing]) -> None:
        if len(rest) == 1:
            # Alone, it may share a batch with the records of other keys.
            await self._producer.send(rest[0], timeout=self._budget)
            return
        while rest:
            del rest[: await self._producer.send_all(rest)]


async def publish_facts(publisher: Publisher, facts: Sequence[Fact], arrival: Arrival) -> list[InboundEvent]:
    """Publish what a delivery says, each fact once; returns the inbound events. Raises KafkaDown."""
    trace = telemetry.traceparent()
    letters = [wire.dead_letter(f, arrival, trace) for f in facts if isinstance(f, Unknown)]
    found: dict[str, InboundEvent] = {}
    for event in (wire.to_event(f, arrival) for f in facts if not isinstance(f, Unknown)):
        found.setdefault(event.event_id, event)
    events = list(found.values())
    await publisher.publish([*(wire.record(event, trace) for event in events), *letters])
    telemetry.count("trunkline.webhook.accepted", len(events), channel=arrival.account.channel)
    telemetry.count("trunkline.dlq.messages", len(letters), group="ingest")
    for name in (one for fact in facts if isinstance(fact, Message) for one in fact.dropped):
        telemetry.count("trunkline.mail.headers.dropped", 1, header=name)
    return events
