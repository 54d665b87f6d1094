"""A scenario of the SLA engine as strangers write it (scenarios.md section 2): checked whole, then made inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StringConstraints, ValidationError, field_validator
from trunkline_common import calendar_document
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_document import CalendarModel, Strict
from trunkline_common.errors import Violation

from trunkline_sla import evaluation_events as events
from trunkline_sla import evaluation_model as model
from trunkline_sla.calendar import Instant, InvalidScenario
from trunkline_sla.evaluation_model import DEFAULT_WARNINGS, Hours, Metric, Reopen

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]
Target = Annotated[StrictInt, Field(ge=1, le=366 * 86_400)]
Percent = Annotated[StrictInt, Field(ge=1, le=99)]
#: What a calendar answers for, from its first event on (sla.md 10.5).
SPAN = timedelta(days=3650)
TYPES = (
    *("conversation_created", "customer_message", "agent_message", "agent_note", "bot_message"),
    *("state_changed", "priority_changed", "policy_changed", "calendar_changed", "team_changed"),
)


# -- the policy


class RuleModel(Strict):
    """One metric."""

    target_s: Target
    pause_on: list[Name] | None = None
    stop_on: list[Name] | None = None
    reopen: Reopen | None = None
    counts_first_message: StrictBool = False
    calendar: Hours = Hours.BUSINESS

    def rule(self) -> model.Rule:
        """As the engine takes it."""
        pauses, stops = (None if names is None else frozenset(names) for names in (self.pause_on, self.stop_on))
        return model.Rule(self.target_s, pauses, stops, self.reopen, self.counts_first_message, self.calendar)


class PolicyModel(Strict):
    """What is promised."""

    metrics: dict[Metric, RuleModel]
    last_word: StrictBool = True
    applies_to_priorities: list[Name] | None = None
    bot_reply_counts: StrictBool = False
    warnings_percent: tuple[Percent, ...] = DEFAULT_WARNINGS

    @field_validator("metrics")
    @classmethod
    def _flag_has_a_meaning(cls, value: dict[Metric, RuleModel]) -> dict[Metric, RuleModel]:
        wrong = [m for m, rule in value.items() if rule.counts_first_message and m is not Metric.NEXT_RESPONSE]
        if wrong:
            raise ValueError(f"counts_first_message is of next_response, not of {', '.join(wrong)}")
        return value

    def policy(self) -> model.Policy:
        """As the engine takes it."""
        return model.Policy(
            metrics={metric: rule.rule() for metric, rule in self.metrics.items()},
            last_word=self.last_word,
            applies_to_priorities=None if self.applies_to_priorities is None else frozenset(self.applies_to_priorities),
            bot_reply_counts=self.bot_reply_counts,
            warnings_percent=tuple(sorted(set(self.warnings_percent))),
        )


# -- the events


class Created(Strict):
    """The first of them, if it is there."""

    t: Instant
    type: Literal["conversation_created"]
    state: Name = "open"
    priority: Name = "normal"

    def event(self, _anchor: datetime) -> events.Event:
        """As the engine takes it."""
        return events.ConversationCreated(self.t, self.state, self.priority)


MESSAGES: dict[str, Callable[[datetime], events.Event]] = {
    "customer_message": events.CustomerMessage,
    "agent_message": events.AgentMessage,
    "agent_note": events.AgentNote,
    "bot_message": events.BotMessage,
}
CHANGES: dict[str, Callable[[datetime, str], events.Event]] = {
    "state_changed": events.StateChanged,
    "priority_changed": events.PriorityChanged,
    "team_changed": events.TeamChanged,
}


class Message(Strict):
    """Somebody wrote."""

    t: Instant
    type: Literal["customer_message", "agent_message", "agent_note", "bot_message"]

    def event(self, _anchor: datetime) -> events.Event:
        """As the engine takes it."""
        return MESSAGES[self.type](self.t)


class Changed(Strict):
    """A name was changed."""

    t: Instant
    type: Literal["state_changed", "priority_changed", "team_changed"]
    to: Name

    def event(self, _anchor: datetime) -> events.Event:
        """As the engine takes it."""
        return CHANGES[self.type](self.t, self.to)


class PolicyChanged(Strict):
    """null: no policy any more."""

    t: Instant
    type: Literal["policy_changed"]
    policy: PolicyModel | None

    def event(self, _anchor: datetime) -> events.Event:
        """As the engine takes it."""
        return events.PolicyChanged(self.t, self.policy.policy() if self.policy else None)


class CalendarChanged(Strict):
    """Other hours."""

    t: Instant
    type: Literal["calendar_changed"]
    calendar: CalendarModel

    def event(self, anchor: datetime) -> events.Event:
        """As the engine takes it."""
        return events.CalendarChanged(self.t, Calendar(self.calendar.rules(), anchor))


EventModel = Annotated[Created | Message | Changed | PolicyChanged | CalendarChanged, Field(discriminator="type")]


class Expect(Strict):
    """Only what is named is compared."""

    at: Instant
    metric: Metric
    due_at: Instant | None = None
    met: StrictBool | None = None
    breached_at: Instant | None = None
    elapsed_s: StrictInt | None = None
    worst_elapsed_s: StrictInt | None = None
    diff_s: StrictInt | None = None

    def named(self) -> Iterator[tuple[str, object]]:
        """The fields that were written, with what they must be; null is a value."""
        yield from ((name, getattr(self, name)) for name in self.model_fields_set - {"at", "metric"})


class Scenario(Strict):
    """A policy, a calendar, what happens, and what is expected then."""

    calendar: CalendarModel
    policy: PolicyModel | None
    events: Annotated[list[EventModel], Field(min_length=1)]
    expect: tuple[Expect, ...] = ()

    @property
    def first(self) -> datetime:
        """The anchor of its calendars."""
        return self.events[0].t


# -- reading


def check(document: object, at: datetime | None = None) -> Scenario:
    """The scenario of a document, to be asked at that time too. Raises InvalidScenario with every wrong field."""
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise InvalidScenario([_named(v) for v in calendar_document.violations(error, "file")]) from error
    if wrong := list(_wrong(scenario, at)):
        raise InvalidScenario(wrong)
    return scenario


def _named(violation: Violation) -> Violation:
    """events[0].t, where pydantic puts the type of the event in between, or says that a name is wrong as such."""
    field = re.sub(rf"^(events\[\d+\])\.({'|'.join(TYPES)})\b", r"\1", violation.field)
    return Violation(field.removesuffix(".[key]"), violation.description)


def _wrong(scenario: Scenario, at: datetime | None) -> Iterator[Violation]:
    if problem := calendar_document.never_open(scenario.calendar.rules(), scenario.first):
        yield Violation("calendar", problem)
    yield from _wrong_events(scenario)
    asked = [(f"expect[{i}].at", e.at) for i, e in enumerate(scenario.expect)]
    for path, instant in [*asked, *([("--at", at)] if at else [])]:
        if abs(instant - scenario.first) > SPAN:
            yield Violation(path, "is more than ten years from the first event")


def _wrong_events(scenario: Scenario) -> Iterator[Violation]:
    latest, begun = scenario.first, False
    for i, event in enumerate(scenario.events):
        if event.t < latest:
            yield Violation(f"events[{i}].t", "is before the event that precedes it")
        if event.t - scenario.first > SPAN:
            yield Violation(f"events[{i}].t", "is more than ten years from the first event")
        if isinstance(event, Created) and begun:
            yield Violation(f"events[{i}]", "a conversation is created once, before anything happens in it")
        if isinstance(event, CalendarChanged) and (
            problem := calendar_document.never_open(event.calendar.rules(), event.t)
        ):
            yield Violation(f"events[{i}].calendar", problem)
        latest = max(latest, event.t)
        begun = begun or isinstance(event, Created | Message) or event.type == "state_changed"
