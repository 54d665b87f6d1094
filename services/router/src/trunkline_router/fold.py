"""evolve: what an event does to the state. It never refuses: the event has happened."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from trunkline_router.events import (
    AgentPresenceChanged,
    AgentStoppedResponding,
    ConversationAssigned,
    ConversationPayload,
    ConversationQueued,
    ConversationReopened,
    ConversationResolved,
    ConversationStarted,
    ConversationTransferred,
    DeliveryUpdated,
    Event,
    MessageReceived,
    MessageSent,
    NoteAdded,
    OfferDeclined,
    OfferMade,
    OfferRescinded,
    OfferTimedOut,
    PoolConfigured,
    Presence,
)
from trunkline_router.pool import Agent, Conversation, Pool, Status, Waiting

REOFFER_AFTER = timedelta(seconds=60)  # routing 3.7: an agent who declined or missed may be asked again


@dataclass(slots=True)
class Engine:
    """A pool with what is derived from it: the order of waiting work, the timers, the teams to look at."""

    pool: Pool
    waiting: Waiting = field(default_factory=Waiting)
    #: (when, conversation): an offer ends or an exclusion does. Stale entries are skipped when they come up.
    timers: list[tuple[datetime, str]] = field(default_factory=list)
    #: The agents of each team, as configured.
    members: dict[str, list[Agent]] = field(default_factory=dict)
    #: Teams in which a conversation came to wait or an agent got room since matching last looked.
    touched: set[str] = field(default_factory=set)


def engine(pool: Pool) -> Engine:
    """Derive everything from a pool read from storage. No team is touched: what is stored was matched to the end."""
    made = Engine(pool, members=_members(pool))
    for conversation in pool.conversations.values():
        if conversation.status is Status.QUEUED:
            made.waiting.add(conversation)
        for when in (conversation.offer_expires_at, *conversation.excluded.values()):
            if when is not None:
                heapq.heappush(made.timers, (when, conversation.id))
    return made


def evolve(to: Engine, event: Event) -> None:
    """Apply one event, in order of pool_seq."""
    pool, payload = to.pool, event.payload
    pool.seq, pool.last_at = event.pool_seq, event.occurred_at
    match payload:
        case PoolConfigured():
            _configure(to, payload)
        case AgentPresenceChanged(agent_id, presence):
            agent = pool.agents[agent_id]
            agent.presence = presence
            if presence is Presence.ONLINE:
                agent.not_responding, agent.missed = False, 0
            to.touched.update(agent.config.teams)
        case AgentStoppedResponding(agent_id):
            pool.agents[agent_id].not_responding = True
        case ConversationStarted(channel, account, contact, subject):
            conversation = Conversation(event.conversation_id, event.pool_seq, channel, account, contact, subject)
            pool.conversations[conversation.id] = conversation
            conversation.seq = event.seq
        case _:
            conversation = pool.conversations[event.conversation_id]
            conversation.seq = event.seq
            _evolve_conversation(to, conversation, payload, event.occurred_at)


def _configure(to: Engine, new: PoolConfigured) -> None:
    pool = to.pool
    pool.config_version = new.version
    pool.teams = {team.id: team for team in new.teams}
    pool.accounts = dict(new.accounts)
    known = pool.agents
    pool.agents = {a.id: known.get(a.id) or Agent(a) for a in new.agents}
    for config in new.agents:
        pool.agents[config.id].config = config
    to.members = _members(pool)
    to.touched.update(pool.teams)


def _members(pool: Pool) -> dict[str, list[Agent]]:
    found: dict[str, list[Agent]] = {team: [] for team in pool.teams}
    for agent in pool.agents.values():
        for team in agent.config.teams:
            found.setdefault(team, []).append(agent)
    return found


def _evolve_conversation(to: Engine, conversation: Conversation, payload: ConversationPayload, at: datetime) -> None:
    match payload:
        case MessageReceived():
            conversation.reply_address = payload.reply_address
            conversation.references = payload.references or conversation.references
        case MessageSent() | NoteAdded() | DeliveryUpdated() | ConversationStarted():
            pass
        case ConversationQueued(team, _, entered_at):
            _leave(to, conversation)
            conversation.team, conversation.entered_at, conversation.status = team, entered_at, Status.QUEUED
            to.waiting.add(conversation)
            to.touched.add(team)
        case OfferMade(offer_id, agent_id, expires_at):
            _leave(to, conversation)
            conversation.status, conversation.offer_id, conversation.offered_to = Status.OFFERED, offer_id, agent_id
            conversation.offer_expires_at = expires_at
            to.pool.agents[agent_id].holds.add(conversation.id)
            heapq.heappush(to.timers, (expires_at, conversation.id))
        case OfferDeclined(_, agent_id, _):
            _end_offer(to, conversation, agent_id, excluded_until=at + REOFFER_AFTER)
        case OfferTimedOut(_, agent_id):
            _end_offer(to, conversation, agent_id, excluded_until=at + REOFFER_AFTER)
            if agent_id in to.pool.agents:
                to.pool.agents[agent_id].missed += 1
        case OfferRescinded(_, agent_id, _):
            _end_offer(to, conversation, agent_id, excluded_until=None)
        case ConversationAssigned(agent_id, _, _):
            _assign(to, conversation, agent_id, at)
        case ConversationTransferred():
            _leave(to, conversation)
            conversation.transfers += 1
            conversation.excluded.clear()
        case ConversationResolved():
            _leave(to, conversation)
            conversation.status = Status.RESOLVED
            conversation.excluded.clear()
        case ConversationReopened():
            conversation.transfers = 0
        case _:
            assert_never(payload)


def _assign(to: Engine, conversation: Conversation, agent_id: str, at: datetime) -> None:
    agent = to.pool.agents[agent_id]
    conversation.status, conversation.agent = Status.ASSIGNED, agent_id
    conversation.offered_to, conversation.offer_expires_at = "", None
    agent.holds.add(conversation.id)
    agent.missed, agent.last_assigned_at = 0, at


def _end_offer(to: Engine, conversation: Conversation, agent_id: str, *, excluded_until: datetime | None) -> None:
    _leave(to, conversation)
    if excluded_until is not None:
        conversation.excluded[agent_id] = excluded_until
        heapq.heappush(to.timers, (excluded_until, conversation.id))


def _leave(to: Engine, conversation: Conversation) -> None:
    """Take the conversation from where it is: the queue, an offer, or an agent's hands."""
    if conversation.status is Status.QUEUED:
        to.waiting.remove(conversation)
        conversation.status = Status.RESOLVED
    holder = to.pool.agents.get(conversation.agent or conversation.offered_to)
    if holder is not None:
        holder.holds.discard(conversation.id)
        to.touched.update(holder.config.teams)
    conversation.agent, conversation.offered_to, conversation.offer_expires_at = "", "", None
