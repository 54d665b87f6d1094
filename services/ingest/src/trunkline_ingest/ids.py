"""The two ids that every record carries: the same input gives the same id, on every replica and for ever."""

from __future__ import annotations

import uuid
from hashlib import sha1
from json.encoder import encode_basestring_ascii

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
    # What uuid.uuid5(NAMESPACE, json.dumps(parts)) says, in a third of its time: every message needs two.
    name = f"[{', '.join(map(encode_basestring_ascii, parts))}]".encode()
    found = sha1(NAMESPACE.bytes + name, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(found[16], 16) & 3]
    return f"{found[:8]}-{found[8:12]}-5{found[13:16]}-{variant}{found[17:20]}-{found[20:32]}"
