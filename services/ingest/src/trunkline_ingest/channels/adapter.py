"""The four parts of a channel: verify(raw) -> parse -> normalise (pure) -> send."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage, TypingIndicator
from trunkline_common.errors import Violation

from trunkline_ingest.channels.sending import SendContext, SendRefused, Sent
from trunkline_ingest.labels import PRIORITIES
from trunkline_ingest.model import Fact
from trunkline_ingest.text import valid


@dataclass(frozen=True, slots=True)
class Raw:
    """A delivery as it came. `target` is path and query as sent, not decoded; headers are asked for in lower case."""

    method: str
    origin: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Arrival:
    """Whose delivery it is and when it came."""

    tenant: str
    #: "<tenant>/<pool>", the pool of the account's team.
    pool: str
    account: ChannelAccount
    received: datetime
    #: The names of the tenant's priorities.
    priorities: Collection[str] = PRIORITIES


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer in the provider's own format."""

    status: int
    content_type: str
    text: str


class BadSignature(Exception):
    """The delivery is not the provider's, or not for this account."""


class InvalidBody(Exception):
    """The delivery is not in the provider's format; every wrong field is named."""

    def __init__(self, *violations: Violation) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = violations


@dataclass(frozen=True, slots=True)
class Adapter:
    """One channel. `secret` names the purpose of the secret that `verify` gets; empty: it needs none."""

    name: str
    secret: str
    verify: Callable[[Raw, ChannelAccount, str], None]
    parse: Callable[[Raw], Any]
    normalise: Callable[[Any, Arrival], list[Fact]]
    send: Callable[[OutboundMessage, ChannelAccount, SendContext], Awaitable[Sent]]
    #: The answer to an accepted webhook; None where the channel has no webhook.
    accepted: Callable[[Sequence[InboundEvent]], Answer] | None = None
    #: Answers a GET, given the secret of purpose verify_token; raises BadSignature. None where GET is not known.
    handshake: Callable[[Raw, str], Answer] | None = None
    #: Shows that an agent types; false where there is nothing to show. None where the channel has no such thing.
    typing: Callable[[TypingIndicator, ChannelAccount, SendContext], Awaitable[bool]] | None = None


def json_body(raw: Raw) -> Any:
    """The body as JSON. A lone surrogate, which JSON can say and Unicode cannot, becomes U+FFFD."""
    try:
        # Without an escape there is no surrogate: a body that is not UTF-8 is refused as it is.
        return json.loads(raw.body, object_hook=_valid_object if b"\\u" in raw.body else None)
    except (ValueError, RecursionError):
        raise InvalidBody(Violation("body", "must be JSON")) from None


def _valid_object(found: dict[str, Any]) -> dict[str, Any]:
    return {valid(name): _valid(value) for name, value in found.items()}


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return valid(value)
    return [_valid(one) for one in value] if isinstance(value, list) else value


def violations(error: ValidationError) -> list[Violation]:
    """Each wrong field by its path, without its value."""
    return [Violation(".".join(map(str, e["loc"])) or "body", e["msg"]) for e in error.errors(include_input=False)]


def secret_of(tenant: str, account: ChannelAccount, purpose: str, context: SendContext) -> str:
    """The secret that a tenant's account has for a purpose of sending."""
    if purpose not in account.secrets:
        raise SendRefused(f"account {account.id} names no secret {purpose}")
    return context.secret(tenant, account.secrets[purpose])


def takes_priority(account: ChannelAccount) -> bool:
    """Whether the account lets its senders say how urgent they are."""
    return account.options.get("sender_priority", "").lower() == "true"


def option(account: ChannelAccount, name: str) -> str:
    """An option that sending cannot do without."""
    if not account.options.get(name):
        raise SendRefused(f"account {account.id} has no option {name}")
    return account.options[name]
