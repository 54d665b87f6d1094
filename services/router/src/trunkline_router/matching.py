"""Who gets what: waiting work in order, the agent its team would choose (routing 3.3 to 3.7, 5.1).

Nobody waited who could be served before the last input; so only what it touched can make a new match.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from trunkline_router.index import Place, RequirementClass, available, rank
from trunkline_router.pool import Agent, Conversation, Status
from trunkline_router.state import Engine

AGENT, CONVERSATION = 0, 1


@dataclass(frozen=True, slots=True)
class Match:
    """Whom to ask, best first, for a conversation."""

    conversation: Conversation
    agents: tuple[Agent, ...]


def next_match(engine: Engine) -> Match | None:
    """The next match; None when no waiting conversation has an agent who may take it."""
    _gather(engine)
    while engine.candidates:
        place, kind, name = heapq.heappop(engine.candidates)
        if kind == AGENT:
            agent = engine.pool.agents.get(name)
            found = _first_for(engine, agent) if agent is not None else None
            if found != place:
                if found is not None:
                    heapq.heappush(engine.candidates, (found, AGENT, name))
                continue
        conversation = engine.pool.conversations[place[-1]]
        agents = choose(engine, conversation) if conversation.status is Status.QUEUED else ()
        if agents:
            if kind == AGENT:  # may have room for more
                heapq.heappush(engine.candidates, (place, AGENT, name))
            return Match(conversation, agents)
    return None


def _gather(engine: Engine) -> None:
    """What was touched becomes a candidate, by the place of the work in question."""
    for name in engine.touched_agents:
        agent = engine.pool.agents.get(name)
        if agent is not None and (place := _first_for(engine, agent)) is not None:
            heapq.heappush(engine.candidates, (place, AGENT, name))
    for name in engine.touched:
        conversation = engine.pool.conversations[name]
        if conversation.status is Status.QUEUED and not conversation.by_hand:
            heapq.heappush(engine.candidates, (engine.place(conversation), CONVERSATION, name))
    engine.touched_agents.clear()
    engine.touched.clear()


def _first_for(engine: Engine, agent: Agent) -> Place | None:
    """The place of the first waiting conversation the agent may take."""
    index, found = engine.index, list[Place]()
    profile = index.profile_of(agent.config.id)
    if profile is None:
        return None

    def accept(conversation_id: str) -> bool:
        return may_take(engine, agent, engine.pool.conversations[conversation_id])

    for wanted in profile.classes:
        if index.available_to(agent.config.id, wanted) and agent.fits(engine.class_named(wanted.channel_class)):
            place = index.first_waiting(wanted, accept)
            if place is not None:
                found.append(place)
    for conversation_id in engine.kept_for.get(agent.config.id, ()):
        conversation = engine.pool.conversations[conversation_id]
        if prefers(engine, agent, conversation):
            found.append(engine.place(conversation))
    return min(found, default=None)


def may_take(engine: Engine, agent: Agent, conversation: Conversation) -> bool:
    """What the class of the work does not tell: the conversation's own exclusions and limits, and room."""
    allowed = conversation.attributes.allowed_agents
    return (
        agent.config.id not in conversation.excluded
        and (not allowed or agent.config.id in allowed)
        and agent.fits(engine.channel_class(conversation.channel))
    )


def qualified(engine: Engine, agent: Agent, conversation: Conversation) -> bool:
    """Whether the agent could take it some time: member, skills, kind; neither presence nor room."""
    team = engine.pool.teams[conversation.team]
    skills = dict(agent.config.skills)
    return (
        conversation.team in agent.config.teams
        and all(skills.get(s, 0) >= level for s, level in conversation.skills)
        and (team.assign_bots or not agent.config.bot)
    )


def prefers(engine: Engine, agent: Agent, conversation: Conversation) -> bool:
    """Whether a preferred agent may take it now."""
    team = engine.pool.teams[conversation.team]
    return (
        not conversation.by_hand
        and qualified(engine, agent, conversation)
        and available(agent, team, engine.index.now)
        and may_take(engine, agent, conversation)
    )


def choose(engine: Engine, conversation: Conversation) -> tuple[Agent, ...]:
    """The agents to ask: preferred ones first, then by the team's strategy; as many as the channel asks at once."""
    wanted = engine.channel_class(conversation.channel)
    pool = engine.pool
    chosen = [
        pool.agents[a]
        for a in conversation.preferred
        if a in pool.agents and prefers(engine, pool.agents[a], conversation)
    ][: max(1, wanted.broadcast)]
    found = engine.index.class_of(conversation.id)
    while found is not None and len(chosen) < max(1, wanted.broadcast):
        agent = _best(engine, conversation, found, [a.config.id for a in chosen])
        if agent is None:
            break
        chosen.append(agent)
    return tuple(chosen)


def _best(engine: Engine, conversation: Conversation, found: RequirementClass, chosen: list[str]) -> Agent | None:
    agents, allowed = engine.pool.agents, conversation.attributes.allowed_agents
    if allowed:
        named = [agents[a] for a in allowed if a in agents and a not in chosen]
        able = [a for a in named if prefers(engine, a, conversation)]
        return min(able, key=lambda a: rank(a, found), default=None)

    def accept(agent_id: str) -> bool:
        return agent_id not in chosen and may_take(engine, agents[agent_id], conversation)

    best = min(engine.index.candidates(found, accept), default=None)
    return agents[best[-1]] if best is not None else None
