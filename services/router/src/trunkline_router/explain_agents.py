"""Why an agent would or would not get a conversation: what hinders, in one order, and who comes first of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from trunkline_router.facts import Presence
from trunkline_router.index import choice_key, within_rate
from trunkline_router.pool import BEGINNING, Agent, Conversation
from trunkline_router.routing import ChannelClass, Strategy, TeamConfig
from trunkline_router.state import Engine


class Reason(StrEnum):
    """What becomes of an agent, in the order in which it is looked at: the first that applies is told."""

    NOT_IN_TEAM = "NOT_IN_TEAM"
    BOT = "BOT"
    SKILL_MISSING = "SKILL_MISSING"
    OFFLINE = "OFFLINE"
    AWAY = "AWAY"
    NOT_ACCEPTING = "NOT_ACCEPTING"
    NOT_RESPONDING = "NOT_RESPONDING"
    NOT_ALLOWED = "NOT_ALLOWED"
    #: Declined or missed it in this visit to the queue.
    EXCLUDED = "EXCLUDED"
    NO_ROOM = "NO_ROOM"
    RATE_LIMIT = "RATE_LIMIT"
    #: Given to nobody by itself.
    BY_HAND = "BY_HAND"
    #: Kept for an agent who is preferred.
    KEPT = "KEPT"
    #: May have it, but others come first.
    LATER = "LATER"
    CHOSEN = "CHOSEN"


ORDER = {reason: number for number, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One agent: the reason, the facts behind it by name, and both as a sentence."""

    agent: str
    reason: Reason
    says: str
    facts: tuple[tuple[str, Any], ...] = ()


def hindrances(engine: Engine, agent: Agent, c: Conversation, now: datetime) -> Iterator[Verdict]:
    """Everything for which the agent does not get it now, in the order of the reasons; nothing: they may have it."""
    yield from _not_able(engine, agent, c)
    yield from _not_there(agent, engine.pool.teams[c.team])
    yield from _not_this_one(agent, c)
    yield from _no_room(agent, engine.channel_class(c.channel))
    yield from _too_many(agent, engine.pool.teams[c.team], now)
    yield from _not_by_itself(engine, agent, c)


def _not_able(engine: Engine, agent: Agent, c: Conversation) -> Iterator[Verdict]:
    name, team = agent.config.id, engine.pool.teams[c.team]
    if c.team not in agent.config.teams:
        yield Verdict(name, Reason.NOT_IN_TEAM, f"{name} is not in team {c.team}", (("team", c.team),))
    if agent.config.bot and not team.assign_bots:
        yield Verdict(name, Reason.BOT, f"{name} is a bot; team {c.team} gives bots nothing")
    held = dict(agent.config.skills)
    missing = [(skill, level) for skill, level in c.skills if held.get(skill, 0) < level]
    if missing:
        skill, level = missing[0]
        says = f"{name} is missing " + ", ".join(f"skill {s} level {v}" for s, v in missing)
        yield Verdict(
            name, Reason.SKILL_MISSING, says, (("skill", skill), ("needed", level), ("held", held.get(skill, 0)))
        )


def _not_there(agent: Agent, team: TeamConfig) -> Iterator[Verdict]:
    name = agent.config.id
    if agent.presence is Presence.OFFLINE:
        yield Verdict(name, Reason.OFFLINE, f"{name} is offline")
    elif agent.presence is Presence.AWAY and not team.away_is_available:
        yield Verdict(name, Reason.AWAY, f"{name} is away")
    if not agent.accepting:
        yield Verdict(name, Reason.NOT_ACCEPTING, f"{name} accepts no new work")
    if agent.not_responding:
        facts = (("missed", agent.missed),)
        yield Verdict(name, Reason.NOT_RESPONDING, f"{name} does not respond: {agent.missed} offers missed", facts)


def _not_this_one(agent: Agent, c: Conversation) -> Iterator[Verdict]:
    name, allowed = agent.config.id, c.attributes.allowed_agents
    if allowed and name not in allowed:
        yield Verdict(name, Reason.NOT_ALLOWED, f"{name} is not one of those allowed: {', '.join(allowed)}")
    if name in c.excluded:
        facts = (("asked_again_at", c.reoffer_at),)
        yield Verdict(name, Reason.EXCLUDED, f"{name} declined or missed it", facts)


def _no_room(agent: Agent, wanted: ChannelClass) -> Iterator[Verdict]:
    if agent.fits(wanted):
        return
    name, capacity = agent.config.id, agent.config.capacity
    counted = sum(h.units for h in agent.holds.values() if wanted.interruptible or not h.interruptible)
    if counted + wanted.weight > capacity:
        full = "is full" if counted >= capacity else f"has no room for {wanted.weight}"
        facts = (("load", counted), ("weight", wanted.weight), ("capacity", capacity))
        yield Verdict(name, Reason.NO_ROOM, f"{name} {full}: {counted} of {capacity}", facts)
        return
    cap = dict(agent.config.caps)[wanted.id]
    in_class = sum(h.units for h in agent.holds.values() if h.channel_class == wanted.id)
    named = (("class", wanted.id), ("load", in_class), ("weight", wanted.weight), ("cap", cap))
    yield Verdict(name, Reason.NO_ROOM, f"{name} has no room for {wanted.id}: {in_class} of {cap}", named)


def _too_many(agent: Agent, team: TeamConfig, now: datetime) -> Iterator[Verdict]:
    if within_rate(agent, team, now):
        return
    name, since = agent.config.id, now - timedelta(seconds=team.rate_window_s)
    given = sum(at > since for at in agent.recent) + agent.offered
    says = f"{name} has been given {given} within {team.rate_window_s} s, {team.rate_max} are allowed"
    yield Verdict(name, Reason.RATE_LIMIT, says, (("given", given), ("max", team.rate_max)))


def _not_by_itself(engine: Engine, agent: Agent, c: Conversation) -> Iterator[Verdict]:
    name = agent.config.id
    if c.by_hand:
        yield Verdict(name, Reason.BY_HAND, f"{name} may pull it; team {c.team} does not give it out by itself")
    elif name not in c.preferred and engine.index.class_of(c.id) is None:
        says = f"it is kept for {', '.join(c.preferred)}"
        yield Verdict(name, Reason.KEPT, says, (("until", c.preferred_until),))


# -- who comes first


def rank(engine: Engine, agent: Agent, c: Conversation) -> tuple[Any, ...]:
    """The place among those who may have it: preferred ones as they are named, then by the strategy."""
    preferred = c.preferred.index(agent.config.id) if agent.config.id in c.preferred else len(c.preferred)
    strategy = strategy_of(engine, c)
    levels = (-_levels(agent, c),) if strategy is Strategy.BEST_SKILL else ()
    return (preferred, *levels, *choice_key(agent, c.team, strategy))


def strategy_of(engine: Engine, c: Conversation) -> Strategy:
    """How its agent is chosen."""
    return c.strategy or engine.pool.teams[c.team].strategy


def key_of(engine: Engine, agent: Agent, c: Conversation) -> tuple[tuple[str, Any], ...]:
    """What the place is made of, by name; ties end at the id."""
    name, idle = agent.config.id, None if agent.last_assigned_at == BEGINNING else agent.last_assigned_at
    if name in c.preferred:
        return (("preferred", c.preferred.index(name)),)
    match strategy_of(engine, c):
        case Strategy.BEST_SKILL:
            return (("levels", _levels(agent, c)), ("last_assigned_at", idle), ("load", agent.load))
        case Strategy.LEAST_LOADED:
            used = agent.load / max(1, agent.config.capacity)
            return (("load_of_capacity", used), ("last_assigned_at", idle))
        case Strategy.ROTATION:
            return (("turn", agent.rotated.get(c.team, 0)),)
        case Strategy.LEAST_ASSIGNED:
            return (("assigned", agent.assigned),)
        case _:
            return (("last_assigned_at", idle), ("load", agent.load))


def _levels(agent: Agent, c: Conversation) -> int:
    held = dict(agent.config.skills)
    return sum(held.get(skill, 0) for skill, _ in c.skills)
