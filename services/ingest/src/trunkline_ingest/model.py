"""What a provider can tell us, in our words. Pure data; wire.py turns it into records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from trunkline_ingest.labels import NONE, Labels

Status = Literal["sent", "delivered", "read", "failed"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file, by the provider's pointer to it."""

    ref: str
    content_type: str = ""
    name: str = ""
    size_bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """Somebody on the customer's side wrote. Messages of one `thread_key` are one conversation."""

    provider_message_id: str
    thread_key: str
    address: str
    text: str
    display_name: str = ""
    subject: str = ""
    attachments: tuple[Attachment, ...] = ()
    provider_time: datetime | None = None
    automatic: bool = False
    reply_address: str = ""
    references: tuple[str, ...] = ()
    labels: Labels = NONE
    #: Names of headers that say something we cannot use: left out and counted.
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Callback:
    """Whose message a receipt speaks of; it travels to the provider with the message and comes back."""

    message_id: str
    conversation_id: str
    pool: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message we sent."""

    provider_message_id: str
    status: Status
    callback: Callback
    error: str = ""
    provider_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that is not understood (yet): kept as it came in the dead-letter topic, never refused.

    `reason` is stable and upper case; `detail` holds no customer data.
    """

    reason: str
    detail: str
    raw: bytes


Fact = Message | Receipt | Unknown
