"""Which policy a conversation follows, and what each of its steps asks for (routing 3.1 to 3.4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from trunkline_router.events import ConversationQueued
from trunkline_router.facts import QueueReason
from trunkline_router.index import available
from trunkline_router.pool import Conversation, Pool
from trunkline_router.routing import Pairs, PolicyConfig, StepConfig, Strategy
from trunkline_router.state import Engine

LANGUAGE = "$language"  # in place of a skill: the language of the conversation, where that is a skill


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
        "waiting_s": int((now - c.entered_at).total_seconds()),
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
    return named.get(priority, int(priority) if priority.lstrip("-").isdigit() else 0)


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


def enter(
    engine: Engine, c: Conversation, now: datetime, reason: QueueReason, *, policy: PolicyConfig | None = None
) -> ConversationQueued:
    """The first step of the policy that fits, entered now."""
    policy = policy or select(engine, c, now)
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
        boost_s=boost(engine.pool, c.attributes.priority) + step.priority_boost_s,
        tier=policy.tier,
        strategy=step.strategy,
        step_ends_at=ends if lasts else None,
        assigned_by_hand=_by_hand(engine, c, step.team, now, step.strategy),
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
        assigned_by_hand=_by_hand(engine, c, team, now),
        due_at=c.dues.get(team),
    )


def again(engine: Engine, c: Conversation, now: datetime, reason: QueueReason) -> ConversationQueued:
    """Back to the same place in the same step: an offer has failed, an agent was lost."""
    if c.team not in engine.pool.teams:
        return in_team(engine, c, home(engine, c), now, reason, entered_at=c.entered_at)
    return ConversationQueued(
        team=c.team,
        reason=reason,
        entered_at=c.entered_at,
        policy=c.policy,
        step=c.step,
        skills=c.skills,
        boost_s=c.boost_s,
        tier=c.tier,
        strategy=c.strategy,
        step_ends_at=c.step_ends_at,
        assigned_by_hand=_by_hand(engine, c, c.team, now, c.strategy),
        due_at=c.dues.get(c.team),
    )


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


def _by_hand(engine: Engine, c: Conversation, team: str, now: datetime, strategy: Strategy | None = None) -> bool:
    config = engine.pool.teams[team]
    if not config.auto_assign or (strategy or config.strategy) is Strategy.MANUAL:
        return True
    never = config.never_auto_assign
    return bool(never) and engine.tools.condition(never)(facts(engine, c, now))


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
    there = tuple(dict.fromkeys(n for n in names if n and _there(engine, n, queued)))
    until = now + timedelta(seconds=step.sticky_wait_s) if there and step.sticky_wait_s else None
    return replace(queued, preferred=there, preferred_until=until)


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


def _there(engine: Engine, agent_id: str, queued: ConversationQueued) -> bool:
    """Online and able, whether or not there is room."""
    agent = engine.pool.agents.get(agent_id)
    if agent is None or queued.team not in agent.config.teams:
        return False
    from_team = engine.pool.teams[queued.team]
    skills = dict(agent.config.skills)
    able = all(skills.get(s, 0) >= level for s, level in queued.skills)
    return able and available(agent, from_team, engine.index.now)
