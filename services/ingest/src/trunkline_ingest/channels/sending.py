"""What delivery gives to a channel's `send`, and the three answers it understands: sent, refused, failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import aiohttp


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took the message; its own id of it, empty where it gives none."""

    provider_message_id: str


@dataclass(frozen=True, slots=True)
class SendContext:
    """What a channel needs to reach its provider. `secret` reads a file of a tenant (its id) by its name."""

    http: aiohttp.ClientSession
    whatsapp_base_url: str
    twilio_base_url: str
    #: host:port; empty where mail cannot be sent.
    smtp_relay: str
    secret: Callable[[str, str], str]


class SendRefused(Exception):
    """The provider will never take this message: it is given up at once."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SendFailed(Exception):
    """The provider could not take the message now: it is tried again, not before `retry_after` seconds if given."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after
