"""Which policy a conversation follows, and what each of its steps asks for (routing 3.1 to 3.4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from trunkline_router.events import ConversationQueued
from trunkline_router.facts import QueueReason
from trunkline_router.index import present
from trunkline_router.matching import qualified
from trunkline_router.pool import BEGINNING, Conversation, Pool, Status
from trunkline_router.routing import Pairs, PolicyConfig, StepConfig, Strategy
from trunkline_router.state import Engine

LANGUAGE = "$language"  # in place of a skill: the language of the conversation, where that is a skill
MOST_BOOST_S = 2**31 - 1  # what an event can say; 68 years


def facts(engine: Engine, c: Conversation, now: datetime) -> dict[str, Any]:
    """What conditions see of a conversation."""
    pool, a = engine.pool, c.attributes
    return {
        "channel": c.channel,
        "account": c.account,
        "team": c.team,
        "language": a.language,
        "priority": a.priority,
        "boost_s": boost(pool, a.priority),
        "tags": list(a.tags),
        "attributes": dict(a.values),
        "status": c.status.value,
        "age_s": int((now - c.cycle_began_at).total_seconds()),
        "waiting_s": int((now - c.entered_at).total_seconds()) if c.entered_at > BEGINNING else 0,
        "messages": c.messages,
        "transfers": c.transfers,
        "reopened": c.cycle > 1,
        "returning": c.customer.earlier_conversations > 0,
        "open": is_open(engine, c.team or pool.team_of(c.account), now),
        "public": a.public,
        "previous_agent": c.last_agent or c.customer.last_agent_id,
        "origin": dict(a.values).get("origin", ""),
        "contact_kind": dict(a.values).get("contact_kind", ""),
        "text": c.last_text,
    }


def boost(pool: Pool, priority: str) -> int:
    """Seconds by which a priority goes ahead; a priority may also be that number itself."""
    named = dict(pool.config.priorities)
    return named[priority] if priority in named else _seconds(priority)


def _seconds(text: str) -> int:
    """A whole number as far as an event can say it; 0 where it is none: channels and integrators write priorities."""
    digits = text.removeprefix("-").lstrip("0")
    if not (digits.isascii() and digits.isdecimal()):
        return 0
    most = MOST_BOOST_S if len(digits) > len(str(MOST_BOOST_S)) else min(int(digits), MOST_BOOST_S)
    return -most if text.startswith("-") else most


def is_open(engine: Engine, team: str, now: datetime) -> bool:
    """Whether a team's business hours run; a team without any is always there."""
    found = engine.pool.teams.get(team)
    hours = dict(engine.pool.config.calendars).get(found.calendar) if found and found.calendar else None
    return hours is None or engine.tools.hours(hours).is_open(now)


def select(engine: Engine, c: Conversation, now: datetime) -> PolicyConfig:
    """The first policy whose condition holds; without any, the queue of the account's team."""
    seen = facts(engine, c, now) if engine.pool.config.policies else {}
    for policy in engine.pool.config.policies:
        if not policy.when or engine.tools.condition(policy.when)(seen):
            return policy
    return PolicyConfig("", steps=(StepConfig(engine.pool.team_of(c.account, c.team)),))


def concerned(engine: Engine, before: Conversation, after: Conversation, now: datetime) -> bool:
    """Whether what has changed is named in a policy's condition: nothing else makes it follow another (routing 3.1)."""
    conditions = [p.when for p in engine.pool.config.policies if p.when]
    if not conditions:
        return False
    old, new = facts(engine, before, now), facts(engine, after, now)
    changed = {name for name, value in new.items() if value != old[name]}
    return any(changed & engine.tools.reads(when) for when in conditions)


def enter(
    engine: Engine, c: Conversation, now: datetime, reason: QueueReason, *, policy: PolicyConfig | None = None
) -> ConversationQueued:
    """The first step of the policy that fits, entered now."""
    policy = policy or select(engine, replace(c, entered_at=now), now)
    return at_step(engine, c, policy, 0, now, reason, entered_at=now)


def at_step(
    engine: Engine,
    c: Conversation,
    policy: PolicyConfig,
    number: int,
    now: datetime,
    reason: QueueReason,
    *,
    entered_at: datetime,
) -> ConversationQueued:
    """A step of a policy; step deadlines are sums from the entry on (routing 3.2)."""
    step = policy.steps[number]
    ends = entered_at + timedelta(seconds=sum(s.wait_s for s in policy.steps[: number + 1]))
    lasts = number + 1 < len(policy.steps) or (step.wait_s and (policy.overflow_team or policy.overflow_agent))
    queued = ConversationQueued(
        team=step.team,
        reason=reason,
        entered_at=entered_at,
        policy=policy.id,
        step=number,
        skills=_skills(engine.pool, c, step.skills),
        boost_s=min(boost(engine.pool, c.attributes.priority) + step.priority_boost_s, MOST_BOOST_S),
        tier=policy.tier,
        strategy=step.strategy,
        step_ends_at=ends if lasts else None,
        assigned_by_hand=_by_hand(engine, c, step.team, now, entered_at, step.strategy),
        due_at=c.dues.get(step.team),
    )
    return _preferring(engine, c, queued, step, now)


def in_team(
    engine: Engine,
    c: Conversation,
    team: str,
    now: datetime,
    reason: QueueReason,
    *,
    entered_at: datetime | None = None,
) -> ConversationQueued:
    """A team's queue without further steps: after a transfer, an overflow, an escalation."""
    return ConversationQueued(
        team=team,
        reason=reason,
        entered_at=entered_at or now,
        boost_s=boost(engine.pool, c.attributes.priority),
        tier=c.tier,
        assigned_by_hand=_by_hand(engine, c, team, now, entered_at or now),
        due_at=c.dues.get(team),
    )


def again(engine: Engine, c: Conversation, now: datetime, reason: QueueReason) -> ConversationQueued:
    """Back to the same place in the same step: an offer has failed, a wait for somebody is over."""
    place = placed(engine, c, now, reason, engine.pool.policy(c.policy))
    if reason is not QueueReason.OFFER_ENDED or c.preferred_until is None or c.preferred_until <= now:
        return place
    asked = c.excluded | {offer.agent for offer in c.offers.values()}
    wanted = replace(c, team=place.team, skills=place.skills)
    left = tuple(name for name in c.preferred if name not in asked and _there(engine, name, wanted))
    return replace(place, preferred=left, preferred_until=c.preferred_until if left else None)


def anew(engine: Engine, c: Conversation, now: datetime, reason: QueueReason) -> ConversationQueued:
    """Its old place by what is known of it now: while somebody had it, its attributes may have changed."""
    return placed(engine, c, now, reason, None)


def placed(
    engine: Engine, c: Conversation, now: datetime, reason: QueueReason, policy: PolicyConfig | None
) -> ConversationQueued:
    """Its place by the document in force, in the order it had; `policy` None: the one that fits now.

    Where somebody has sent it (a transfer, an overflow) no policy takes it back.
    """
    if c.entered_at == BEGINNING:
        return enter(engine, c, now, reason)
    if c.sent or c.team not in engine.pool.teams:
        team = c.team if c.team in engine.pool.teams else home(engine, c)
        return in_team(engine, c, team, now, reason, entered_at=c.entered_at)
    policy = policy or select(engine, c, now)
    if policy.id != c.policy:
        return at_step(engine, c, policy, 0, now, reason, entered_at=c.entered_at)
    step = min(c.step, len(policy.steps) - 1)  # a newer document may have fewer
    found = at_step(engine, c, policy, step, now, reason, entered_at=c.entered_at)
    return replace(found, preferred=(), preferred_until=None)


def home(engine: Engine, c: Conversation) -> str:
    """Where work of a removed team goes: its policy's overflow, else the account's team."""
    policy, pool = engine.pool.policy(c.policy), engine.pool
    overflow = policy.overflow_team if policy else ""
    return overflow if overflow in pool.teams else pool.team_of(c.account)


def next_step(engine: Engine, c: Conversation, now: datetime) -> ConversationQueued | str | None:
    """What follows the step it is in: a queue, an agent's id, or None where it stays."""
    policy = engine.pool.policy(c.policy)
    if policy is None:
        return None
    if c.step + 1 < len(policy.steps):
        return at_step(engine, c, policy, c.step + 1, now, QueueReason.RELAXED, entered_at=c.entered_at)
    if policy.overflow_team:
        return in_team(engine, c, policy.overflow_team, now, QueueReason.OVERFLOW, entered_at=c.entered_at)
    return policy.overflow_agent or None


def along(engine: Engine, c: Conversation, policy: PolicyConfig) -> list[Conversation]:
    """What it asks for at each step of a policy, and after the last one."""
    steps = [(step.team, _skills(engine.pool, c, step.skills)) for step in policy.steps]
    if policy.overflow_team:
        steps.append((policy.overflow_team, ()))
    return [replace(c, team=team, skills=skills) for team, skills in steps]


def skips(engine: Engine, c: Conversation, now: datetime) -> bool:
    """Whether a step that cannot serve it now is passed over at once."""
    policy = engine.pool.policy(c.policy)
    step = policy.steps[c.step] if policy and c.step < len(policy.steps) else None
    return step is not None and bool(step.skip_if) and engine.tools.condition(step.skip_if)(facts(engine, c, now))


def _skills(pool: Pool, c: Conversation, skills: Pairs) -> Pairs:
    if all(name != LANGUAGE for name, _ in skills):
        return skills
    known = {name for agent in pool.agents.values() for name, _ in agent.config.skills}
    language = c.attributes.language
    found = {(language if name == LANGUAGE else name): level for name, level in skills}
    return tuple(sorted((n, v) for n, v in found.items() if n != language or language in known))


def _by_hand(
    engine: Engine, c: Conversation, team: str, now: datetime, entered_at: datetime, strategy: Strategy | None = None
) -> bool:
    config = engine.pool.teams[team]
    if not config.auto_assign or (strategy or config.strategy) is Strategy.MANUAL:
        return True
    if not config.never_auto_assign:
        return False
    waits = replace(c, team=team, status=Status.QUEUED, entered_at=entered_at)
    return engine.tools.condition(config.never_auto_assign)(facts(engine, waits, now))


def kept_back(engine: Engine, c: Conversation, now: datetime) -> bool:
    """Whether waiting work has come to be of the kind that is only pulled, as by its age (routing 3.12)."""
    return _by_hand(engine, c, c.team, now, c.entered_at, c.strategy)


def _preferring(
    engine: Engine, c: Conversation, queued: ConversationQueued, step: StepConfig, now: datetime
) -> ConversationQueued:
    """Preferred agents who are there; who is not is passed over at once (routing 3.3)."""
    if not step.preferred and queued.reason is not QueueReason.REOPENED:
        return queued
    team = engine.pool.teams[step.team]
    names = [_named(c, name) for name in step.preferred]
    if queued.reason is QueueReason.REOPENED and _recently(c, now, team.reopen_sticky_s):
        names.insert(0, c.last_agent)
    wanted = replace(c, team=queued.team, skills=queued.skills)
    there = tuple(dict.fromkeys(n for n in names if n and _there(engine, n, wanted)))
    until = now + timedelta(seconds=step.sticky_wait_s) if there and step.sticky_wait_s else None
    return replace(queued, preferred=there, preferred_until=until)


def reopened(engine: Engine, c: Conversation, now: datetime) -> Conversation:
    """A resolved thread as it is once it is open again: what its policy is chosen by."""
    if same_cycle(engine, c, now):
        return replace(c, entered_at=now)
    return replace(c, entered_at=now, cycle=c.cycle + 1, cycle_began_at=now, told=set(), transfers=0, messages=0)


def same_cycle(engine: Engine, c: Conversation, now: datetime) -> bool:
    """Whether a resolved thread goes on where it was, or begins anew: transfers and texts count by cycle."""
    within = engine.pool.config.limits.reopen_within_s
    return within > 0 and _recently(c, now, within)


def _recently(c: Conversation, now: datetime, seconds: int) -> bool:
    return c.resolved_at is not None and (now - c.resolved_at).total_seconds() <= seconds


def _named(c: Conversation, name: str) -> str:
    if name == "previous":
        return c.last_agent or c.customer.last_agent_id
    return dict(c.attributes.values).get("manager", "") if name == "manager" else name


def anybody_there(engine: Engine, c: Conversation) -> bool:
    """Whether one of those that waiting work is kept for is still there for it."""
    return any(_there(engine, name, c) for name in c.preferred)


def _there(engine: Engine, agent_id: str, c: Conversation) -> bool:
    """Online and able, whether or not there is room."""
    agent, allowed = engine.pool.agents.get(agent_id), c.attributes.allowed_agents
    if agent is None or (allowed and agent_id not in allowed):
        return False
    return qualified(engine, agent, c) and present(agent, engine.pool.teams[c.team])
