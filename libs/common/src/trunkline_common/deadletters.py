"""Dead letters: a refused record as it was, with the reason in its headers, written in the batch's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from trunkline_common import telemetry
from trunkline_common.kafka import Outgoing, Record

log = structlog.get_logger(__name__)

LARGEST_VALUE = 900_000  # bytes; what is longer could not be written with its headers, so it is cut


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be processed: `reason` is stable and upper case, `detail` says what to do about it."""

    record: Record
    reason: str
    detail: str
    #: A sign that whoever writes the topic is broken; off where one tenant's records are refused for a cause of its
    #: own, which must not stop the others of the partition.
    poison: bool = True


def dead_letters(rejected: Sequence[Rejected], topic: str, group: str) -> list[Outgoing]:
    """All of a batch, each with a log line that says where it was and why it is refused."""
    for r in rejected:
        log.warning("record refused", topic=r.record.topic, part=r.record.partition, offset=r.record.offset,
                    reason=r.reason, group=group, **telemetry.trace_fields(r.record.traceparent))  # fmt: skip
    telemetry.count("trunkline.dlq.messages", len(rejected), group=group)
    return [dead_letter(r, topic, group) for r in rejected]


def dead_letter(rejected: Rejected, topic: str, group: str) -> Outgoing:
    """Key, value and headers byte for byte, plus where it was, who refused it and why (contracts 1.7).

    A value above LARGEST_VALUE is cut; dlq.cut then says how long it was.
    """
    record = rejected.record
    facts = {
        "dlq.reason": rejected.reason,
        "dlq.detail": rejected.detail[:1024],
        "dlq.group": group,
        "dlq.topic": record.topic,
        "dlq.partition": str(record.partition),
        "dlq.offset": str(record.offset),
        "dlq.timestamp": str(record.timestamp_ms),
    }
    value = record.value
    if value is not None and len(value) > LARGEST_VALUE:
        facts["dlq.cut"], value = str(len(value)), value[:LARGEST_VALUE]
    headers = {**record.headers, **{name: value.encode() for name, value in facts.items()}}
    return Outgoing(topic, record.key, value, headers)
