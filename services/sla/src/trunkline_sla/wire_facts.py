"""Facts as they are published, with ids that are the same however often and by whomever they are found (sla 9.5)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1

from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.sla.v1 import sla_event_pb2 as pb

from trunkline_sla.evaluation_facts import Fact, FactKind, breach_key, fact_key
from trunkline_sla.evaluation_model import Metric

CLOCKS = uuid.UUID("8f0b7c55-0d0e-5c53-9f2a-5d3f0f6f1a01")
METRICS = {metric: pb.Metric.Value(f"METRIC_{metric.name}") for metric in Metric}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1 << 13)  # asked several times of each clock of a batch
def clock_id(tenant: str, conversation_id: str, metric: Metric, cycle: int) -> str:
    """The id of one cycle."""
    return _uuid5(CLOCKS.bytes, f"{tenant}/{conversation_id}/{metric}/{cycle}")


def event_id(clock: str, key: str) -> str:
    """The id of what is said of a clock, by the fact's key."""
    return _uuid5(bytes.fromhex(clock.replace("-", "")), key)


def _uuid5(namespace: bytes, name: str) -> str:
    """str(uuid.uuid5()) at a third of its price: every fact has two."""
    digest = sha1(namespace + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def timestamp(at: datetime) -> Timestamp:
    """An instant on the wire."""
    passed = at - EPOCH
    return Timestamp(seconds=passed.days * 86_400 + passed.seconds, nanos=passed.microseconds * 1000)


def to_event(fact: Fact, tenant: str, conversation_id: str) -> pb.SlaEvent:
    """All that follows from the fact itself."""
    clock = clock_id(tenant, conversation_id, fact.metric, fact.cycle)
    event = pb.SlaEvent(
        event_id=event_id(clock, fact_key(fact)),
        tenant=tenant,
        conversation_id=conversation_id,
        clock_id=clock,
        metric=METRICS[fact.metric],
        cycle=fact.cycle,
        gen=fact.gen,
        policy_id=fact.policy_id,
        config_version=fact.version,
        cause=fact.cause,
        calendar_id=fact.calendar_id,
        occurred_at=timestamp(fact.at),
        due_at=None if fact.due_at is None else timestamp(fact.due_at),
    )
    _fill(event, fact, clock)
    return event


def _fill(event: pb.SlaEvent, fact: Fact, clock: str) -> None:
    match fact.kind:
        case FactKind.STARTED:
            event.clock_started.target_s = fact.target_s
        case FactKind.PAUSED:
            event.clock_paused.elapsed_s, event.clock_paused.state = fact.elapsed_s or 0, fact.state or ""
        case FactKind.RESUMED:
            event.clock_resumed.elapsed_s = fact.elapsed_s or 0
        case FactKind.RESCHEDULED:
            event.clock_rescheduled.target_s = fact.target_s
        case FactKind.WARNING:
            event.warning.percent, event.warning.remaining_s = fact.percent or 0, fact.remaining_s or 0
        case FactKind.BREACHED:
            event.breached.target_s = fact.target_s
        case FactKind.BREACH_RETRACTED:
            event.breach_retracted.breach_event_id = event_id(clock, breach_key(fact))
        case FactKind.CONFIG_FAULT:
            event.config_fault.reason = fact.reason or ""
        case _:
            _fill_end(event, fact)


def _fill_end(event: pb.SlaEvent, fact: Fact) -> None:
    match fact.kind:
        case FactKind.OVERDUE:
            event.overdue.ordinal, event.overdue.overdue_s = fact.ordinal or 0, fact.overdue_s or 0
            event.overdue.overdue_wall_s = fact.overdue_wall_s or 0
        case FactKind.FULFILLED if fact.met is None:  # done, but by no deadline: neither met nor missed
            event.cancelled.reason, event.cancelled.elapsed_s = "config_fault", fact.elapsed_s or 0
        case FactKind.FULFILLED:
            event.fulfilled.met, event.fulfilled.elapsed_s = bool(fact.met), fact.elapsed_s or 0
            event.fulfilled.overdue_s, event.fulfilled.automation = fact.overdue_s or 0, bool(fact.automation)
        case FactKind.RECOVERED:
            event.recovered.overdue_s = fact.overdue_s or 0
        case FactKind.CANCELLED:
            event.cancelled.reason, event.cancelled.elapsed_s = fact.reason or "", fact.elapsed_s or 0
        case FactKind.WAIVED:
            event.waived.reason = fact.reason or ""
        case _:
            raise AssertionError(fact.kind)
