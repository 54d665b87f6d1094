"""WhatsApp Cloud API (Meta Graph): signed JSON batches in, Graph messages out.

A user is known by a business-scoped id (BSUID) and perhaps a phone number: the thread follows the BSUID where Meta
sends one, because the number disappears when its owner takes a user name.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage, TypingIndicator

from trunkline_ingest import callbacks
from trunkline_ingest.channels.adapter import (
    Adapter,
    Answer,
    Arrival,
    BadSignature,
    InvalidBody,
    Raw,
    json_body,
    secret_of,
    violations,
)
from trunkline_ingest.channels.posting import post
from trunkline_ingest.channels.sending import SendContext, Sent
from trunkline_ingest.channels.whatsapp_body import (
    Change,
    Delivery,
    Incoming,
    Interactive,
    Location,
    Media,
    MessagesChange,
    Person,
    Profile,
    Value,
    Webhook,
)
from trunkline_ingest.model import Attachment, Fact, Message, Receipt, Status, Unknown

GRAPH_VERSION = "v21.0"
MEDIA = ("image", "video", "audio", "voice", "document", "sticker")


def verify(raw: Raw, _account: ChannelAccount, secret: str) -> None:
    """X-Hub-Signature-256 over the raw bytes."""
    expected = hmac.new(secret.encode(), raw.body, hashlib.sha256).hexdigest()
    given = raw.headers.get("x-hub-signature-256", "")
    if not hmac.compare_digest(f"sha256={expected}".encode(), given.encode("utf-8", "replace")):
        raise BadSignature


def handshake(raw: Raw, secret: str) -> Answer:
    """Meta asks once, unsigned, whether the address is ours: the challenge goes back if it knows the verify token."""
    query = {name: found[0] for name, found in parse_qs(urlsplit(raw.target).query).items()}
    known = hmac.compare_digest(query.get("hub.verify_token", "").encode(), secret.encode())
    if query.get("hub.mode") != "subscribe" or not known:
        raise BadSignature
    return Answer(200, "text/plain", query.get("hub.challenge", ""))


def parse(raw: Raw) -> Webhook:
    """The envelope; what is inside is judged event by event, so that a bad one loses no other."""
    with suppress(ValidationError):  # in one step from the bytes: half the time, but it takes no lone surrogate
        return Webhook.model_validate_json(raw.body)
    try:
        return Webhook.model_validate(json_body(raw))
    except ValidationError as error:
        raise InvalidBody(*violations(error)) from None


def normalise(payload: Webhook, arrival: Arrival) -> list[Fact]:
    """Every message and status of every change, in order."""
    return [fact for entry in payload.entry for change in entry.changes for fact in _change(change, arrival)]


def _change(raw: dict[str, Any], arrival: Arrival) -> Iterator[Fact]:
    try:
        if raw.get("field") != "messages":
            yield _unknown("UNSUPPORTED_EVENT", f"field {Change.model_validate(raw).field}", raw)
            return
        value = MessagesChange.model_validate(raw).value
    except ValidationError as error:
        yield _malformed(error, raw)
        return
    if value.metadata.phone_number_id != arrival.account.options.get("phone_number_id", arrival.account.id):
        yield _unknown("UNKNOWN_ACCOUNT", "phone_number_id is not this account's", raw)
    else:
        yield from _facts(value, arrival.tenant)


def _facts(value: Value, tenant: str) -> Iterator[Fact]:
    people = list(_people(value.contacts))
    yield from (_message(one, people) for one in value.messages)
    yield from (_status(one, tenant) for one in value.statuses)
    yield from (_unknown("UNSUPPORTED_EVENT", "errors", one) for one in value.errors)


def _people(contacts: Sequence[dict[str, Any]]) -> Iterator[Person]:
    for one in contacts:
        with suppress(ValidationError):  # a contact is only a name to show: a message is not lost for it
            yield Person.model_validate(one)


def _message(raw: dict[str, Any], people: Sequence[Person]) -> Fact:
    try:
        incoming = Incoming.model_validate(raw)
    except ValidationError as error:
        return _malformed(error, raw)
    content = _content(incoming)
    if content is None:
        return _unknown("UNSUPPORTED_EVENT", f"message type {incoming.type}", raw)
    user = incoming.from_user_id or incoming.sender
    if not user:
        return _unknown("NO_SENDER", "neither from nor from_user_id", raw)
    text, attachments = content
    return Message(
        provider_message_id=incoming.id,
        thread_key=incoming.group_id or user,
        address=incoming.sender or user,
        display_name=_name(incoming, people),
        text=text,
        attachments=attachments,
        provider_time=_time(incoming.timestamp),
    )


def _content(incoming: Incoming) -> tuple[str, tuple[Attachment, ...]] | None:
    """Text and files; None for what is not a message (an edit, a reaction) or not known."""
    kind = incoming.type
    if kind in MEDIA:
        return _media(getattr(incoming, kind))
    if kind == "text" and incoming.text:
        return incoming.text.body, ()
    if kind == "button" and incoming.button:
        return incoming.button.text, ()
    if kind == "interactive" and incoming.interactive:
        return _reply(incoming.interactive)
    if kind == "location" and incoming.location:
        return _place(incoming.location)
    return None


def _media(media: Media | None) -> tuple[str, tuple[Attachment, ...]] | None:
    if media is None:
        return None
    return media.caption, (Attachment(media.id, media.mime_type, media.filename, sha256=media.sha256),)


def _reply(interactive: Interactive) -> tuple[str, tuple[Attachment, ...]] | None:
    chosen = interactive.button_reply or interactive.list_reply or interactive.nfm_reply
    return (chosen.title or chosen.body, ()) if chosen else None


def _place(location: Location) -> tuple[str, tuple[Attachment, ...]]:
    text = ", ".join(part for part in (location.name, location.address) if part)
    return text, (Attachment(f"geo:{location.latitude},{location.longitude}", name=location.name),)


def _name(incoming: Incoming, people: Sequence[Person]) -> str:
    mine = {incoming.sender, incoming.from_user_id} - {""}
    found = next((p.profile for p in people if {p.wa_id, p.user_id} & mine), Profile())
    return found.name or found.username


def _status(raw: dict[str, Any], tenant: str) -> Fact:
    try:
        delivery = Delivery.model_validate(raw)
    except ValidationError as error:
        return _malformed(error, raw)
    if delivery.status not in get_args(Status):
        return _unknown("UNSUPPORTED_EVENT", f"status {delivery.status}", raw)
    callback = callbacks.from_json(delivery.biz_opaque_callback_data, tenant)
    if callback is None:
        return _unknown("NO_CALLBACK", "biz_opaque_callback_data is not ours", raw)
    failed = next(iter(delivery.errors), None)
    return Receipt(
        provider_message_id=delivery.id,
        status=delivery.status,  # type: ignore[arg-type] # checked against get_args above
        callback=callback,
        error=f"{failed.code} {failed.title}".strip() if failed else "",
        provider_time=_time(delivery.timestamp),
    )


def _unknown(reason: str, detail: str, raw: dict[str, Any]) -> Unknown:
    return Unknown(reason, detail, json.dumps(raw).encode())


def _malformed(error: ValidationError, raw: dict[str, Any]) -> Unknown:
    fields = ", ".join(sorted({v.field for v in violations(error)}))
    return _unknown("MALFORMED_EVENT", f"wrong: {fields}", raw)


def _time(stamp: str | int) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(stamp), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def accepted(_events: Sequence[InboundEvent]) -> Answer:
    """Meta reads only the status."""
    return Answer(200, "text/plain", "EVENT_RECEIVED")


async def send(message: OutboundMessage, account: ChannelAccount, context: SendContext) -> Sent:
    """One text message. A BSUID (it has a dot) goes into `recipient`, a phone number into `to`."""
    body = {
        "recipient_type": "individual",
        "recipient" if "." in message.to.address else "to": message.to.address,
        "type": "text",
        "text": {"preview_url": False, "body": message.content.text},
        "biz_opaque_callback_data": callbacks.to_json(message),
    }
    found = await _post(message.tenant, account, context, body)
    ids = [m.get("id", "") for m in found.get("messages", []) if isinstance(m, dict)]
    return Sent(str(ids[0]) if ids else "")


async def typing(indicator: TypingIndicator, account: ChannelAccount, context: SendContext) -> bool:
    """Three dots until we answer, 25 s at most: Meta has no way to end them, and marks the message as read."""
    if not indicator.on or not indicator.provider_message_id:
        return False
    body = {
        "status": "read",
        "message_id": indicator.provider_message_id,
        "typing_indicator": {"type": "text"},
    }
    await _post(indicator.tenant, account, context, body)
    return True


async def _post(tenant: str, account: ChannelAccount, context: SendContext, body: dict[str, Any]) -> dict[str, Any]:
    number = account.options.get("phone_number_id", account.id)
    return await post(
        context,
        f"{context.whatsapp_base_url}/{GRAPH_VERSION}/{number}/messages",
        headers={"Authorization": f"Bearer {secret_of(tenant, account, 'access_token', context)}"},
        json={"messaging_product": "whatsapp", **body},
    )


ADAPTER = Adapter("whatsapp", "app_secret", verify, parse, normalise, send, accepted, handshake, typing)
