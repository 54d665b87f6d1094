"""What was read, as the API shows it; and what the API was asked, checked."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline_common.errors import Violation, invalid_request

from trunkline_sla import wire_facts
from trunkline_sla.preview import Due
from trunkline_sla.queries import Breach, Clock
from trunkline_sla.report import Counts, target_text
from trunkline_sla.wire_facts import timestamp

METRICS = {metric.value: number for metric, number in wire_facts.METRICS.items()}
NAMES: dict[int, str] = {number: name for name, number in METRICS.items()}
STATES = {
    "running": pb.CLOCK_STATE_RUNNING,
    "paused": pb.CLOCK_STATE_PAUSED,
    "fulfilled": pb.CLOCK_STATE_FULFILLED,
    "cancelled": pb.CLOCK_STATE_CANCELLED,
}

# -- asked


def metric_name(number: int, field: str = "metric") -> str:
    """The metric asked for; "" where none is."""
    if number and number not in NAMES:
        raise invalid_request(Violation(field, "is not a metric"))
    return NAMES.get(number, "")


def instant(request: Message, field: str) -> datetime | None:
    """A time of the request; None where it is absent."""
    if not request.HasField(field):
        return None
    try:
        return getattr(request, field).ToDatetime(tzinfo=UTC)  # type: ignore[no-any-return] # a Timestamp
    except (ValueError, OverflowError) as error:
        raise invalid_request(Violation(field, "is not a time from year 1 to 9999")) from error


def period(request: Message) -> tuple[datetime | None, datetime | None]:
    """The fields from and to."""
    start, end = instant(request, "from"), instant(request, "to")
    if start and end and end < start:
        raise invalid_request(Violation("to", "is before from"))
    return start, end


# -- answered


def maybe(at: datetime | None) -> Timestamp | None:
    """An instant that may be absent."""
    return timestamp(at) if at else None


def to_clock(found: Clock, elapsed_s: int) -> pb.Clock:
    """A clock with what it has counted by now."""
    return pb.Clock(
        clock_id=found.clock_id,
        conversation_id=found.conversation_id,
        metric=METRICS[found.metric],
        cycle=found.cycle,
        gen=found.gen,
        state=STATES[found.state],
        breached=found.breached_at is not None,
        target_s=found.target_s,
        started_at=timestamp(found.started_at),
        due_at=maybe(found.due_at if found.state == "running" else None),
        ended_at=maybe(found.ended_at),
        policy_id=found.policy_id,
        config_version=found.config_version,
        team=found.team,
        calendar_id=found.counts_by,
        target_text=target_text(found.target_s, found.counts_by),
        elapsed_s=elapsed_s,
        met=found.met if found.state == "fulfilled" else None,
        breached_at=maybe(found.breached_at),
        reason=found.reason,
        channel=found.channel,
    )


def to_breach(found: Breach) -> pb.Breach:
    """A breach."""
    return pb.Breach(
        conversation_id=found.conversation_id,
        metric=METRICS[found.metric],
        cycle=found.cycle,
        breached_at=timestamp(found.breached_at),
        emitted_at=timestamp(found.emitted_at),
        late_ms=found.late_ms,
        team=found.team,
        clock_id=found.clock_id,
        policy_id=found.policy_id,
        channel=found.channel,
    )


def to_row(found: Counts) -> pb.ReportRow:
    """A row of a report."""
    return pb.ReportRow(
        metric=METRICS[found.metric],
        team=found.team,
        channel=found.channel,
        policy_id=found.policy_id,
        day=found.day.isoformat() if found.day else "",
        met=found.met,
        missed=found.missed,
        waived=found.waived,
        cancelled=found.cancelled,
        met_ratio=found.met_ratio,
        elapsed_p50_s=found.elapsed_p50_s,
        elapsed_p90_s=found.elapsed_p90_s,
        seconds=found.seconds,
    )


def to_due(found: Due) -> pb.Due:
    """One metric's answer."""
    return pb.Due(
        team=found.team,
        metric=METRICS[found.metric],
        policy_id=found.policy_id,
        calendar_id=found.calendar_id,
        target_s=found.target_s,
        target_text=target_text(found.target_s, found.calendar_id),
        due_at=maybe(found.due_at),
        config_version=found.version,
    )
