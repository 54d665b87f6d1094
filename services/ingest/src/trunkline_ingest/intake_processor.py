"""One partition of the ingress topic: each event becomes an inbound record, or a dead letter with the reason."""

from __future__ import annotations

from datetime import datetime

from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common.deadletters import Rejected
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_common.postgres import Connection
from trunkline_common.processor import Batch, Effects, Processor
from trunkline_common.tenants import Tenants

from trunkline_ingest import ingress, intake_cloudevents, wire
from trunkline_ingest.accounts import priorities_of
from trunkline_ingest.intake_reasons import Reason

LARGEST_RECORD = 256 * 1024
#: A dead letter is longer than the record it holds. Near the broker's limit it could not be written, so it is cut.
LARGEST_DEAD_LETTER = 960 * 1024


class Intake(Processor):
    """Keeps nothing between batches: what it needs is the tenants' configuration."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def process(self, tx: Connection, batch: Batch) -> Effects:  # noqa: ARG002 - the offset is the only state
        """Answer each record with one message or one rejection."""
        effects = Effects()
        for record in batch.records:
            try:
                event = accept(record, self._tenants, batch.now)
            except InvalidMessage as error:
                effects.rejected.append(Rejected(within_limits(record), error.reason, error.detail))
            else:
                effects.messages.append(wire.record(event, record.traceparent))
        return effects


def accept(record: Record, tenants: Tenants, now: datetime) -> InboundEvent:
    """What the record says, checked. Raises InvalidMessage with a Reason."""
    if size(record) > LARGEST_RECORD:
        detail = f"the record has {size(record)} bytes; send at most {LARGEST_RECORD}, and files as references"
        raise InvalidMessage(Reason.TOO_LARGE, detail)
    event = intake_cloudevents.decode(record.headers, record.value)
    message = ingress.parse(event)
    config: TenantConfig | None = tenants.get(message.tenant)
    account = ingress.account_of(message, event.source, config)
    assert config is not None  # noqa: S101 - account_of refuses a tenant without configuration
    ingress.check(message, priorities_of(config))
    return ingress.normalise(message, account, config, now)


def size(record: Record) -> int:
    """Bytes of key, value and headers."""
    headers = sum(len(name.encode()) + len(value) for name, value in record.headers.items())
    return len(record.key or b"") + len(record.value or b"") + headers


def within_limits(record: Record) -> Record:
    """The record as it was; without headers and cut where its dead letter would be too large to be written."""
    if size(record) <= LARGEST_DEAD_LETTER:
        return record
    value = (record.value or b"")[:LARGEST_RECORD]
    return record._replace(key=(record.key or b"")[:1024], value=value, headers={"dlq.cut": str(size(record)).encode()})
