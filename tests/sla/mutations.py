"""Rules of the SLA engine, each with what switches it off and the scenarios that must notice (test_evaluate.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from trunkline_sla import evaluation, evaluation_clocks, evaluation_rules
from trunkline_sla.evaluation_events import AgentMessage, AgentNote, BotMessage, PolicyChanged, TeamChanged
from trunkline_sla.evaluation_model import RESOLVED, Metric, Phase, Policy, Reopen
from trunkline_sla.evaluation_work import Work

Around = Callable[..., Any]


@dataclass(frozen=True)
class Mutation:
    """`around(original, *arguments)` in place of a function."""

    section: str
    owner: Any
    name: str
    around: Around
    noticed_by: tuple[str, ...]

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

    def around(original: Any, state: Any, work: Any, event: Any, at: Any) -> Any:
        event = instead(event) if isinstance(event, kind) else event
        return state if event is None else original(state, work, event, at)

    return around


def _messages_open_anew(original: Any, state: Any, work: Work, at: Any) -> Any:
    for metric in (Metric.FIRST_RESPONSE, Metric.NEXT_RESPONSE):
        if work.is_open(metric):
            del work.current[metric]
    return original(state, work, at)


def _paused_is_due(original: Any, clock: Any) -> Any:
    paused = clock.phase is Phase.PAUSED
    return evaluation_clocks.reaches(clock, clock.terms.target_s) if paused else original(clock)


def _without_turn(_original: Any, clock: Any, terms: Any, at: Any) -> Any:
    return replace(clock, terms=terms, changed_at=at)


def _reset(original: Any, work: Any, clock: Any) -> Any:
    return replace(original(work, clock), consumed=0, since=clock.changed_at, started_at=clock.changed_at, intervals=())


def _team_resets(original: Any, state: Any, work: Work, event: Any, at: Any) -> Any:
    if isinstance(event, TeamChanged):
        for metric in list(work.current):
            work.start(metric, at)
    return original(state, work, event, at)


def _to(**values: Any) -> Around:
    """The original's answer with other values."""
    return lambda original, *args, **kw: replace(original(*args, **kw), **values)


def _always(value: Any) -> Around:
    return lambda _original, *_args, **_kw: value


def _last_word(on: bool) -> Around:
    return lambda original, policy, metric: original(replace(policy, last_word=on), metric)


def _wrote(original: Any, state: Any, *rest: Any) -> Any:
    return original(replace(state, wrote=True), *rest)


def _minutes(original: Any, *args: Any) -> int:
    return int(original(*args)) // 60 * 60


def _wall(_original: Any, _calendar: Any, start: Any, end: Any) -> int:
    return int((end - start).total_seconds())


def _no_policy_change(event: PolicyChanged) -> PolicyChanged | None:
    return event if event.policy else None


def _late_at_once(original: Any, clock: Any, at: Any) -> Any:
    found = original(clock, at)
    return False if clock.phase is Phase.RUNNING and at == evaluation_clocks.due(clock) else found


def _bots(original: Any, state: Any, work: Any, event: Any, at: Any) -> Any:
    work.setting = replace(work.setting, policy=replace(work.setting.policy or Policy({}), bot_reply_counts=False))
    return original(state, work, event, at)


def _same_change(original: Any, clock: Any, terms: Any, at: Any) -> Any:
    return replace(original(clock, terms, at), changed_at=clock.changed_at)


def _forgiven(original: Any, *args: Any) -> Any:
    return replace(original(*args), breached_at=None)


def _business(original: Any, setting: Any, metric: Any) -> Any:
    return replace(original(setting, metric), calendar=setting.business)


def _never_continues(original: Any, clock: Any, at: Any, *, counts: bool) -> Any:
    return original(clock, at, counts=counts and False)


def _resolution_ends_first(original: Any, policy: Any, metric: Any) -> Any:
    return RESOLVED if metric is Metric.FIRST_RESPONSE else original(policy, metric)


CLOCKS, RULES_OF = evaluation_clocks, evaluation_rules
PENDING = frozenset({"pending"})

RULES: dict[str, Mutation] = {
    "the_deadline_is_in_time": Mutation(
        "7.3", CLOCKS, "in_time", _late_at_once, ("a_reply_exactly_at_the_deadline_is_in_time",)
    ),
    "a_paused_clock_never_breaches": Mutation(
        "7.3", CLOCKS, "due", _paused_is_due, ("a_paused_clock_does_not_breach",)
    ),
    "whole_seconds": Mutation("7.4", evaluation, "_floor", lambda _original, at: at, ("milliseconds_are_floored",)),
    "never_minutes": Mutation("7.4", CLOCKS, "counted", _minutes, ("a_pause_of_seconds_counts_as_seconds",)),
    "pauses_in_business_time": Mutation(
        "7.4",
        CLOCKS,
        "counted",
        _wall,
        ("friday_half_past_four_and_an_hour", "a_lunch_gap_is_not_counted", "reopening_counts_business_time_only"),
    ),
    "a_note_is_no_reply": Mutation(
        "13.8", evaluation, "_take", _event(AgentNote, lambda e: AgentMessage(e.at)), ("an_internal_note_is_no_reply",)
    ),
    "a_bot_is_no_reply": Mutation(
        "7.5", evaluation, "_take", _event(BotMessage, lambda e: AgentMessage(e.at)), ("a_bot_is_no_reply",)
    ),
    "a_bot_may_reply": Mutation("7.5", evaluation, "_take", _bots, ("a_bot_replies_where_the_policy_says_so",)),
    "a_second_message_moves_nothing": Mutation(
        "7.6",
        evaluation,
        "_customer_message",
        _messages_open_anew,
        ("a_second_message_moves_nothing", "a_second_follow_up_moves_nothing"),
    ),
    "the_reply_clocks_take_turns": Mutation(
        "7.7",
        RULES_OF,
        "counts_first_message",
        _always(True),
        ("next_response_waits_for_the_first_reply", "next_response_cannot_pre_empt_the_first"),
    ),
    "counts_first_message": Mutation(
        "7.7",
        RULES_OF,
        "counts_first_message",
        _always(False),
        ("next_response_counts_the_first_message_if_it_is_told_to",),
    ),
    "reopen_resumes": Mutation(
        "7.8",
        RULES_OF,
        "_reopen",
        _always(Reopen.RESTART),
        ("reopened_by_default_it_resumes", "a_resumed_breach_stays_a_breach"),
    ),
    "reopen_as_the_policy_says": Mutation(
        "7.8",
        RULES_OF,
        "_reopen",
        _always(Reopen.RESUME),
        ("reopened_with_continue_the_gap_counts", "reopened_with_restart_it_is_another_cycle"),
    ),
    "reopen_continues": Mutation(
        "7.8", CLOCKS, "reopened", _never_continues, ("reopened_with_continue_the_gap_counts",)
    ),
    "a_lowered_target_breaches_at_the_change": Mutation(
        "13.2",
        CLOCKS,
        "under",
        _same_change,
        (
            "a_lowered_target_that_is_past_breaches_at_the_change",
            "switched_on_after_the_deadline_breaches_at_the_switch",
        ),
    ),
    "a_breach_is_never_taken_back": Mutation(
        "7.9", CLOCKS, "under", _forgiven, ("a_raised_target_takes_no_breach_back",)
    ),
    "no_reset_by_toggling": Mutation(
        "7.9",
        Work,
        "_anew",
        _reset,
        ("switched_off_and_on_again_forgets_nothing", "toggling_the_priority_resets_nothing"),
    ),
    "switched_off_is_cancelled": Mutation(
        "7.9", evaluation, "_take", _event(PolicyChanged, _no_policy_change), ("switched_off_mid_flight",)
    ),
    "a_calendar_change_keeps_what_was_counted": Mutation(
        "7.10",
        CLOCKS,
        "under",
        _without_turn,
        ("a_calendar_change_to_shorter_hours",),
    ),
    "a_team_move_resets_nothing": Mutation(
        "7.12", evaluation, "_take", _team_resets, ("team_move_while_a_clock_runs",)
    ),
    "an_agent_may_start": Mutation(
        "7.15", evaluation, "_reply", _wrote, ("an_agent_started_conversation_owes_no_first_response",)
    ),
    "pending_pauses_no_reply_clock": Mutation(
        "7.16", RULES_OF, "_pause_on", _always(PENDING), ("pending_does_not_stop_the_reply_clocks",)
    ),
    "pauses": Mutation(
        "7.2",
        RULES_OF,
        "_pause_on",
        _always(frozenset()),
        ("pending_and_on_hold_pause_resolution", "pause_states_are_free_text", "a_conversation_may_begin_paused"),
    ),
    "last_word": Mutation("8.1", RULES_OF, "stop_on", _last_word(False), ("resolution_does_not_stop_next_response",)),
    "without_last_word": Mutation(
        "8.5", RULES_OF, "stop_on", _last_word(True), ("without_last_word_resolution_ends_next_response",)
    ),
    "closed_without_a_reply_is_still_owed_one": Mutation(
        "8.6", RULES_OF, "stop_on", _resolution_ends_first, ("resolution_does_not_stop_first_response",)
    ),
    "calendar_always": Mutation(
        "13.7",
        evaluation_rules.Setting,
        "terms",
        _business,
        ("a_metric_may_count_always", "a_calendar_change_leaves_always_alone"),
    ),
    "applies_to_priorities": Mutation(
        "7.9",
        RULES_OF,
        "applies",
        _always(True),
        ("a_policy_applies_to_its_priorities", "a_priority_that_leaves_the_policy_cancels"),
    ),
}
