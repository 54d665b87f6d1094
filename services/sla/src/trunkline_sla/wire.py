"""Bytes to events, facts to records."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import assert_never

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.common.v1.common_pb2 import ACTOR_TYPE_AGENT
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.sla.v1 import sla_event_pb2 as pb
from trunkline.sla.v1 import sla_service_pb2 as api
from trunkline_common import cloudevents
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Outgoing, Record

from trunkline_sla.model import (
    DEFAULT_WARNINGS,
    Breached,
    Clock,
    Event,
    Fulfilled,
    Kind,
    Metric,
    Policy,
    SlaFact,
    Started,
    State,
    Warned,
)

TOPIC = "trunkline.sla.v1"
LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # a due_at can still be added to it
METRICS = {Metric.FIRST_RESPONSE: pb.METRIC_FIRST_RESPONSE, Metric.NEXT_RESPONSE: pb.METRIC_NEXT_RESPONSE}
STATES = {State.RUNNING: api.CLOCK_STATE_RUNNING, State.FULFILLED: api.CLOCK_STATE_FULFILLED}


def parse(record: Record) -> Event:
    """A record of the conversations log. Raises InvalidMessage."""
    try:
        found = ConversationEvent.FromString(record.value or b"")
    except DecodeError as error:
        raise InvalidMessage("NOT_PROTOBUF", str(error)) from error
    kind, team = _meaning(found)
    event = Event(
        found.event_id,
        found.tenant,
        found.conversation_id,
        found.seq,
        _time(found),
        found.config_version,
        kind,
        team,
        record.traceparent,
    )
    _check(event)
    return event


def _check(event: Event) -> None:
    ids = {"event_id": event.event_id, "tenant": event.tenant, "conversation_id": event.conversation_id}
    missing = [name for name, value in ids.items() if not value] + ([] if event.seq > 0 else ["seq"])
    if missing:
        raise InvalidMessage("FIELD_MISSING", ", ".join(missing))
    if any("\0" in text for text in (*ids.values(), event.team)):
        raise InvalidMessage("FIELD_INVALID", "an id holds a NUL character")


def _time(found: ConversationEvent) -> datetime:
    if not found.HasField("occurred_at"):
        raise InvalidMessage("FIELD_MISSING", "occurred_at")
    try:
        at = found.occurred_at.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidMessage("FIELD_INVALID", "occurred_at is no time") from error
    if at > LATEST:
        raise InvalidMessage("FIELD_INVALID", "occurred_at is too far away")
    return at


def _meaning(found: ConversationEvent) -> tuple[Kind, str]:
    match found.WhichOneof("payload"):
        case "message_received" if not found.message_received.automatic:
            return Kind.WROTE, ""
        case "message_sent" if found.actor.type == ACTOR_TYPE_AGENT:
            return Kind.REPLIED, ""
        case "conversation_queued":
            return Kind.QUEUED, found.conversation_queued.team
    return Kind.OTHER, ""


def policies(config: TenantConfig) -> tuple[Policy, ...]:
    """What a version of a tenant's configuration promises, in its order."""
    return tuple(
        Policy(p.id, p.team, p.first_response_s, p.next_response_s, _warnings(list(p.warnings_percent)))
        for p in config.sla_policies
    )


def _warnings(percents: list[int]) -> tuple[int, ...]:
    return tuple(sorted({p for p in percents if 0 < p < 100})) if percents else DEFAULT_WARNINGS


def to_message(fact: SlaFact, now: datetime, traceparent: str) -> Outgoing:
    """The record of a fact."""
    event = _event(fact, now)
    headers = cloudevents.headers(
        event_id=event.event_id,
        message="trunkline.sla.v1.SlaEvent",
        source="sla",
        subject=event.conversation_id,
        time=fact.at,
        tenant=event.tenant,
        traceparent=traceparent,
    )
    return Outgoing(TOPIC, event.conversation_id.encode(), event.SerializeToString(), headers)


def late_ms(fact: Warned | Breached, now: datetime) -> int:
    """How long after its instant a timer fired."""
    return max(0, (now - fact.at) // timedelta(milliseconds=1))


def _event(fact: SlaFact, now: datetime) -> pb.SlaEvent:
    clock = fact.clock
    event = pb.SlaEvent(
        event_id=event_id(fact),
        tenant=clock.tenant,
        conversation_id=clock.conversation_id,
        clock_id=clock.clock_id,
        metric=METRICS[clock.metric],
        cycle=clock.cycle,
        gen=clock.gen,
        due_at=timestamp(clock.due_at),
        occurred_at=timestamp(fact.at),
        emitted_at=timestamp(now),
        late_ms=late_ms(fact, now) if isinstance(fact, Warned | Breached) else 0,
        policy_id=clock.policy_id,
        config_version=clock.config_version,
        cause=fact.cause if isinstance(fact, Started | Fulfilled) else "",
        team=clock.team,
    )
    _fill(event, fact)
    return event


def event_id(fact: SlaFact) -> str:
    """The same for the same fact, however often and by whomever it is found (9.5)."""
    threshold = fact.percent if isinstance(fact, Warned) else 0
    kind = type(fact).__name__.lower()
    return str(uuid.uuid5(uuid.UUID(fact.clock.clock_id), f"{fact.clock.cycle}/{kind}/{threshold}"))


def _fill(event: pb.SlaEvent, fact: SlaFact) -> None:
    match fact:
        case Started():
            event.clock_started.target_s = fact.clock.target_s
        case Warned():
            event.warning.percent = fact.percent
        case Breached():
            event.breached.target_s = fact.clock.target_s
        case Fulfilled():
            event.fulfilled.met = fact.met
            event.fulfilled.elapsed_s, event.fulfilled.overdue_s = fact.elapsed_s, fact.overdue_s
        case _:
            assert_never(fact)


def to_clock(clock: Clock) -> api.Clock:
    """A clock as the API shows it."""
    running = clock.state is State.RUNNING
    return api.Clock(
        clock_id=clock.clock_id,
        conversation_id=clock.conversation_id,
        metric=METRICS[clock.metric],
        cycle=clock.cycle,
        gen=clock.gen,
        state=STATES[clock.state],
        breached=clock.breached,
        target_s=clock.target_s,
        started_at=timestamp(clock.started_at),
        due_at=timestamp(clock.due_at) if running else None,
        ended_at=timestamp(clock.ended_at) if clock.ended_at else None,
        policy_id=clock.policy_id,
        config_version=clock.config_version,
        team=clock.team,
    )


def timestamp(at: datetime) -> Timestamp:
    """An instant on the wire."""
    found = Timestamp()
    found.FromDatetime(at)
    return found
