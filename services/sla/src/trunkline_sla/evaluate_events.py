"""The events of a scenario file (scenarios.md section 2). `seq` is an event's place in the file, from 1."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StrictBool
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_document import CalendarModel, Strict

from trunkline_sla import evaluation_events as events
from trunkline_sla.calendar import Instant
from trunkline_sla.evaluate_policy import Name, PolicyModel

TYPES = (
    *("conversation_created", "customer_message", "customer_message_deleted", "agent_message", "agent_note"),
    *("bot_message", "delivery_failed", "waived", "state_changed", "priority_changed", "policy_changed"),
    *("calendar_changed", "team_changed", "merged", "absorbed", "split", "look"),
)


class Created(Strict):
    """The first of them, if it is there."""

    t: Instant
    type: Literal["conversation_created"]
    state: Name = "open"
    priority: Name = "normal"
    outbound: StrictBool = False
    unanswered_since: Instant | None = None

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return events.ConversationCreated(self.t, self.state, self.priority, self.outbound, self.unanswered_since)


class CustomerMessage(Strict):
    """The customer wrote."""

    t: Instant
    type: Literal["customer_message"]
    message_id: Name | None = None

    def event(self, _anchor: datetime, seq: int) -> events.Event:
        """As the engine takes it."""
        return events.CustomerMessage(self.t, self.message_id or "", seq)


class AgentMessage(Strict):
    """A public message; `answers_through` is the last message of the customer that it answers, by name."""

    t: Instant
    type: Literal["agent_message"]
    message_id: Name | None = None
    answers_through: Name | None = None

    def event(self, _anchor: datetime, through: int) -> events.Event:
        """As the engine takes it."""
        return events.AgentMessage(self.t, self.message_id or "", through or None)


class BotMessage(Strict):
    """A bot's or an automation's message."""

    t: Instant
    type: Literal["bot_message"]
    message_id: Name | None = None
    automation: StrictBool = False

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return events.BotMessage(self.t, self.message_id or "", self.automation)


OF_MESSAGE: dict[str, Callable[[datetime, str], events.Event]] = {
    "customer_message_deleted": events.CustomerMessageDeleted,
    "delivery_failed": events.DeliveryFailed,
}
CHANGES: dict[str, Callable[[datetime, str], events.Event]] = {
    "state_changed": events.StateChanged,
    "priority_changed": events.PriorityChanged,
    "team_changed": events.TeamChanged,
}
PLAIN: dict[str, Callable[[datetime], events.Event]] = {
    "agent_note": events.AgentNote,
    "merged": events.Merged,
}


class OfMessage(Strict):
    """Something happened to a message."""

    t: Instant
    type: Literal["customer_message_deleted", "delivery_failed"]
    message_id: Name

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return OF_MESSAGE[self.type](self.t, self.message_id)


class Changed(Strict):
    """A name was changed."""

    t: Instant
    type: Literal["state_changed", "priority_changed", "team_changed"]
    to: Name

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return CHANGES[self.type](self.t, self.to)


class PolicyChanged(Strict):
    """null: no policy any more."""

    t: Instant
    type: Literal["policy_changed"]
    policy: PolicyModel | None

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return events.PolicyChanged(self.t, self.policy.policy() if self.policy else None)


class CalendarChanged(Strict):
    """Other hours."""

    t: Instant
    type: Literal["calendar_changed"]
    calendar: CalendarModel

    def event(self, anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return events.CalendarChanged(self.t, Calendar(self.calendar.rules(), anchor))


class Waived(Strict):
    """Ended without the reply that is owed."""

    t: Instant
    type: Literal["waived"]
    reason: Name

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return events.Waived(self.t, self.reason)


class Plain(Strict):
    """Nothing is to be said of it."""

    t: Instant
    type: Literal["agent_note", "merged"]

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return PLAIN[self.type](self.t)


class Absorbed(Strict):
    """Another conversation ended in this one."""

    t: Instant
    type: Literal["absorbed"]
    started_at: Instant
    unanswered_since: Instant | None = None

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return events.Absorbed(self.t, self.started_at, self.unanswered_since)


class Split(Strict):
    """A part is a conversation of its own from now on; whether what was unanswered went with it."""

    t: Instant
    type: Literal["split"]
    unanswered: StrictBool

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return events.SplitOff(self.t, self.unanswered)


class Look(Strict):
    """The timers look; what comes next in the file may be earlier: it was late."""

    t: Instant
    type: Literal["look"]

    def event(self, _anchor: datetime, _seq: int) -> events.Event:
        """As the engine takes it."""
        return events.TimersLooked(self.t)


EventModel = (
    Created | CustomerMessage | AgentMessage | BotMessage | OfMessage | Changed | PolicyChanged | CalendarChanged
    | Waived | Plain | Absorbed | Split | Look
)  # fmt: skip
AnEvent = Annotated[EventModel, Field(discriminator="type")]
