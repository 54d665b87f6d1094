"""What travels to a provider with a message and comes back in its receipts, so that no receipt needs a lookup."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from urllib.parse import urlencode

from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage

from trunkline_ingest.model import Callback


def to_json(message: OutboundMessage) -> str:
    """For a field of the provider's message."""
    return json.dumps(_fields(message), separators=(",", ":"))


def to_query(message: OutboundMessage) -> str:
    """For the query of an address the provider calls."""
    return urlencode(_fields(message))


def _fields(message: OutboundMessage) -> dict[str, str]:
    return {"m": message.message_id, "c": message.conversation_id, "p": message.pool}


def from_json(text: str, tenant: str) -> Callback | None:
    """What `to_json` wrote for this tenant; None for anything else."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return from_fields(found, tenant) if isinstance(found, dict) else None


def from_fields(found: Mapping[str, object], tenant: str) -> Callback | None:
    """A callback names a message, a conversation and a pool of this tenant, or it is not ours."""
    message, conversation, pool = found.get("m"), found.get("c"), found.get("p")
    if not (isinstance(message, str) and isinstance(conversation, str) and isinstance(pool, str)):
        return None
    if not message or not _is_uuid(conversation) or not pool.startswith(f"{tenant}/"):
        return None
    return Callback(message, conversation, pool)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
