"""IngressMessage: from an integrator's bytes to an InboundEvent, checked against the tenant's configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from trunkline.config.v1.config_pb2 import ChannelAccount, TenantConfig
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.ingest.v1.ingress_event_pb2 import IngressMessage
from trunkline_common.errors import InvalidMessage

from trunkline_ingest import ids, labels, wire
from trunkline_ingest.channels.adapter import Arrival
from trunkline_ingest.intake_cloudevents import JSON, Event, json_object
from trunkline_ingest.intake_reasons import Reason
from trunkline_ingest.model import Attachment, Message

PROTOBUF = ("application/protobuf", "application/x-protobuf")
LONGEST_ID = 512  # characters of a message id, thread key or address


def parse(event: Event) -> IngressMessage:
    """The event's data as a message. Raises InvalidMessage."""
    if isinstance(event.data, dict):
        if not _is_json(event.content_type):
            raise InvalidMessage(
                Reason.UNSUPPORTED_CONTENT_TYPE, f"data is an object, so datacontenttype must be {JSON}"
            )
        return from_json(event.data)
    if event.content_type in PROTOBUF:
        return from_protobuf(event.data)
    if _is_json(event.content_type):
        return from_json(json_object(event.data, "the data"))
    raise InvalidMessage(
        Reason.UNSUPPORTED_CONTENT_TYPE, f"content type {event.content_type[:80]}: send {JSON} or {PROTOBUF[0]}"
    )


def _is_json(content_type: str) -> bool:
    return content_type == JSON or content_type.endswith("+json")


def from_protobuf(data: bytes) -> IngressMessage:
    """Raises InvalidMessage where the bytes are not an IngressMessage."""
    try:
        return IngressMessage.FromString(data)
    except DecodeError:
        detail = f"the data is not a protobuf {IngressMessage.DESCRIPTOR.full_name}: no length prefix, no registry id"
        raise InvalidMessage(Reason.BAD_PROTOBUF, detail) from None


def from_json(document: dict[str, object]) -> IngressMessage:
    """Raises InvalidMessage naming the field that is unknown or has a wrong value."""
    for path, known in _unknown(IngressMessage.DESCRIPTOR, document, ""):
        raise InvalidMessage(Reason.UNKNOWN_FIELD, f"{path[:200]}: no such field; there are {', '.join(known)}")
    try:
        return ParseDict(document, IngressMessage())
    except (ParseError, ValueError, TypeError) as error:
        raise InvalidMessage(Reason.INVALID_FIELD, " ".join(str(error).split())[:400]) from None


def _unknown(kind: Descriptor, document: dict[str, object], under: str) -> Iterator[tuple[str, list[str]]]:
    fields = {name: f for f in kind.fields for name in (f.name, f.json_name)}
    for name, value in document.items():
        field, path = fields.get(name), f"{under}{name}"
        if field is None:
            yield path, [f.json_name for f in kind.fields]
        else:
            yield from _inside(field, value, path)


def _inside(field: FieldDescriptor, value: object, path: str) -> Iterator[tuple[str, list[str]]]:
    inner = field.message_type
    if inner is None or inner.GetOptions().map_entry or inner.full_name.startswith("google.protobuf."):
        return
    if isinstance(value, dict):
        yield from _unknown(inner, value, f"{path}.")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield from _unknown(inner, item, f"{path}[{index}].")


def account_of(message: IngressMessage, source: str, config: TenantConfig | None) -> ChannelAccount:
    """The account the source may speak for. Raises InvalidMessage."""
    for name in ("tenant", "account"):
        if not getattr(message, name):
            raise InvalidMessage(Reason.MISSING_FIELD, f"{name} is missing")
    registered = next((s for s in config.sources if s.source == source), None) if config else None
    if config is None or registered is None:
        detail = f"ce_source {source[:200]} is not registered for tenant {message.tenant[:100]}: "
        raise InvalidMessage(Reason.UNKNOWN_SOURCE, f"{detail}add it to `sources` in the tenant's configuration")
    account = next((a for a in config.accounts if a.id == message.account), None)
    if account is None:
        detail = f"account {message.account[:200]} is not in the configuration of tenant {message.tenant}"
        raise InvalidMessage(Reason.UNKNOWN_ACCOUNT, detail)
    if message.account not in registered.accounts:
        detail = (
            f"ce_source {source[:200]} may not speak for account {message.account}: add it to the source's accounts"
        )
        raise InvalidMessage(Reason.SOURCE_NOT_ALLOWED, detail)
    return account


def check(message: IngressMessage, priorities: Collection[str]) -> None:
    """Raise InvalidMessage where a field is missing or unusable."""
    _check_identity(message)
    for field, description in labels.problems(labels_of(message), priorities):
        raise InvalidMessage(Reason.INVALID_FIELD, f"{field} {description}")
    if len(message.content.attachments) > wire.MAX_ATTACHMENTS:
        detail = f"content.attachments has more than {wire.MAX_ATTACHMENTS} entries"
        raise InvalidMessage(Reason.INVALID_FIELD, detail)
    at = message.sent_at
    if not (wire.FIRST_SECOND <= at.seconds <= wire.LAST_SECOND and 0 <= at.nanos < 1_000_000_000):
        raise InvalidMessage(Reason.INVALID_FIELD, "sent_at is outside the years 1 to 9999")


def _check_identity(message: IngressMessage) -> None:
    deciding = (
        ("message_id", message.message_id),
        ("thread_key", message.thread_key),
        ("contact.address", message.contact.address),
    )
    for path, value in deciding:
        if not value.strip():
            raise InvalidMessage(Reason.MISSING_FIELD, f"{path} is missing")
        if len(value) > LONGEST_ID:
            raise InvalidMessage(Reason.INVALID_FIELD, f"{path} is longer than {LONGEST_ID} characters")
        if "\0" in value:
            raise InvalidMessage(Reason.INVALID_FIELD, f"{path} holds the character U+0000")


def normalise(message: IngressMessage, account: ChannelAccount, config: TenantConfig, now: datetime) -> InboundEvent:
    """The inbound event; the same message always gets the same event id."""
    arrival = Arrival(config.tenant, pool_of(account, config), account, now)
    said = Message(
        provider_message_id=message.message_id,
        thread_key=message.thread_key,
        address=message.contact.address,
        display_name=message.contact.display_name,
        text=message.content.text,
        subject=message.content.subject,
        attachments=tuple(
            Attachment(a.ref, a.content_type, a.name, a.size_bytes, a.sha256) for a in message.content.attachments
        ),
        provider_time=message.sent_at.ToDatetime(UTC) if message.HasField("sent_at") else None,
        labels=labels_of(message),
    )
    return wire.to_event(said, arrival)


def labels_of(message: IngressMessage) -> labels.Labels:
    """What the integrator knows of the conversation."""
    attributes = tuple(sorted(message.attributes.items()))
    return labels.Labels(message.language, tuple(message.tags), attributes, message.priority)


def pool_of(account: ChannelAccount, config: TenantConfig) -> str:
    """The key of the inbound topic: "<tenant>/<pool>" of the account's team."""
    pool = next((team.pool for team in config.teams if team.id == account.team), "")
    if not pool:
        detail = (
            f"account {account.id} belongs to team {account.team}, which has no pool: apply the configuration again"
        )
        raise InvalidMessage(Reason.UNKNOWN_ACCOUNT, detail)
    return ids.pool_id(config.tenant, pool)
