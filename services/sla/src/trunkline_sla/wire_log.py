"""Records of the conversations log to entries of the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.common.v1.common_pb2 import ACTOR_TYPE_AGENT, ACTOR_TYPE_BOT, ACTOR_TYPE_SERVICE
from trunkline.common.v1.routing_pb2 import TEXT_KIND_CLOSING
from trunkline.conversations.v1 import conversation_event_pb2 as pb
from trunkline.inbound.v1.inbound_event_pb2 import DELIVERY_STATUS_FAILED
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_common.text import clean

from trunkline_sla.journal import Entry, Known, What

LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # a deadline can still be added to it


@dataclass(frozen=True, slots=True)
class Logged:
    """A record of the log: whose it is, and what it tells the clocks."""

    tenant: str
    conversation_id: str
    entry: Entry
    traceparent: str


def parse(record: Record) -> Logged:
    """Raises InvalidMessage."""
    try:
        found = pb.ConversationEvent.FromString(record.value or b"")
    except DecodeError as error:
        raise InvalidMessage("NOT_PROTOBUF", str(error)) from error
    ids = {"event_id": found.event_id, "tenant": found.tenant, "conversation_id": found.conversation_id}
    missing = [name for name, value in ids.items() if not value] + ([] if found.seq > 0 else ["seq"])
    if missing:
        raise InvalidMessage("FIELD_MISSING", ", ".join(missing))
    entry = _entry(found)
    if any("\0" in text for text in (*ids.values(), entry.team or "", entry.channel or "")):
        raise InvalidMessage("FIELD_INVALID", "an id holds a NUL character")
    return Logged(found.tenant, found.conversation_id, entry, record.traceparent)


def _entry(found: pb.ConversationEvent) -> Entry:
    kind = found.WhichOneof("payload")
    plain = Entry(What.OTHER, _time(found), found.event_id, found.seq, found.config_version)
    return READ[kind](plain, getattr(found, kind), found) if kind and kind in READ else plain


def _time(found: pb.ConversationEvent) -> datetime:
    if not found.HasField("occurred_at"):
        raise InvalidMessage("FIELD_MISSING", "occurred_at")
    at = _instant(found.occurred_at, "occurred_at")
    if at > LATEST:
        raise InvalidMessage("FIELD_INVALID", "occurred_at is too far away")
    return at


def _instant(at: Timestamp, name: str) -> datetime:
    try:
        return at.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidMessage("FIELD_INVALID", f"{name} is no time") from error


def _some(found: Message, name: str) -> datetime | None:
    return _instant(getattr(found, name), name) if found.HasField(name) else None


# -- payloads


def _started(entry: Entry, found: pb.ConversationStarted, _event: pb.ConversationEvent) -> Entry:
    return entry._replace(
        what=What.CREATED,
        channel=found.channel,
        known=_known(found.attributes),
        outbound=found.outbound or bool(found.split_from),
        unanswered_since=_some(found, "unanswered_since"),
    )


def _received(entry: Entry, found: pb.MessageReceived, _event: pb.ConversationEvent) -> Entry:
    """A machine's message waits for no answer."""
    return entry if found.automatic else entry._replace(what=What.WROTE, message_id=clean(found.message_id))


def _sent(entry: Entry, found: pb.MessageSent, event: pb.ConversationEvent) -> Entry:
    """A person's, whoever's token it was sent with; a bot's; or an automatic text (the closing one may count)."""
    if found.HasField("automatic"):
        closing = found.automatic == TEXT_KIND_CLOSING
        return entry._replace(what=What.BOT, message_id=clean(found.message_id), automation=True) if closing else entry
    if found.bot or event.actor.type == ACTOR_TYPE_BOT:
        return entry._replace(what=What.BOT, message_id=clean(found.message_id))
    if event.actor.type not in (ACTOR_TYPE_AGENT, ACTOR_TYPE_SERVICE):
        return entry
    return entry._replace(
        what=What.REPLIED, message_id=clean(found.message_id), answers_through=max(0, found.answers_through_seq)
    )


def _delivered(entry: Entry, found: pb.DeliveryUpdated, _event: pb.ConversationEvent) -> Entry:
    failed = found.status == DELIVERY_STATUS_FAILED
    return entry._replace(what=What.UNDELIVERED, message_id=clean(found.message_id)) if failed else entry


def _team(entry: Entry, team: str) -> Entry:
    return entry._replace(what=What.KNOWN, team=team)


def _attributes(entry: Entry, found: pb.AttributesChanged, _event: pb.ConversationEvent) -> Entry:
    return entry._replace(what=What.KNOWN, known=_known(found.attributes))


def _known(found: pb.Attributes) -> Known:
    return Known(
        clean(found.priority) if found.HasField("priority") else "normal",
        tuple(sorted(map(clean, found.tags))),
        {clean(name): clean(value) for name, value in found.values.items()},
    )


def _state(name: str) -> Callable[[Entry, Any, pb.ConversationEvent], Entry]:
    return lambda entry, _found, _event: entry._replace(what=What.STATE, state=name)


def _resolved(entry: Entry, found: pb.ConversationResolved, _event: pb.ConversationEvent) -> Entry:
    return entry._replace(what=What.RESOLVED, reason=clean(found.waived_reason))


def _absorbed(entry: Entry, found: pb.ConversationAbsorbed, _event: pb.ConversationEvent) -> Entry:
    started, unanswered = _some(found, "started_at"), _some(found, "unanswered_since")
    return entry._replace(what=What.ABSORBED, started_at=started, unanswered_since=unanswered)


def _split(entry: Entry, found: pb.ConversationSplit, _event: pb.ConversationEvent) -> Entry:
    return entry._replace(what=What.SPLIT, unanswered_moved=found.unanswered_moved)


#: By payload; what is not named tells the clocks nothing. Snoozed is pending with a wake-up (7.16).
READ: dict[str, Callable[[Entry, Any, pb.ConversationEvent], Entry]] = {
    "conversation_started": _started,
    "message_received": _received,
    "message_sent": _sent,
    "delivery_updated": _delivered,
    "attributes_changed": _attributes,
    "conversation_queued": lambda entry, found, _event: _team(entry, found.team),
    "conversation_assigned": lambda entry, found, _event: _team(entry, found.team),
    "conversation_transferred": lambda entry, found, _event: _team(entry, found.to_team),
    "conversation_snoozed": _state("pending"),
    "conversation_woken": _state("open"),
    "conversation_reopened": _state("open"),
    "callback_scheduled": _state("callback"),
    "conversation_rejected": _state("rejected"),
    "conversation_resolved": _resolved,
    "conversation_merged": lambda entry, _found, _event: entry._replace(what=What.MERGED),
    "conversation_absorbed": _absorbed,
    "conversation_split": _split,
}
