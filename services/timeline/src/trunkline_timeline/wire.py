"""Bytes to events, history to answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.common.v1 import common_pb2 as common
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent, ConversationStarted
from trunkline.inbound.v1.inbound_event_pb2 import DeliveryStatus
from trunkline.timeline.v1 import timeline_service_pb2 as api
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_common.text import clean

from trunkline_timeline.history import AUTOMATIC, Attachment, Begun, Content, Entry, Event, Handoff

UNKNOWN = "unknown"  # the kind of an event that a newer router wrote


def parse(record: Record) -> Event:
    """A record of the conversations log. Raises InvalidMessage."""
    try:
        found = ConversationEvent.FromString(record.value or b"")
    except DecodeError as error:
        raise InvalidMessage("NOT_PROTOBUF", str(error)) from error
    _check(found)
    kind = found.WhichOneof("payload") or UNKNOWN
    payload = getattr(found, kind, None)
    return Event(
        event_id=found.event_id,
        tenant=found.tenant,
        conversation_id=found.conversation_id,
        seq=found.seq,
        at=_time(found),
        actor_type=found.actor.type,
        actor_id=clean(found.actor.id),
        kind=kind,
        **(READ[kind](payload) if kind in READ else {}),
    )


def _check(found: ConversationEvent) -> None:
    ids = {"event_id": found.event_id, "tenant": found.tenant, "conversation_id": found.conversation_id}
    missing = [name for name, value in ids.items() if not value] + ([] if found.seq > 0 else ["seq"])
    if missing:
        raise InvalidMessage("FIELD_MISSING", ", ".join(missing))
    if any("\0" in text for text in ids.values()):
        raise InvalidMessage("FIELD_INVALID", "an id holds a NUL character")


def _time(found: ConversationEvent) -> datetime:
    if not found.HasField("occurred_at"):
        raise InvalidMessage("FIELD_MISSING", "occurred_at")
    try:
        return found.occurred_at.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidMessage("FIELD_INVALID", "occurred_at is no time") from error


def _content(found: common.Content) -> Content:
    attachments = (Attachment(a.ref, a.content_type, a.name, a.size_bytes, a.sha256) for a in found.attachments)
    return Content(clean(found.text), clean(found.subject), tuple(attachments))


def _begun(p: ConversationStarted) -> dict[str, Any]:
    contact = (clean(p.contact.address), clean(p.contact.display_name))
    return {"begun": Begun(clean(p.channel), clean(p.account), *contact, clean(p.subject))}


def _by_agent(p: Any) -> dict[str, Any]:
    return {"agent_id": clean(p.agent_id)}


#: What an entry keeps of each payload. An event without more than its kind is not in it.
READ: dict[str, Callable[[Any], dict[str, Any]]] = {
    "conversation_started": _begun,
    "message_received": lambda p: {"content": _content(p.content), "detail": AUTOMATIC if p.automatic else ""},
    "message_sent": lambda p: {
        "content": _content(p.content),
        "detail": AUTOMATIC if p.HasField("automatic") else "",
        **_by_agent(p),
    },
    "note_added": lambda p: {"content": Content(clean(p.text)), **_by_agent(p)},
    "conversation_queued": lambda p: {"team": clean(p.team)},
    "offer_made": _by_agent,
    "offer_declined": lambda p: {"detail": clean(p.reason), **_by_agent(p)},
    "offer_timed_out": _by_agent,
    "offer_rescinded": _by_agent,
    "conversation_assigned": lambda p: {"team": clean(p.team), **_by_agent(p)},
    "conversation_transferred": lambda p: {
        "agent_id": clean(p.from_agent_id),
        "from_team": clean(p.from_team),
        "team": clean(p.to_team),
        "detail": clean(p.reason),
    },
    "conversation_released": lambda p: {"detail": clean(p.reason), **_by_agent(p)},
    "conversation_rejected": lambda p: {"team": clean(p.team), "detail": clean(p.reason)},
    "conversation_snoozed": _by_agent,
    "conversation_woken": _by_agent,
    "conversation_merged": lambda p: {"detail": clean(p.into)},
    "conversation_absorbed": lambda p: {"detail": clean(p.conversation_id)},
    "conversation_split": lambda p: {"detail": clean(p.conversation_id)},
    "callback_scheduled": lambda p: {"team": clean(p.team)},
    "conversation_handed_over": lambda p: {"team": clean(p.team), "detail": clean(p.to_pool)},
    "conversation_taken_over": lambda p: {"team": clean(p.team), "detail": clean(p.from_pool)},
    "conversation_resolved": lambda p: {"team": clean(p.team), **_by_agent(p)},
    "delivery_updated": lambda p: {"detail": _status(p.status)},
}


def _status(number: int) -> str:
    """delivered, read, failed ...; the number where a newer router wrote one we do not know."""
    found = DeliveryStatus.DESCRIPTOR.values_by_number.get(number)
    return found.name.removeprefix("DELIVERY_STATUS_").lower() if found else str(number)


def to_entry(entry: Entry) -> api.TimelineEntry:
    """An entry as the API shows it."""
    event = entry.event
    return api.TimelineEntry(
        conversation_id=event.conversation_id,
        seq=event.seq,
        occurred_at=timestamp(event.at),
        actor=common.Actor(type=event.actor_type, id=event.actor_id),  # type: ignore[arg-type] # an open enum
        kind=event.kind,
        content=to_content(event.content) if event.content else None,
        agent_id=event.agent_id,
        team=event.team,
        detail=event.detail,
        event_id=event.event_id,
    )


def to_content(content: Content) -> common.Content:
    """Words and files on the wire."""
    attachments = (
        common.Attachment(ref=a.ref, content_type=a.content_type, name=a.name, size_bytes=a.size_bytes, sha256=a.sha256)
        for a in content.attachments
    )
    return common.Content(text=content.text, subject=content.subject, attachments=attachments)


def to_handoff(handoff: Handoff) -> api.Handoff:
    """A handoff as the API shows it."""
    return api.Handoff(
        occurred_at=timestamp(handoff.at),
        from_team=handoff.from_team,
        from_agent_id=handoff.from_agent_id,
        to_team=handoff.to_team,
        reason=handoff.reason,
    )


def timestamp(at: datetime) -> Timestamp:
    """An instant on the wire."""
    found = Timestamp()
    found.FromDatetime(at)
    return found
