"""Why this agent and not that one; why it still waits, and what would change that (features row 24).

Both look at the state as it is and change nothing. For a decision that state is the one before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from trunkline_router import estimate, leaving, policies, refusals
from trunkline_router.estimate import Wait
from trunkline_router.events import ConversationAssigned, ConversationQueued, Event, OfferMade
from trunkline_router.explain_agents import ORDER, Reason, Verdict, hindrances, key_of, rank, strategy_of
from trunkline_router.facts import ActorType, Presence
from trunkline_router.matching import qualified
from trunkline_router.pool import Agent, Conversation, Status
from trunkline_router.routing import Order, Pairs, Strategy
from trunkline_router.state import Engine

MAX_CHANGES = 10
#: Not proposed: nobody changes teams for one conversation.
CONFIGURED = (Reason.NOT_IN_TEAM, Reason.BOT)


@dataclass(frozen=True, slots=True)
class Rule:
    """What put it where it waits. `policy` is empty after a transfer or an overflow; `step` counts from 0."""

    policy: str
    when: str
    step: int
    team: str
    strategy: Strategy
    order: Order
    tier: int
    boost_s: int
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an agent must have for it."""

    team: str
    skills: Pairs
    channel_class: str
    weight: int
    interruptible: bool
    allowed_agents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Agents of whom the same is true."""

    reason: Reason
    agents: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision. Every agent of the pool is chosen or in one group; several are chosen where several are asked."""

    conversation: str
    at: datetime
    rule: Rule
    requirement: Requirement
    chosen: tuple[Verdict, ...]
    groups: tuple[Group, ...]
    #: What conditions saw of it, the customer's words apart.
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NextStep:
    """What follows if nobody takes it: a step of the policy, or its overflow to a team or an agent."""

    begins_at: datetime
    team: str
    skills: Pairs = ()
    dropped: tuple[str, ...] = ()
    agent: str = ""
    overflow: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """An agent whose answer it waits for."""

    agent: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a conversation waits for. Rule, requirement and groups are there while it is in a queue.

    `position` is the number of its team's that are served before it. Each of `changes` alone would serve it.
    """

    conversation: str
    at: datetime
    status: Status
    rule: Rule | None = None
    requirement: Requirement | None = None
    position: int | None = None
    asked: tuple[Asked, ...] = ()
    groups: tuple[Group, ...] = ()
    next_step: NextStep | None = None
    preferred: tuple[str, ...] = ()
    preferred_until: datetime | None = None
    reoffer_at: datetime | None = None
    #: When a snooze or the time until a callback ends.
    due_at: datetime | None = None
    changes: tuple[str, ...] = ()
    #: How much longer, as far as that can be told.
    wait: Wait | None = None


def explain_match(engine: Engine, c: Conversation) -> Explanation:
    """Who gets a waiting conversation, by what, and why not each of the others."""
    now = engine.index.now
    verdicts, free = dict[str, Verdict](), list[Agent]()
    for name, agent in engine.pool.agents.items():
        first = next(hindrances(engine, agent, c, now), None)
        if first is None:
            free.append(agent)
        else:
            verdicts[name] = first
    free.sort(key=lambda a: rank(engine, a, c))
    many = max(1, engine.channel_class(c.channel).broadcast)
    chosen = tuple(_first(engine, agent, c) for agent in free[:many])
    later = (_later(engine, agent, c, chosen[-1].agent) for agent in free[many:])
    return Explanation(
        conversation=c.id,
        at=now,
        rule=_rule(engine, c),
        requirement=_requirement(engine, c),
        chosen=chosen,
        groups=_grouped([*later, *verdicts.values()]),
        inputs={k: v for k, v in policies.facts(engine, c, now).items() if k != "text"},
    )


def explain_decision(engine: Engine, c: Conversation, event: Event) -> Explanation | None:
    """Why what is to happen to a waiting conversation is so; None where it was not the engine that chose."""
    match event.payload:
        case OfferMade() | ConversationAssigned(offer_id="", by_hand=False):
            return explain_match(engine, c)
        case ConversationAssigned(agent_id=agent, offer_id="") if event.actor.type is ActorType.SYSTEM:
            return _overflowed(explain_match(engine, c), agent)
    return None


def _overflowed(found: Explanation, agent: str) -> Explanation:
    """The policy's overflow has it whatever hinders them."""
    says = f"{agent} is the overflow of policy {found.rule.policy}"
    chosen = (Verdict(agent, Reason.CHOSEN, says, (("by", "overflow"),)),)
    verdicts = [*found.chosen, *(v for group in found.groups for v in group.agents)]
    others = [v for v in verdicts if v.agent != agent]
    return replace(found, chosen=chosen, groups=_grouped(others))


def explain_waiting(engine: Engine, c: Conversation, now: datetime) -> Waiting:
    """What it waits for, and what would serve it. Raises Refusal where its pool was dropped: ask where it goes."""
    if c.status is Status.QUEUED and engine.pool.dropped:
        raise refusals.moved(c.id, leaving.destination(engine.pool, c.account, c.team)[0])
    if c.status is not Status.QUEUED:
        asked = tuple(Asked(o.agent, o.expires_at) for o in c.offers.values())
        due = c.wakes_at or (c.callback[0] if c.callback else None)
        return Waiting(c.id, now, c.status, asked=asked, due_at=due)
    hindered = [tuple(islice(hindrances(engine, a, c, now), 2)) for a in engine.pool.agents.values()]
    return Waiting(
        conversation=c.id,
        at=now,
        status=c.status,
        rule=_rule(engine, c),
        requirement=_requirement(engine, c),
        position=engine.waiting.position(c.id),
        groups=_grouped([found[0] for found in hindered if found]),
        next_step=_next_step(engine, c, now),
        preferred=c.preferred,
        preferred_until=c.preferred_until,
        reoffer_at=c.reoffer_at,
        changes=_changes(engine, c, hindered),
        wait=estimate.wait(engine, c),
    )


def _rule(engine: Engine, c: Conversation) -> Rule:
    policy, order = engine.pool.policy(c.policy), engine.pool.teams[c.team].order
    when = policy.when if policy else ""
    return Rule(c.policy, when, c.step, c.team, strategy_of(engine, c), order, c.tier, c.boost_s, c.entered_at)


def _requirement(engine: Engine, c: Conversation) -> Requirement:
    wanted = engine.channel_class(c.channel)
    allowed = c.attributes.allowed_agents
    return Requirement(c.team, c.skills, wanted.id, wanted.weight, wanted.interruptible, allowed)


def _first(engine: Engine, agent: Agent, c: Conversation) -> Verdict:
    key = key_of(engine, agent, c)
    how = "preferred" if agent.config.id in c.preferred else strategy_of(engine, c).lower()
    return Verdict(agent.config.id, Reason.CHOSEN, f"{agent.config.id} is first by {how}", (("by", how), *key))


def _later(engine: Engine, agent: Agent, c: Conversation, last: str) -> Verdict:
    return Verdict(agent.config.id, Reason.LATER, f"{agent.config.id} comes after {last}", key_of(engine, agent, c))


def _grouped(verdicts: Iterable[Verdict]) -> tuple[Group, ...]:
    """By reason, the last one looked at first; within it by id; those who come later, in their order."""
    found: dict[Reason, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.reason, []).append(verdict)
    return tuple(
        Group(reason, tuple(them if reason is Reason.LATER else sorted(them, key=lambda v: v.agent)))
        for reason, them in sorted(found.items(), key=lambda item: -ORDER[item[0]])
    )


def _next_step(engine: Engine, c: Conversation, now: datetime) -> NextStep | None:
    following = policies.next_step(engine, c, now) if c.step_ends_at is not None else None
    if following is None or c.step_ends_at is None:
        return None
    if isinstance(following, ConversationQueued):
        dropped = tuple(s for s, _ in c.skills if s not in dict(following.skills))
        overflow = following.policy != c.policy
        return NextStep(c.step_ends_at, following.team, following.skills, dropped, overflow=overflow)
    return NextStep(c.step_ends_at, c.team, agent=following, overflow=True)


def _changes(engine: Engine, c: Conversation, hindered: Iterable[tuple[Verdict, ...]]) -> tuple[str, ...]:
    """The agents for whom one thing is in the way, nearest to the end first; and what is true of all."""
    alone = [found[0] for found in hindered if len(found) == 1 and found[0].reason not in CONFIGURED]
    alone.sort(key=lambda v: (-ORDER[v.reason], v.agent))
    able = [a for a in engine.pool.agents.values() if qualified(engine, a, c)]
    if not able:
        return (_nobody(engine, c), *_says(alone))
    if all(a.presence is Presence.OFFLINE for a in able):
        whom = " who could take it" if c.skills else ""
        return (f"nobody of team {c.team}{whom} is online", *_says(alone))
    return _says(alone)


def _nobody(engine: Engine, c: Conversation) -> str:
    skills = ", ".join(f"{skill} level {level}" for skill, level in c.skills)
    members = any(c.team in a.config.teams for a in engine.pool.agents.values())
    if not members or not skills:
        return f"team {c.team} has {'only bots' if members else 'no agent'}"
    return f"nobody of team {c.team} has {skills}"


def _says(verdicts: list[Verdict]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(v.says for v in verdicts))[:MAX_CHANGES]


# -- as JSON


def to_dict(value: Any) -> Any:
    """Plain values with the same names; pairs are a mapping, instants RFC 3339, what is absent is left out."""
    if isinstance(value, Verdict):
        return {"agent": value.agent, "says": value.says, **{k: to_dict(v) for k, v in value.facts}}
    if is_dataclass(value):
        found = {f.name: getattr(value, f.name) for f in fields(value)}
        return {k: dict(v) if k == "skills" else to_dict(v) for k, v in found.items() if v is not None}
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {k: to_dict(v) for k, v in value.items()}
    return [to_dict(v) for v in value] if isinstance(value, list | tuple) else value
