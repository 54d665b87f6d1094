"""What the examples are made of, in the JSON mapping. A name that ends in _2 is of a type that got fields later."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

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
ATTRIBUTES = {
    "values": {"order": "A-1001"},
    "tags": ["vip"],
    "priority": "urgent",
    "language": "de",
    "allowedAgents": ["ana", "ben"],
}
#: A conversation between two pools.
STATE = {
    "seq": "5",
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
    "attributes": ATTRIBUTES,
    "tier": 1,
    "enteredAt": AT,
    "cycle": 2,
    "cycleBeganAt": AT,
    "transfers": 1,
    "lastAgent": "ana",
    "unansweredSince": AT,
    "told": ["ACKNOWLEDGEMENT"],
    "replyAddress": "reply@customer.example",
    "references": REFERENCES,
    "lastText": "Where is my parcel?",
    "startedAt": AT,
    "replied": True,
    "unanswered": [{"seq": "3", "at": AT}],
    "lastMessage": "SM1001",
    "lastReply": made("reply"),
    "answered": [{"seq": "2", "at": AT}],
}
AGENT = {
    "id": "ana",
    "name": "Ana",
    "teams": ["billing", "returns"],
    "capacity": 6,
    "skills": {"de": 3, "refunds": 5},
    "caps": {"live": 2},
    "bot": True,
}
TEAM = {
    "id": "billing",
    "offerTimeoutS": 20,
    "strategy": "STRATEGY_BEST_SKILL",
    "order": "QUEUE_ORDER_EDF",
    "maxMissed": 2,
    "reofferAfterS": 90,
    "assignBots": True,
    "acceptWithoutAgents": False,
    "awayIsAvailable": True,
    "autoAssign": False,
    "neverAutoAssign": "'vip' in tags",
    "rateMax": 10,
    "rateWindowS": 600,
    "replyTargetS": 900,
    "reopenStickyS": 7200,
    "calendar": "office",
}
POLICY = {
    "id": "german",
    "when": "language == 'de'",
    "steps": [
        {
            "team": "billing",
            "skills": {"de": 3, "refunds": 2},
            "drop": ["refunds"],
            "preferred": ["previous", "ben"],
            "stickyWaitS": 15,
            "strategy": "STRATEGY_LEAST_LOADED",
            "priorityBoostS": 600,
            "waitS": 60,
            "skipIf": "waiting_s > 30",
        },
        {"team": "billing", "skills": {"de": 3}},
    ],
    "tier": 2,
    "overflowTeam": "returns",
    "overflowAgent": "ben",
}
CHANNEL_CLASS = {
    "id": "live",
    "channels": ["web", "messenger"],
    "weight": 2,
    "interruptible": True,
    "mode": "OFFER_MODE_AUTO_ASSIGN",
    "broadcast": 3,
    "wrapS": 30,
    "requeueWhenLost": True,
}
TEXT = {"kind": "TEXT_KIND_OFFLINE", "text": "We open at {{ opens_at }}.", "channel": "web", "language": "en"}
LIMITS = {
    "maxTransfers": 4,
    "escalationTeam": "returns",
    "agentGraceS": 45,
    "deflectAfterS": 300,
    "reopenWithinS": 86400,
}
PRIORITIES = {"low": 60, "normal": 300, "urgent": 7200}
PROMISE = {
    "id": "standard",
    "team": "billing",
    "channels": ["sms"],
    "priorities": ["urgent"],
    "tags": ["vip"],
    "attributes": {"plan": "gold"},
    "lastWord": True,
    "botReplyCounts": True,
}
SLA_POLICY = {
    **PROMISE,
    "firstResponseS": 300,
    "nextResponseS": 600,
    "warningsPercent": [75, 90],
    "rules": [
        {
            "metric": "next_response",
            "targetS": "10800",
            "pauseOn": {"names": ["pending"]},
            "stopOn": {"names": ["resolved"]},
            "reopen": "restart",
            "countsFirstMessage": True,
            "always": True,
        }
    ],
    "calendar": "office",
    "automationCounts": True,
    "warningsRemainingS": ["900"],
    "repeatS": "1800",
    "maxRepeats": 4,
    "noWarnings": True,
}
TYPING_CLASS = {**CHANNEL_CLASS, "typing": True}
SLEEPING_CLASS = {**TYPING_CLASS, "snoozedCounts": True}
INVITING_POLICY = {**POLICY, "invitePrivate": True}
PRIVATE_TEXT = {**TEXT, "kind": "TEXT_KIND_PRIVATE", "text": "Write to {{ alternative.address }}."}
OFFICE = '{"tz":"Europe/Vienna","weekly":{"mon":[["09:00","17:00"]]}}'

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
    "conversation_started_2": {
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
        "attributes": ATTRIBUTES,
        "outbound": True,
    },
    "message_sent_2": {
        "messageId": made("outbound"),
        "agentId": "ana",
        "content": CONTENT,
        "channel": "sms",
        "account": "support-number",
        "automatic": "TEXT_KIND_ACKNOWLEDGEMENT",
    },
    "conversation_queued_2": {
        "team": "billing",
        "reason": "QUEUE_REASON_RELAXED",
        "enteredAt": AT,
        "policy": "german",
        "step": 1,
        "skills": {"de": 3},
        "boostS": 7200,
        "tier": 2,
        "strategy": "STRATEGY_LEAST_LOADED",
        "stepEndsAt": LATER,
        "preferred": ["ben"],
        "preferredUntil": LATER,
        "assignedByHand": True,
    },
    "conversation_assigned_2": {**OFFER, "team": "billing", "byHand": True},
    "conversation_transferred_2": {
        "fromTeam": "billing",
        "fromAgentId": "ana",
        "toTeam": "returns",
        "reason": "wants to send it back",
        "toAgentId": "ben",
        "askedTeam": "billing",
    },
    "conversation_resolved_2": {"agentId": "ana", "team": "returns", "wrapUntil": LATER},
    "conversation_reopened_2": {"reason": "REOPEN_REASON_CUSTOMER_MESSAGE", "sameCycle": True},
    "exclusions_cleared": {},
    "conversation_released": {"agentId": "ana", "reason": "not my language"},
    "conversation_rejected": {"team": "billing", "reason": "no_agent_online"},
    "conversation_snoozed": {"agentId": "ana", "until": "2026-03-03T08:00:00Z"},
    "conversation_woken": {"reason": "WAKE_REASON_CUSTOMER_MESSAGE", "agentId": "ana"},
    "attributes_changed": {"attributes": ATTRIBUTES},
    "conversation_merged": {"into": made("another")},
    "conversation_absorbed": {"conversationId": made("another"), "enteredAt": AT},
    "conversation_split": {"conversationId": made("another")},
    "conversation_started_3": {
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
        "attributes": ATTRIBUTES,
        "outbound": True,
        "splitFrom": made("another"),
        "unansweredSince": AT,
    },
    "message_sent_3": {
        "messageId": made("outbound"),
        "agentId": "ana",
        "content": CONTENT,
        "channel": "sms",
        "account": "support-number",
        "automatic": "TEXT_KIND_ACKNOWLEDGEMENT",
        "answersThroughSeq": "4",
        "bot": True,
    },
    "conversation_queued_3": {
        "team": "billing",
        "reason": "QUEUE_REASON_RELAXED",
        "enteredAt": AT,
        "policy": "german",
        "step": 1,
        "skills": {"de": 3},
        "boostS": 7200,
        "tier": 2,
        "strategy": "STRATEGY_LEAST_LOADED",
        "stepEndsAt": LATER,
        "preferred": ["ben"],
        "preferredUntil": LATER,
        "assignedByHand": True,
        "dueAt": LATER,
        "dueFallback": "deadline",
    },
    "conversation_resolved_3": {
        "agentId": "ana",
        "team": "returns",
        "wrapUntil": LATER,
        "waivedReason": "the customer asked us to stop writing",
    },
    "conversation_absorbed_2": {
        "conversationId": made("another"),
        "enteredAt": AT,
        "startedAt": AT,
        "unansweredSince": AT,
    },
    "conversation_split_2": {"conversationId": made("another"), "unansweredMoved": True},
    "callback_scheduled": {"beginsAt": "2026-03-03T08:00:00Z", "endsAt": "2026-03-03T09:00:00Z", "team": "billing"},
    "conversation_handed_over": {"toPool": "acme/sales", "team": "deals", "agentId": "dan", "state": STATE},
    "conversation_taken_over": {"fromPool": "acme/default", "team": "deals", "agentId": "dan", "state": STATE},
}
INBOUND: dict[str, dict[str, Any]] = {
    "message": {
        "contact": CONTACT,
        "content": CONTENT,
        "automatic": True,
        "replyAddress": "reply@customer.example",
        "references": REFERENCES,
    },
    "message_2": {
        "contact": CONTACT,
        "content": CONTENT,
        "automatic": True,
        "replyAddress": "reply@customer.example",
        "references": REFERENCES,
        "language": "de",
        "tags": ["vip"],
        "attributes": {"order": "A-1001"},
        "priority": "urgent",
    },
    "receipt": {
        "messageId": made("outbound"),
        "status": "DELIVERY_STATUS_FAILED",
        "error": "30003: unreachable",
    },
    "hand_over": {
        "team": "deals",
        "agentId": "dan",
        "actor": {"type": "ACTOR_TYPE_AGENT", "id": "ana"},
        "state": STATE,
    },
}
INBOUND["message_3"], INBOUND["receipt_2"] = INBOUND["message_2"], INBOUND["receipt"]
#: What a pool sends on to another says so.
SENT_ON = {"fromPool": "acme/sales", "originalEventId": made("inbound/original")}
SLA: dict[str, dict[str, Any]] = {
    "clock_started": {"targetS": "300"},
    "warning": {"percent": 75},
    "breached": {"targetS": "300"},
    "fulfilled": {"met": True, "elapsedS": "120", "overdueS": "7"},
    "cancelled": {"reason": "resolved"},
    "clock_started_2": {"targetS": "300"},
    "warning_2": {"percent": 75, "remainingS": "75"},
    "breached_2": {"targetS": "300"},
    "fulfilled_2": {"met": True, "elapsedS": "120", "overdueS": "7", "automation": True},
    "cancelled_2": {"reason": "no_policy", "elapsedS": "120"},
    "clock_paused": {"elapsedS": "120", "state": "pending"},
    "clock_resumed": {"elapsedS": "120"},
    "clock_rescheduled": {"targetS": "600"},
    "overdue": {"ordinal": 1, "overdueS": "60", "overdueWallS": "3660"},
    "recovered": {"overdueS": "7"},
    "breach_retracted": {"breachEventId": made("breach")},
    "waived": {"reason": "the customer asked not to be answered"},
    "config_fault": {"reason": "no open time in the 366 days after 2026-03-02T09:00:00Z"},
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
    "pool_configured_2": {
        "version": "4",
        "teams": [TEAM, {"id": "returns", "offerTimeoutS": 45}],
        "agents": [{**AGENT, "byApi": True}],
        "accounts": {"support-number": "billing"},
        "policies": [POLICY],
        "channelClasses": [CHANNEL_CLASS],
        "priorities": PRIORITIES,
        "texts": [TEXT],
        "calendars": {"office": OFFICE},
        "limits": LIMITS,
    },
    "pool_configured_3": {
        "version": "5",
        "teams": [TEAM, {"id": "returns", "offerTimeoutS": 45}],
        "agents": [{**AGENT, "byApi": True}],
        "accounts": {"support-number": "billing"},
        "policies": [POLICY],
        "channelClasses": [TYPING_CLASS],
        "priorities": PRIORITIES,
        "texts": [TEXT],
        "calendars": {"office": OFFICE},
        "limits": LIMITS,
        "elsewhere": {"deals": "acme/sales"},
        "addresses": [{"channel": "sms", "address": "+15550101"}],
        "promises": [PROMISE],
    },
    "agent_responds_again": {"agentId": "ana"},
    "agent_accepting_changed": {"agentId": "ana", "accepting": True},
    "agent_configured": {"agent": {**AGENT, "byApi": True}},
    "agent_removed": {"agentId": "ana"},
    "agent_lost": {"agentId": "ana"},
    "reoffer_postponed": {"conversationId": made("conversation"), "until": LATER},
    "wrap_up_ended": {"agentId": "ana", "conversationId": made("conversation")},
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
    "ingress_message_2": {
        "tenant": "acme",
        "account": "own-app",
        "messageId": "app-1002",
        "threadKey": "thread-7",
        "contact": CONTACT,
        "content": CONTENT,
        "sentAt": AT,
        "language": "pt-BR",
        "tags": ["vip"],
        "attributes": {"order": "7"},
        "priority": "high",
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
    "typing_indicator": {
        "on": True,
        "tenant": "acme",
        "conversationId": made("conversation"),
        "channel": "whatsapp",
        "account": "support-whatsapp",
        "to": CONTACT,
        "providerMessageId": "wamid.1001",
        "createdAt": LATER,
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
    "outbound_message_2": {
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
        "automatic": True,
    },
    "tenant_config_2": {
        "tenant": "acme",
        "version": "4",
        "appliedAt": AT,
        "appliedBy": "root",
        "pools": [{"id": "default"}],
        "teams": [{**TEAM, "pool": "default"}, {"id": "returns", "pool": "default", "offerTimeoutS": 45}],
        "agents": [AGENT],
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
        "priorities": PRIORITIES,
        "skills": [{"id": "de", "hard": True}, {"id": "refunds"}],
        "channelClasses": [CHANNEL_CLASS],
        "policies": [POLICY, {"id": "others", "steps": [{"team": "billing"}]}],
        "calendars": [{"id": "office", "document": OFFICE}],
        "limits": LIMITS,
        "texts": [TEXT],
    },
    "tenant_config_3": {
        "tenant": "acme",
        "version": "5",
        "appliedAt": AT,
        "appliedBy": "root",
        "pools": [{"id": "default"}],
        "teams": [{**TEAM, "pool": "default"}, {"id": "returns", "pool": "default", "offerTimeoutS": 45}],
        "agents": [AGENT],
        "accounts": [
            {
                "id": "support-number",
                "channel": "sms",
                "team": "billing",
                "secrets": {"auth_token": "sms-auth-token"},
                "options": {"number": "+15550101"},
            }
        ],
        "slaPolicies": [SLA_POLICY],
        "sources": [{"source": "https://app.example/orders", "accounts": ["own-app"]}],
        "priorities": PRIORITIES,
        "skills": [{"id": "de", "hard": True}, {"id": "refunds"}],
        "channelClasses": [TYPING_CLASS],
        "policies": [POLICY, {"id": "others", "steps": [{"team": "billing"}]}],
        "calendars": [{"id": "office", "document": OFFICE}],
        "limits": LIMITS,
        "texts": [TEXT],
        "calendar": "office",
    },
}
LATEST = {"version": "6", "policies": [INVITING_POLICY], "texts": [PRIVATE_TEXT]}
POOL["pool_configured_4"] = {**POOL["pool_configured_3"], **LATEST}
SINGLE["tenant_config_4"] = {**SINGLE["tenant_config_3"], **LATEST}
POOL["pool_configured_5"] = {**POOL["pool_configured_4"], "channelClasses": [SLEEPING_CLASS]}
SINGLE["tenant_config_5"] = {**SINGLE["tenant_config_4"], "channelClasses": [SLEEPING_CLASS]}
CONVERSATION["message_sent_4"] = {**CONVERSATION["message_sent_3"], "automatic": "TEXT_KIND_PRIVATE"}
LATER_STATE = {**STATE, "messages": 3}
for name in ("conversation_handed_over", "conversation_taken_over"):
    CONVERSATION[f"{name}_2"] = {**CONVERSATION[name], "state": LATER_STATE}
INBOUND["hand_over_2"] = {**INBOUND["hand_over"], "state": LATER_STATE}
