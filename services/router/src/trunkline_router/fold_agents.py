"""evolve for what concerns agents and the configuration, not one conversation."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from trunkline_router.facts import Presence
from trunkline_router.pool import Agent
from trunkline_router.pool_events import (
    AgentAcceptingChanged,
    AgentConfigured,
    AgentLost,
    AgentPresenceChanged,
    AgentRemoved,
    AgentRespondsAgain,
    AgentStoppedResponding,
    PoolConfigured,
    PoolPayload,
    ReofferPostponed,
    WrapUpEnded,
)
from trunkline_router.routing import AgentConfig
from trunkline_router.state import Engine


def evolve(to: Engine, payload: PoolPayload, at: datetime) -> None:
    """Apply one event of the pool."""
    agents = to.pool.agents
    match payload:
        case PoolConfigured():
            _configure(to, payload)
        case AgentConfigured(config):
            _put(to, config)
        case AgentRemoved(agent_id):
            _remove(to, agent_id)
        case AgentPresenceChanged(agent_id, presence):
            agent = agents[agent_id]
            agent.presence = presence
            agent.lost_at = at if presence is Presence.OFFLINE else None
            if presence is Presence.ONLINE:
                agent.not_responding, agent.missed = False, 0
            to.put(agent)
        case AgentStoppedResponding(agent_id):
            agents[agent_id].not_responding = True
            to.put(agents[agent_id])
        case AgentRespondsAgain(agent_id):
            agents[agent_id].not_responding, agents[agent_id].missed = False, 0
            to.put(agents[agent_id])
        case AgentAcceptingChanged(agent_id, accepting):
            agents[agent_id].accepting = accepting
            to.put(agents[agent_id])
        case AgentLost(agent_id):
            agents[agent_id].lost_at = None
        case WrapUpEnded(agent_id, conversation_id):
            agent = agents[agent_id]
            agent.wraps.pop(conversation_id, None)
            agent.holds.pop(conversation_id, None)
            to.put(agent)
        case ReofferPostponed(conversation_id, until):
            conversation = to.pool.conversations[conversation_id]
            conversation.reoffer_at = until
            to.time(conversation)
        case _:
            assert_never(payload)


def _configure(to: Engine, new: PoolConfigured) -> None:
    pool = to.pool
    pool.config, pool.accounts = new, dict(new.accounts)
    pool.teams = {team.id: team for team in new.teams}
    known, named = pool.agents, {a.id for a in new.agents}
    kept = {name: a for name, a in known.items() if a.config.by_api and name not in named and not pool.dropped}
    pool.agents = {a.id: known.get(a.id) or Agent(a) for a in new.agents} | kept
    for config in new.agents:
        pool.agents[config.id].config = config
    to.reindex()


def _remove(to: Engine, agent_id: str) -> None:
    to.pool.agents.pop(agent_id, None)
    to.index.drop(agent_id)
    to.touched_agents.add(agent_id)  # work may be kept for them


def _put(to: Engine, config: AgentConfig) -> None:
    agent = to.pool.agents.setdefault(config.id, Agent(config))
    agent.config = config
    to.put(agent)
