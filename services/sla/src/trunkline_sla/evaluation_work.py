"""The clocks of one conversation while an event passes over them, and the facts that come of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import chain

from trunkline_sla import evaluation_clocks as clocks
from trunkline_sla.evaluation_model import LIFECYCLE, Clock, Fact, FactKind, Metric, Phase, Reopen
from trunkline_sla.evaluation_rules import Setting


class Work:
    """Every metric has a clock once it has begun; one that no policy promises counts in silence, so that a policy
    which comes back finds the time that has passed (7.9)."""

    def __init__(
        self, setting: Setting, status: str, current: Mapping[Metric, Clock], past: Mapping[Metric, tuple[Clock, ...]]
    ) -> None:
        self.setting, self.status = setting, status
        self.current, self.past = dict(current), dict(past)
        self.facts: list[Fact] = []

    # -- timers

    def look(self, to: datetime, *, inclusive: bool = False) -> None:
        """What has passed before `to`; a warning at that very instant too where no event can precede it any more."""
        found = chain.from_iterable(self._passed(metric, to, inclusive) for metric in list(self.current))
        self.facts += sorted(found, key=lambda fact: fact.at)

    def _passed(self, metric: Metric, to: datetime, inclusive: bool) -> Iterator[Fact]:  # noqa: FBT001 - passed on
        clock = self.current[metric]
        last = clocks.due(clock)
        if last is None or clock.breached_at is not None or not clock.terms.live:
            return
        for percent in clock.terms.warnings:
            reached = clocks.reaches(clock, clocks.threshold(clock, percent)) or last
            at = max(reached, clock.changed_at)
            if percent > clock.warned and at < last and (at < to or (inclusive and at == to)):
                clock = replace(clock, warned=percent)
                yield Fact(FactKind.WARNING, at, metric, clock.cycle, last, percent=percent)
        if last < to:
            at = max(last, clock.changed_at)
            clock = replace(clock, breached_at=at)
            yield Fact(FactKind.BREACHED, at, metric, clock.cycle, last)
        self.current[metric] = clock

    # -- beginnings and ends

    def start(self, metric: Metric, at: datetime) -> None:
        """A new cycle, in place of one that has ended."""
        old = self.current.get(metric)
        if old is not None and old.terms.live:
            self._keep(old)
        self._put(Clock(metric, self._next(metric), at, self.setting.terms(metric), at, at))
        self._changed(metric, FactKind.STARTED, at)
        self._pause_or_resume(metric, at)

    def is_open(self, metric: Metric) -> bool:
        """Whether a cycle waits for its end."""
        clock = self.current.get(metric)
        return clock is not None and clock.open

    def fulfil(self, metric: Metric, at: datetime, reason: str, *, stopped: bool = False) -> None:
        """What was promised has happened, in time or not (9.4)."""
        clock = clocks.end(self.current[metric], at, Phase.FULFILLED, reason, stopped=stopped)
        self._put(clock)
        over = max(0, clock.consumed - clock.terms.target_s) if clock.met is False else None
        self._say(clock, FactKind.FULFILLED, at, met=clock.met, elapsed_s=clock.consumed, overdue_s=over, reason=reason)
        if clock.breached_at is not None:
            self._say(clock, FactKind.RECOVERED, at)

    def cancel(self, metric: Metric, at: datetime, reason: str, *, stopped: bool = False) -> None:
        """No verdict."""
        clock = clocks.end(self.current[metric], at, Phase.CANCELLED, reason, stopped=stopped)
        self._put(clock)
        self._say(clock, FactKind.CANCELLED, at, elapsed_s=clock.consumed, reason=reason)

    def answered(self, metric: Metric, at: datetime, reason: str) -> None:
        """A reply: it fulfils an open cycle, and one that a stop state ended has nothing to come back to."""
        if self.is_open(metric):
            self.fulfil(metric, at, reason)
        elif metric in self.current:
            self._put(replace(self.current[metric], stopped=False))

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

    def _stop(self, metric: Metric, at: datetime) -> None:
        if metric in LIFECYCLE:
            self.fulfil(metric, at, self.status, stopped=True)
        else:
            self.cancel(metric, at, self.status, stopped=True)

    def _pause_or_resume(self, metric: Metric, at: datetime) -> None:
        clock = self.current[metric]
        if self.status in clock.terms.pause_on:
            if (why := f"paused in {self.status}") != clock.why:
                self._put(clocks.turn(clock, at, Phase.PAUSED, why))
            if clock.phase is Phase.RUNNING:
                self._changed(metric, FactKind.PAUSED, at)
        elif clock.phase is Phase.PAUSED:
            self._put(clocks.turn(clock, at, Phase.RUNNING, "running"))
            self._changed(metric, FactKind.RESUMED, at)

    def _reopen(self, metric: Metric, at: datetime) -> None:
        old, terms = self.current[metric], self.setting.terms(metric)
        if terms.reopen is Reopen.RESTART:
            self.start(metric, at)
        elif terms.reopen is not None:
            clock = clocks.under(clocks.reopened(old, at, counts=terms.reopen is Reopen.CONTINUE), terms, at)
            if old.terms.live and not terms.live:
                self._keep(old)
            self._put(clock if old.terms.live and terms.live else self._anew(clock))
            self._changed(metric, FactKind.RESUMED if old.terms.live else FactKind.STARTED, at)
            self._pause_or_resume(metric, at)

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

    def _renew(self, metric: Metric, at: datetime) -> None:
        clock, terms = self.current[metric], self.setting.terms(metric)
        moved = clocks.under(clock, terms, at)
        if clock.terms.live and not terms.live:
            self.cancel(metric, at, "no_policy")
            self._keep(self.current[metric])
            self._put(self._anew(moved))
        elif terms.live and not clock.terms.live:
            self._put(self._anew(moved))
            self._changed(metric, FactKind.STARTED, at)
        else:
            self._put(moved)
            if (clocks.due(clock), clock.terms.target_s) != (clocks.due(moved), terms.target_s):
                self._changed(metric, FactKind.RESCHEDULED, at)

    # -- the small steps

    def _changed(self, metric: Metric, kind: FactKind, at: datetime) -> None:
        """Say so; of the warnings that were jumped over the highest is given, unless the breach is next (9.2)."""
        clock = self.current[metric]
        self._say(clock, kind, at)
        last = clocks.due(clock)
        if last is None and clock.phase is Phase.RUNNING:
            self._say(clock, FactKind.CONFIG_FAULT, at)
        if last is None or last < at or clock.breached_at is not None:
            return
        highest = clocks.passed(clock, at)
        if highest > clock.warned:
            self._say(clock, FactKind.WARNING, at, percent=highest)
        self._put(replace(clock, warned=highest))

    def _say(
        self, clock: Clock, kind: FactKind, at: datetime, *, percent: int | None = None, met: bool | None = None,
        elapsed_s: int | None = None, overdue_s: int | None = None, reason: str | None = None,
    ) -> None:  # fmt: skip
        if clock.terms.live:
            last = clocks.due(clock)
            self.facts.append(
                Fact(kind, at, clock.metric, clock.cycle, last, percent, met, elapsed_s, overdue_s, reason)
            )

    def _anew(self, clock: Clock) -> Clock:
        """The next cycle of the same opening: nothing is forgotten but the verdict."""
        return replace(clock, cycle=self._next(clock.metric), breached_at=None, warned=0)

    def _put(self, clock: Clock) -> None:
        self.current[clock.metric] = clock

    def _keep(self, clock: Clock) -> None:
        self.past[clock.metric] = (*self.past.get(clock.metric, ()), clock)

    def _next(self, metric: Metric) -> int:
        return len(self.past.get(metric, ())) + 1
