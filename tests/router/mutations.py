"""Rules of routing, each with what switches it off: a scenario of the rule must notice (test_scenarios.py)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from trunkline_router import (
    agents,
    changes,
    closing,
    commands,
    engine,
    explain_agents,
    fold,
    fold_agents,
    holds,
    index,
    matching,
    messages,
    moves,
    policies,
    promises,
    refusals,
    state,
    timers,
    wire_config,
)
from trunkline_router.events import (
    ConversationAbsorbed,
    ConversationQueued,
    ConversationReleased,
    ConversationReopened,
    ConversationSnoozed,
    MessageSent,
    OfferDeclined,
)
from trunkline_router.facts import Presence, QueueReason, RescindReason, Unanswered
from trunkline_router.inputs import EndWrapUp
from trunkline_router.pool import BEGINNING, Agent, Conversation, Pool, Status
from trunkline_router.pool_events import AgentPresenceChanged, PoolConfigured
from trunkline_router.routing import Mode, Order, Strategy, TextKind
from trunkline_router.state import Engine

Patch = pytest.MonkeyPatch
Off = Callable[[Patch], None]
Wrapped = Callable[..., Any]


def _nowhere_else(original: Wrapped, e: Engine, c: Conversation, now: Any) -> Any:
    """Offers every customer the first address there is, their own channel's too."""
    first = e.pool.config.addresses[0]
    return original(e, c, now) | {"alternative.channel": first.channel, "alternative.address": first.address}


# -- ways to switch something off


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> Off:
    """In place of a function: `around(original, *arguments)`, wherever it was imported."""

    def off(patch: Patch) -> None:
        original = getattr(owner, name)

        def new(*args: Any, **kwargs: Any) -> Any:
            return around(original, *args, **kwargs)

        patch.setattr(owner, name, new)
        for module in [m for key, m in sys.modules.items() if key.startswith("trunkline_router.")]:
            if module is not owner and getattr(module, name, None) is original:
                patch.setattr(module, name, new)

    return off


def gives(owner: Any, name: str, answer: Callable[[], Any]) -> Off:
    """A function that answers the same whatever it is asked."""
    return wrap(owner, name, lambda _original, *_args, **_kwargs: answer())


def queued(change: Callable[..., Mapping[str, Any]]) -> Off:
    """A step is entered otherwise: fields of the ConversationQueued, from (it, policy, step, now)."""

    def around(original: Wrapped, eng: Any, c: Any, policy: Any, number: int, now: Any, *args: Any, **more: Any) -> Any:
        found = original(eng, c, policy, number, now, *args, **more)
        return replace(found, **change(found, policy.steps[number], now))

    return wrap(policies, "at_step", around)


def back(change: Callable[..., Mapping[str, Any]]) -> Off:
    """What returns to a queue does so otherwise: from (it, now)."""

    def around(original: Wrapped, eng: Any, c: Any, now: Any, *args: Any, **more: Any) -> Any:
        found = original(eng, c, now, *args, **more)
        return replace(found, **change(found, now))

    return wrap(policies, "placed", around)


def ignored(part: str, **same: Any) -> Off:
    """A setting of teams, agents, channel_classes or limits is the same for everybody, whatever the document says."""

    def around(original: Wrapped, to: Engine, new: PoolConfigured) -> None:
        value = getattr(new, part)
        made = tuple(replace(one, **same) for one in value) if isinstance(value, tuple) else replace(value, **same)
        changed: dict[str, Any] = {part: made}
        original(to, replace(new, **changed))

    return wrap(fold_agents, "_configure", around)


def placed(change: Callable[[Conversation], Mapping[str, Any]]) -> Off:
    """The place in the queue is that of another conversation."""

    def around(original: Wrapped, c: Conversation, *args: Any) -> Any:
        return original(replace(c, **change(c)), *args)

    return wrap(Conversation, "place", around)


def ordered(instead: Mapping[Order, Order]) -> Off:
    """One order is taken for another."""
    return wrap(
        Conversation, "place", lambda original, c, order, target: original(c, instead.get(order, order), target)
    )


def chosen(strategy: Strategy, key: Callable[..., tuple[Any, ...]]) -> Off:
    """A strategy has another key: from (original, agent, team)."""

    def around(original: Wrapped, agent: Agent, team: str, of: Strategy) -> Any:
        return key(original, agent, team) if of is strategy else original(agent, team, of)

    return wrap(index, "choice_key", around)


def as_longest_idle(original: Wrapped, agent: Agent, team: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] = original(agent, team, Strategy.LONGEST_IDLE)
    return found


def seen(change: Callable[[Agent], Mapping[str, Any]]) -> Off:
    """Whether an agent is available is asked of a slightly different agent."""

    def around(original: Wrapped, agent: Agent, *args: Any) -> Any:
        return original(replace(agent, **change(agent)), *args)

    return wrap(index, "available", around)


def asked_of(change: Callable[[Conversation], Mapping[str, Any]]) -> Off:
    """Waiting work asks for something else."""

    def around(original: Wrapped, self: Any, c: Conversation, channel_class: str) -> None:
        original(self, replace(c, **change(c)), channel_class)

    return wrap(index.Index, "wait", around)


def no_rescind(reason: RescindReason) -> Off:
    """Offers go on for that reason."""
    return wrap(changes, "rescinds", lambda original, c, why, **more: [] if why is reason else original(c, why, **more))


def not_due(status: Status) -> Off:
    """Nothing is ever due of a conversation in that status."""
    return wrap(Engine, "dues", lambda original, self, c: [] if c.status is status else original(self, c))


def receives(**change: Any) -> Off:
    """A message is taken for another."""
    return wrap(messages, "receive", lambda original, eng, m, now: original(eng, replace(m, **change), now))


def both(*offs: Off) -> Off:
    """Two that only make sense together."""

    def off(patch: Patch) -> None:
        for one in offs:
            one(patch)

    return off


# -- what stands in for a rule


def _last_policy(original: Wrapped, eng: Engine, c: Conversation, now: Any) -> Any:
    found = eng.pool.config.policies
    return found[-1] if found else original(eng, c, now)


def _always_anew(_original: Wrapped, eng: Engine, c: Conversation, after: Any, now: Any, *_more: Any) -> Any:
    again = policies.again(eng, after, now, QueueReason.CHANGED)
    return [*changes.rescinds(c, RescindReason.CHANGED), again]


def _taken_back(_original: Wrapped, eng: Engine, _c: Conversation, after: Any, now: Any) -> Any:
    return [policies.at_step(eng, after, policies.select(eng, after, now), 0, now, QueueReason.CHANGED, entered_at=now)]


def _waited_anew(original: Wrapped, eng: Engine, c: Conversation, after: Any, now: Any) -> Any:
    until = now + timedelta(seconds=30)
    found = original(eng, c, after, now)
    return [replace(p, preferred_until=until) if isinstance(p, ConversationQueued) else p for p in found]


def _step_kept(_original: Wrapped, eng: Engine, c: Conversation, now: Any, reason: Any, policy: Any) -> Any:
    policy = policy or policies.select(eng, c, now)
    return policies.at_step(eng, c, policy, c.step, now, reason, entered_at=c.entered_at)


def _visited(original: Wrapped, eng: Engine, c: Conversation, *args: Any) -> Any:
    return original(eng, replace(c, entered_at=c.entered_at + timedelta(seconds=1)), *args)


def _always_entered(original: Wrapped, to: Engine, c: Conversation, queued: Any) -> None:
    original(to, c, queued)
    to.entered.append(c.id)


def _asleep_is_everybodys(original: Wrapped, c: Conversation, *args: Any, **more: Any) -> None:
    if c.status is not Status.SNOOZED:
        original(c, *args, **more)


def _misses_stay(original: Wrapped, to: Engine, c: Conversation, payload: Any, at: Any) -> None:
    agent = to.pool.agents.get(getattr(payload, "agent_id", ""))
    missed = agent.missed if agent else 0
    original(to, c, payload, at)
    if agent and isinstance(payload, OfferDeclined):
        agent.missed = missed


def _ended_alike(original: Wrapped, eng: Engine, c: Conversation, *args: Any) -> Any:
    if c.status is Status.NEW:
        raise refusals.wrong_status(c, "reopen it first")
    return original(eng, c, *args)


def _unreleased(original: Wrapped, *args: Any) -> Any:
    return (p for p in original(*args) if not isinstance(p, ConversationReleased))


def _failure_advances(original: Wrapped, eng: Engine, c: Conversation, now: Any, reason: Any, *more: Any) -> Any:
    following = policies.next_step(eng, c, now) if reason is QueueReason.OFFER_ENDED else None
    return following if isinstance(following, ConversationQueued) else original(eng, c, now, reason, *more)


def _skip_first(original: Wrapped, eng: Engine, own: Any, now: Any) -> Any:
    events: list[Any] = []
    while passed := engine._skipped(eng, now):
        events += engine._record(eng, passed, own, now)
    return [*events, *original(eng, own, now)]


def _around_again(original: Wrapped, eng: Engine, c: Conversation, now: Any) -> Any:
    policy = eng.pool.policy(c.policy)
    found = original(eng, c, now)
    if found is not None or policy is None:
        return found
    return policies.at_step(eng, c, policy, 0, now, QueueReason.RELAXED, entered_at=c.entered_at)


def _no_overflow(kind: type) -> Callable[..., Any]:
    def around(original: Wrapped, eng: Engine, c: Conversation, now: Any) -> Any:
        found = original(eng, c, now)
        return None if isinstance(found, kind) and getattr(found, "policy", "") == "" else found

    return around


def _same_skills(original: Wrapped, eng: Any, c: Any, policy: Any, number: int, *args: Any, **more: Any) -> Any:
    steps = tuple(replace(s, skills=policy.steps[0].skills) for s in policy.steps)
    return original(eng, c, replace(policy, steps=steps), number, *args, **more)


def _nothing_kept(original: Wrapped, self: Engine, c: Conversation) -> None:
    original(self, c)
    self.kept_for.clear()


def _untouched(original: Wrapped, self: Engine, c: Conversation) -> None:
    original(self, c)
    self.touched.discard(c.id)


def _unnoticed(original: Wrapped, self: Engine, agent: Agent) -> None:
    original(self, agent)
    self.touched_agents.discard(agent.config.id)


def _idle_anew(original: Wrapped, to: Engine, payload: Any, at: Any) -> None:
    if isinstance(payload, AgentPresenceChanged):
        to.pool.agents[payload.agent_id].last_assigned_at = at
    original(to, payload, at)


def _of_every_team(original: Wrapped, self: Any, agent: Agent) -> Any:
    return original(self, replace(agent, config=replace(agent.config, teams=tuple(self.teams))))


def _kept_misses(original: Wrapped, to: Engine, c: Any, agent_id: str, at: Any, *more: Any) -> None:
    missed = to.pool.agents[agent_id].missed
    original(to, c, agent_id, at, *more)
    to.pool.agents[agent_id].missed = missed


def _late_is_fine(original: Wrapped, c: Conversation, command: Any) -> Any:
    return original(c, command) if command.offer_id in c.offers else []


def _never_twice(original: Wrapped, c: Conversation, command: Any) -> Any:
    return original(replace(c, accepted_offer="another"), command)


def _no_room_taken(original: Wrapped, to: Engine, c: Conversation, offer_id: str, offer: Any) -> None:
    original(to, c, offer_id, offer)
    agent = to.pool.agents[offer.agent]
    agent.holds.pop(c.id)
    to.put(agent)


def _no_turn(original: Wrapped, to: Engine, c: Conversation, offer_id: str, offer: Any) -> None:
    agent = to.pool.agents[offer.agent]
    turns = dict(agent.rotated)
    original(to, c, offer_id, offer)
    agent.rotated = turns
    to.put(agent)


def _within_capacity(original: Wrapped, eng: Engine, c: Conversation, command: Any, asked: Any) -> Any:
    agent = eng.pool.agents.get(command.to_agent_id)
    if agent is not None and not agent.fits(eng.channel_class(c.channel)):
        raise refusals.wrong_status(c, "there is no room")
    return original(eng, c, command, asked)


def _anybody_may(original: Wrapped, eng: Engine, c: Conversation, command: Any, asked: Any) -> Any:
    return original(eng, c, command, replace(asked, supervising=True))


def _survivors_place(original: Wrapped, eng: Engine, c: Conversation, command: Any) -> Any:
    at = eng.pool.conversations[command.into].entered_at
    return [
        (name, replace(p, entered_at=at) if isinstance(p, ConversationAbsorbed) else p)
        for name, p in original(eng, c, command)
    ]


def _old_place(original: Wrapped, eng: Engine, c: Conversation, command: Any, now: Any) -> Any:
    return [
        (name, replace(p, entered_at=c.entered_at) if isinstance(p, ConversationQueued) else p)
        for name, p in original(eng, c, command, now)
    ]


def _held_after(kind: type) -> Callable[..., None]:
    """Its agent's units stay in use."""

    def around(original: Wrapped, to: Engine, c: Conversation, payload: Any, at: Any) -> None:
        agent = to.pool.agents.get(c.agent)
        original(to, c, payload, at)
        if isinstance(payload, kind) and agent is not None:
            holds.hold(to, agent, c)

    return around


def _resolved_but_held(original: Wrapped, to: Engine, c: Conversation, *args: Any) -> None:
    agent = to.pool.agents.get(c.agent)
    original(to, c, *args)
    if agent is not None:
        holds.hold(to, agent, c)


def _bounced(original: Wrapped, eng: Engine, c: Conversation, reason: Any, now: Any) -> Any:
    found = original(eng, c, reason, now)
    agent = eng.pool.agents.get(c.agent)
    if agent is not None and not agent.fits(eng.channel_class(c.channel)):
        return [replace(found[0], agent_id=""), policies.again(eng, c, now, QueueReason.WOKEN)]
    return found


def _counted_on(original: Wrapped, to: Engine, c: Conversation, payload: Any, at: Any) -> None:
    transfers = c.transfers
    original(to, c, payload, at)
    if isinstance(payload, ConversationReopened):
        c.transfers = transfers


def _waits_again(original: Wrapped, eng: Engine, c: Conversation, m: Any, now: Any) -> Any:
    return original(eng, replace(c, status=Status.NEW), m, now)


def _told_again(original: Wrapped, eng: Engine, c: Conversation, m: Any, now: Any) -> Any:
    again = changes.text(eng, replace(c, told=set()), TextKind.ACKNOWLEDGEMENT, now)
    return original(eng, c, m, now) or again


def _keeps_waiting(original: Wrapped, eng: Engine, c: Conversation, m: Any, now: Any) -> Any:
    return [] if c.status is Status.QUEUED else original(eng, c, m, now)


def _sleeps_on(original: Wrapped, eng: Engine, c: Conversation, m: Any, now: Any) -> Any:
    return [] if c.status is Status.SNOOZED else original(eng, c, m, now)


def _lost_at_once(original: Wrapped, agent: Agent, pool: Any) -> Any:
    return [*agent.wraps.values(), *([agent.lost_at] if agent.lost_at else [])] if agent else original(agent, pool)


def _always_open(original: Wrapped, *args: Any) -> Any:
    return original(*args) | {"open": True}


def _reversed(original: Wrapped, agent: Agent, team: str) -> tuple[Any, ...]:
    *rest, name = original(agent, team, Strategy.LONGEST_IDLE)
    return (*rest, [-ord(letter) for letter in name], name)


def _plain_skills(original: Wrapped, pool: Any, c: Any, skills: Any) -> Any:
    return original(pool, c, tuple((name, level) for name, level in skills if name != policies.LANGUAGE))


def _by_promise(original: Wrapped, promise: Any, c: Conversation) -> bool:
    """Every policy fits."""
    original(promise, c)
    return True


def _said_by_itself(original: Wrapped, eng: Engine, c: Conversation, command: Any, now: Any) -> Any:
    return changes.closing_text(eng, c, now) if command.closing_text else original(eng, c, command, now)


def _any_text_answers(original: Wrapped, to: Engine, c: Conversation, payload: Any, at: Any) -> None:
    original(to, c, payload, at)
    if isinstance(payload, MessageSent):
        promises.keep(to, c, ())


def _invited_again(original: Wrapped, eng: Engine, c: Conversation, *more: Any) -> Any:
    return original(eng, replace(c, told=set()), *more)


def _invited_anywhere(original: Wrapped, eng: Engine, c: Conversation, *more: Any) -> Any:
    return original(eng, replace(c, attributes=replace(c.attributes, tags=("public",))), *more)


def _invited_if_nobody_has_it(original: Wrapped, eng: Engine, c: Conversation, *more: Any) -> Any:
    return original(eng, c, *more) if c.status in (Status.QUEUED, Status.OFFERED) else []


def _never_answered(original: Wrapped, eng: Engine, c: Conversation, command: Any, now: Any) -> Any:
    return original(eng, replace(c, unanswered=(Unanswered(1, now),)), command, now)


def _answers_all(original: Wrapped, pool: Any, c: Conversation, sent: Any) -> Any:
    return original(pool, c, replace(sent, answers_through_seq=0))


def _forgotten(original: Wrapped, to: Engine, c: Conversation, other: Any) -> None:
    original(to, c, replace(other, unanswered_since=None))


def _always_along(original: Wrapped, eng: Engine, c: Conversation, command: Any, now: Any) -> Any:
    return original(eng, c, replace(command, with_unanswered=True), now)


def _never_along(original: Wrapped, eng: Engine, c: Conversation, command: Any, now: Any) -> Any:
    return original(eng, c, replace(command, with_unanswered=False), now)


def _rejected_and_done(original: Wrapped, to: Engine, c: Conversation, at: Any) -> None:
    original(to, c, at)
    promises.forget(c)


def _dues_kept(original: Wrapped, to: Engine, c: Conversation, unanswered: Any) -> None:
    dues = c.dues
    original(to, c, unanswered)
    c.dues = dues


def _no_due(original: Wrapped, *args: Any, **more: Any) -> Any:
    return replace(original(*args, **more), due_at=None)


def _team_says(original: Wrapped, eng: Engine, agent: Agent, c: Conversation) -> Any:
    team = eng.pool.teams[c.team]
    by_hand = not team.auto_assign or team.strategy is Strategy.MANUAL
    return original(eng, agent, replace(c, by_hand=c.by_hand or by_hand))


def _reopens_not(original: Wrapped, eng: Engine, m: Any, now: Any) -> Any:
    return [(name, p) for name, p in original(eng, m, now) if not isinstance(p, ConversationReopened)]


def _channels(**same: Any) -> Off:
    return ignored("channel_classes", **same)


def _entered_now(_found: Any, now: Any) -> Mapping[str, Any]:
    return {"entered_at": now}


#: Every rule that a scenario names, and how it is switched off.
RULES: dict[str, Off] = {
    # 3.1, 3.2 policies and steps
    "first_policy": wrap(policies, "select", _last_policy),
    "waiting_begins": wrap(policies, "facts", lambda original, *args: original(*args) | {"waiting_s": 10**9}),
    "unrelated_by_time": gives(policies, "concerned", lambda: True),
    "reopened_by_agent": wrap(policies, "reopened", lambda _original, _eng, c, _now: c),
    "outbound_place": wrap(policies, "placed", _visited),
    "failed_offer_skips": wrap(fold, "_queue", _always_entered),
    "step_after_sleep": back(lambda _found, _now: {"step_ends_at": None}),
    "known_when_it_waits_again": wrap(policies, "anew", lambda _original, *args: policies.again(*args)),
    "document_followed": gives(changes, "same_place", lambda: True),
    "timers_anew": gives(state.Engine, "_time_anew", lambda: None),
    "second_preferred": wrap(
        policies, "again", lambda original, *args: replace(original(*args), preferred=(), preferred_until=None)
    ),
    "asleep_when_lost": gives(commands, "_is_back", lambda: True),
    "asleep_is_theirs": wrap(commands, "must_be_theirs", _asleep_is_everybodys),
    "allowed_pull": gives(moves, "_may_pull", lambda: None),
    "never_by_age": gives(policies, "kept_back", lambda: False),
    "somebody_busy": wrap(messages, "present", lambda _original, agent, _team: not agent.holds),
    "somebody_later": wrap(policies, "along", lambda original, *args: original(*args)[:1]),
    "answered_between": wrap(fold, "_evolve_offer", _misses_stay),
    "merge_wakes": wrap(commands, "_merge", lambda _original, eng, c, command, _now: moves.merge(eng, c, command)),
    "outbound_pulled": wrap(moves, "assign", _ended_alike),
    "snoozed_counts": _channels(snoozed_counts=False),
    "wrap_of_same": wrap(engine, "_with_ends", lambda _original, _eng, decision: decision),
    "released_by_document": wrap(engine, "_moved", _unreleased),
    "policy_anew": gives(changes, "placed_anew", list),
    "policy_anew_by_message": wrap(messages, "_follows", _keeps_waiting),
    "transfer_stays": wrap(changes, "placed_anew", _taken_back),
    "wait_goes_on": wrap(changes, "placed_anew", _waited_anew),
    "step_that_is_gone": wrap(policies, "placed", _step_kept),
    "unrelated_change": wrap(changes, "placed_anew", _always_anew),
    "next_step": gives(policies, "next_step", lambda: None),
    "step_deadline": queued(
        lambda q, step, now: {"step_ends_at": q.step_ends_at and now + timedelta(seconds=step.wait_s)}
    ),
    "failed_offer_stays": wrap(policies, "again", _failure_advances),
    "skip_if": gives(policies, "skips", lambda: False),
    "no_skip": gives(policies, "skips", lambda: True),
    "skip_after_match": wrap(engine, "_settle", _skip_first),
    "drop": wrap(policies, "at_step", _same_skills),
    "hard_skill": queued(lambda q, _step, _now: {"skills": q.skills if q.step == 0 else ()}),
    "stays_in_last": both(
        wrap(policies, "next_step", _around_again),
        queued(lambda q, step, now: {"step_ends_at": q.step_ends_at or now + timedelta(seconds=step.wait_s)}),
    ),
    "overflow_team": wrap(policies, "next_step", _no_overflow(ConversationQueued)),
    "overflow_agent": wrap(policies, "next_step", _no_overflow(str)),
    "step_boost": queued(lambda q, step, _now: {"boost_s": q.boost_s - step.priority_boost_s}),
    "step_strategy": queued(lambda _q, _step, _now: {"strategy": None}),
    # 3.3 preferred agents
    "preferred": queued(lambda _q, _step, _now: {"preferred": (), "preferred_until": None}),
    "sticky_wait": queued(lambda _q, _step, _now: {"preferred_until": None}),
    "kept_for": wrap(Engine, "enqueue", _nothing_kept),
    "preferred_there": gives(policies, "_there", lambda: True),
    "reopen_sticky": gives(policies, "_recently", lambda: False),
    "reopen_sticky_s": gives(policies, "_recently", lambda: True),
    # 3.4, 2.6 the order of waiting work
    "entered_at": placed(lambda c: {"entered_at": BEGINNING, "ordinal": -c.ordinal}),
    "boost": placed(lambda _c: {"boost_s": 0}),
    "no_starvation": ordered({Order.BOOST: Order.STRICT}),
    "priority_number": wrap(policies, "boost", lambda _original, pool, name: dict(pool.config.priorities).get(name, 0)),
    "tier": placed(lambda _c: {"tier": 1}),
    "strict": ordered({Order.STRICT: Order.BOOST}),
    "edf": ordered({Order.EDF: Order.BOOST}),
    "keeps_place": back(_entered_now),
    "release": back(_entered_now),
    "tie": placed(lambda c: {"ordinal": -c.ordinal}),
    "tie_of_agents": chosen(Strategy.LONGEST_IDLE, _reversed),
    # 3.5 the choice of an agent
    "longest_idle": chosen(Strategy.LONGEST_IDLE, lambda _original, agent, _team: (agent.config.id,)),
    "idle_kept": wrap(fold_agents, "evolve", _idle_anew),
    "least_loaded": chosen(Strategy.LEAST_LOADED, as_longest_idle),
    "best_skill": gives(index, "_levels", lambda: 0),
    "rotation": chosen(Strategy.ROTATION, as_longest_idle),
    "rotation_asked": wrap(fold, "_offer", _no_turn),
    "least_assigned": chosen(Strategy.LEAST_ASSIGNED, as_longest_idle),
    "manual": ignored("teams", strategy=Strategy.LONGEST_IDLE, auto_assign=True),
    "manual_step": queued(lambda _q, _step, _now: {"strategy": None, "assigned_by_hand": False}),
    # 2.3 who is eligible
    "skill": asked_of(lambda _c: {"skills": ()}),
    "skill_level": asked_of(lambda c: {"skills": tuple((name, 1) for name, _ in c.skills)}),
    "member": wrap(index.Index, "_profile", _of_every_team),
    "accepting": seen(lambda _a: {"accepting": True}),
    "presence": seen(lambda _a: {"presence": Presence.ONLINE}),
    "away": ignored("teams", away_is_available=True),
    "away_counts": ignored("teams", away_is_available=False),
    "not_responding": seen(lambda _a: {"not_responding": False}),
    # 3.6 work conserving
    "arrival_served": wrap(Engine, "enqueue", _untouched),
    "agent_served": wrap(Engine, "put", _unnoticed),
    # 3.7 offers
    "accept": gives(commands, "_accept", list),
    "auto_assign_mode": _channels(mode=Mode.OFFER),
    "offer_timeout": gives(timers, "_missed", list),
    "exclusion": gives(fold, "_exclude", lambda: None),
    "new_visit": wrap(fold, "_leave", lambda original, to, c, **_more: original(to, c, keep_exclusions=True)),
    "reoffer": gives(timers, "_only_the_excluded", lambda: False),
    "reoffer_while_busy": wrap(
        timers,
        "_only_the_excluded",
        lambda original, e, c, *more: original(e, c, *more) and set(e.pool.agents) <= c.excluded,
    ),
    "misses_in_a_row": wrap(fold, "_assign", _kept_misses),
    "rescind_resolved": no_rescind(RescindReason.RESOLVED),
    "rescind_transferred": no_rescind(RescindReason.TRANSFERRED),
    "rescind_merged": no_rescind(RescindReason.MERGED),
    "rescind_taken": no_rescind(RescindReason.TAKEN),
    "offline_rescinds": gives(agents, "_take_back", list),
    "late_accept": wrap(commands, "_accept", _late_is_fine),
    "accept_twice": wrap(commands, "_accept", _never_twice),
    "broadcast": wrap(matching, "choose", lambda original, *args: original(*args)[:1]),
    "offer_reserves": wrap(fold, "_offer", _no_room_taken),
    # 3.8 by hand
    "pull": wrap(moves, "assign", _within_capacity),
    "capacity": wrap(Agent, "fits", lambda _original, _agent, _wanted: True),
    "one_owner": wrap(moves, "assign", _anybody_may),
    # 3.9 agents who are lost
    "keep_when_lost": wrap(
        Engine, "channel_class", lambda original, self, c: replace(original(self, c), requeue_when_lost=True)
    ),
    "requeue_when_lost": _channels(requeue_when_lost=False),
    "grace": wrap(state, "agent_dues", _lost_at_once),
    "removed_agent": gives(agents, "without", list),
    "removed_by_document": gives(engine, "_moved", list),
    # 3.10 to 3.12 settings
    "accept_without_agents": ignored("teams", accept_without_agents=False),
    "reject_without_agents": ignored("teams", accept_without_agents=True),
    "bot": ignored("teams", assign_bots=True),
    "bot_on": ignored("teams", assign_bots=False),
    "never_auto_assign": ignored("teams", never_auto_assign=""),
    "rate_limit": gives(index, "within_rate", lambda: True),
    "rate_window": gives(state, "rate_due", lambda: None),
    "allowed": wrap(
        changes, "attributes", lambda original, e, c, m, now: original(e, c, replace(m, allowed_agents=None), now)
    ),
    # 3.13 merge and split
    "merge": wrap(moves, "merge", _survivors_place),
    "merged_messages": wrap(Pool, "surviving", lambda _original, pool, name: pool.conversations.get(name)),
    "split": wrap(moves, "split", _old_place),
    # 4 capacity
    "weight": _channels(weight=1),
    "cap": ignored("agents", caps=()),
    "interruptible": _channels(interruptible=False),
    "all_load": wrap(
        Agent, "fits", lambda original, agent, wanted: original(agent, replace(wanted, interruptible=False))
    ),
    "snooze_frees": wrap(fold, "_evolve", _held_after(ConversationSnoozed)),
    "wake_above": wrap(commands, "wake", _bounced),
    "wake_due": not_due(Status.SNOOZED),
    "wake_by_message": wrap(messages, "_follows", _sleeps_on),
    "resolve_frees": wrap(fold, "_resolve", _resolved_but_held),
    "wrap_up": gives(changes, "wrap_until", lambda: None),
    "end_wrap_up": wrap(
        agents, "decide", lambda original, e, m, now: [] if isinstance(m, EndWrapUp) else original(e, m, now)
    ),
    # features that concern routing
    "transfer_limit": ignored("limits", max_transfers=0),
    "transfers_of_cycle": wrap(fold, "_evolve", _counted_on),
    "same_cycle": gives(policies, "same_cycle", lambda: False),
    "new_cycle": gives(policies, "same_cycle", lambda: True),
    "transfer_to_agent": wrap(
        moves, "transfer", lambda original, e, c, m, *more: original(e, c, replace(m, to_agent_id=""), *more)
    ),
    "unknown_team": wrap(
        moves, "transfer", lambda original, e, c, m, *more: original(e, c, replace(m, to_team=c.team), *more)
    ),
    "callback": not_due(Status.SCHEDULED),
    "start": wrap(moves, "start", lambda original, e, m, now: original(e, replace(m, agent_id=""), now)),
    "told_once": wrap(messages, "_follows", _told_again),
    "loop_guard": receives(automatic=False),
    "reopen_by_people": receives(automatic=False),
    "text_language": wrap(
        changes, "_chosen", lambda original, texts, kind, channel, _l: original(texts, kind, channel, "")
    ),
    "out_of_hours": gives(policies, "is_open", lambda: True),
    "open_fact": wrap(policies, "facts", _always_open),
    "deflection": gives(Engine, "deflects_at", lambda: None),
    "deflection_guard": receives(automatic=False),
    "deflection_elsewhere": wrap(changes, "values", _nowhere_else),
    "closing": gives(changes, "closing_text", list),
    # in public (features 6)
    "public_crisis": wrap(policies, "facts", lambda original, *args: original(*args) | {"public": False}),
    "long_exchange": wrap(policies, "facts", lambda original, *args: original(*args) | {"messages": 0}),
    "invite_private": gives(changes, "invitation", list),
    "invite_public": both(
        wrap(changes, "invitation", _invited_anywhere),
        wrap(changes, "invited", _invited_anywhere),
    ),
    "invite_by_policy": ignored("policies", invite_private=True),
    "invite_once": both(
        wrap(changes, "invitation", _invited_again),
        wrap(changes, "invited", _invited_again),
    ),
    "invite_loop_guard": receives(automatic=False),
    "invite_by_attributes": wrap(
        changes,
        "attributes",
        lambda original, *args: [p for p in original(*args) if not isinstance(p, MessageSent)],
    ),
    "invite_who_waits": wrap(changes, "attributes", _never_answered),
    "invite_in_hand": wrap(changes, "invited", _invited_if_nobody_has_it),
    "invite_answers_nobody": wrap(fold, "_evolve", _any_text_answers),
    "reply_answers": wrap(promises, "after_reply", lambda _original, _pool, c, _sent: c.unanswered),
    "one_conversation": wrap(messages, "_follows", _waits_again),
    # promises (sla 7, 8)
    "last_word": gives(promises, "owes", lambda: False),
    "closing_word": wrap(
        closing, "_last_word", lambda original, e, c, m, now: original(e, c, replace(m, closing=None), now)
    ),
    "closing_key": wrap(closing, "_last_word", _said_by_itself),
    "waive": wrap(closing, "resolve", lambda original, *args, **_as: original(*args, supervising=True)),
    "waived_only_what_is_owed": wrap(promises, "owes", lambda _original, _pool, _c: True),
    "last_word_off": ignored("promises", last_word=True),
    "last_word_of_replies": lambda patch: patch.setattr(wire_config, "REPLIES", {"resolution"}),
    "first_promise": wrap(promises, "_fits", _by_promise),
    "bot_reply": ignored("promises", bot_reply_counts=True),
    "bot_reply_counts": ignored("promises", bot_reply_counts=False),
    "auto_text": wrap(fold, "_evolve", _any_text_answers),
    "answers_through": wrap(promises, "after_reply", _answers_all),
    "merge_unanswered": wrap(fold, "_absorb", _forgotten),
    "split_unanswered": wrap(moves, "split", _never_along),
    "split_without": wrap(moves, "split", _always_along),
    "rejected_waits": wrap(fold, "_end", _rejected_and_done),
    "reopened_by_thanks": wrap(messages, "receive", _reopens_not),
    "edf_due": wrap(messages, "_due", lambda _original, _pool, _c, queued, _preview: queued),
    "edf_due_kept": wrap(policies, "again", _no_due),
    "edf_due_ends": wrap(promises, "keep", _dues_kept),
    "auto_assign_off_later": gives(changes, "same_place", lambda: True),
    "split_by_hand": both(
        wrap(
            moves,
            "split",
            lambda original, *args: [
                (name, replace(p, assigned_by_hand=False) if isinstance(p, ConversationQueued) else p)
                for name, p in original(*args)
            ],
        ),
        gives(policies, "kept_back", lambda: False),
    ),
    "own_step": wrap(explain_agents, "_not_by_itself", _team_says),
    "removed_team": wrap(policies, "home", lambda _original, e, c: e.pool.team_of(c.account)),
    "language": wrap(policies, "_skills", _plain_skills),
}
