"""A story as the API shows it: intervals, cycles that a policy would have made, what was or would have been said."""

from __future__ import annotations

from trunkline.sla.v1 import sla_event_pb2 as events
from trunkline.sla.v1 import sla_service_pb2 as pb

from trunkline_sla.evaluation_model import Interval
from trunkline_sla.explain import Said, Told
from trunkline_sla.report import target_text
from trunkline_sla.wire_api import METRICS, STATES, maybe
from trunkline_sla.wire_facts import timestamp
from trunkline_sla.wire_facts import to_event as of_fact


def to_interval(part: Interval) -> pb.Interval:
    """A part of a clock's life."""
    return pb.Interval(
        begins_at=timestamp(part.start),
        ends_at=timestamp(part.end),
        counted=part.counted,
        business_s=part.seconds if part.counted else 0,
        why=part.why,
        cause=part.cause,
    )


def to_event(said: Said, tenant: str, conversation_id: str) -> events.SlaEvent:
    """What was announced; when it was emitted is not known any more."""
    event = of_fact(said.fact, tenant, conversation_id)
    event.team, event.channel, event.cause_seq = said.situation.team, said.situation.channel, said.seq
    return event


def to_trial(said: Said, tenant: str, conversation_id: str) -> events.SlaEvent:
    """What would have been announced: it has no id, since it never was."""
    event = to_event(said, tenant, conversation_id)
    event.event_id = event.clock_id = ""
    if event.HasField("breach_retracted"):
        event.breach_retracted.breach_event_id = ""
    return event


def to_clock(told: Told, conversation_id: str) -> pb.Clock:
    """A cycle that would have been; it has no id."""
    clock, cycle, terms = told.clock, told.cycle, told.clock.terms
    return pb.Clock(
        conversation_id=conversation_id,
        metric=METRICS[clock.metric],
        cycle=clock.cycle,
        gen=clock.gen,
        state=STATES[clock.phase],
        breached=clock.breached_at is not None,
        target_s=cycle.target_s,
        started_at=timestamp(cycle.started_at),
        due_at=maybe(cycle.due_at),
        ended_at=maybe(cycle.ended_at),
        policy_id=terms.policy_id,
        config_version=terms.version,
        team=told.situation.team,
        calendar_id=terms.calendar_id,
        target_text=target_text(cycle.target_s, terms.calendar_id),
        elapsed_s=cycle.elapsed_s,
        met=cycle.met,
        breached_at=maybe(cycle.breached_at),
        reason=cycle.reason or "",
        channel=told.situation.channel,
    )
