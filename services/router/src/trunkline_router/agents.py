"""What is asked about agents: presence, accepting, wrap-up, what is configured of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from trunkline_router import changes, policies, refusals
from trunkline_router.changes import Decision
from trunkline_router.events import ConversationReleased, OfferRescinded
from trunkline_router.facts import Presence, QueueReason, RescindReason
from trunkline_router.inputs import (
    AgentCommand,
    ClearNotResponding,
    DeleteAgent,
    EndWrapUp,
    PutAgent,
    SetAccepting,
    SetPresence,
)
from trunkline_router.pool import Agent, Status
from trunkline_router.pool_events import (
    AgentAcceptingChanged,
    AgentConfigured,
    AgentPresenceChanged,
    AgentRemoved,
    AgentRespondsAgain,
    WrapUpEnded,
)
from trunkline_router.state import Engine


def decide(engine: Engine, command: AgentCommand, now: datetime) -> Decision:
    """What follows from a command. Raises Refusal."""
    if isinstance(command, PutAgent):
        return _put(engine, command, now)
    agent = engine.pool.agents.get(command.agent_id)
    if agent is None:
        raise refusals.no_agent(command.agent_id)
    match command:
        case SetPresence():
            return _set_presence(engine, agent, command.presence, now)
        case SetAccepting(agent_id, accepting):
            return [] if agent.accepting is accepting else [("", AgentAcceptingChanged(agent_id, accepting))]
        case ClearNotResponding(agent_id):
            return [("", AgentRespondsAgain(agent_id))] if agent.not_responding else []
        case DeleteAgent():
            return _delete(engine, agent, now)
        case EndWrapUp(agent_id, conversation_id):
            ended = [c for c in sorted(agent.wraps) if conversation_id in ("", c)]
            return [("", WrapUpEnded(agent_id, c)) for c in ended]
        case _:
            assert_never(command)


def _set_presence(engine: Engine, agent: Agent, presence: Presence, now: datetime) -> Decision:
    answers_again = agent.not_responding and presence is Presence.ONLINE
    if agent.presence is presence and not answers_again:
        return []
    found: Decision = [("", AgentPresenceChanged(agent.config.id, presence))]
    if presence is Presence.OFFLINE:
        found += _take_back(engine, agent, RescindReason.AGENT_OFFLINE, now)
    return found


def _take_back(engine: Engine, agent: Agent, reason: RescindReason, now: datetime) -> Decision:
    """Offers to an agent who is not there end at once (routing 3.9)."""
    found: Decision = []
    for conversation_id in sorted(agent.holds):
        c = engine.pool.conversations[conversation_id]
        mine = [o for o, offer in c.offers.items() if offer.agent == agent.config.id]
        found += [(c.id, OfferRescinded(o, agent.config.id, reason)) for o in mine]
        found += [(c.id, p) for p in changes.back_if_last(engine, c, len(mine), now)]
    return found


def _put(engine: Engine, command: PutAgent, now: datetime) -> Decision:
    config = command.agent
    for team in config.teams:
        if team not in engine.pool.teams:
            raise refusals.no_team(team)
    known = engine.pool.agents.get(config.id)
    if known is not None and known.config == config:
        return []
    renamed = known is not None and replace(known.config, name=config.name) == config
    taken = [] if known is None or renamed else _take_back(engine, known, RescindReason.CHANGED, now)
    return [*taken, ("", AgentConfigured(config))]


def _delete(engine: Engine, agent: Agent, now: datetime) -> Decision:
    if not agent.config.by_api:
        raise refusals.agent_of_document(agent.config.id)
    return [*without(engine, agent.config.id, now), ("", AgentRemoved(agent.config.id))]


def without(engine: Engine, agent_id: str, now: datetime) -> Decision:
    """What an agent has in hand goes back to where it came from."""
    found: Decision = []
    for c in sorted(engine.pool.conversations.values(), key=lambda one: one.ordinal):
        mine = [o for o, offer in c.offers.items() if offer.agent == agent_id]
        found += [(c.id, OfferRescinded(o, agent_id, RescindReason.AGENT_REMOVED)) for o in mine]
        if mine:
            found += [(c.id, p) for p in changes.back_if_last(engine, c, len(mine), now)]
        elif c.status is Status.ASSIGNED and c.agent == agent_id:
            lost = ConversationReleased(agent_id, "agent removed")
            found += [(c.id, lost), (c.id, policies.anew(engine, c, now, QueueReason.AGENT_LOST))]
    return found
