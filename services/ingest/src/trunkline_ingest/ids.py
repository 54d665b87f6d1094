"""The two ids that every record carries: the same input gives the same id, on every replica and for ever."""

from __future__ import annotations

import json
import uuid

# Changing it would make every conversation a new one.
NAMESPACE = uuid.UUID("6f1c2a57-4f0e-5d0b-9c2e-7a1d3f7b8e44")


def event_id(tenant: str, channel: str, account: str, provider_message_id: str, kind: str) -> str:
    """The id of one fact: the same for the same delivery. `kind` is "message" or "receipt.<status>"."""
    return _uuid5("event", tenant, channel, account, provider_message_id, kind)


def conversation_id(tenant: str, channel: str, account: str, thread_key: str) -> str:
    """The id of one conversation."""
    return _uuid5("conversation", tenant, channel, account, thread_key)


def pool_id(tenant: str, pool: str) -> str:
    """The pool as the whole system names it; also the key of inbound records."""
    return f"{tenant}/{pool}"


def _uuid5(*parts: str) -> str:
    # JSON, because a separator could occur in a part; ASCII, because a part may hold a lone surrogate.
    return str(uuid.uuid5(NAMESPACE, json.dumps(parts)))
