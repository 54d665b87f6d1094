"""Follows the topics the demo speaks of; keeps each fact once, however often it is published."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.sla.v1.sla_event_pb2 import SlaEvent

TOPICS = ("trunkline.conversations.v1", "trunkline.sla.v1", "trunkline.ingress.dlq.v1")


class TopicLog:
    """`conversations` by id and seq, `sla` by event id, `letters` as header dictionaries."""

    def __init__(self, bootstrap: str, tenant: str) -> None:
        self._bootstrap, self._tenant = bootstrap, tenant
        self.conversations: dict[str, dict[int, ConversationEvent]] = {}
        self.sla: dict[str, SlaEvent] = {}
        self.letters: list[Mapping[str, str]] = []
        self._news = asyncio.Event()

    async def changed(self, seconds: float) -> None:
        """Return when something was read, or after that time."""
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return

    async def run(self) -> None:
        """Follow until cancelled."""
        consumer = AIOKafkaConsumer(*TOPICS, bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            while True:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        self._take(record)
                    self._news.set()
        finally:
            await consumer.stop()

    def _take(self, record: Any) -> None:
        if record.topic == "trunkline.ingress.dlq.v1":
            self.letters.append({name: value.decode("utf-8", "replace") for name, value in record.headers})
        elif record.topic == "trunkline.sla.v1":
            fact = SlaEvent.FromString(record.value)
            if fact.tenant == self._tenant:
                self.sla[fact.event_id] = fact
        else:
            event = ConversationEvent.FromString(record.value)
            if event.tenant == self._tenant:
                self.conversations.setdefault(event.conversation_id, {})[event.seq] = event

    def count(self, kind: str) -> int:
        """How often a kind of event happened."""
        return sum(e.WhichOneof("payload") == kind for c in self.conversations.values() for e in c.values())

    def gaps(self) -> list[str]:
        """Conversations whose seq is not 1, 2, 3 ... without gaps."""
        return [c for c, events in self.conversations.items() if sorted(events) != list(range(1, len(events) + 1))]
