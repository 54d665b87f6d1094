"""What follows when a customer writes, or a provider tells what became of our message."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trunkline_router import changes, commands, handover, known, policies, refusals
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
from trunkline_router.facts import Attributes, DuePreview, Presence, QueueReason, ReopenReason, WakeReason
from trunkline_router.index import present
from trunkline_router.inputs import ReceiveMessage, RecordReceipt
from trunkline_router.matching import qualified
from trunkline_router.pool import Conversation, Pool, Status
from trunkline_router.routing import Order, PolicyConfig, TextKind
from trunkline_router.state import Engine

NO_AGENT = "no_agent_online"


def receive(engine: Engine, m: ReceiveMessage, now: datetime) -> Decision:
    """The message, and what it does to its conversation. Raises Refusal where another pool has it."""
    _must_be_here(engine.pool, m.conversation_id, merged=True)
    here = engine.pool.surviving(m.conversation_id)
    if here is None:
        attributes = known.told(Attributes(), m)
        started = ConversationStarted(m.channel, m.account, m.contact, m.content.subject, m.customer, attributes)
        coming = Conversation(m.conversation_id, 0, m.channel, m.account, m.contact, m.content.subject, m.customer)
        coming.attributes, coming.last_text, coming.cycle, coming.cycle_began_at = attributes, m.content.text, 1, now
        coming.messages, coming.entered_at = int(not m.automatic), now
        return [(m.conversation_id, p) for p in (started, _received(m), *_follows(engine, coming, m, now))]
    attributes = known.told(here.attributes, m)
    changed: list[Payload] = [AttributesChanged(attributes)] if attributes != here.attributes else []
    counted = here.messages + (not m.automatic)
    after = replace(here, attributes=attributes, last_text=m.content.text, messages=counted)
    said: list[Payload] = [_received(m), *changed]
    if here.status is Status.RESOLVED and not m.automatic:  # an out-of-office note opens nothing
        said.insert(
            0, ConversationReopened(ReopenReason.CUSTOMER_MESSAGE, same_cycle=policies.same_cycle(engine, here, now))
        )
    return [(here.id, p) for p in (*said, *_follows(engine, after, m, now))]


def _must_be_here(pool: Pool, conversation_id: str, *, merged: bool) -> None:
    elsewhere = handover.whereabouts(pool, conversation_id, merged=merged)
    if elsewhere is not None:
        raise refusals.moved(elsewhere.id, elsewhere.moved_to)


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


def _follows(engine: Engine, c: Conversation, m: ReceiveMessage, now: datetime) -> list[Payload]:
    match c.status:
        case _ if engine.pool.dropped:
            return []
        case Status.NEW:
            return _queue(engine, c, m, now)
        case Status.RESOLVED if not m.automatic:
            again = policies.reopened(engine, c, now)
            again.messages = again.messages or 1  # this one, in a new cycle
            return _queue(engine, again, m, now, QueueReason.REOPENED)
        case Status.RESOLVED:
            return []
        case _:
            moved = _goes_on(engine, c, now)
            return [*([] if m.automatic else changes.invited(engine, c, moved, now)), *moved]


def _goes_on(engine: Engine, c: Conversation, now: datetime) -> list[Payload]:
    """What a message does to a conversation that is under way."""
    if c.status is Status.SNOOZED:
        return commands.wake(engine, c, WakeReason.CUSTOMER_MESSAGE, now)
    if c.status in (Status.QUEUED, Status.OFFERED):
        return changes.placed_anew(engine, engine.pool.conversations[c.id], c, now)
    return []


def _queue(
    engine: Engine, c: Conversation, m: ReceiveMessage, now: datetime, reason: QueueReason = QueueReason.NEW
) -> list[Payload]:
    """To the first step of its policy, with what its customer is told."""
    policy = policies.select(engine, c, now)
    queued = policies.enter(engine, c, now, reason, policy=policy)
    if not m.automatic:  # a machine is owed no answer
        queued = _due(engine.pool, c, queued, m.due)
    is_open = policies.is_open(engine, queued.team, now)
    kind = TextKind.ACKNOWLEDGEMENT if is_open else TextKind.OFFLINE
    rejected = not engine.pool.teams[queued.team].accept_without_agents and not _somebody(engine, c, policy)
    if rejected:
        kind = TextKind.OFFLINE
    placed = ConversationRejected(queued.team, NO_AGENT) if rejected else queued
    if m.automatic:
        return [placed]
    there = replace(c, team=queued.team)
    invited = changes.invitation(engine, there, policy, now)
    return [*changes.text(engine, there, kind, now), *invited, placed]


def _due(pool: Pool, c: Conversation, queued: ConversationQueued, preview: DuePreview) -> ConversationQueued:
    """With the instant at which its customer must be answered, where the team serves what is due first.

    An older message that nobody has answered is due before this one: of that the preview says nothing.
    """
    if pool.teams[queued.team].order is not Order.EDF or c.unanswered:
        return queued
    dues = dict(preview.next_response if c.replied else preview.first_response)
    return replace(queued, due_at=dues.get(queued.team), due_fallback=preview.fallback)


def _somebody(engine: Engine, c: Conversation, policy: PolicyConfig) -> bool:
    """Whether anybody is there, with or without room, who could take it at some step (routing 3.10)."""
    agents, allowed = engine.pool.agents, c.attributes.allowed_agents
    there = [agents[a] for a in allowed if a in agents] if allowed else agents.values()
    for asked in policies.along(engine, c, policy):
        team = engine.pool.teams[asked.team]
        if any(present(a, team) and qualified(engine, a, asked) for a in there):
            return True
    overflow = agents.get(policy.overflow_agent)
    return overflow is not None and overflow.presence is Presence.ONLINE


def receipt(pool: Pool, told: RecordReceipt) -> Decision:
    """What became of a message; nothing where there is no such conversation."""
    _must_be_here(pool, told.conversation_id, merged=False)
    if told.conversation_id not in pool.conversations:
        return []
    return [(told.conversation_id, DeliveryUpdated(told.message_id, told.status, told.error))]
