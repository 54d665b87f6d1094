"""A scenario of the SLA engine as strangers write it (scenarios.md section 2): checked whole, then made inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt, ValidationError
from trunkline_common import calendar_document
from trunkline_common.calendar_document import CalendarModel, Strict
from trunkline_common.errors import Violation
from trunkline_common.files import InvalidFile

from trunkline_sla import evaluation_events as engine
from trunkline_sla.calendar import Instant
from trunkline_sla.evaluate_events import (
    TYPES,
    Absorbed,
    AgentMessage,
    AnEvent,
    CalendarChanged,
    Created,
    CustomerMessage,
    EventModel,
    Look,
    OfMessage,
    PolicyChanged,
)
from trunkline_sla.evaluate_policy import PolicyModel
from trunkline_sla.evaluation_answers import Standing
from trunkline_sla.evaluation_facts import FactKind
from trunkline_sla.evaluation_model import Metric

#: What a calendar answers for, from its first event on (sla.md 10.5).
SPAN = timedelta(days=3650)


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
    state: Standing | None = None
    #: The types of what was published for the metric by then, in order.
    events: list[FactKind] | None = None

    def named(self) -> Iterator[tuple[str, object]]:
        """The fields that were written, with what they must be; null is a value."""
        yield from ((name, getattr(self, name)) for name in self.model_fields_set - {"at", "metric"})


class Scenario(Strict):
    """A policy, a calendar, what happens, and what is expected then."""

    calendar: CalendarModel
    policy: PolicyModel | None
    events: Annotated[list[AnEvent], Field(min_length=1)]
    expect: tuple[Expect, ...] = ()

    @property
    def first(self) -> datetime:
        """The anchor of its calendars."""
        return self.events[0].t

    def log(self) -> tuple[engine.Event, ...]:
        """Its events as the engine takes them; a message's place in the file is its seq."""
        return tuple(event.event(self.first, self._seq(event, i)) for i, event in enumerate(self.events, 1))

    def _seq(self, event: EventModel, own: int) -> int:
        """Where the message stands that an answer goes up to; of any other event its own place."""
        if not isinstance(event, AgentMessage):
            return own
        written = enumerate(self.events, 1)
        through = (i for i, e in written if isinstance(e, CustomerMessage) and e.message_id == event.answers_through)
        return next(through, 0) if event.answers_through else 0


# -- reading


def check(document: object, at: datetime | None = None) -> Scenario:
    """The scenario of a document, to be asked at that time too. Raises InvalidFile with every wrong field."""
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise InvalidFile([_named(v) for v in calendar_document.violations(error, "file")]) from error
    if wrong := list(_wrong(scenario, at)):
        raise InvalidFile(wrong)
    return scenario


def _named(violation: Violation) -> Violation:
    """events[0].t, where pydantic puts the type of the event in between, or says that a name is wrong as such."""
    field = re.sub(rf"^(events\[\d+\])\.({'|'.join(TYPES)})\b", r"\1", violation.field)
    return Violation(field.removesuffix(".[key]"), violation.description)


def _wrong(scenario: Scenario, at: datetime | None) -> Iterator[Violation]:
    if problem := calendar_document.never_open(scenario.calendar.rules(), scenario.first):
        yield Violation("calendar", problem)
    if scenario.policy:
        yield from (Violation(f"policy.{field}", text) for field, text in scenario.policy.problems())
    yield from _wrong_events(scenario)
    asked = [(f"expect[{i}].at", e.at) for i, e in enumerate(scenario.expect)]
    for path, instant in [*asked, *([("--at", at)] if at else [])]:
        if abs(instant - scenario.first) > SPAN:
            yield Violation(path, "is more than ten years from the first event")


def _wrong_events(scenario: Scenario) -> Iterator[Violation]:
    latest, begun, named = scenario.first, False, dict[str, str]()
    for i, event in enumerate(scenario.events):
        path = f"events[{i}]"
        yield from (Violation(f"{path}.{field}", text) for field, text in _wrong_event(event, scenario, latest))
        if isinstance(event, Created) and begun:
            yield Violation(path, "a conversation is created once, before anything happens in it")
        if isinstance(event, Look) and not begun:
            yield Violation(path, "nothing has begun that the timers could look at")
        yield from (Violation(f"{path}.{field}", text) for field, text in _wrong_name(event, named))
        latest = latest if isinstance(event, Look) else max(latest, event.t)
        begun = begun or isinstance(event, Created | CustomerMessage | AgentMessage | Look) or event.type in BEGINNINGS


BEGINNINGS = ("agent_note", "bot_message", "state_changed")


def _wrong_event(event: EventModel, scenario: Scenario, latest: datetime) -> Iterator[tuple[str, str]]:
    if event.t < latest and not isinstance(event, Look):
        yield "t", "is before the event that precedes it"
    if event.t - scenario.first > SPAN:
        yield "t", "is more than ten years from the first event"
    if isinstance(event, CalendarChanged) and (
        problem := calendar_document.never_open(event.calendar.rules(), event.t)
    ):
        yield "calendar", problem
    if isinstance(event, PolicyChanged) and event.policy:
        yield from ((f"policy.{field}", text) for field, text in event.policy.problems())
    for name in ("started_at", "unanswered_since"):
        then = getattr(event, name, None) if isinstance(event, Absorbed | Created) else None
        if then is not None and not event.t - SPAN <= then <= event.t:
            yield name, "is not in the ten years before its event"


def _wrong_name(event: EventModel, named: dict[str, str]) -> Iterator[tuple[str, str]]:
    """`named`: the type of the message of each name so far."""
    name = getattr(event, "message_id", None)
    if isinstance(event, OfMessage):
        of = ("customer_message",) if event.type == "customer_message_deleted" else ("agent_message", "bot_message")
        if named.get(event.message_id) not in of:
            yield "message_id", f"no {' or '.join(of)} before it has this name"
    elif name in named:
        yield "message_id", "is another message's name"
    elif name:
        named[name] = event.type
    through = event.answers_through if isinstance(event, AgentMessage) else None
    if through and named.get(through) != "customer_message":
        yield "answers_through", "no customer_message before it has this name"
