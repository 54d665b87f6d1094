"""Writes the examples that do not exist yet: python -m tests.contract.make_examples. One that exists is never changed:
it was published, and must decode for ever."""

from __future__ import annotations

import sys
from typing import Any

from google.protobuf import json_format

from tests.contract.examples import FOLDER, base, expected
from tests.contract.payloads import AT, CONVERSATION, INBOUND, LATER, POOL, SENT_ON, SINGLE, SLA, made


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
        camel(base(name)): CONVERSATION[name],
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
        **(SENT_ON if name in ("hand_over", "hand_over_2", "message_3", "receipt_2") else {}),
        camel(base(name)): INBOUND[name],
    }


#: Examples that were made before an event said these.
SLA_OF_OLD = ("clock_started", "warning", "breached", "fulfilled", "cancelled")
SLA_LATER = {"calendarId": "office", "causeSeq": "7", "channel": "sms", "tzdata": "2026.6"}


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
        **({} if name in SLA_OF_OLD else SLA_LATER),
        camel(base(name)): SLA[name],
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
        camel(base(name)): payload,
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


def names() -> list[str]:
    """One of each type, then those with the fields of later."""
    known = [*CONVERSATION, *SINGLE, *(f"inbound_{n}" for n in INBOUND), *(f"pool_event_{n}" for n in POOL)]
    known += [f"sla_{n}" for n in SLA]
    return [*expected(), *(name for name in known if base(name) != name)]


def main() -> None:
    """Write what is missing."""
    for name in names():
        kind = expected()[base(name)]
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
