"""What ours and the bare consumer both do with a batch; only the loop around it differs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common import cloudevents

OUT = "bench.out"
UPSERT = """
insert into bench_conversation as known
select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[])
on conflict (conversation_id) do update set
    messages = known.messages + excluded.messages,
    last_event_id = excluded.last_event_id, last_text = excluded.last_text
"""


@dataclass(slots=True)
class Last:
    """The newest of a conversation's messages in a batch, and how many there are."""

    event: InboundEvent
    messages: int = 0


def columns(events: Iterable[InboundEvent]) -> tuple[list[str], list[int], list[str], list[str]]:
    """The last message per conversation, in the order of the key so that two transactions cannot deadlock."""
    last: dict[str, Last] = {}
    for event in events:
        known = last.setdefault(event.conversation_id, Last(event))
        known.event, known.messages = event, known.messages + 1
    ordered = sorted(last.items())
    return (
        [conversation for conversation, _ in ordered],
        [known.messages for _, known in ordered],
        [known.event.event_id for _, known in ordered],
        [known.event.message.content.text for _, known in ordered],
    )


def headers(event: InboundEvent) -> dict[str, bytes]:
    """As every record of ours has them."""
    return cloudevents.headers(
        event_id=event.event_id,
        message="trunkline.inbound.v1.InboundEvent",
        source="bench",
        subject=event.conversation_id,
        time=datetime.now(UTC),
        tenant=event.tenant,
    )


def outgoing(event: InboundEvent) -> tuple[bytes, bytes]:
    """Key and value of the message that an event causes."""
    return event.conversation_id.encode(), event.SerializeToString()


async def published(pool: Any) -> None:
    """Return when nothing is left in the outbox."""
    while await pool.fetchval("select exists (select from outbox)"):  # noqa: ASYNC110 - the same for ours and bare
        await asyncio.sleep(0.005)
