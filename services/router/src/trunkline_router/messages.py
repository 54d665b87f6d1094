"""What follows when a customer writes, or a provider tells what became of our message."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trunkline_router import changes, commands, policies
from trunkline_router.changes import Decision
from trunkline_router.events import (
    AttributesChanged,
    ConversationQueued,
    ConversationRejected,
    ConversationReopened,
    ConversationStarted,
    DeliveryUpdated,
    MessageReceived,
    Payload,
)
from trunkline_router.facts import Attributes, QueueReason, ReopenReason, WakeReason
from trunkline_router.index import available
from trunkline_router.inputs import ReceiveMessage, RecordReceipt
from trunkline_router.matching import qualified
from trunkline_router.pool import Conversation, Pool, Status
from trunkline_router.routing import TextKind
from trunkline_router.state import Engine

NO_AGENT = "no_agent_online"


def receive(engine: Engine, m: ReceiveMessage, now: datetime) -> Decision:
    """The message, and what it does to its conversation."""
    known = _surviving(engine.pool, m.conversation_id)
    if known is None:
        attributes = _known_by(m, Attributes())
        started = ConversationStarted(m.channel, m.account, m.contact, m.content.subject, m.customer, attributes)
        coming = Conversation(m.conversation_id, 0, m.channel, m.account, m.contact, m.content.subject, m.customer)
        coming.attributes, coming.last_text, coming.cycle, coming.cycle_began_at = attributes, m.content.text, 1, now
        return [(m.conversation_id, p) for p in (started, _received(m), *_queue(engine, coming, m, now))]
    attributes = _known_by(m, known.attributes)
    changed: list[Payload] = [AttributesChanged(attributes)] if attributes != known.attributes else []
    after = replace(known, attributes=attributes, last_text=m.content.text)
    said: list[Payload] = [_received(m), *changed]
    if known.status is Status.RESOLVED and not m.automatic:  # an out-of-office note opens nothing
        said.insert(
            0, ConversationReopened(ReopenReason.CUSTOMER_MESSAGE, same_cycle=policies.same_cycle(engine, known, now))
        )
    return [(known.id, p) for p in (*said, *_follows(engine, after, m, now))]


def _surviving(pool: Pool, conversation_id: str) -> Conversation | None:
    """The conversation, or the one it was merged into."""
    found = pool.conversations.get(conversation_id)
    while found is not None and found.merged_into in pool.conversations:
        found = pool.conversations[found.merged_into]
    return found


def _received(m: ReceiveMessage) -> MessageReceived:
    return MessageReceived(
        m.event_id,
        m.contact,
        m.content,
        m.provider_message_id,
        m.provider_time,
        m.automatic,
        m.reply_address,
        m.references,
    )


def _known_by(m: ReceiveMessage, known: Attributes) -> Attributes:
    """What the message adds to what is known."""
    if not (m.attributes or m.tags or m.priority or m.language):
        return known
    return replace(
        known,
        values=tuple(sorted((dict(known.values) | dict(m.attributes)).items())),
        tags=tuple(sorted({*known.tags, *m.tags})),
        priority=m.priority or known.priority,
        language=m.language or known.language,
    )


def _follows(engine: Engine, c: Conversation, m: ReceiveMessage, now: datetime) -> list[Payload]:
    match c.status:
        case Status.SNOOZED:
            return commands.wake(engine, c, WakeReason.CUSTOMER_MESSAGE, now)
        case Status.NEW:
            return _queue(engine, c, m, now)
        case Status.QUEUED | Status.OFFERED:
            return changes.placed_anew(engine, engine.pool.conversations[c.id], c, now)
        case Status.RESOLVED if not m.automatic:
            if not policies.same_cycle(engine, c, now):
                c = replace(c, cycle=c.cycle + 1, cycle_began_at=now, told=set(), transfers=0)
            return _queue(engine, c, m, now, QueueReason.REOPENED)
        case _:
            return []


def _queue(
    engine: Engine, c: Conversation, m: ReceiveMessage, now: datetime, reason: QueueReason = QueueReason.NEW
) -> list[Payload]:
    """To the first step of its policy, with what its customer is told."""
    queued = policies.enter(engine, c, now, reason)
    is_open = policies.is_open(engine, queued.team, now)
    kind = TextKind.ACKNOWLEDGEMENT if is_open else TextKind.OFFLINE
    rejected = not engine.pool.teams[queued.team].accept_without_agents and not _somebody(engine, c, queued)
    if rejected:
        kind = TextKind.OFFLINE
    told = [] if m.automatic else changes.text(engine, replace(c, team=queued.team), kind, now)
    return [*told, ConversationRejected(queued.team, NO_AGENT) if rejected else queued]


def _somebody(engine: Engine, c: Conversation, queued: ConversationQueued) -> bool:
    """Whether anybody who could take it is there, with or without room (routing 3.10)."""
    team = engine.pool.teams[queued.team]
    asked = replace(c, team=queued.team, skills=queued.skills)
    return any(
        available(a, team, engine.index.now) and qualified(engine, a, asked) for a in engine.pool.agents.values()
    )


def receipt(pool: Pool, told: RecordReceipt) -> Decision:
    """What became of a message; nothing where there is no such conversation."""
    if told.conversation_id not in pool.conversations:
        return []
    return [(told.conversation_id, DeliveryUpdated(told.message_id, told.status, told.error))]
