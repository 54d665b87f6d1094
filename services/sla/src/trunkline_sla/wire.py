"""What is announced, as records of trunkline.sla.v1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from trunkline.sla.v1 import sla_event_pb2 as pb
from trunkline_common import cloudevents
from trunkline_common.calendar_zones import tzdata_version
from trunkline_common.kafka import Outgoing

from trunkline_sla import wire_facts
from trunkline_sla.evaluation_facts import Fact, FactKind

TOPIC = "trunkline.sla.v1"
MILLISECOND = timedelta(milliseconds=1)
#: Said by timers, at an instant of their own.
OF_TIMERS = frozenset({FactKind.WARNING, FactKind.BREACHED, FactKind.OVERDUE})


@dataclass(frozen=True, slots=True)
class About:
    """Whose clock it is: what a fact about it says beside the clock itself."""

    tenant: str
    conversation_id: str
    team: str
    channel: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Announced:
    """A fact, whose it is, and when it is announced."""

    about: About
    fact: Fact
    at: datetime
    #: The seq of the event that caused it; 0 for timers.
    seq: int = 0

    @property
    def clock_id(self) -> str:
        """The clock it is about."""
        about, fact = self.about, self.fact
        return wire_facts.clock_id(about.tenant, about.conversation_id, fact.metric, fact.cycle)

    @property
    def late_ms(self) -> int:
        """How long after its instant a timer spoke; 0 for what is no timer's."""
        return max(0, (self.at - self.fact.at) // MILLISECOND) if self.fact.kind in OF_TIMERS else 0


def to_message(found: Announced, traceparent: str) -> Outgoing:
    """The record of a fact."""
    event = to_event(found)
    headers = cloudevents.headers(
        event_id=event.event_id,
        message="trunkline.sla.v1.SlaEvent",
        source="sla",
        subject=event.conversation_id,
        time=found.fact.at,
        tenant=event.tenant,
        traceparent=traceparent,
    )
    return Outgoing(TOPIC, event.conversation_id.encode(), event.SerializeToString(), headers)


def to_event(found: Announced) -> pb.SlaEvent:
    """A fact as it is published."""
    about = found.about
    event = wire_facts.to_event(found.fact, about.tenant, about.conversation_id)
    event.emitted_at.CopyFrom(wire_facts.timestamp(found.at))
    event.late_ms, event.cause_seq = found.late_ms, found.seq
    event.team, event.channel, event.tzdata = about.team, about.channel, tzdata_version()
    return event
