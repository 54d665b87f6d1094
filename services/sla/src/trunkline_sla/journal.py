"""What the clocks of a conversation are told, entry by entry: enough to make them anew, nothing of what was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, assert_never

from trunkline_sla.evaluation_events import (
    Absorbed,
    AgentMessage,
    BotMessage,
    ConversationCreated,
    CustomerMessage,
    DeliveryFailed,
    Event,
    Merged,
    SplitOff,
    StateChanged,
    TimersLooked,
    Waived,
)


class What(StrEnum):
    """The kinds of entries. The last three are our own: another version came into force; timers fired ahead of an
    event that was late; other zone data moved the deadlines of the named metrics."""

    CREATED = "created"
    WROTE = "wrote"
    REPLIED = "replied"
    BOT = "bot"
    UNDELIVERED = "undelivered"
    STATE = "state"
    RESOLVED = "resolved"
    MERGED = "merged"
    ABSORBED = "absorbed"
    SPLIT = "split"
    KNOWN = "known"
    OTHER = "other"
    CONFIGURED = "configured"
    LOOKED = "looked"
    REZONED = "rezoned"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a conversation for the choice of its policy."""

    priority: str = "normal"
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


class Entry(NamedTuple):
    """One event of the log, or an entry of our own (seq 0). What does not belong to its kind is empty."""

    what: What
    at: datetime
    cause: str = ""
    seq: int = 0
    #: The version of the configuration in force.
    version: int = 0
    team: str | None = None
    channel: str | None = None
    known: Known | None = None
    state: str = ""
    message_id: str = ""
    answers_through: int = 0
    automation: bool = False
    #: We began it, not the customer.
    outbound: bool = False
    reason: str = ""
    started_at: datetime | None = None
    unanswered_since: datetime | None = None
    unanswered_moved: bool = False


#: States that end when somebody is given the conversation, or it waits for somebody.
OUTSIDE = frozenset({"callback", "rejected"})


def events(entry: Entry, status: str) -> list[Event]:
    """What the engine is told, in order; `status` is the conversation's before the entry."""
    at, cause = entry.at, entry.cause
    match entry.what:
        case What.CREATED:
            return [
                ConversationCreated(at, unanswered_since=entry.unanswered_since, outbound=entry.outbound, cause=cause)
            ]
        case What.WROTE:
            return [CustomerMessage(at, entry.message_id, entry.seq, cause)]
        case What.REPLIED:
            return [AgentMessage(at, entry.message_id, entry.answers_through, cause)]
        case What.BOT:
            return [BotMessage(at, entry.message_id, entry.automation, cause)]
        case What.UNDELIVERED:
            return [DeliveryFailed(at, message_id=entry.message_id, cause=cause)]
        case What.STATE:
            return [StateChanged(at, entry.state, cause=cause)]
        case What.RESOLVED:
            waived: list[Event] = [Waived(at, entry.reason, cause=cause)] if entry.reason else []
            return [*waived, StateChanged(at, "resolved", cause=cause)]
        case What.MERGED:
            return [Merged(at, cause=cause)]
        case What.ABSORBED:
            started = entry.started_at or at
            return [Absorbed(at, started, entry.unanswered_since, cause=cause)]
        case What.SPLIT:
            return [SplitOff(at, unanswered=entry.unanswered_moved, cause=cause)]
        case What.LOOKED:
            return [TimersLooked(at)]
        case What.KNOWN | What.OTHER | What.CONFIGURED | What.REZONED:
            taken = entry.what is What.KNOWN and entry.team is not None and status in OUTSIDE
            return [StateChanged(at, "open", cause=cause)] if taken else []
        case _:
            assert_never(entry.what)
