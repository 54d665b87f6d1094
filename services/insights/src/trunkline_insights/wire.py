"""Bytes to domain and back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.insights.v1.queue_pb2 import QueuePartial, QueueSnapshot
from trunkline_common import cloudevents
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Outgoing

from trunkline_insights.queues import Assigned, Figures, Left, Move, Partial, Queue, Snapshot, Step, Waits

LOG = "trunkline.conversations.v1"
DEAD_LETTERS = "trunkline.conversations.dlq.v1"
PARTIALS = "trunkline.insights.partials.v1"
SNAPSHOTS = "trunkline.insights.v1"

M = TypeVar("M", bound=Message)


def parse_step(value: bytes | None) -> Step:
    """A record of the conversations log. An event of a kind not known here moves nothing."""
    event = _decode(ConversationEvent, value)
    conversation_id, seq = event.conversation_id, event.seq
    if not (event.tenant and conversation_id and seq > 0 and event.HasField("occurred_at")):
        raise InvalidMessage("FIELD_MISSING", "tenant, conversation_id, seq and occurred_at are required")
    return Step(conversation_id, seq, _move(event))


def _move(event: ConversationEvent) -> Move | None:
    match event.WhichOneof("payload"):
        case "conversation_queued":
            queued = event.conversation_queued
            since = queued.entered_at if queued.HasField("entered_at") else event.occurred_at
            return Waits(_queue(event, queued.team), _time(since))
        case "conversation_assigned":
            return Assigned(_queue(event, event.conversation_assigned.team))
        case "conversation_transferred":
            # Its place in the new queue follows with ConversationQueued; until then it waits since now.
            return Waits(_queue(event, event.conversation_transferred.to_team), _time(event.occurred_at))
        case "conversation_resolved" | "conversation_rejected" | "conversation_merged" | "callback_scheduled":
            return Left()
        case _:
            return None


def _queue(event: ConversationEvent, team: str) -> Queue:
    if not team:
        raise InvalidMessage("FIELD_MISSING", "a move without a team")
    return Queue(event.tenant, team)


def partial_to_record(partial: Partial) -> Outgoing:
    """A share as published."""
    queue, figures = partial.queue, partial.figures
    message = QueuePartial(
        tenant=queue.tenant,
        queue=queue.team,
        source_partition=partial.source_partition,
        depth=figures.depth,
        assigned=figures.assigned,
        oldest_entered_at=_stamp(figures.oldest_entered_at),
        computed_at=_stamp(partial.computed_at),
    )
    return _record(PARTIALS, queue, message, partial.computed_at, str(partial.source_partition))


def parse_partial(value: bytes | None) -> Partial:
    """A share as read."""
    message = _decode(QueuePartial, value)
    _require(tenant=message.tenant, queue=message.queue, computed_at=message.HasField("computed_at"))
    queue = Queue(message.tenant, message.queue)
    return Partial(queue, message.source_partition, _figures(message), _time(message.computed_at))


def snapshot_to_message(snapshot: Snapshot) -> QueueSnapshot:
    """A snapshot as protobuf."""
    return QueueSnapshot(
        tenant=snapshot.queue.tenant,
        queue=snapshot.queue.team,
        depth=snapshot.figures.depth,
        assigned=snapshot.figures.assigned,
        oldest_entered_at=_stamp(snapshot.figures.oldest_entered_at),
        computed_at=_stamp(snapshot.computed_at),
        valid_until=_stamp(snapshot.valid_until),
    )


def snapshot_to_record(snapshot: Snapshot) -> Outgoing:
    """A snapshot as published."""
    return _record(SNAPSHOTS, snapshot.queue, snapshot_to_message(snapshot), snapshot.computed_at, "")


def parse_snapshot(value: bytes) -> Snapshot:
    """A snapshot as read."""
    message = _decode(QueueSnapshot, value)
    _require(tenant=message.tenant, queue=message.queue, computed_at=message.HasField("computed_at"))
    return Snapshot(Queue(message.tenant, message.queue), _figures(message), _time(message.computed_at))


def _figures(message: QueuePartial | QueueSnapshot) -> Figures:
    oldest = _time(message.oldest_entered_at) if message.HasField("oldest_entered_at") else None
    return Figures(message.depth, message.assigned, oldest)


def _record(topic: str, queue: Queue, message: Message, time: datetime, part: str) -> Outgoing:
    key = f"{queue.tenant}/{queue.team}"
    headers = cloudevents.headers(
        event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{topic}/{key}/{part}/{time.isoformat()}")),
        message=message.DESCRIPTOR.full_name,
        source="insights",
        subject=key,
        time=time,
        tenant=queue.tenant,
    )
    return Outgoing(topic, key.encode(), message.SerializeToString(), headers)


def _decode(kind: type[M], value: bytes | None) -> M:
    message = kind()
    try:
        message.ParseFromString(value or b"")
    except DecodeError as error:
        raise InvalidMessage("CANNOT_DECODE", f"the value is not a {message.DESCRIPTOR.full_name}") from error
    return message


def _require(**fields: object) -> None:
    missing = [name for name, value in fields.items() if not value]
    if missing:
        raise InvalidMessage("FIELD_MISSING", ", ".join(missing))


def _stamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def _time(stamp: Timestamp) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidMessage("TIME_OUT_OF_RANGE", "use a time between the years 1 and 9999") from error
