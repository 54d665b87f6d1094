"""Writes the examples that do not exist yet: python -m tests.contract.make_examples. One that exists is never changed:
it was published, and must decode for ever."""

from __future__ import annotations

import sys
from typing import Any
from uuid import UUID, uuid5

from google.protobuf import json_format

from tests.contract.examples import FOLDER, expected

IDS = UUID("5f0d6f0e-8a4b-5c58-9a55-7d1a5d0b6c11")


def made(what: str) -> str:
    """An id."""
    return str(uuid5(IDS, what))


CONTACT = {"address": "+15550100", "displayName": "Sample Customer"}
CONTENT = {
    "text": "Where is my parcel?",
    "subject": "Parcel",
    "attachments": [
        {
            "ref": "media/1001",
            "contentType": "image/png",
            "name": "label.png",
            "sizeBytes": "2048",
            "sha256": "00" * 32,
        }
    ],
}
AT = "2026-03-02T09:00:00Z"
LATER = "2026-03-02T09:00:20.250Z"
OFFER = {"offerId": made("offer"), "agentId": "ana"}
REFERENCES = ["<1@mail.example>", "<2@mail.example>"]

CONVERSATION: dict[str, dict[str, Any]] = {
    "conversation_started": {
        "channel": "sms",
        "account": "support-number",
        "contact": CONTACT,
        "subject": "Parcel",
        "customer": {
            "customerId": made("customer"),
            "lastAgentId": "ben",
            "earlierConversations": 2,
            "fallback": "deadline",
        },
    },
    "message_received": {
        "messageId": made("inbound"),
        "contact": CONTACT,
        "content": CONTENT,
        "providerMessageId": "SM1001",
        "providerTime": AT,
        "automatic": True,
        "replyAddress": "reply@customer.example",
        "references": REFERENCES,
    },
    "message_sent": {
        "messageId": made("outbound"),
        "agentId": "ana",
        "content": CONTENT,
        "channel": "sms",
        "account": "support-number",
    },
    "note_added": {"noteId": made("note"), "agentId": "ana", "text": "Asked the carrier."},
    "conversation_queued": {"team": "billing", "reason": "QUEUE_REASON_NEW", "enteredAt": AT},
    "offer_made": {**OFFER, "expiresAt": LATER},
    "offer_declined": {**OFFER, "reason": "lunch"},
    "offer_timed_out": OFFER,
    "offer_rescinded": {**OFFER, "reason": "RESCIND_REASON_AGENT_OFFLINE"},
    "conversation_assigned": {**OFFER, "team": "billing"},
    "conversation_transferred": {
        "fromTeam": "billing",
        "fromAgentId": "ana",
        "toTeam": "returns",
        "reason": "wants to send it back",
    },
    "conversation_resolved": {"agentId": "ana", "team": "returns"},
    "conversation_reopened": {"reason": "REOPEN_REASON_CUSTOMER_MESSAGE"},
    "delivery_updated": {
        "messageId": made("outbound"),
        "status": "DELIVERY_STATUS_FAILED",
        "error": "30003: unreachable",
    },
}
INBOUND: dict[str, dict[str, Any]] = {
    "message": {
        "contact": CONTACT,
        "content": CONTENT,
        "automatic": True,
        "replyAddress": "reply@customer.example",
        "references": REFERENCES,
    },
    "receipt": {
        "messageId": made("outbound"),
        "status": "DELIVERY_STATUS_FAILED",
        "error": "30003: unreachable",
    },
}
SLA: dict[str, dict[str, Any]] = {
    "clock_started": {"targetS": "300"},
    "warning": {"percent": 75},
    "breached": {"targetS": "300"},
    "fulfilled": {"met": True, "elapsedS": "120", "overdueS": "7"},
    "cancelled": {"reason": "resolved"},
}
POOL: dict[str, dict[str, Any]] = {
    "pool_configured": {
        "version": "3",
        "teams": [{"id": "billing", "offerTimeoutS": 20}, {"id": "returns", "offerTimeoutS": 45}],
        "agents": [{"id": "ana", "name": "Ana", "teams": ["billing", "returns"], "capacity": 3}],
        "accounts": {"support-number": "billing"},
    },
    "agent_presence_changed": {"agentId": "ana", "presence": "PRESENCE_ONLINE"},
    "agent_stopped_responding": {"agentId": "ana"},
}
QUEUE = {
    "tenant": "acme",
    "queue": "billing",
    "depth": "4",
    "assigned": "2",
    "oldestEnteredAt": AT,
    "computedAt": LATER,
}
SINGLE: dict[str, dict[str, Any]] = {
    "ingress_message": {
        "tenant": "acme",
        "account": "own-app",
        "messageId": "app-1001",
        "threadKey": "thread-7",
        "contact": CONTACT,
        "content": CONTENT,
        "sentAt": AT,
    },
    "outbound_message": {
        "messageId": made("outbound"),
        "tenant": "acme",
        "conversationId": made("conversation"),
        "channel": "email",
        "account": "support-mail",
        "to": {"address": "reply@customer.example", "displayName": "Sample Customer"},
        "content": CONTENT,
        "references": REFERENCES,
        "createdAt": LATER,
        "pool": "acme/default",
    },
    "queue_snapshot": {**QUEUE, "validUntil": "2026-03-02T09:00:30Z"},
    "queue_partial": {**QUEUE, "sourcePartition": 7},
    "tenant_config": {
        "tenant": "acme",
        "version": "3",
        "appliedAt": AT,
        "appliedBy": "root",
        "pools": [{"id": "default"}],
        "teams": [{"id": "billing", "pool": "default", "offerTimeoutS": 20}],
        "agents": [{"id": "ana", "name": "Ana", "teams": ["billing"], "capacity": 3}],
        "accounts": [
            {
                "id": "support-number",
                "channel": "sms",
                "team": "billing",
                "secrets": {"auth_token": "sms-auth-token"},
                "options": {"number": "+15550101"},
            }
        ],
        "slaPolicies": [
            {
                "id": "standard",
                "team": "billing",
                "firstResponseS": 300,
                "nextResponseS": 600,
                "warningsPercent": [75, 90],
            }
        ],
        "sources": [{"source": "https://app.example/orders", "accounts": ["own-app"]}],
    },
}


def conversation_event(name: str) -> dict[str, Any]:
    """A ConversationEvent around a payload."""
    return {
        "eventId": made(name),
        "tenant": "acme",
        "conversationId": made("conversation"),
        "seq": "5",
        "occurredAt": AT,
        "recordedAt": LATER,
        "cause": made("cause"),
        "actor": {"type": "ACTOR_TYPE_AGENT", "id": "ana"},
        "pool": "acme/default",
        "poolSeq": "17",
        "ownerEpoch": "2",
        "configVersion": "3",
        camel(name): CONVERSATION[name],
    }


def inbound_event(name: str) -> dict[str, Any]:
    """An InboundEvent around a payload."""
    return {
        "eventId": made(f"inbound/{name}"),
        "tenant": "acme",
        "pool": "acme/default",
        "channel": "sms",
        "account": "support-number",
        "conversationId": made("conversation"),
        "providerMessageId": "SM1001",
        "providerTime": AT,
        "receivedTime": LATER,
        name: INBOUND[name],
    }


def sla_event(name: str) -> dict[str, Any]:
    """An SlaEvent around a payload."""
    return {
        "eventId": made(f"sla/{name}"),
        "tenant": "acme",
        "conversationId": made("conversation"),
        "clockId": made("clock"),
        "metric": "METRIC_FIRST_RESPONSE",
        "cycle": 1,
        "gen": 2,
        "dueAt": "2026-03-02T09:05:00Z",
        "occurredAt": "2026-03-02T09:05:00Z",
        "emittedAt": "2026-03-02T09:05:00.120Z",
        "lateMs": "120",
        "policyId": "standard",
        "configVersion": "3",
        "cause": made("cause"),
        "team": "billing",
        camel(name): SLA[name],
    }


def pool_event(name: str) -> dict[str, Any]:
    """A PoolEvent around a payload."""
    payload = conversation_event("offer_made") if name == "conversation" else POOL[name]
    return {
        "poolSeq": "17",
        "occurredAt": AT,
        "cause": made("cause"),
        "actor": {"type": "ACTOR_TYPE_SYSTEM", "id": "router"},
        "configVersion": "3",
        camel(name): payload,
    }


def camel(name: str) -> str:
    """A field's name in the JSON mapping."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def example(name: str) -> dict[str, Any]:
    """The example of that name, in the JSON mapping."""
    if name in SINGLE:
        return SINGLE[name]
    if name in CONVERSATION:
        return conversation_event(name)
    for prefix, build in (("inbound_", inbound_event), ("sla_", sla_event), ("pool_event_", pool_event)):
        if name.startswith(prefix):
            return build(name.removeprefix(prefix))
    raise LookupError(f"write an example of {name} here")


def main() -> None:
    """Write what is missing."""
    for name, kind in expected().items():
        as_json, as_bytes = FOLDER / f"{name}.json", FOLDER / f"{name}.binpb"
        if as_json.exists() or as_bytes.exists():
            sys.stdout.write(f"{name}: exists, left as it is\n")
            continue
        message = json_format.ParseDict(example(name), kind())
        with as_json.open("x") as out:
            out.write(json_format.MessageToJson(message) + "\n")
        with as_bytes.open("xb") as binary:
            binary.write(message.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
