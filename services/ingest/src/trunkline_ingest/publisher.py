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
from trunkline_ingest.model import Fact, Unknown

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

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        try:
            with telemetry.sends(messages):
                await self._write(messages)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("kafka did not acknowledge", records=len(messages), error=type(error).__name__)
            raise KafkaDown from error

    async def _write(self, messages: Sequence[Outgoing]) -> None:
        if len(messages) == 1:
            # Single records of many requests share batches; several of one request keep their order in their own.
            await self._producer.send(messages[0], timeout=self._budget)
            return
        rest = list(messages)
        async with asyncio.timeout(self._budget):
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
    return events
