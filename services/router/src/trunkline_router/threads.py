"""The id of a conversation that we begin: the one that its customer's answer will carry (trunkline_ingest.ids)."""

from __future__ import annotations

import hashlib
import json
from uuid import UUID, uuid5

NAMESPACE = UUID("6f1c2a57-4f0e-5d0b-9c2e-7a1d3f7b8e44")


def conversation_id(tenant: str, channel: str, account: str, thread_key: str) -> str:
    """Of everything that is said in one thread of an account."""
    return str(uuid5(NAMESPACE, json.dumps(("conversation", tenant, channel, account, thread_key))))


def thread_key(channel: str, address: str, message_id: str) -> str:
    """What a channel calls the thread that a message of ours begins; for e-mail what its Message-ID says."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:32] if channel == "email" else address
