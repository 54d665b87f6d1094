"""Recorded customers and agents around a living engine: a discrete-event simulation."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from trunkline_router import inputs as i
from trunkline_router.engine import SYSTEM, handle
from trunkline_router.events import (
    CallbackScheduled,
    ConversationAssigned,
    ConversationMerged,
    ConversationQueued,
    ConversationReleased,
    ConversationResolved,
    ConversationSnoozed,
    ConversationTransferred,
    ConversationWoken,
    Event,
    OfferMade,
)
from trunkline_router.facts import Content
from trunkline_router.handed import TakeOver
from trunkline_router.pool import Pool, Status
from trunkline_router.pool_events import AgentStoppedResponding, PoolConfigured
from trunkline_router.refusals import Refusal
from trunkline_router.replay_inputs import asked_of
from trunkline_router.simulation_figures import Meter
from trunkline_router.simulation_record import Ending, Record, Reply, Service
from trunkline_router.simulation_services import Services
from trunkline_router.state import Engine
from trunkline_router.tools import Tools

LEFT = (
    ConversationQueued,
    ConversationReleased,
    ConversationResolved,
    ConversationTransferred,
    ConversationSnoozed,
    ConversationMerged,
    CallbackScheduled,
)
#: What may be done with a conversation that nobody has in hand.
UNSERVED = (Status.NEW, Status.QUEUED, Status.OFFERED, Status.SNOOZED, Status.SCHEDULED)


@dataclass(frozen=True, slots=True)
class Period:
    """What to simulate: the pool as it was before the first event, the events, and what to put in force instead."""

    before: Pool
    recorded: Iterable[Event]
    since: datetime
    until: datetime
    configuration: PoolConfigured
    tools: Tools


AS_RECORDED = "as recorded"
Action = Callable[[datetime], object]


@dataclass(slots=True)
class _InHand:
    """A conversation with an agent: what is to become of it, and since when."""

    service: Service
    since: datetime
    number: int


class World:
    """Customers and agents as recorded, around the engine."""

    def __init__(self, period: Period, record: Record) -> None:
        self.meter, self.impossible = Meter(period.before, period.since), 0
        self._since, self._until = period.since, period.until
        self._services, self._arrivals = Services(record), record.arrivals
        self._engine = Engine(period.before, period.tools)
        self._agenda: list[tuple[datetime, int, Action]] = []
        self._number = 0
        self._in_hand: dict[str, _InHand] = {}
        self._ends: str = ""
        version = period.before.config_version + 1
        self._configuration = replace(period.configuration, version=version)

    def run(self) -> Iterator[datetime]:
        """Everything, in order of time; yields the instant after each decision."""
        pool = self._engine.pool
        for c in pool.conversations.values():
            if c.status is Status.ASSIGNED:
                self._begin(c.id, self._since)
            for offer_id, offer in c.offers.items():
                self._answer_later(c.id, offer_id, offer.agent, self._since)
        self._ask(i.Configure(self._configuration), self._since)
        for group in self._arrivals:
            yield from self._until_then(group[0].occurred_at)
            self._arrive(group, group[0].occurred_at)
            yield group[0].occurred_at
        yield from self._until_then(self._until)

    def _until_then(self, end: datetime) -> Iterator[datetime]:
        """What is due before an arrival: what people do, and what the engine has timers for."""
        while True:
            act = self._agenda[0][0] if self._agenda else None
            due = self._next_due()
            if due is not None and due < end and (act is None or due < act):
                self._ask(i.Tick(), max(due, self._engine.pool.last_at))
                yield due
            elif act is not None and act < end:
                _, _, action = heapq.heappop(self._agenda)
                action(act)
                yield act
            else:
                return

    def _next_due(self) -> datetime | None:
        engine = self._engine
        return min((heap[0][0] for heap in (engine.timers, engine.rates) if heap), default=None)

    def _later(self, at: datetime, action: Action) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (at, self._number, action))

    def _ask(self, body: i.Body, at: datetime, *, supervising: bool = True) -> bool:
        return self._decide(i.Input(body, "simulation", SYSTEM, supervising), at)

    def _decide(self, asked: i.Input, at: datetime) -> bool:
        """Let the engine decide; False where it refuses."""
        try:
            events = handle(self._engine, asked, at)
        except Refusal:
            return False
        for event in events:
            self.meter.see(event)
            self._react(event)
        return True

    # -- what came from outside

    def _arrive(self, group: Sequence[Event], at: datetime) -> None:
        asked = asked_of(group, self._engine.pool)
        c = self._engine.pool.conversations.get(getattr(asked.body, "conversation_id", ""))
        if isinstance(asked.body, TakeOver) and c is not None:  # more may have happened to it here than was recorded
            state = replace(asked.body.state, seq=max(asked.body.state.seq, c.seq))
            asked = replace(asked, body=replace(asked.body, state=state))
        if isinstance(asked.body, i.Resolve | i.Transfer | i.ScheduleCallback | i.Assign):
            if c is None or c.status not in UNSERVED:
                return  # somebody has it: they end it as they did, in their time
            asked = replace(asked, supervising=True)
        if isinstance(asked.body, i.Resolve):  # whatever is promised now
            asked = replace(asked, body=replace(asked.body, waive_reason=asked.body.waive_reason or AS_RECORDED))
        if not self._decide(asked, at):
            self.impossible += 1

    # -- what agents do

    def _react(self, event: Event) -> None:
        name, at = event.conversation_id, event.occurred_at
        match event.payload:
            case OfferMade(offer_id, agent_id):
                self._answer_later(name, offer_id, agent_id, at)
            case ConversationAssigned():
                self._begin(name, at)
            case ConversationWoken(_, agent_id) if agent_id:
                self._begin(name, at)
            case AgentStoppedResponding(agent_id):
                then = at + timedelta(seconds=self._services.silence_s)
                self._later(then, lambda now: self._ask(i.ClearNotResponding(agent_id), now))
            case left if isinstance(left, LEFT):
                self._left(name, at)

    def _answer_later(self, name: str, offer_id: str, agent_id: str, at: datetime) -> None:
        answer = self._services.answer(self._engine.pool.conversations[name])
        body: i.AcceptOffer | i.DeclineOffer = i.AcceptOffer(name, offer_id, agent_id)
        if answer.reply is Reply.DECLINED:
            body = i.DeclineOffer(name, offer_id, agent_id, AS_RECORDED)
        self._later(at + timedelta(seconds=answer.seconds), lambda now: self._ask(body, now))

    def _begin(self, name: str, at: datetime) -> None:
        self._left(name, at)
        service = self._services.take(self._engine.pool.conversations[name])
        self._number += 1
        self._in_hand[name] = _InHand(service, at, self._number)
        number = self._number
        self._later(at + timedelta(seconds=service.handling_s), lambda now: self._finish(name, number, now))

    def _left(self, name: str, at: datetime) -> None:
        """It left the agent's hands before its time, or because that had come."""
        held = self._in_hand.pop(name, None)
        if held is not None and name != self._ends:
            rest = held.service.handling_s - (at - held.since).total_seconds()
            self._services.put_back(name, held.service, rest)

    def _finish(self, name: str, number: int, at: datetime) -> None:
        held, c = self._in_hand.get(name), self._engine.pool.conversations[name]
        if held is None or held.number != number:
            return
        if held.service.replied:
            self._ask(i.SendReply(name, c.agent, f"reply-{number}", Content()), at)
        body = ending(held.service, name, c.agent, at)
        self._ends = name
        done = self._ask(body, at, supervising=not isinstance(body, i.Transfer))
        self._ends = ""
        if not done:  # the team it went to is gone, say: it goes on where it is
            del self._in_hand[name]
            self._begin(name, at)


def ending(service: Service, name: str, agent: str, at: datetime) -> i.ConversationCommand:
    """What the agent does at the end."""
    instants = [at + timedelta(seconds=s) for s in service.windows]
    match service.ending:
        case Ending.TRANSFERRED:
            return i.Transfer(name, agent, service.team, AS_RECORDED, service.agent)
        case Ending.SNOOZED:
            return i.Snooze(name, agent, instants[0])
        case Ending.RELEASED:
            return i.Release(name, agent)
        case Ending.CALLBACK:
            return i.ScheduleCallback(name, agent, instants[0], instants[1], service.team)
        case Ending.RESOLVED | Ending.OPEN:
            return i.Resolve(name, agent, waive_reason=AS_RECORDED)
