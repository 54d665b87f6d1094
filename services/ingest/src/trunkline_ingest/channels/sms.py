"""Twilio messaging (SMS, and WhatsApp through Twilio): signed forms in, Messages.json out.

Twilio signs the public URL, which a proxy may rewrite: the account's option `public_url` says what Twilio calls.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline_common.errors import Violation

from trunkline_ingest import callbacks
from trunkline_ingest.channels.adapter import (
    Adapter,
    Answer,
    Arrival,
    BadSignature,
    InvalidBody,
    Raw,
    option,
    secret_of,
    violations,
)
from trunkline_ingest.channels.posting import post
from trunkline_ingest.channels.sending import SendContext, Sent
from trunkline_ingest.model import Attachment, Fact, Message, Receipt, Status, Unknown

DIGESTS: dict[str, Callable[..., Any]] = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}
PORTS = {"https": 443, "http": 80}
MAX_FIELDS = 1000
STATUSES: dict[str, Status] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "failed": "failed",
    "undelivered": "failed",
    "canceled": "failed",
}
#: Twilio says these too; they tell nobody anything.
ON_THE_WAY = ("accepted", "scheduled", "queued", "sending")


class Fields(BaseModel):
    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    MessageSid: str = Field(min_length=1)
    AccountSid: str = ""
    MessagingServiceSid: str = ""
    From: str = ""
    To: str = ""
    Body: str = ""
    ButtonText: str = ""
    ProfileName: str = ""
    NumMedia: int = Field(0, ge=0, le=100)
    MessageStatus: str = ""
    ErrorCode: str = ""
    Latitude: str = ""
    Longitude: str = ""
    Address: str = ""
    Label: str = ""

    def media(self) -> tuple[Attachment, ...]:
        """MediaUrl0..n with their types."""
        extra = self.model_extra or {}
        found = [(extra.get(f"MediaUrl{n}"), extra.get(f"MediaContentType{n}", "")) for n in range(self.NumMedia)]
        return tuple(Attachment(str(url), str(kind)) for url, kind in found if url)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A form and the query of the URL it was sent to."""

    fields: Fields
    query: dict[str, str]
    raw: bytes


def verify(raw: Raw, account: ChannelAccount, secret: str) -> None:
    """X-Twilio-Signature over URL and form, with and without the default port, by the algorithm the request names."""
    digest = DIGESTS.get(_algorithm(raw.headers.get("x-twilio-webhooks-signature-settings", "")))
    if digest is None:
        raise BadSignature
    url = (account.options.get("public_url") or raw.origin).rstrip("/") + raw.target
    fields = _signed_fields(raw)
    given = raw.headers.get("x-twilio-signature", "").encode("utf-8", "replace")
    expected = [_signature(secret, one, fields, digest) for one in _spellings(url)]
    if not any([hmac.compare_digest(one, given) for one in expected]):  # noqa: C419 - every comparison is made
        raise BadSignature


def _algorithm(settings: str) -> str:
    found = dict(part.strip().partition("=")[::2] for part in settings.split(","))
    return found.get("algorithm", "").strip().upper() or "HMAC_SHA1"


def _signed_fields(raw: Raw) -> list[tuple[str, str]]:
    """The form; nothing where the URL carries the hash of the body instead, which then must be right."""
    claimed = parse_qs(urlsplit(raw.target).query).get("bodySHA256")
    if claimed is None:
        return _form(raw.body)
    if not hmac.compare_digest(hashlib.sha256(raw.body).hexdigest().encode(), claimed[0].encode()):
        raise BadSignature
    return []


def _signature(secret: str, url: str, fields: Iterable[tuple[str, str]], digest: Callable[..., Any]) -> bytes:
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(secret.encode(), signed.encode("utf-8", "replace"), digest).digest())


def _spellings(url: str) -> tuple[str, str]:
    """The URL with its port and without."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.netloc.rpartition("@")[2].startswith("["):
        host = f"[{host}]"
    port = parts.port or PORTS.get(parts.scheme, 443)
    return parts._replace(netloc=host).geturl(), parts._replace(netloc=f"{host}:{port}").geturl()


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InvalidBody(Violation("body", f"must have at most {MAX_FIELDS} fields")) from None


def parse(raw: Raw) -> Delivery:
    """The form, and what our own StatusCallback carries in its query."""
    try:
        fields = Fields.model_validate(dict(_form(raw.body)))
    except ValidationError as error:
        raise InvalidBody(*violations(error)) from None
    return Delivery(fields, dict(parse_qsl(urlsplit(raw.target).query)), raw.body)


def normalise(payload: Delivery, arrival: Arrival) -> list[Fact]:
    """One message, one receipt, or nothing (a status between the ones that matter)."""
    fields = payload.fields
    if not _is_own(fields, arrival.account):
        return [Unknown("UNKNOWN_ACCOUNT", "AccountSid or number is not this account's", payload.raw)]
    if fields.MessageStatus:
        return _receipt(payload, arrival.tenant)
    if not fields.From:
        return [Unknown("NO_SENDER", "From is missing", payload.raw)]
    return [_message(fields)]


def _is_own(fields: Fields, account: ChannelAccount) -> bool:
    sid, number = account.options.get("account_sid", ""), account.options.get("number", "")
    if sid and fields.AccountSid and sid != fields.AccountSid:
        return False
    ours = fields.From if fields.MessageStatus else fields.To
    service = account.options.get("messaging_service_sid", "")
    return not number or not ours or ours == number or (bool(service) and service == fields.MessagingServiceSid)


def _message(fields: Fields) -> Message:
    place: tuple[Attachment, ...] = ()
    if fields.Latitude and fields.Longitude:
        place = (Attachment(f"geo:{fields.Latitude},{fields.Longitude}", name=fields.Label or fields.Address),)
    return Message(
        provider_message_id=fields.MessageSid,
        thread_key=fields.From,
        address=fields.From,
        display_name=fields.ProfileName,
        text=fields.Body or fields.ButtonText,
        attachments=fields.media() + place,
    )


def _receipt(payload: Delivery, tenant: str) -> list[Fact]:
    fields = payload.fields
    if fields.MessageStatus in ON_THE_WAY:
        return []
    status = STATUSES.get(fields.MessageStatus)
    if status is None:
        return [Unknown("UNSUPPORTED_EVENT", f"status {fields.MessageStatus}", payload.raw)]
    callback = callbacks.from_fields(payload.query, tenant)
    if callback is None:
        return [Unknown("NO_CALLBACK", "the query does not name one of our messages", payload.raw)]
    error = f"twilio error {fields.ErrorCode}" if fields.ErrorCode else ""
    return [Receipt(fields.MessageSid, status, callback, error)]


def accepted(_events: Sequence[InboundEvent]) -> Answer:
    """TwiML that does nothing."""
    return Answer(200, "text/xml", "<Response/>")


async def send(message: OutboundMessage, account: ChannelAccount, context: SendContext) -> Sent:
    """One message; its receipts come back to the account's own webhook, if that has a public URL."""
    sid = option(account, "account_sid")
    form = {"To": message.to.address, "Body": message.content.text}
    if account.options.get("messaging_service_sid"):
        form["MessagingServiceSid"] = account.options["messaging_service_sid"]
    else:
        form["From"] = option(account, "number")
    if account.options.get("public_url"):
        form["StatusCallback"] = _status_callback(message, account)
    found = await post(
        context,
        f"{context.twilio_base_url}/2010-04-01/Accounts/{quote(sid, safe='')}/Messages.json",
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": aiohttp.encode_basic_auth(sid, secret_of(message.tenant, account, "auth_token", context)),
        },
        data=urlencode(form),
    )
    return Sent(str(found.get("sid", "")))


def _status_callback(message: OutboundMessage, account: ChannelAccount) -> str:
    path = "/".join(quote(part, safe="") for part in (account.channel, message.tenant, account.id))
    return f"{account.options['public_url'].rstrip('/')}/webhooks/{path}?{callbacks.to_query(message)}"


ADAPTER = Adapter("sms", "auth_token", verify, parse, normalise, send, accepted)
