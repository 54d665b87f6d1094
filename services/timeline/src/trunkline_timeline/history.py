"""The history of conversations: the log folded to entries and conversations, a brief read from entries. No I/O."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

CUSTOMERS = uuid.UUID("5b6c1d0e-7a53-5f0e-8d43-2f1f3a9c7e02")
SAID = ("message_received", "message_sent", "note_added")
MOVED = ("conversation_assigned", "conversation_transferred")
AGENT = 2  # trunkline.common.v1.ACTOR_TYPE_AGENT
AUTOMATIC = "automatic"  # the detail of a message that a machine wrote

#: The status of a conversation after an event, where the event changes it.
STATUS = {
    "conversation_started": "open",
    "conversation_queued": "queued",
    "offer_made": "offered",
    "offer_declined": "queued",
    "offer_timed_out": "queued",
    "offer_rescinded": "queued",
    "conversation_assigned": "assigned",
    "conversation_transferred": "queued",
    "conversation_released": "queued",
    "conversation_rejected": "rejected",
    "conversation_snoozed": "snoozed",
    "conversation_woken": "assigned",
    "conversation_merged": "merged",
    "callback_scheduled": "scheduled",
    "conversation_resolved": "resolved",
    "conversation_reopened": "open",
}


# -- Events: what the log says


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message."""

    ref: str
    content_type: str
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a message or note says."""

    text: str = ""
    subject: str = ""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """What only the first event of a conversation tells."""

    channel: str
    account: str
    contact: str
    display_name: str
    subject: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the log, its payload flattened; `kind` is the payload's name."""

    event_id: str
    tenant: str
    conversation_id: str
    seq: int
    at: datetime
    actor_type: int
    actor_id: str
    kind: str
    agent_id: str = ""
    from_team: str = ""
    team: str = ""
    detail: str = ""
    content: Content | None = None
    begun: Begun | None = None


# -- State


@dataclass(frozen=True, slots=True)
class Customer:
    """One contact of one channel account."""

    customer_id: str
    tenant: str
    channel: str
    account: str
    contact: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation after its last event."""

    conversation_id: str
    tenant: str
    customer_id: str
    seq: int
    channel: str
    subject: str
    contact: str
    display_name: str
    status: str
    team: str
    last_agent_id: str
    last_agent_at: datetime | None
    messages: int
    started_at: datetime
    last_event_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the history of its customer."""

    event: Event
    customer_id: str


def customer_id(tenant: str, channel: str, account: str, contact: str) -> str:
    """The same for the same contact, also before the first message; the parts cannot run into each other."""
    parts = (tenant, channel, account, contact)
    return str(uuid.uuid5(CUSTOMERS, "".join(f"{len(part)}:{part}" for part in parts)))


# -- Fold


def begin(event: Event) -> Conversation:
    """The conversation of which `event` is the first one seen."""
    begun = event.begun or Begun("", "", "", "", "")
    who = customer_id(event.tenant, begun.channel, begun.account, begun.contact) if event.begun else ""
    return Conversation(
        event.conversation_id,
        event.tenant,
        who,
        0,
        begun.channel,
        begun.subject,
        begun.contact,
        begun.display_name,
        "open",
        "",
        "",
        None,
        0,
        event.at,
        event.at,
    )


def evolve(state: Conversation, event: Event) -> Conversation:
    """The conversation after an event."""
    state = replace(
        state,
        seq=max(state.seq, event.seq),
        last_event_at=max(state.last_event_at, event.at),
        status=STATUS.get(event.kind, state.status),
        team=event.team or state.team,
        messages=state.messages + (event.kind in ("message_received", "message_sent")),
    )
    if event.kind == "conversation_assigned" or _is_reply(event):
        return replace(state, last_agent_id=event.agent_id, last_agent_at=event.at)
    return state


def customers(events: Iterable[Event]) -> dict[str, Customer]:
    """The customers that conversations begin with, by id."""
    found: dict[str, Customer] = {}
    for event in events:
        if event.begun is not None:
            key = (event.tenant, event.begun.channel, event.begun.account, event.begun.contact)
            found[customer_id(*key)] = Customer(customer_id(*key), *key)
    return found


# -- Brief


@dataclass(frozen=True, slots=True)
class Handoff:
    """A conversation given from one team to another."""

    at: datetime
    from_team: str
    from_agent_id: str
    to_team: str
    reason: str


@dataclass(frozen=True, slots=True)
class Brief:
    """What the next agent must know so that the customer repeats nothing."""

    said: tuple[Entry, ...]
    previous_agents: tuple[str, ...]
    handoffs: tuple[Handoff, ...]
    unanswered: tuple[Entry, ...]


def brief(entries: Sequence[Entry], most: int = 50) -> Brief:
    """Read from the entries of one conversation, oldest first: all that moved it and at least its last messages."""
    said = [e for e in entries if e.event.kind in SAID]
    agents = dict.fromkeys(e.event.agent_id for e in entries if e.event.kind == "conversation_assigned")
    handoffs = [_handoff(e.event) for e in entries if e.event.kind == "conversation_transferred"]
    return Brief(tuple(said[-most:]), tuple(agents), tuple(handoffs), tuple(_unanswered(said)))


def _handoff(event: Event) -> Handoff:
    return Handoff(event.at, event.from_team, event.agent_id, event.team, event.detail)


def _unanswered(said: Sequence[Entry]) -> list[Entry]:
    waiting: list[Entry] = []
    for entry in said:
        if _is_reply(entry.event):
            waiting = []
        elif entry.event.kind == "message_received" and entry.event.detail != AUTOMATIC:
            waiting.append(entry)
    return waiting


def _is_reply(event: Event) -> bool:
    """Only a human agent's public message is one."""
    return event.kind == "message_sent" and event.actor_type == AGENT
