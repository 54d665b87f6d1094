"""Who gets what: waiting work in order, the longest idle of those who may take it (routing 3.4 to 3.7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid5

from trunkline_router.events import OfferMade
from trunkline_router.fold import Engine
from trunkline_router.pool import Agent, Conversation

OFFERS = UUID("0b7d3f0a-52c4-5e0e-8f5e-0f9a4a6f3f51")


def next_offer(engine: Engine, now: datetime) -> tuple[str, OfferMade] | None:
    """The next offer to make; None when no team has both a waiting conversation and an agent who may take it."""
    while engine.touched:
        team = min(engine.touched)
        found = _first_match(engine, team, now)
        if found is not None:
            conversation, agent = found
            return conversation.id, _offer(engine, conversation, agent, now)
        engine.touched.discard(team)
    return None


def _first_match(engine: Engine, team: str, now: datetime) -> tuple[Conversation, Agent] | None:
    waiting = engine.waiting.of(team)
    if not waiting or team not in engine.pool.teams:
        return None
    free = [a for a in engine.members[team] if a.available]
    for _, _, conversation_id in waiting if free else ():
        conversation = engine.pool.conversations[conversation_id]
        allowed = [a for a in free if conversation.excluded.get(a.config.id, now) <= now]
        if allowed:
            return conversation, min(allowed, key=idle_order)
    return None


def idle_order(agent: Agent) -> tuple[datetime, int, str]:
    """Longest idle first: never assigned, then longest since the last assignment; ties by load, by id."""
    return agent.last_assigned_at, len(agent.holds), agent.config.id


def _offer(engine: Engine, conversation: Conversation, agent: Agent, now: datetime) -> OfferMade:
    offer_id = str(uuid5(OFFERS, f"{conversation.id}/{conversation.seq + 1}"))
    lasts = timedelta(seconds=engine.pool.teams[conversation.team].offer_timeout_s)
    return OfferMade(offer_id, agent.config.id, max(now, engine.pool.last_at) + lasts)
