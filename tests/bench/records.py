"""The records that consumers are measured on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.inbound.v1.inbound_event_pb2 import CustomerMessage, InboundEvent
from trunkline_common.kafka import Outgoing, Producer

TEXT = "Hello, my parcel has not arrived yet although it was promised for yesterday. Could somebody look into it?"
CHUNK = 2000


def messages(count: int, conversations: int, *, text: str = TEXT, tenant: str = "bench") -> Iterator[InboundEvent]:
    """Customer messages, spread evenly over so many conversations."""
    ids = [str(uuid.uuid4()) for _ in range(conversations)]
    for number in range(count):
        event = InboundEvent(
            event_id=str(uuid.uuid4()),
            tenant=tenant,
            pool=f"{tenant}/default",
            channel="app",
            account="own-app",
            conversation_id=ids[number % conversations],
            provider_message_id=f"m-{number}",
            message=CustomerMessage(contact=Contact(address=f"c-{number % conversations}"), content=Content(text=text)),
        )
        event.received_time.GetCurrentTime()
        yield event


def by_conversation(topic: str, events: Iterable[InboundEvent]) -> Iterator[Outgoing]:
    """Keyed by conversation."""
    for event in events:
        yield Outgoing(topic, event.conversation_id.encode(), event.SerializeToString())


async def fill(bootstrap: str, records: Iterable[Outgoing]) -> int:
    """Write them; how many there were."""
    written, waiting = 0, []
    async with Producer(bootstrap, "bench-fill") as producer:
        for record in records:
            waiting.append(record)
            if len(waiting) >= CHUNK:
                written += await _write(producer, waiting)
        return written + await _write(producer, waiting)


async def _write(producer: Producer, waiting: list[Outgoing]) -> int:
    count = len(waiting)
    while waiting:
        del waiting[: await producer.send_all(waiting)]
    return count
