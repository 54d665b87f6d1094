"""The clocks of one conversation while an event passes over them, and the facts that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from trunkline_sla import evaluation_clocks as clocks
from trunkline_sla import evaluation_timers as timers
from trunkline_sla.evaluation_facts import Fact, FactKind, fact
from trunkline_sla.evaluation_model import LIFECYCLE, Clock, Message, Metric, Phase, Reopen, Reply
from trunkline_sla.evaluation_rules import Setting


@dataclass(frozen=True, slots=True)
class State:
    """A conversation after its events so far. What is decided next does not depend on `past` and `facts`."""

    setting: Setting
    #: The last event's; timers do not move it.
    at: datetime
    status: str = "open"
    begun_at: datetime | None = None
    #: We wrote first.
    outbound: bool = False
    #: Somebody has answered the customer.
    replied: bool = False
    #: What the customer wrote and nobody has answered, in order.
    unanswered: tuple[Message, ...] = ()
    #: The last few, which may yet turn out not to have been delivered.
    replies: tuple[Reply, ...] = ()
    #: The last cycle of every metric that has begun; one that no policy promises counts in silence.
    current: Mapping[Metric, Clock] = field(default_factory=dict)
    #: Earlier cycles, and what has been published: for people who look.
    past: Mapping[Metric, tuple[Clock, ...]] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()


class Work:
    """Every metric has a clock once it has begun; one that no policy promises counts in silence, so that a policy
    which comes back finds the time that has passed (7.9)."""

    def __init__(self, state: State, cause: str = "") -> None:
        self.cause = cause
        self.setting, self.status, self.begun_at = state.setting, state.status, state.begun_at
        self.outbound, self.replied = state.outbound, state.replied
        self.unanswered, self.replies = state.unanswered, state.replies
        # in one order, whatever the order they were read in: what is decided and said must not depend on it
        self.current, self.past = dict(sorted(state.current.items())), dict(state.past)
        self.facts: list[Fact] = []

    def after(self, state: State, at: datetime) -> State:
        """The state that it came from, after the work."""
        return State(
            self.setting, at, self.status, self.begun_at, self.outbound, self.replied, self.unanswered, self.replies,
            self.current, self.past, (*state.facts, *self.facts),
        )  # fmt: skip

    # -- timers

    def look(self, to: datetime, *, inclusive: bool = False) -> None:
        """What has passed before `to`, oldest first."""
        found: list[Fact] = []
        for metric, clock in self.current.items():
            if clock.next_at is not None and clock.next_at <= to:
                self.current[metric], facts = timers.fire(clock, to, inclusive=inclusive)
                found += facts
        self.facts += sorted(found, key=lambda fact: fact.at)

    def unbreach(self, at: datetime) -> list[Clock]:
        """Clocks whose breach was announced although the event is in time for them, as they were (9.6)."""
        early = [c for c in self.current.values() if c.breached_at and c.due_at and at <= min(c.breached_at, c.due_at)]
        for clock in early:
            self.put(_unbreached(clock))
        return early

    def judge(self, early: list[Clock], first: int, at: datetime) -> None:
        """A breach that the event has not averted stays; any other is taken back before what the event says."""
        for was in early:
            clock = self.current[was.metric]
            if clock.cycle == was.cycle and clock.due_at == was.due_at:
                kept = clock._replace(breached_at=was.breached_at, breached_after=was.breached_after)
                self.put(kept._replace(repeats=was.repeats, retracted=was.retracted))
            else:
                self.facts.insert(first, fact(was, FactKind.BREACH_RETRACTED, at, self.cause))

    # -- beginnings and ends

    def start(self, metric: Metric, at: datetime, since: datetime | None = None) -> None:
        """A new cycle, in place of one that has ended; `since`: what it counts from is past."""
        self.begin(Clock(metric, 1, since or at, self.setting.terms(metric), since or at, at, cause=self.cause), at)

    def begin(self, clock: Clock, at: datetime) -> None:
        """The clock as the next cycle of its metric."""
        clock = self._anew(clock)
        old = self.current.get(clock.metric)
        if old is not None and old.terms.live:
            self.keep(old)
        self.changed(clock, FactKind.STARTED, at)
        self._pause_or_resume(clock.metric, at)

    def is_open(self, metric: Metric) -> bool:
        """Whether a cycle waits for its end."""
        clock = self.current.get(metric)
        return clock is not None and clock.open

    def fulfil(
        self, metric: Metric, at: datetime, reason: str, *, stopped: bool = False, automation: bool | None = None
    ) -> None:
        """What was promised has happened, in time or not (9.4)."""
        clock = clocks.end(self.current[metric], at, Phase.FULFILLED, reason, self.cause, stopped=stopped)
        self.current[metric] = clock
        self.fulfilled(clock, at, automation=automation)

    def fulfilled(self, clock: Clock, at: datetime, *, automation: bool | None = None) -> None:
        """Say so."""
        over = max(0, clock.consumed - clock.terms.target_s)
        verdict = {"met": clock.met, "elapsed_s": clock.consumed, "reason": clock.reason, "automation": automation}
        self.say(clock, FactKind.FULFILLED, at, overdue_s=over if clock.met is False else None, **verdict)
        if clock.breached_at is not None:
            self.say(clock, FactKind.RECOVERED, at, overdue_s=over)

    def cancel(self, metric: Metric, at: datetime, reason: str, *, stopped: bool = False) -> None:
        """No verdict."""
        clock = clocks.end(self.current[metric], at, Phase.CANCELLED, reason, self.cause, stopped=stopped)
        self.current[metric] = clock
        self.say(clock, FactKind.CANCELLED, at, elapsed_s=clock.consumed, reason=reason)

    # -- states

    def enter(self, status: str, at: datetime) -> None:
        """Stop wins over pause, pause over running."""
        self.status = status
        for metric, clock in list(self.current.items()):
            if clock.open and status in clock.terms.stop_on:
                self._stop(metric, at)
            elif clock.open:
                self._pause_or_resume(metric, at)
            elif clock.stopped and status not in self.setting.terms(metric).stop_on:
                self._reopen(metric, at)
        self._follow(at)

    def _stop(self, metric: Metric, at: datetime) -> None:
        if metric in LIFECYCLE:
            self.fulfil(metric, at, self.status, stopped=True)
        else:
            self.cancel(metric, at, self.status, stopped=True)

    def _pause_or_resume(self, metric: Metric, at: datetime) -> None:
        clock = self.current[metric]
        now = clocks.in_state(clock, self.status, at, self.cause)
        if now.phase is not clock.phase:
            self.changed(now, FactKind.PAUSED if now.phase is Phase.PAUSED else FactKind.RESUMED, at)
        elif now is not clock:
            self.put(now)

    def _reopen(self, metric: Metric, at: datetime) -> None:
        terms = self.setting.terms(metric)
        if terms.reopen is Reopen.RESTART:
            self.start(metric, at)
        elif terms.reopen is not None:
            counts = terms.reopen is Reopen.CONTINUE
            self.back(clocks.reopened(self.current[metric], at, self.cause, counts=counts), at)

    def back(self, clock: Clock, at: datetime, reason: str | None = None) -> None:
        """An ended cycle goes on, under the terms of now; as the next one if it was or is not promised."""
        old, terms = self.current[clock.metric], self.setting.terms(clock.metric)
        now = clocks.under(clock, terms, at, self.cause)
        if old.terms.live and (old.cycle != now.cycle or not terms.live):
            self.keep(old)
        now = now if clock.terms.live and terms.live else self._anew(now)
        self.changed(now, FactKind.RESUMED if clock.terms.live else FactKind.STARTED, at, reason)
        self._pause_or_resume(clock.metric, at)

    # -- other terms

    def renew(self, setting: Setting, at: datetime) -> None:
        """Another policy, priority or calendar: what was counted stays, the rest is under the new terms."""
        self.setting = setting
        for metric, clock in list(self.current.items()):
            if clock.open and setting.terms(metric) != clock.terms:
                self._renew(metric, at)
                self.look(at)  # a target that is past breaches even where the same change stops the clock
                if metric in LIFECYCLE and self.status in self.current[metric].terms.stop_on:
                    self._stop(metric, at)
                else:
                    self._pause_or_resume(metric, at)
        self._follow(at)

    def _renew(self, metric: Metric, at: datetime) -> None:
        clock, terms = self.current[metric], self.setting.terms(metric)
        moved = clocks.under(clock, terms, at, self.cause)
        if clock.terms.live and not terms.live:
            self.cancel(metric, at, "no_policy")
            self.keep(self.current[metric])
            self.put(self._anew(moved))
        elif terms.live and not clock.terms.live:
            self.changed(self._anew(moved), FactKind.STARTED, at)
        else:
            self.moved(clock, moved, at)

    def moved(self, clock: Clock, to: Clock, at: datetime) -> None:
        """The same cycle with another deadline, perhaps."""
        last = clocks.due(to) if to.terms.live else None
        if (clock.due_at, clock.terms.target_s) != (last, to.terms.target_s):
            self.changed(to, FactKind.RESCHEDULED, at)
        else:
            self._jump(to, at, to.gen, anew=False)

    # -- replies that may be revoked

    def _follow(self, at: datetime) -> None:
        """What a reply has ended goes on unseen, as if there had been no reply."""
        if any(reply.ended for reply in self.replies):
            self.replies = tuple(
                replace(reply, ended=tuple(self._followed(c, at) for c in reply.ended if not self._stops(c)))
                for reply in self.replies
            )

    def _followed(self, clock: Clock, at: datetime) -> Clock:
        terms = self.setting.terms(clock.metric)
        if terms.live and clock.terms.live and terms != clock.terms:
            clock = clocks.under(clock, terms, at, self.cause)
        return clocks.in_state(clock, self.status, at, self.cause)

    def _stops(self, clock: Clock) -> bool:
        return self.status in self.setting.terms(clock.metric).stop_on

    # -- the small steps

    def changed(self, clock: Clock, kind: FactKind, at: datetime, reason: str | None = None) -> None:
        """The present cycle in another gen; say so."""
        first = len(self.facts)
        clock = self._jump(clock, at, clock.gen + 1, anew=kind is not FactKind.RESUMED)
        if clock.terms.live:
            state = self.status if kind is FactKind.PAUSED else None
            spent = None if kind is FactKind.STARTED else clocks.elapsed(clock, at)
            said = fact(clock, kind, at, self.cause, elapsed_s=spent, reason=reason, state=state)
            self.facts.insert(first, said)
            if clock.due_at is None and clock.phase is Phase.RUNNING:
                self.say(clock, FactKind.CONFIG_FAULT, at, reason=clocks.fault(clock))

    def _jump(self, clock: Clock, at: datetime, gen: int, *, anew: bool) -> Clock:
        """Of the thresholds that a change jumps over the highest is given, unless the breach is next (9.2)."""
        now = self.current[clock.metric] = timers.armed(clock, at, gen, anew=anew)
        if said := timers.jumped(now, clock, at, self.cause):
            self.facts.append(said)
        return now

    def say(self, clock: Clock, kind: FactKind, at: datetime, **more: Any) -> None:
        """Publish it, if it is promised at all."""
        if clock.terms.live:
            self.facts.append(fact(clock, kind, at, self.cause, **more))

    def put(self, clock: Clock) -> Clock:
        """As the present cycle of its metric."""
        self.current[clock.metric] = timers.armed(clock)
        return self.current[clock.metric]

    def keep(self, clock: Clock) -> None:
        """Among the earlier cycles."""
        self.past[clock.metric] = (*self.past.get(clock.metric, ()), clock)

    def _anew(self, clock: Clock) -> Clock:
        """The next cycle of the same opening: nothing is forgotten but the verdict."""
        old = self.current.get(clock.metric)
        given = old.issued if old else 0
        number = given + 1  # one that was counted in silence has not been given to anybody
        fresh = clock._replace(cycle=number, issued=number if clock.terms.live else given, gen=0, warned=0)
        return _unbreached(fresh)._replace(retracted=0)


def _unbreached(clock: Clock) -> Clock:
    return clock._replace(breached_at=None, breached_after=0, repeats=0, retracted=clock.retracted + 1)
