"""Rules of the SLA engine, each with what switches it off and the scenarios that must notice (test_evaluate.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from trunkline_common.calendar_document import CalendarModel
from trunkline_common.calendar_rules import Hours
from trunkline_sla import (
    evaluate,
    evaluation,
    evaluation_clocks,
    evaluation_replies,
    evaluation_rules,
    evaluation_timers,
)
from trunkline_sla.evaluation_events import (
    AgentMessage,
    AgentNote,
    BotMessage,
    PolicyChanged,
    SplitOff,
    TeamChanged,
    Waived,
)
from trunkline_sla.evaluation_facts import FactKind
from trunkline_sla.evaluation_model import RESOLVED, Message, Metric, Phase, Policy, Reopen
from trunkline_sla.evaluation_work import Work

T0 = datetime(2026, 11, 16, 10, tzinfo=UTC)
Around = Callable[..., Any]


def replace(found: Any, **values: Any) -> Any:
    """Another one with these values: of a dataclass or a named tuple."""
    return found._replace(**values) if hasattr(found, "_replace") else dataclasses.replace(found, **values)


@dataclass(frozen=True)
class Mutation:
    """`around(original, *arguments)` in place of a function."""

    section: str
    owner: Any
    name: str
    around: Around
    #: Names of scenario files, apart by blanks.
    noticed_by: str

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        """Switch the rule off."""
        original = getattr(self.owner, self.name)

        def new(*args: Any, **kwargs: Any) -> Any:
            return self.around(original, *args, **kwargs)

        patch.setattr(self.owner, self.name, new)
        if getattr(evaluation, self.name, None) is original:
            patch.setattr(evaluation, self.name, new)


def _event(kind: type, instead: Callable[[Any], Any]) -> Around:
    """Another event in place of every one of a kind; None: nothing happens."""

    def around(original: Any, work: Any, event: Any, at: Any) -> Any:
        event = instead(event) if isinstance(event, kind) else event
        return None if event is None else original(work, event, at)

    return around


def _messages_open_anew(original: Any, work: Work, event: Any, at: Any) -> Any:
    for metric in (Metric.FIRST_RESPONSE, Metric.NEXT_RESPONSE):
        if work.is_open(metric):
            del work.current[metric]
    return original(work, event, at)


def _paused_is_due(original: Any, clock: Any) -> Any:
    paused = clock.phase is Phase.PAUSED
    return evaluation_clocks.reaches(clock, clock.terms.target_s) if paused else original(clock)


def _without_turn(_original: Any, clock: Any, terms: Any, at: Any, _cause: Any) -> Any:
    return replace(clock, terms=terms, changed_at=at)


def _reset(original: Any, work: Any, clock: Any) -> Any:
    return replace(original(work, clock), consumed=0, since=clock.changed_at, started_at=clock.changed_at, intervals=())


def _team_resets(original: Any, work: Work, event: Any, at: Any) -> Any:
    if isinstance(event, TeamChanged):
        for metric in list(work.current):
            work.start(metric, at)
    return original(work, event, at)


def _to(**values: Any) -> Around:
    """The original's answer with other values."""
    return lambda original, *args, **kw: replace(original(*args, **kw), **values)


def _always(value: Any) -> Around:
    return lambda _original, *_args, **_kw: value


def _last_word(on: bool) -> Around:
    return lambda original, policy, metric: original(replace(policy, last_word=on), metric)


def _wrote(original: Any, work: Work, *rest: Any, **more: Any) -> Any:
    work.unanswered = work.unanswered or (Message("", T0),)
    return original(work, *rest, **more)


def _minutes(original: Any, *args: Any) -> int:
    return int(original(*args)) // 60 * 60


def _wall(_original: Any, _calendar: Any, start: Any, end: Any) -> int:
    return int((end - start).total_seconds())


def _no_policy_change(event: PolicyChanged) -> PolicyChanged | None:
    return event if event.policy else None


def _late_at_once(original: Any, clock: Any, at: Any) -> Any:
    found = original(clock, at)
    return False if clock.phase is Phase.RUNNING and at == evaluation_clocks.due(clock) else found


def _bots(original: Any, work: Any, event: Any, at: Any) -> Any:
    work.setting = replace(work.setting, policy=replace(work.setting.policy or Policy({}), bot_reply_counts=False))
    return original(work, event, at)


def _same_change(original: Any, clock: Any, *rest: Any) -> Any:
    return replace(original(clock, *rest), changed_at=clock.changed_at)


def _forgiven(original: Any, *args: Any) -> Any:
    return replace(original(*args), breached_at=None)


def _business(original: Any, setting: Any, metric: Any) -> Any:
    return replace(original(setting, metric), calendar=setting.business)


def _never_continues(original: Any, *args: Any, counts: bool) -> Any:
    return original(*args, counts=counts and False)


def _resolution_ends_first(original: Any, policy: Any, metric: Any) -> Any:
    return RESOLVED if metric is Metric.FIRST_RESPONSE else original(policy, metric)


def _nothing(_original: Any, *_args: Any, **_kw: Any) -> None:
    return None


def _first_only(_original: Any, work: Work, event: Any, at: Any) -> None:
    if work.status in RESOLVED:
        return
    _original(work, event, at)


def _from_now(original: Any, work: Work, _old: Any, _since: Any, at: Any) -> Any:
    return original(work, [], at, at)


def _without_pauses(original: Any, work: Work, _old: Any, since: Any, at: Any) -> Any:
    return original(work, [], since, at)


def _revoked_anew(_original: Any, work: Work, older: Any, _metrics: Any, at: Any) -> None:
    for clock in older:
        work.start(clock.metric, at)


def _younger_stays(original: Any, work: Work, older: Any, _metrics: Any, at: Any) -> Any:
    return original(work, [clock for clock in older if not work.is_open(clock.metric)], (), at)


def _both_run(original: Any, work: Work, metric: Any, at: Any, reason: str, **kw: Any) -> Any:
    return None if reason == "superseded" else original(work, metric, at, reason, **kw)


def _not_judged(_original: Any, work: Work, heir: Any, older: Any, _since: Any, at: Any) -> Any:
    evaluation_replies._revoke(work, older, (), at)
    return heir


def _own_kept(original: Any, work: Work, heir: Any, *rest: Any) -> Any:
    found = original(work, replace(heir, ended=()), *rest)
    return replace(found, ended=(*found.ended, *heir.ended))


def _creation_too(original: Any, work: Work, since: Any, at: Any) -> Any:
    begun, work.begun_at = work.begun_at, None
    original(work, since, at)
    work.begun_at = begun


def _creation_only(original: Any, work: Work, since: Any, at: Any) -> Any:
    outbound, work.outbound = work.outbound, False
    begun, work.begun_at = work.begun_at, work.current[Metric.FIRST_RESPONSE].started_at
    original(work, since, at)
    work.begun_at, work.outbound = begun, outbound


def _forgets_replies(original: Any, work: Work, *rest: Any) -> Any:
    replies = work.replies
    original(work, *rest)
    work.replies = replies


def _reopens(original: Any, work: Work, at: Any) -> Any:
    stopped = {m: c for m, c in work.current.items() if c.stopped}
    original(work, at)
    work.current.update(stopped)


def _ended_too(original: Any, work: Work, metric: Any, since: Any, at: Any) -> Any:
    clock = work.current.get(metric)
    if clock is not None and not clock.open:
        return work.moved(clock, evaluation_clocks.counting_from(clock, since, at), at)
    return original(work, metric, since, at)


def _always_moves(_original: Any, work: Work, metric: Any, since: Any, at: Any) -> None:
    clock = work.current.get(metric)
    if clock is not None and clock.open:
        work.moved(clock, evaluation_clocks.counting_from(clock, since, at), at)


def _plainly_from(_original: Any, clock: Any, start: Any, at: Any) -> Any:
    return replace(clock, started_at=start, changed_at=at, intervals=(), consumed=0, since=start)


def _wait_forgotten(original: Any, work: Work, started_at: Any, _since: Any, at: Any) -> Any:
    return original(work, started_at, None, at)


def _wait_from_now(original: Any, work: Work, started_at: Any, since: Any, at: Any) -> Any:
    return original(work, started_at, since and at, at)


def _event_with(**values: Any) -> Around:
    return lambda original, work, event, at: original(work, replace(event, **values), at)


def _lifecycle_from_the_message(original: Any, work: Work, event: Any, at: Any) -> Any:
    original(work, event, at)
    for metric in (Metric.RESOLUTION,):
        if event.unanswered_since is not None and work.is_open(metric):
            evaluation_replies._earlier(work, metric, event.unanswered_since, at)


def _first_as_written(original: Any, metric: Any, rule: Any) -> Any:
    return rule.reopen or original(metric, rule)


def _recomputed(original: Any, work: Work, setting: Any, at: Any) -> Any:
    original(work, setting, at)
    for metric, clock in work.current.items():
        if clock.phase is Phase.FULFILLED:
            terms = setting.terms(metric)
            spent = evaluation_clocks.counted(terms.calendar, clock.started_at, clock.ended_at or at)
            work.current[metric] = replace(clock, terms=terms, consumed=spent, met=spent <= terms.target_s)


def _floor_of(_original: Any, target_s: int, code: int) -> int:
    return code * target_s // 100 if code >= 0 else target_s + code


def _wall_target(_original: Any, clock: Any, last: Any, told: int) -> Any:
    code = evaluation_timers._following(clock, told)
    return clock.started_at + timedelta(seconds=evaluation_timers.threshold(clock, code)) if code else last


def _without(form: Callable[[int], bool]) -> Around:
    return lambda original, *args: tuple(code for code in original(*args) if form(code))


def _every_warning(original: Any, clock: Any, _at: Any = None, gen: Any = None, **_kw: Any) -> Any:
    return original(clock, None, gen)


def _said_again(original: Any, clock: Any, at: Any = None, gen: Any = None, **_kw: Any) -> Any:
    return original(replace(clock, warned=0), at, gen, anew=True)


def _never_anew(original: Any, clock: Any, at: Any = None, gen: Any = None, **_kw: Any) -> Any:
    return original(clock, at, gen)


def _warns_all_the_same(_original: Any, clock: Any, last: Any, told: int) -> Any:
    code = evaluation_timers._following(clock, told)
    return evaluation_clocks.reaches(clock, evaluation_timers.threshold(clock, code)) if code else last


def _level(_original: Any, clock: Any, breached_after: int, ordinal: int) -> Any:
    return max(breached_after, clock.terms.target_s) + int(clock.terms.repeat_s) * ordinal


def _after_the_breach(_original: Any, clock: Any, breached_after: int, ordinal: int) -> int:
    return breached_after + (int(clock.terms.repeat_s) << (ordinal - 1))


def _after_the_target(_original: Any, clock: Any, _breached_after: int, ordinal: int) -> int:
    return int(clock.terms.target_s) + (int(clock.terms.repeat_s) << (ordinal - 1))


def _wall_repeats(original: Any, clock: Any, breached_after: int, told: int) -> Any:
    found = original(clock, breached_after, told)
    began = clock.breached_at or clock.due_at
    return found and began + timedelta(seconds=clock.terms.repeat_s << told)


def _unending(original: Any, clock: Any, *rest: Any) -> Any:
    return original(replace(clock, terms=replace(clock.terms, max_repeats=12)), *rest)


def _ten_minutes(original: Any, clock: Any, *rest: Any) -> Any:
    return original(replace(clock, terms=replace(clock.terms, repeat_s=clock.terms.repeat_s or 600)), *rest)


def _no_recovery(original: Any, work: Work, clock: Any, kind: FactKind, *args: Any, **kw: Any) -> Any:
    return None if kind is FactKind.RECOVERED else original(work, clock, kind, *args, **kw)


def _always_recovers(original: Any, work: Work, clock: Any, at: Any, **kw: Any) -> Any:
    original(work, clock, at, **kw)
    if clock.breached_at is None:
        work.say(clock, FactKind.RECOVERED, at)


def _all_breaches(_original: Any, work: Work, at: Any) -> Any:
    early = [c for c in work.current.values() if c.breached_at and at <= c.breached_at + timedelta(seconds=5)]
    for clock in early:
        work.put(replace(clock, breached_at=None, retracted=clock.retracted + 1))
    return early


def _before_it_only(original: Any, work: Work, at: Any) -> Any:
    return original(work, at) if all(c.due_at != at for c in work.current.values()) else []


def _always_retracts(_original: Any, work: Work, early: Any, _first: int, at: Any) -> None:
    for clock in early:
        work.say(clock, FactKind.BREACH_RETRACTED, at)


def _warnings_taken_back(original: Any, work: Work, at: Any) -> Any:
    for clock in list(work.current.values()):
        if clock.open:
            code = evaluation_timers.passed(clock, at)
            work.put(replace(clock, warned=code))
    return original(work, at)


def _keeps_repeating(original: Any, work: Work, early: Any, first: int, at: Any) -> Any:
    original(work, early, first, at)
    for was in early:
        clock = work.current[was.metric]
        if clock.terms.repeat_s and not clock.open:
            work.say(replace(clock, repeats=1), FactKind.OVERDUE, at, ordinal=2)


def _looks_move_time(_original: Any, state: Any, at: Any) -> Any:
    return replace(state, at=at)


def _by_the_wall(original: Any, clock: Any) -> Any:
    found = original(clock)
    if found is None and clock.phase is Phase.RUNNING:
        return clock.since + timedelta(seconds=clock.terms.target_s - clock.consumed)
    return found


def _said_once(original: Any, work: Work, clock: Any, kind: FactKind, *args: Any, **kw: Any) -> Any:
    if kind is FactKind.CONFIG_FAULT and clock.gen > 1:
        return None
    return original(work, clock, kind, *args, **kw)


def _all_met(original: Any, clock: Any, at: Any) -> bool:
    found = original(clock, at)
    return True if found is None else bool(found)


def _rests_too(original: Any, metric: Any, rule: Any) -> Any:
    return frozenset({"pending", "on_hold"}) if metric is Metric.REQUESTER_WAIT else original(metric, rule)


def _pause_wins(original: Any, work: Work, metric: Any, at: Any) -> Any:
    if work.status in work.current[metric].terms.pause_on:
        return work._pause_or_resume(metric, at)
    return original(work, metric, at)


def _never_ends(original: Any, policy: Any, metric: Any) -> Any:
    return frozenset() if metric is Metric.PERIODIC_UPDATE else original(policy, metric)


def _recounted(original: Any, clock: Any, terms: Any, at: Any, *rest: Any) -> Any:
    found = original(clock, terms, at, *rest)
    return found if terms.calendar is clock.terms.calendar else replace(found, consumed=0, intervals=())


def _verdict_stays(original: Any, work: Work, clock: Any) -> Any:
    return replace(original(work, clock), breached_at=clock.breached_at or _breach_of(work, clock.metric))


def _breach_of(work: Work, metric: Metric) -> Any:
    return work.current[metric].breached_at if metric in work.current else None


def _without_holidays(original: Any, model: Any) -> Any:
    rules = original(model)
    return replace(rules, holidays=()) if isinstance(rules, Hours) else rules


def _summer_all_year(original: Any, model: Any) -> Any:
    rules = original(model)
    return replace(rules, zone="Etc/GMT-2") if isinstance(rules, Hours) else rules


def _same_target(original: Any, clock: Any, terms: Any, *rest: Any) -> Any:
    kept = replace(terms, target_s=clock.terms.target_s) if clock.terms.live and terms.live else terms
    return original(clock, kept, *rest)


def _all_promised(original: Any, setting: Any, metric: Any) -> Any:
    return replace(original(setting, metric), live=setting.policy is not None, target_s=3600)


def _state_forgotten(original: Any, work: Work, *rest: Any) -> Any:
    status, work.status = work.status, ""
    original(work, *rest)
    work.status = status


def _of_the_last_named(_original: Any, policy: Any, priority: str) -> Any:
    return priority == max(policy.applies_to_priorities or {priority})


def _at_the_deadline(original: Any, clock: Any, now: Any, **kw: Any) -> Any:
    return original(clock, now + timedelta(seconds=1), **kw)


def _no_longer_than_promised(original: Any, clock: Any, now: Any) -> Any:
    return min(original(clock, now), clock.terms.target_s)


def _counts_on(original: Any, clock: Any, now: Any) -> Any:
    over = evaluation_clocks.counted(clock.terms.calendar, clock.since, now) if clock.ended_at else 0
    return original(clock, now) + over


def _all_of_the_file(original: Any, policy: Any, calendar: Any, events: Any, now: Any) -> Any:
    return original(policy, calendar, events, max(now, *(event.at for event in events)))


def _resolved_alone(original: Any, policy: Any, metric: Any) -> Any:
    return original(policy, metric) - {"closed"}


def _usual_stops(original: Any, policy: Any, metric: Any) -> Any:
    usual = {name: replace(rule, stop_on=None) for name, rule in policy.metrics.items()}
    return original(replace(policy, metrics=usual), metric)


def _deletes_the_wait(original: Any, work: Work, message_id: str, at: Any) -> None:
    original(work, message_id, at)
    evaluation_replies._cancel(work, at, "deleted")


def _first_again(original: Any, work: Work, event: Any, at: Any) -> None:
    replied, work.replied = work.replied, False
    original(work, event, at)
    work.replied = replied


def _next_from_creation(original: Any, work: Work, metric: Any, at: Any, since: Any = None) -> Any:
    return original(work, metric, at, work.begun_at if metric is Metric.NEXT_RESPONSE else since)


def _reply_resolves(original: Any, work: Work, event: Any, at: Any) -> None:
    original(work, event, at)
    if work.is_open(Metric.RESOLUTION):
        work.fulfil(Metric.RESOLUTION, at, "agent_message")


def _waives_anything(original: Any, work: Work, reason: str, at: Any) -> None:
    original(work, reason, at)
    work.say(work.current[Metric.FIRST_RESPONSE], FactKind.WAIVED, at, reason=reason)


def _owed_from_its_start(original: Any, work: Work, started_at: Any, since: Any, at: Any) -> Any:
    return original(work, started_at, since or started_at, at)


def _up_to_but_not(_original: Any, messages: Any, through: int) -> Any:
    return [tuple(m for m in messages if (not through or m.seq < through) is part) for part in (True, False)]


def _the_first_reply_fails(original: Any, work: Work, event: Any, at: Any) -> Any:
    return original(work, replace(event, message_id=work.replies[0].message_id), at)


def _said_and_forgotten(original: Any, state: Any, at: Any) -> Any:
    return replace(state, facts=original(state, at).facts)


CLOCKS, RULES_OF, REPLIES, TIMERS = evaluation_clocks, evaluation_rules, evaluation_replies, evaluation_timers
PENDING = frozenset({"pending"})

#: A table: one rule after the other, by section.
# fmt: off
RULES: dict[str, Mutation] = {
    "a_cycle_begins_clean": Mutation("7.1", Work, "_anew", _verdict_stays, "a_breached_cycle_is_not_the_next_one_s"),
    "pauses": Mutation(
        "7.2", RULES_OF, "_pause_on", _always(frozenset()),
        "a_conversation_may_begin_paused a_pausable_update_rests_in_pending a_pause_is_counted_in_business_time "
        "agent_work_rests_on_hold_where_requester_wait_runs pause_states_are_free_text "
        "pending_and_on_hold_pause_resolution requester_wait_runs_on_hold"
    ),
    "stop_wins_over_pause": Mutation("7.2", Work, "_stop", _pause_wins, "stop_wins_over_pause"),
    "requester_wait_runs_on_hold": Mutation(
        "7.2", RULES_OF, "_pause_on", _rests_too,
        "agent_work_rests_on_hold_where_requester_wait_runs requester_wait_runs_on_hold"
    ),
    "every_reply_begins_an_update": Mutation(
        "7.2", REPLIES, "_update", _nothing,
        "a_pausable_update_rests_in_pending an_update_is_owed_again_from_every_reply "
        "periodic_update_runs_from_reply_to_reply resolution_ends_periodic_update "
        "without_an_update_that_arrived_none_is_owed"
    ),
    "resolution_ends_the_update": Mutation(
        "7.2", RULES_OF, "stop_on", _never_ends,
        "no_update_is_owed_after_resolution resolution_ends_periodic_update"
    ),
    "a_metric_needs_a_rule": Mutation(
        "7.2", RULES_OF.Setting, "_terms", _all_promised,
        "a_conversation_may_begin_paused a_metric_without_a_rule_has_no_clock "
        "pending_and_on_hold_pause_resolution switched_off_metric_by_metric"
    ),
    "closed_resolves_too": Mutation(
        "7.2", RULES_OF, "stop_on", _resolved_alone,
        "closed_resolves_too closing_what_is_resolved_changes_nothing"
    ),
    "what_has_ended_counts_no_more": Mutation(
        "7.2", CLOCKS, "elapsed", _counts_on,
        "an_agent_may_write_twice an_update_is_owed_again_from_every_reply closed_resolves_too "
        "closing_what_is_resolved_changes_nothing every_follow_up_is_a_cycle "
        "periodic_update_runs_from_reply_to_reply resolution_runs_from_creation_to_resolved"
    ),
    "next_response_from_the_follow_up": Mutation(
        "7.2", Work, "start", _next_from_creation,
        "every_follow_up_is_a_cycle next_response_runs_from_the_follow_up"
    ),
    "replies_do_not_resolve": Mutation(
        "7.2", REPLIES, "agent_message", _reply_resolves,
        "resolution_runs_from_creation_to_resolved"
    ),
    "first_response_from_creation": Mutation(
        "7.2", evaluation, "_create", _event_with(outbound=True),
        "first_response_starts_at_creation"
    ),
    "the_deadline_is_in_time": Mutation(
        "7.3", CLOCKS, "in_time", _late_at_once,
        "a_reply_at_the_deadline_takes_the_breach_back a_reply_exactly_at_the_deadline_is_in_time"
    ),
    "a_paused_clock_never_breaches": Mutation(
        "7.3", CLOCKS, "due", _paused_is_due,
        "a_follow_up_in_a_pause_state_waits a_paused_clock_does_not_breach "
        "a_reply_clock_pauses_where_it_is_told_to paused_at_the_deadline_is_in_time "
        "resolved_out_of_pending_in_time"
    ),
    "late_is_missed": Mutation(
        "7.3", CLOCKS, "in_time", _always(True),
        "a_breach_survives_the_resumption a_late_resolution_is_missed "
        "a_part_with_a_message_that_is_late_breaches_at_the_split a_reply_after_closing_misses_the_closing_edge "
        "a_reply_one_second_late_is_missed"
    ),
    "in_time_is_met": Mutation(
        "7.3", CLOCKS, "in_time", _always(False),
        "a_reply_exactly_at_the_deadline_is_in_time a_reply_in_time_is_met paused_at_the_deadline_is_in_time "
        "resolved_out_of_pending_in_time"
    ),
    "a_breach_is_after_the_deadline": Mutation(
        "7.3", TIMERS, "fire", _at_the_deadline,
        "at_the_deadline_itself_nothing_is_breached"
    ),
    "an_overdue_clock_runs_on": Mutation(
        "7.3", CLOCKS, "elapsed", _no_longer_than_promised,
        "a_breach_survives_a_pause a_late_resolution_is_missed a_reply_one_second_late_is_missed "
        "an_overdue_clock_runs_on"
    ),
    "whole_seconds": Mutation("7.4", evaluation, "_floor", lambda _original, at: at, "milliseconds_are_floored"),
    "never_minutes": Mutation("7.4", CLOCKS, "counted", _minutes, "a_pause_of_seconds_counts_as_seconds"),
    "pauses_in_business_time": Mutation(
        "7.4", CLOCKS, "counted", _wall,
        "a_deadline_falls_on_the_closing_edge a_lunch_gap_is_not_counted "
        "a_message_before_opening_counts_from_opening a_message_on_the_weekend_counts_from_monday "
        "a_pause_over_the_night_costs_only_open_hours friday_half_past_four_and_an_hour "
        "reopening_counts_business_time_only the_night_the_clock_goes_forward"
    ),
    "a_bot_is_no_reply": Mutation(
        "7.5", evaluation, "_take", _event(BotMessage, lambda e: AgentMessage(e.at)),
        "a_bot_is_no_reply a_bot_is_not_enabled_with_the_automations "
        "an_undelivered_bot_message_that_counted_is_no_reply"
    ),
    "a_bot_may_reply": Mutation(
        "7.5", evaluation, "_take", _bots,
        "a_bot_replies_where_the_policy_says_so an_undelivered_bot_message_that_counted_is_no_reply"
    ),
    "answers_through": Mutation(
        "7.5", REPLIES, "_parts", lambda _original, messages, _through: (messages, ()),
        "a_reply_answers_up_to_the_message_it_names a_reply_to_the_older_message_leaves_a_cycle_to_the_newer "
        "a_reply_to_what_is_answered_answers_nothing_new what_a_reply_leaves_open_may_be_late_already"
    ),
    "what_is_left_counts_from_its_own_time": Mutation(
        "7.5", REPLIES, "_still_owed", _from_now,
        "a_reply_answers_up_to_the_message_it_names a_reply_to_the_older_message_leaves_a_cycle_to_the_newer "
        "what_a_reply_leaves_open_keeps_its_pauses what_a_reply_leaves_open_may_be_late_already"
    ),
    "what_is_left_keeps_its_pauses": Mutation(
        "7.5", REPLIES, "_still_owed", _without_pauses,
        "what_a_reply_leaves_open_keeps_its_pauses"
    ),
    "a_failed_delivery_revokes": Mutation(
        "7.5", REPLIES, "delivery_failed", _nothing,
        "a_later_reply_gives_the_verdict a_later_reply_may_have_been_late a_reply_that_is_not_delivered_is_none "
        "an_undelivered_reply_breaches_when_it_is_known resolved_after_an_undelivered_reply_it_is_owed_again "
        "two_replies_that_are_not_delivered_leave_it_owed "
        "an_undelivered_reply_leaves_what_the_next_did_not_answer "
        "an_update_that_followed_an_undelivered_one_is_the_first"
    ),
    "revoked_is_as_if_never_stopped": Mutation(
        "7.5", REPLIES, "_revoke", _revoked_anew,
        "a_pause_after_an_undelivered_reply_counts_as_a_pause a_reply_that_is_not_delivered_is_none "
        "an_undelivered_reply_breaches_when_it_is_known an_undelivered_reply_while_it_is_paused_waits "
        "before_a_first_reply_that_arrived_only_first_response_runs "
        "resolved_after_an_undelivered_reply_it_is_owed_again two_replies_that_are_not_delivered_leave_it_owed"
    ),
    "pauses_go_on_after_a_reply": Mutation(
        "7.5", Work, "_follow", _nothing,
        "a_calendar_change_after_an_undelivered_reply_counts_from_there "
        "a_pause_after_an_undelivered_reply_counts_as_a_pause an_undelivered_reply_while_it_is_paused_waits"
    ),
    "the_older_opening_wins": Mutation(
        "7.5", REPLIES, "_revoke", _younger_stays,
        "a_cycle_after_a_revoked_one_has_a_number_of_its_own of_two_openings_the_older_goes_on "
        "the_next_update_counts_from_the_last_one_that_arrived"
    ),
    "only_the_older_opening_runs": Mutation(
        "7.5", Work, "cancel", _both_run,
        "a_cycle_after_a_revoked_one_has_a_number_of_its_own "
        "before_a_first_reply_that_arrived_only_first_response_runs of_two_openings_the_older_goes_on "
        "the_next_update_counts_from_the_last_one_that_arrived without_an_update_that_arrived_none_is_owed"
    ),
    "a_later_reply_judges": Mutation(
        "7.5", REPLIES, "_inherits", _not_judged,
        "a_follow_up_that_the_next_reply_answered_is_superseded a_later_reply_gives_the_verdict "
        "a_later_reply_may_have_been_late"
    ),
    "a_later_reply_judges_one_wait": Mutation(
        "7.5", REPLIES, "_inherits", _own_kept,
        "a_follow_up_that_the_next_reply_answered_is_superseded"
    ),
    "answers_through_includes_it": Mutation(
        "7.5", REPLIES, "_parts", _up_to_but_not,
        "a_reply_to_all_of_them_leaves_nothing_open"
    ),
    "the_reply_that_failed": Mutation(
        "7.5", REPLIES, "delivery_failed", _the_first_reply_fails,
        "a_second_message_that_is_not_delivered_takes_no_answer_back"
    ),
    "a_second_message_moves_nothing": Mutation(
        "7.6", evaluation_replies, "customer_message", _messages_open_anew,
        "a_deleted_message_is_not_owed_when_its_reply_fails a_second_follow_up_moves_nothing "
        "a_second_message_moves_nothing a_split_without_the_message_leaves_the_reply_clock "
        "deleting_a_newer_message_changes_nothing deleting_the_only_message_cancels "
        "first_response_starts_at_creation"
    ),
    "a_deletion_counts": Mutation(
        "7.6", REPLIES, "deleted", _nothing,
        "a_deleted_message_is_not_owed_when_its_reply_fails a_late_deletion_takes_the_breach_back "
        "after_a_deletion_the_next_message_opens_anew deleting_the_only_message_cancels"
    ),
    "a_deletion_moves_the_start": Mutation(
        "7.6", REPLIES, "_move", _nothing,
        "a_deletion_in_a_breach_leaves_the_breach deleting_the_oldest_message_moves_the_start "
        "in_an_agent_started_conversation_a_deletion_moves_it"
    ),
    "a_deletion_leaves_the_creation": Mutation(
        "7.6", REPLIES, "_move", _creation_too,
        "what_the_creation_opened_no_deletion_moves"
    ),
    "a_deletion_moves_first_response": Mutation(
        "7.6", REPLIES, "_move", _creation_only,
        "in_an_agent_started_conversation_a_deletion_moves_it"
    ),
    "a_deletion_of_what_is_answered": Mutation(
        "7.6", REPLIES, "deleted", _deletes_the_wait,
        "a_deletion_in_a_breach_leaves_the_breach deleting_a_newer_message_changes_nothing "
        "deleting_an_answered_message_changes_nothing deleting_the_oldest_message_moves_the_start "
        "what_the_creation_opened_no_deletion_moves"
    ),
    "the_reply_clocks_take_turns": Mutation(
        "7.7", evaluation_replies, "counts_first_message", _always(True),
        "a_reply_to_all_of_them_leaves_nothing_open a_second_message_that_is_not_delivered_takes_no_answer_back "
        "an_absorbed_conversation_that_was_answered_owes_nothing_here next_response_cannot_pre_empt_the_first "
        "next_response_waits_for_the_first_reply"
    ),
    "counts_first_message": Mutation(
        "7.7", evaluation_replies, "counts_first_message", _always(False),
        "next_response_counts_the_first_message_if_it_is_told_to"
    ),
    "reopen_resumes": Mutation(
        "7.8", RULES_OF, "_reopen", _always(Reopen.RESTART),
        "a_resumed_breach_stays_a_breach a_resumed_cycle_is_not_finished first_response_never_restarts "
        "no_false_breach_after_reopening reopened_by_default_it_resumes reopened_into_pending_it_stays_paused"
    ),
    "reopen_as_the_policy_says": Mutation(
        "7.8", RULES_OF, "_reopen", _always(Reopen.RESUME),
        "a_restart_forgets_the_breach a_restart_warns_anew "
        "continued_past_the_deadline_it_breaches_when_it_runs_again reopened_with_continue_the_gap_counts "
        "reopened_with_restart_it_is_another_cycle reopening_counts_business_time_only"
    ),
    "reopen_continues": Mutation(
        "7.8", CLOCKS, "reopened", _never_continues,
        "continued_past_its_warnings_one_is_given continued_past_the_deadline_it_breaches_when_it_runs_again "
        "reopened_with_continue_the_gap_counts reopening_counts_business_time_only"
    ),
    "first_response_never_restarts": Mutation(
        "7.8", RULES_OF, "_reopen", _first_as_written,
        "first_response_never_restarts"
    ),
    "first_response_once": Mutation("7.8", REPLIES, "customer_message", _first_again, "first_response_has_one_cycle"),
    "a_breach_is_never_taken_back": Mutation(
        "7.9", CLOCKS, "under", _forgiven,
        "a_raised_target_holds_the_repetitions_back a_raised_target_takes_no_breach_back"
    ),
    "no_reset_by_toggling": Mutation(
        "7.9", Work, "_anew", _reset,
        "a_policy_that_comes_later_counts_from_the_opening pauses_are_remembered_while_no_policy_applies "
        "switched_off_and_on_again_forgets_nothing switched_on_after_the_deadline_breaches_at_the_switch "
        "toggling_the_priority_resets_nothing"
    ),
    "switched_off_is_cancelled": Mutation(
        "7.9", evaluation, "_take", _event(PolicyChanged, _no_policy_change),
        "a_late_end_of_the_policy_takes_the_breach_back switched_off_and_on_again_forgets_nothing "
        "switched_off_mid_flight switched_on_after_the_deadline_breaches_at_the_switch"
    ),
    "applies_to_priorities": Mutation(
        "7.9", RULES_OF, "applies", _always(True),
        "a_policy_applies_to_its_priorities a_priority_that_leaves_the_policy_cancels "
        "toggling_the_priority_resets_nothing"
    ),
    "another_target": Mutation(
        "7.9", CLOCKS, "under", _same_target,
        "a_lowered_target_ahead_moves_the_deadline a_policy_may_change_what_time_it_counts "
        "a_raised_target_before_the_breach_gives_time a_raised_target_takes_no_breach_back "
        "a_target_lowered_in_a_pause_breaches_on_resumption a_target_lowered_to_this_very_second_is_in_time "
        "pause_then_policy_swap_keeps_what_was_counted"
    ),
    "applies_to_each_priority_named": Mutation(
        "7.9", RULES_OF, "applies", _of_the_last_named,
        "a_priority_within_the_list_changes_nothing"
    ),
    "a_policy_applies_to_the_present_state": Mutation(
        "7.9", Work, "renew", _state_forgotten,
        "a_policy_under_which_it_is_resolved a_target_lowered_in_a_pause_breaches_on_resumption "
        "pause_then_policy_swap_keeps_what_was_counted policy_swap_to_one_that_pauses_here"
    ),
    "a_calendar_change_keeps_what_was_counted": Mutation(
        "7.10", CLOCKS, "under", _without_turn,
        "a_calendar_change_after_an_undelivered_reply_counts_from_there a_calendar_change_to_shorter_hours "
        "hours_that_are_mended_end_the_fault"
    ),
    "past_fulfilments_stay": Mutation(
        "7.10", Work, "renew", _recomputed,
        "a_fulfilled_clock_is_not_judged_again a_reply_without_a_policy_still_answers "
        "two_events_at_the_same_second_keep_their_order what_was_fulfilled_is_not_recomputed"
    ),
    "a_calendar_change_recounts_nothing": Mutation(
        "7.10", CLOCKS, "under", _recounted,
        "a_calendar_change_in_a_pause a_calendar_change_keeps_what_was_counted a_calendar_change_to_shorter_hours"
    ),
    "merged_is_over": Mutation(
        "7.11", REPLIES, "merged", _nothing,
        "a_merged_conversation_does_not_reopen a_merged_conversation_owes_nothing "
        "what_was_answered_in_a_merged_conversation_stays_so"
    ),
    "merged_does_not_reopen": Mutation("7.11", REPLIES, "merged", _reopens, "a_merged_conversation_does_not_reopen"),
    "merged_forgets_its_replies": Mutation(
        "7.11", REPLIES, "merged", _forgets_replies,
        "what_was_answered_in_a_merged_conversation_stays_so"
    ),
    "the_earlier_start_wins": Mutation(
        "7.11", REPLIES, "_earlier", _nothing,
        "of_two_merged_conversations_the_earlier_start_counts the_earlier_start_counts_on_the_survivor_s_calendar "
        "the_survivor_s_pauses_stay_pauses"
    ),
    "only_the_earlier_start_wins": Mutation(
        "7.11", REPLIES, "_earlier", _always_moves,
        "a_later_start_of_the_absorbed_one_changes_nothing a_newer_unanswered_message_moves_no_reply_clock"
    ),
    "only_running_clocks_are_moved": Mutation(
        "7.11", REPLIES, "_earlier", _ended_too,
        "a_resolution_that_has_ended_is_not_moved_by_a_merge"
    ),
    "the_survivor_keeps_its_pauses": Mutation(
        "7.11", CLOCKS, "counting_from", _plainly_from,
        "the_survivor_s_pauses_stay_pauses"
    ),
    "an_absorbed_wait_counts": Mutation(
        "7.11", REPLIES, "absorbed", _wait_forgotten,
        "an_absorbed_wait_that_is_past_breaches_at_the_merge "
        "an_older_unanswered_message_moves_the_reply_clock_back "
        "an_unanswered_message_of_the_absorbed_one_opens_a_clock"
    ),
    "an_absorbed_wait_has_its_own_time": Mutation(
        "7.11", REPLIES, "absorbed", _wait_from_now,
        "an_absorbed_wait_that_is_past_breaches_at_the_merge "
        "an_older_unanswered_message_moves_the_reply_clock_back "
        "an_unanswered_message_of_the_absorbed_one_opens_a_clock"
    ),
    "the_reply_clock_is_split_off": Mutation(
        "7.11", REPLIES, "split_off", _nothing,
        "the_reply_clock_goes_with_the_message_that_is_split_off"
    ),
    "a_part_counts_from_the_message": Mutation(
        "7.11", evaluation, "_create", _event_with(unanswered_since=None),
        "a_part_that_was_split_off_counts_from_the_message "
        "a_part_with_a_message_that_is_late_breaches_at_the_split"
    ),
    "a_part_is_resolved_from_the_split": Mutation(
        "7.11", evaluation, "_create", _lifecycle_from_the_message,
        "a_part_that_was_split_off_counts_from_the_message"
    ),
    "only_what_moved_is_split_off": Mutation(
        "7.11", evaluation, "_take", _event(SplitOff, lambda e: replace(e, unanswered=True)),
        "a_split_without_the_message_leaves_the_reply_clock"
    ),
    "what_was_answered_there_is_not_owed_here": Mutation(
        "7.11", REPLIES, "absorbed", _owed_from_its_start,
        "an_absorbed_conversation_that_was_answered_owes_nothing_here"
    ),
    "a_team_move_resets_nothing": Mutation(
        "7.12", evaluation, "_take", _team_resets,
        "a_team_move_does_not_wake_a_paused_clock team_move_while_a_clock_runs team_move_with_the_team_s_calendar"
    ),
    "an_agent_may_start": Mutation(
        "7.15", evaluation_replies, "_reply", _wrote,
        "after_that_next_response_counts an_agent_started_conversation_owes_no_first_response "
        "the_customer_s_answer_starts_first_response what_we_begin_owes_no_first_response"
    ),
    "what_we_begin": Mutation(
        "7.15", evaluation, "_create", _event_with(outbound=False),
        "a_part_without_a_message_owes_nothing what_we_begin_owes_no_first_response"
    ),
    "pending_pauses_no_reply_clock": Mutation(
        "7.16", RULES_OF, "_pause_on", _always(PENDING),
        "pause_then_policy_swap_to_one_that_does_not_pause pending_does_not_stop_the_reply_clocks"
    ),
    "last_word": Mutation("8.1", RULES_OF, "stop_on", _last_word(False), "resolution_does_not_stop_next_response"),
    "waived": Mutation(
        "8.2", REPLIES, "waived", _nothing,
        "a_message_after_a_waiver_is_owed_a_reply a_waiver_leaves_the_resolution_alone "
        "a_waiver_settles_what_was_answered_before waived_is_neither_met_nor_missed"
    ),
    "waived_is_said": Mutation(
        "8.2", evaluation, "_take", _event(Waived, lambda e: AgentMessage(e.at)),
        "a_message_after_a_waiver_is_owed_a_reply a_waiver_leaves_the_resolution_alone "
        "waived_is_neither_met_nor_missed"
    ),
    "waived_settles": Mutation("8.2", REPLIES, "waived", _forgets_replies, "a_waiver_settles_what_was_answered_before"),
    "only_what_is_owed_is_waived": Mutation(
        "8.2", REPLIES, "waived", _waives_anything,
        "where_nothing_is_owed_nothing_is_waived"
    ),
    "a_message_on_a_closed_conversation": Mutation(
        "8.3", REPLIES, "customer_message", _first_only,
        "a_message_on_a_closed_conversation_starts_a_clock_at_once "
        "a_thank_you_on_a_resolved_conversation_is_answered_too"
    ),
    "an_automation_is_no_bot": Mutation(
        "8.4", REPLIES, "bot_message", _event_with(automation=False),
        "an_automation_is_no_reply an_automation_replies_where_the_tenant_enables_it"
    ),
    "a_bot_is_no_automation": Mutation(
        "8.4", REPLIES, "bot_message", _event_with(automation=True),
        "a_bot_is_not_enabled_with_the_automations"
    ),
    "without_last_word": Mutation(
        "8.5", RULES_OF, "stop_on", _last_word(True),
        "without_last_word_a_breach_stays_a_fact without_last_word_a_new_message_is_a_new_cycle "
        "without_last_word_resolution_ends_next_response"
    ),
    "closed_without_a_reply_is_still_owed_one": Mutation(
        "8.6", RULES_OF, "stop_on", _resolution_ends_first,
        "a_reply_after_closing_meets_the_promise resolution_does_not_stop_first_response"
    ),
    "warnings": Mutation(
        "9.1", RULES_OF, "warnings", _always(()),
        "a_warning_may_come_so_long_before_the_deadline warnings_come_at_75_and_90_percent "
        "warnings_come_where_the_policy_says"
    ),
    "warnings_as_the_policy_says": Mutation(
        "9.1", RULES_OF, "warnings", _always((75, 90)),
        "a_breach_is_said_again_with_growing_gaps a_breach_that_was_taken_back_is_not_repeated "
        "a_deletion_in_a_breach_leaves_the_breach a_late_deletion_takes_the_breach_back"
    ),
    "a_warning_is_rounded_up": Mutation("9.1", TIMERS, "goal", _floor_of, "a_warning_is_rounded_up_to_a_second"),
    "warnings_in_business_time": Mutation(
        "9.1", TIMERS, "_warns_at", _wall_target,
        "a_warning_that_is_left_waits_for_a_pause warnings_count_business_time"
    ),
    "percent_warnings": Mutation(
        "9.1", RULES_OF, "warnings", _without(lambda code: code < 0),
        "a_higher_target_warns_again_at_its_own_time a_warning_is_rounded_up_to_a_second "
        "both_forms_of_warning_stand_together looking_early_changes_nothing warnings_come_at_75_and_90_percent "
        "warnings_come_where_the_policy_says warnings_count_business_time"
    ),
    "remaining_warnings": Mutation(
        "9.1", RULES_OF, "warnings", _without(lambda code: code > 0),
        "a_warning_may_come_so_long_before_the_deadline a_warning_that_is_left_waits_for_a_pause "
        "both_forms_of_warning_stand_together"
    ),
    "a_higher_target_warns_anew": Mutation(
        "9.1", TIMERS, "armed", _never_anew,
        "a_higher_target_warns_again_at_its_own_time"
    ),
    "one_warning_of_a_jump": Mutation(
        "9.2", TIMERS, "armed", _every_warning,
        "continued_past_its_warnings_one_is_given of_a_jump_over_both_forms_the_highest_is_given "
        "of_a_jump_the_highest_warning_is_given of_repetitions_that_were_jumped_one_is_said"
    ),
    "no_warning_twice": Mutation("9.2", TIMERS, "armed", _said_again, "a_resumption_gives_no_warning_twice"),
    "a_breach_supersedes": Mutation(
        "9.2", TIMERS, "_warns_at", _warns_all_the_same,
        "a_breach_supersedes_the_warnings_before_it"
    ),
    "repetitions": Mutation(
        "9.3", TIMERS, "_repeats_at", _nothing,
        "a_breach_is_said_again_with_growing_gaps a_pause_stops_the_repetitions repetitions_count_business_time "
        "repetitions_end_at_their_number the_answer_ends_the_repetitions"
    ),
    "growing_gaps": Mutation(
        "9.3", TIMERS, "_repetition", _level,
        "a_breach_is_said_again_with_growing_gaps eight_repetitions_are_enough_where_no_number_is_given "
        "of_repetitions_that_were_jumped_one_is_said"
    ),
    "repetitions_end": Mutation(
        "9.3", TIMERS, "_repeats_at", _unending,
        "eight_repetitions_are_enough_where_no_number_is_given repetitions_end_at_their_number"
    ),
    "repetitions_only_if_wanted": Mutation(
        "9.3", TIMERS, "_repeats_at", _ten_minutes,
        "without_repeat_s_a_breach_is_said_once"
    ),
    "repetitions_in_business_time": Mutation(
        "9.3", TIMERS, "_repeats_at", _wall_repeats,
        "a_pause_stops_the_repetitions repetitions_count_business_time"
    ),
    "repetitions_after_the_target": Mutation(
        "9.3", TIMERS, "_repetition", _after_the_breach,
        "a_raised_target_holds_the_repetitions_back"
    ),
    "repetitions_after_the_breach": Mutation(
        "9.3", TIMERS, "_repetition", _after_the_target,
        "a_lowered_target_repeats_from_its_breach"
    ),
    "recovery": Mutation(
        "9.4", Work, "say", _no_recovery,
        "a_resolution_after_the_breach_recovers an_answer_after_the_breach_recovers "
        "the_answer_ends_the_repetitions"
    ),
    "recovery_only_from_a_breach": Mutation(
        "9.4", Work, "fulfilled", _always_recovers,
        "an_answer_in_time_recovers_nothing where_nothing_is_owed_nothing_is_waived"
    ),
    "late_facts": Mutation(
        "9.6", Work, "unbreach", _always([]),
        "a_breach_that_was_taken_back_is_not_repeated a_late_deletion_takes_the_breach_back "
        "a_late_end_of_the_policy_takes_the_breach_back a_late_pause_takes_the_breach_back "
        "a_late_reprieve_takes_the_breach_back a_reply_that_was_in_time_takes_the_breach_back "
        "after_a_retraction_it_may_breach_again"
    ),
    "late_facts_at_the_deadline": Mutation(
        "9.6", Work, "unbreach", _before_it_only,
        "a_reply_at_the_deadline_takes_the_breach_back"
    ),
    "late_facts_in_time_only": Mutation(
        "9.6", Work, "unbreach", _all_breaches,
        "a_reply_after_the_deadline_takes_nothing_back"
    ),
    "late_facts_that_avert": Mutation(
        "9.6", Work, "judge", _always_retracts,
        "a_late_note_takes_nothing_back a_late_pause_takes_the_breach_back a_late_reprieve_takes_the_breach_back "
        "a_reply_that_was_in_time_takes_the_breach_back after_a_retraction_it_may_breach_again"
    ),
    "warnings_stay": Mutation("9.6", Work, "unbreach", _warnings_taken_back, "warnings_are_not_taken_back"),
    "no_repetition_of_what_was_taken_back": Mutation(
        "9.6", Work, "judge", _keeps_repeating,
        "a_breach_that_was_taken_back_is_not_repeated"
    ),
    "looking_is_no_event": Mutation(
        "9.6", evaluation, "_looked", _looks_move_time,
        "a_late_note_takes_nothing_back a_reply_after_the_deadline_takes_nothing_back warnings_are_not_taken_back"
    ),
    "what_the_timers_say_is_said": Mutation(
        "9.6", evaluation, "_looked", _said_and_forgotten,
        "looking_early_changes_nothing"
    ),
    "daylight_saving": Mutation("10.3", CalendarModel, "rules", _summer_all_year, "the_night_the_clock_goes_back"),
    "holidays": Mutation("10.4", CalendarModel, "rules", _without_holidays, "a_holiday_is_skipped"),
    "no_deadline_by_the_wall": Mutation(
        "10.5", CLOCKS, "due", _by_the_wall,
        "a_deadline_beyond_ten_years_is_a_fault a_fault_is_said_once_for_every_gen "
        "an_answer_in_a_fault_has_no_verdict hours_that_are_mended_end_the_fault"
    ),
    "a_fault_of_every_gen": Mutation("10.5", Work, "say", _said_once, "a_fault_is_said_once_for_every_gen"),
    "no_verdict_in_a_fault": Mutation("10.5", CLOCKS, "in_time", _all_met, "an_answer_in_a_fault_has_no_verdict"),
    "a_lowered_target_breaches_at_the_change": Mutation(
        "13.2", CLOCKS, "under", _same_change,
        "a_lowered_target_repeats_from_its_breach a_lowered_target_that_is_past_breaches_at_the_change "
        "switched_on_after_the_deadline_breaches_at_the_switch"
    ),
    "calendar_always": Mutation(
        "13.7", evaluation_rules.Setting, "terms", _business,
        "a_calendar_change_leaves_always_alone a_metric_may_count_always"
    ),
    "stop_on_as_written": Mutation(
        "13.7", RULES_OF, "stop_on", _usual_stops,
        "a_stopped_reply_clock_resumes_where_it_is_written stop_on_ends_a_reply_clock_where_it_is_written"
    ),
    "a_note_is_no_reply": Mutation(
        "13.8", evaluation, "_take", _event(AgentNote, lambda e: AgentMessage(e.at)),
        "an_internal_note_is_no_reply"
    ),
    "what_comes_after_is_not_known": Mutation(
        "scenarios 2", evaluate, "evaluate", _all_of_the_file,
        "before_anything_happens_there_is_nothing events_after_the_instant_do_not_count "
        "pause_states_are_free_text stop_states_are_free_text"
    ),
}
# fmt: on
