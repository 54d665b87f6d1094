"""The engine: decide (pure), evolve (fold.py), and matching until nobody waits who could be served (routing 3.6)."""

from __future__ import annotations

import heapq
from collections import Counter
from datetime import datetime
from uuid import UUID, uuid5

from trunkline_router import commands
from trunkline_router.events import (
    Actor,
    ActorType,
    AgentStoppedResponding,
    ConversationQueued,
    ConversationReopened,
    ConversationStarted,
    DeliveryUpdated,
    Event,
    MessageReceived,
    OfferTimedOut,
    Payload,
    PoolConfigured,
    QueueReason,
    ReopenReason,
    RescindReason,
)
from trunkline_router.fold import Engine, evolve
from trunkline_router.inputs import Configure, Input, ReceiveMessage, RecordReceipt, Tick
from trunkline_router.matching import next_offer
from trunkline_router.pool import BEGINNING, Conversation, Pool, Status

MAX_MISSED = 3  # offers an agent may miss in a row before they count as not responding
SYSTEM = Actor(ActorType.SYSTEM)
NAMESPACE = UUID("6c1f2f3e-6a0e-5d5b-9a52-0f3c9a1f7b10")

Decision = list[tuple[str, Payload]]
"""Payloads with the conversation each belongs to (empty: the pool)."""


def event_id(pool: str, pool_seq: int) -> str:
    """The id of a pool's event: the same however often it is published."""
    return str(uuid5(NAMESPACE, f"{pool}/{pool_seq}"))


def handle(engine: Engine, asked: Input, now: datetime) -> list[Event]:
    """Decide one input, match what can be matched, and hold the new state. Raises Refusal: nothing changed."""
    events = _record(engine, decide(engine, asked, now), asked, now)
    while offer := next_offer(engine, now):
        events += _record(engine, [offer], Input(asked.body, asked.cause, SYSTEM), now)
    return events


def _record(engine: Engine, decision: Decision, asked: Input, now: datetime) -> list[Event]:
    events: list[Event] = []
    for conversation_id, payload in decision:
        pool = engine.pool
        known = pool.conversations.get(conversation_id)
        event = Event(
            pool_seq=pool.seq + 1,
            conversation_id=conversation_id,
            seq=(known.seq if known else 0) + 1 if conversation_id else 0,
            occurred_at=max(now, pool.last_at),
            cause=asked.cause,
            actor=asked.actor,
            config_version=pool.config_version,
            payload=payload,
        )
        evolve(engine, event)
        events.append(event)
    return events


def decide(engine: Engine, asked: Input, now: datetime) -> Decision:
    """What follows from an input; [] means already so."""
    pool = engine.pool
    match asked.body:
        case ReceiveMessage() as message:
            return _receive(pool, message, now)
        case RecordReceipt() as receipt:
            return _receipt(pool, receipt)
        case Configure(configuration):
            return _configure(pool, configuration)
        case Tick():
            return _tick(engine, now)
        case _ as command:
            return commands.decide(pool, command, asked, now)


def _receive(pool: Pool, m: ReceiveMessage, now: datetime) -> Decision:
    received = MessageReceived(
        m.event_id,
        m.contact,
        m.content,
        m.provider_message_id,
        m.provider_time,
        m.automatic,
        m.reply_address,
        m.references,
    )
    known = pool.conversations.get(m.conversation_id)
    if known is None:
        started = ConversationStarted(m.channel, m.account, m.contact, m.content.subject, m.customer)
        queued = ConversationQueued(_team_of(pool, m.account), QueueReason.NEW, now)
        return [(m.conversation_id, p) for p in (started, received, queued)]
    if known.status is not Status.RESOLVED:
        return [(known.id, received)]
    team = known.team if known.team in pool.teams else _team_of(pool, m.account)
    reopened = ConversationReopened(ReopenReason.CUSTOMER_MESSAGE)
    return [(known.id, p) for p in (reopened, received, ConversationQueued(team, QueueReason.REOPENED, now))]


def _team_of(pool: Pool, account: str) -> str:
    """The account's team; where the configuration lost the account meanwhile, the pool's first team."""
    return pool.accounts.get(account) or min(pool.teams)


def _receipt(pool: Pool, receipt: RecordReceipt) -> Decision:
    if receipt.conversation_id not in pool.conversations:
        return []
    return [(receipt.conversation_id, DeliveryUpdated(receipt.message_id, receipt.status, receipt.error))]


def _configure(pool: Pool, new: PoolConfigured) -> Decision:
    """The new version, after what it takes away: work of removed agents and teams goes back to a queue."""
    if new.version <= pool.config_version:
        return []
    teams, agents = {t.id for t in new.teams}, {a.id for a in new.agents}
    moved: Decision = []
    for conversation in pool.conversations.values():
        moved += [(conversation.id, p) for p in _displaced(conversation, teams, agents, min(teams))]
    return [*moved, ("", new)]


def _displaced(conversation: Conversation, teams: set[str], agents: set[str], fallback: str) -> list[Payload]:
    if conversation.status is Status.RESOLVED:
        return []
    found: list[Payload] = []
    holder = conversation.agent or conversation.offered_to
    lost_agent, lost_team = bool(holder) and holder not in agents, conversation.team not in teams
    if lost_agent and conversation.offered_to:
        found.append(commands.rescinded(conversation, RescindReason.AGENT_REMOVED))
    if lost_agent or (lost_team and not conversation.agent):
        if lost_team and conversation.offered_to and not lost_agent:
            found.append(commands.rescinded(conversation, RescindReason.TRANSFERRED))
        team = fallback if lost_team else conversation.team
        reason = QueueReason.TEAM_REMOVED if lost_team else QueueReason.AGENT_LOST
        found.append(ConversationQueued(team, reason, conversation.entered_at))
    return found


def _tick(engine: Engine, now: datetime) -> Decision:
    """End the offers that are due; wake the teams whose exclusions end."""
    found: Decision = []
    misses: Counter[str] = Counter()
    for conversation in due(engine, now):
        if conversation.offer_expires_at is not None and conversation.offer_expires_at <= now:
            misses[conversation.offered_to] += 1
            found += _missed(engine.pool, conversation, misses[conversation.offered_to])
        elif conversation.status is Status.QUEUED:
            engine.touched.add(conversation.team)
    return found


def _missed(pool: Pool, conversation: Conversation, nth: int) -> Decision:
    """The agent's nth miss at this instant: several offers may end together."""
    agent = pool.agents[conversation.offered_to]
    timed_out = OfferTimedOut(conversation.offer_id, agent.config.id)
    again = ConversationQueued(conversation.team, QueueReason.OFFER_ENDED, conversation.entered_at)
    found: Decision = [(conversation.id, timed_out), (conversation.id, again)]
    if agent.missed + nth == MAX_MISSED and not agent.not_responding:
        found.append(("", AgentStoppedResponding(agent.config.id)))
    return found


def due(engine: Engine, now: datetime) -> list[Conversation]:
    """Conversations with a timer at or before `now`, each once, by the end of their offers; the timers are taken off.

    Not by the timers: a pool loaded anew has no stale ones, and must decide the same.
    """
    found: dict[str, Conversation] = {}
    while engine.timers and engine.timers[0][0] <= now:
        _, conversation_id = heapq.heappop(engine.timers)
        conversation = engine.pool.conversations.get(conversation_id)
        if conversation is not None:
            found[conversation_id] = conversation
    return sorted(found.values(), key=lambda c: (c.offer_expires_at or BEGINNING, c.id))
