"""What is due: offers that end, steps, snoozes, callbacks, wrap-up, agents who did not come back (design section 4)."""

from __future__ import annotations

import heapq
from datetime import datetime, timedelta

from trunkline_router import changes, commands, policies
from trunkline_router.changes import Decision
from trunkline_router.events import (
    ConversationAssigned,
    ConversationReleased,
    ExclusionsCleared,
    OfferTimedOut,
    Payload,
)
from trunkline_router.facts import QueueReason, WakeReason
from trunkline_router.index import available
from trunkline_router.matching import qualified
from trunkline_router.pool import Agent, Conversation, Status
from trunkline_router.pool_events import AgentLost, AgentStoppedResponding, ReofferPostponed, WrapUpEnded
from trunkline_router.routing import TextKind
from trunkline_router.state import Engine, agent_dues


def due(engine: Engine, now: datetime) -> list[str]:
    """Conversations and agents with something due, in the order of what is due first; their timers are taken off.

    Not in the order of the timers: a pool loaded anew has no stale ones, and must decide the same.
    """
    found: dict[str, datetime] = {}
    while engine.timers and engine.timers[0][0] <= now:
        name = heapq.heappop(engine.timers)[1]
        first = min(dues(engine, name), default=None)
        if first is not None and first <= now:
            found[name] = first
    return sorted(found, key=lambda name: (found[name], name))


def dues(engine: Engine, name: str) -> list[datetime]:
    """Every instant at which something of a conversation or an agent is due."""
    conversation = engine.pool.conversations.get(name)
    if conversation is not None:
        return engine.dues(conversation)
    agent = engine.pool.agents.get(name)
    return agent_dues(agent, engine.pool) if agent is not None else []


def decide(engine: Engine, name: str, now: datetime) -> Decision:
    """What follows from the first thing that is due of a conversation or an agent."""
    conversation = engine.pool.conversations.get(name)
    if conversation is not None:
        return _conversation(engine, conversation, now)
    agent = engine.pool.agents.get(name)
    return _agent(engine, agent, now) if agent is not None else []


def _conversation(engine: Engine, c: Conversation, now: datetime) -> Decision:
    if expired := [o for o, offer in c.offers.items() if offer.expires_at <= now]:
        return _missed(engine, c, expired, now)
    found: list[Payload] = []
    if c.status is Status.SNOOZED and _past(c.wakes_at, now):
        found = commands.wake(engine, c, WakeReason.DUE, now)
    elif c.status is Status.SCHEDULED and c.callback is not None and c.callback[0] <= now:
        team = c.team if c.team in engine.pool.teams else policies.home(engine, c)
        found = [policies.in_team(engine, c, team, now, QueueReason.CALLBACK_DUE, entered_at=c.callback[0])]
    elif c.status is Status.QUEUED:
        return _waiting(engine, c, now)
    return [(c.id, p) for p in found]


def _past(when: datetime | None, now: datetime) -> bool:
    return when is not None and when <= now


def _missed(engine: Engine, c: Conversation, expired: list[str], now: datetime) -> Decision:
    found: Decision = []
    for offer_id in expired:
        name = c.offers[offer_id].agent
        found.append((c.id, OfferTimedOut(offer_id, name)))
        agent, team = engine.pool.agents.get(name), engine.pool.teams.get(c.team)
        if agent and team and agent.missed + 1 >= team.max_missed and not agent.not_responding:
            found.append(("", AgentStoppedResponding(name)))
    return [*found, *((c.id, p) for p in changes.back_if_last(engine, c, len(expired), now))]


def _waiting(engine: Engine, c: Conversation, now: datetime) -> Decision:
    found: list[Payload] = []
    if _past(c.preferred_until, now):
        found = [policies.again(engine, c, now, QueueReason.PREFERRED_WAITED)]
    elif _past(c.step_ends_at, now) and (onward := step_on(engine, c, now)):
        found = onward
    elif c.reoffer_at is not None and c.reoffer_at <= now:
        if not _only_the_excluded(engine, c):
            return [("", ReofferPostponed(c.id, _next_look(engine, c, c.reoffer_at, now)))]
        found = [ExclusionsCleared()]
    elif _past(engine.deflects_at(c), now) and c.unanswered:  # a person waits, not a machine
        found = [*changes.text(engine, c, TextKind.DEFLECTION, now)]
    return [(c.id, p) for p in found]


def step_on(engine: Engine, c: Conversation, now: datetime) -> list[Payload]:
    """The next step, an overflow (an agent gets it whatever they do), or nothing where the policy ends here."""
    following = policies.next_step(engine, c, now)
    if isinstance(following, str):
        known = following in engine.pool.agents
        return [ConversationAssigned(following, c.team, "", by_hand=True)] if known else []
    return [following] if following is not None else []


def _only_the_excluded(engine: Engine, c: Conversation) -> bool:
    """Whether everybody who could take it now has declined (routing 3.7; eligible includes room, 2.3)."""
    team, allowed = engine.pool.teams[c.team], c.attributes.allowed_agents
    there = {
        a.config.id
        for a in engine.pool.agents.values()
        if available(a, team, engine.index.now)
        and qualified(engine, a, c)
        and a.fits(engine.channel_class(c.channel))
        and (not allowed or a.config.id in allowed)
    }
    return bool(there) and there <= c.excluded


def _next_look(engine: Engine, c: Conversation, first: datetime, now: datetime) -> datetime:
    """At whole intervals from the first exclusion. Part of the state: a pool loaded anew must look at the same time."""
    every = max(1, engine.pool.teams[c.team].reoffer_after_s)
    intervals = int((now - first).total_seconds() // every) + 1
    return first + timedelta(seconds=intervals * every)


def _agent(engine: Engine, agent: Agent, now: datetime) -> Decision:
    name = agent.config.id
    ended: Decision = [("", WrapUpEnded(name, c)) for c, until in sorted(agent.wraps.items()) if until <= now]
    if ended or agent.lost_at is None or now < min(agent_dues(agent, engine.pool)):
        return ended
    found: Decision = [("", AgentLost(name))]
    for conversation_id in sorted(agent.holds):
        c = engine.pool.conversations[conversation_id]
        if c.agent == name and c.status is Status.ASSIGNED and engine.channel_class(c.channel).requeue_when_lost:
            lost = ConversationReleased(name, "agent lost")
            found += [(c.id, lost), (c.id, policies.anew(engine, c, now, QueueReason.AGENT_LOST))]
    return found
