"""What a period of the log says of customers and agents, apart from what the engine decided in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from statistics import median

from trunkline_router.events import (
    AttributesChanged,
    CallbackScheduled,
    ConversationAssigned,
    ConversationMerged,
    ConversationQueued,
    ConversationReleased,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationSplit,
    ConversationStarted,
    ConversationTransferred,
    ConversationWoken,
    Event,
    MessageReceived,
    MessageSent,
    OfferDeclined,
    OfferMade,
    OfferRescinded,
    OfferTimedOut,
)
from trunkline_router.facts import ActorType
from trunkline_router.handed import ConversationTakenOver
from trunkline_router.pool import Pool, Status
from trunkline_router.pool_events import (
    AgentAcceptingChanged,
    AgentConfigured,
    AgentPresenceChanged,
    AgentRemoved,
    AgentRespondsAgain,
    AgentStoppedResponding,
)
from trunkline_router.replay_inputs import from_outside

#: What people are taken to need where the period has no example of it.
HANDLING_S, ACCEPT_S, SILENT_S = 600.0, 5.0, 60.0


class Ending(StrEnum):
    """How a conversation left an agent's hands. OPEN: it had not when the period ended, or it was merged."""

    RESOLVED = "RESOLVED"
    TRANSFERRED = "TRANSFERRED"
    SNOOZED = "SNOOZED"
    RELEASED = "RELEASED"
    CALLBACK = "CALLBACK"
    OPEN = "OPEN"


@dataclass(frozen=True, slots=True)
class Service:
    """One time in an agent's hands: how long, and how it ended.

    `team` and `agent`: where it was transferred to. `windows`: seconds from the end on until a snooze ends, or a
    callback begins and ends.
    """

    handling_s: float
    ending: Ending
    replied: bool = False
    team: str = ""
    agent: str = ""
    windows: tuple[float, ...] = ()


class Reply(StrEnum):
    """What the agent who was asked said. NONE: it stood until it was missed or taken back."""

    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    NONE = "NONE"


@dataclass(slots=True)
class Answer:
    """What became of an offer, and after how long."""

    seconds: float
    reply: Reply


#: A conversation's cycle.
Cycle = tuple[str, int]


@dataclass(slots=True)
class Record:
    """`arrivals`: events of what came from outside, by decision. The others: what happened in each cycle, in order."""

    arrivals: list[list[Event]] = field(default_factory=list)
    services: dict[Cycle, list[Service]] = field(default_factory=dict)
    answers: dict[Cycle, list[Answer]] = field(default_factory=dict)
    #: By team, of those that were resolved.
    handling_s: dict[str, list[float]] = field(default_factory=dict)
    #: How long agents who had stopped responding took to say that they respond again.
    silent_s: list[float] = field(default_factory=list)

    def usual(self, team: str) -> Service:
        """What happens to a conversation of which the period tells nothing."""
        known = self.handling_s.get(team) or [s for all_ in self.handling_s.values() for s in all_]
        return Service(median(known) if known else HANDLING_S, Ending.RESOLVED)

    def usual_answer(self) -> Answer:
        """How agents answer an offer of which the period tells nothing."""
        known = [a.seconds for found in self.answers.values() for a in found if a.reply is Reply.ACCEPTED]
        return Answer(median(known) if known else ACCEPT_S, Reply.ACCEPTED)

    def usual_silence_s(self) -> float:
        """How long agents who stopped responding stay so."""
        return median(self.silent_s) if self.silent_s else SILENT_S


#: What comes from outside. What agents do with what they hold is in the services instead.
OUTSIDE = (
    MessageReceived,
    ConversationStarted,
    ConversationSplit,
    ConversationMerged,
    ConversationReopened,
    ConversationWoken,
    AttributesChanged,
    AgentPresenceChanged,
    AgentAcceptingChanged,
    AgentConfigured,
    AgentRemoved,
    ConversationTakenOver,
)


@dataclass(slots=True)
class _Held:
    team: str
    began_at: datetime
    replied: bool = False


class Reader:
    """Reads a period, decision by decision, beginning with the pool as it was before."""

    def __init__(self, before: Pool, since: datetime) -> None:
        self.record = Record()
        self._held: dict[str, _Held] = {}
        self._offers: dict[str, tuple[datetime, Answer]] = {}
        #: Work that was cut short goes on in the next hands.
        self._carried: dict[str, float] = {}
        self._silent: dict[str, datetime] = {}
        self._cycles = {c.id: c.cycle for c in before.conversations.values()}
        for c in before.conversations.values():
            if c.status is Status.ASSIGNED:
                self._held[c.id] = _Held(c.team, since)
            for offer_id in c.offers:
                self._offered(c.id, offer_id, since)

    def read(self, group: Sequence[Event]) -> None:
        """The events of one decision."""
        if self._from_outside(group):
            self.record.arrivals.append(list(group))
        for event in group:
            self._see(event)

    def finish(self, until: datetime) -> Record:
        """The period is over."""
        for name in list(self._held):
            self._end(name, until, Ending.OPEN)
        for name, seconds in self._carried.items():
            self.record.services.setdefault(self._cycle(name), []).append(Service(seconds, Ending.OPEN))
        for offer_id in list(self._offers):
            self._answered(offer_id, until, Reply.NONE)
        return self.record

    def _from_outside(self, group: Sequence[Event]) -> bool:
        own = [one for one in group if from_outside(one)]
        return any(isinstance(one.payload, OUTSIDE) for one in own) or any(self._on_waiting(one) for one in own)

    def _on_waiting(self, event: Event) -> bool:
        """What somebody did with a conversation that nobody had: took it by hand, moved it, or gave up."""
        done = event.payload
        by_hand = isinstance(done, ConversationAssigned) and done.by_hand
        other = isinstance(done, ConversationTransferred | ConversationResolved | CallbackScheduled)
        return (by_hand or other) and event.conversation_id not in self._held

    def _see(self, event: Event) -> None:
        name, at = event.conversation_id, event.occurred_at
        match event.payload:
            case OfferMade(offer_id):
                self._offered(name, offer_id, at)
            case OfferDeclined(offer_id):
                self._answered(offer_id, at, Reply.DECLINED)
            case OfferTimedOut(offer_id) | OfferRescinded(offer_id):
                self._answered(offer_id, at, Reply.NONE)
            case ConversationAssigned(_, team, offer_id):
                self._cut_short(name, at)
                self._answered(offer_id, at, Reply.ACCEPTED)
                self._held[name] = _Held(team, at)
            case ConversationWoken(_, agent_id) if agent_id:
                self._held[name] = _Held("", at)
            case MessageSent(automatic=None) if name in self._held:
                self._held[name].replied = True
            case ConversationQueued():
                self._cut_short(name, at)
            case ConversationStarted():
                self._cycles[name] = 1
            case ConversationTakenOver(state=state):
                self._cycles[name] = state.cycle
            case ConversationReopened():
                self._cycles[name] = self._cycles.get(name, 0) + 1
            case AgentStoppedResponding(agent_id):
                self._silent[agent_id] = at
            case AgentRespondsAgain(agent_id) if agent_id in self._silent:
                self.record.silent_s.append(_seconds(self._silent.pop(agent_id), at))
            case _:
                self._ended(event)

    def _cycle(self, name: str) -> Cycle:
        return name, self._cycles.get(name, 0)

    def _offered(self, name: str, offer_id: str, at: datetime) -> None:
        answer = Answer(0.0, Reply.NONE)
        self.record.answers.setdefault(self._cycle(name), []).append(answer)
        self._offers[offer_id] = at, answer

    def _answered(self, offer_id: str, at: datetime, reply: Reply) -> None:
        if offer_id in self._offers:
            made_at, answer = self._offers.pop(offer_id)
            answer.seconds, answer.reply = _seconds(made_at, at), reply

    def _ended(self, event: Event) -> None:
        name, at = event.conversation_id, event.occurred_at
        match event.payload:
            case ConversationResolved():
                self._end(name, at, Ending.RESOLVED)
            case ConversationTransferred(to_team=team, to_agent_id=agent, asked_team=asked):
                self._end(name, at, Ending.TRANSFERRED, team=asked or team, agent=agent)
            case ConversationSnoozed(_, until):
                self._end(name, at, Ending.SNOOZED, windows=(_seconds(at, until),))
            case CallbackScheduled(begins_at, ends_at, team):
                windows = _seconds(at, begins_at), _seconds(at, ends_at)
                self._end(name, at, Ending.CALLBACK, team=team, windows=windows)
            case ConversationMerged():
                self._end(name, at, Ending.OPEN)
            case ConversationReleased(_, reason):
                if event.actor.type is ActorType.SYSTEM or reason in INTERRUPTED:
                    self._cut_short(name, at)
                else:
                    self._end(name, at, Ending.RELEASED)
            case _:
                pass

    def _cut_short(self, name: str, at: datetime) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            self._carried[name] = self._carried.get(name, 0.0) + _seconds(held.began_at, at)

    def _end(
        self, name: str, at: datetime, how: Ending, *, team: str = "", agent: str = "", windows: tuple[float, ...] = ()
    ) -> None:
        held = self._held.pop(name, None)
        if held is None:
            return
        took = _seconds(held.began_at, at) + self._carried.pop(name, 0.0)
        done = Service(took, how, held.replied, team, agent, windows)
        self.record.services.setdefault(self._cycle(name), []).append(done)
        if how is Ending.RESOLVED:
            self.record.handling_s.setdefault(held.team, []).append(took)


#: Reasons with which a conversation is taken out of somebody's hands by others.
INTERRUPTED = ("assigned to another agent", "agent removed")


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()
