"""What a conversation's history says of its clocks: every interval and why, and what was announced. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from trunkline_sla.conversation import Conversation, Versions, strip, take
from trunkline_sla.evaluation import fire
from trunkline_sla.evaluation_answers import Cycle, cycle_at
from trunkline_sla.evaluation_facts import Fact
from trunkline_sla.evaluation_model import Clock, Metric
from trunkline_sla.journal import Entry, What
from trunkline_sla.promises import Offer, Promises, Situation

Key = tuple[Metric, int]


@dataclass(frozen=True, slots=True)
class Said:
    """A fact, the situation it was found in, and the seq of the event that caused it (0 for timers)."""

    fact: Fact
    situation: Situation
    seq: int


@dataclass(frozen=True, slots=True)
class Told:
    """A cycle as it stands, the clock it is of, and the situation of the conversation then."""

    clock: Clock
    cycle: Cycle
    situation: Situation


class Story:
    """A conversation told again, entry by entry, in the order of its history."""

    def __init__(self, tenant: str, conversation_id: str, versions: Versions) -> None:
        self._found, self._versions = Conversation(tenant, conversation_id), versions
        self._said: list[Said] = []
        self._past: dict[Key, tuple[Clock, Situation]] = {}

    def tell(self, entry: Entry) -> None:
        """One more."""
        before = self._found.situation
        found = take(self._found, entry, self._versions)
        if found.state is not None:
            for fact in found.state.facts:
                own = bool(fact.cause) and fact.cause == entry.cause
                self._said.append(Said(fact, found.situation if own else before, entry.seq if own else 0))
            for ended in found.state.past.values():
                self._past |= {(clock.metric, clock.cycle): (clock, before) for clock in ended}
        self._found = strip(found)

    def said(self, now: datetime) -> list[Said]:
        """Everything that was announced by then, in order."""
        state, situation = self._found.state, self._found.situation
        current = state.current.values() if state else ()
        timers = [fact for clock in current for fact in fire(clock, now)[1]]
        return [*self._said, *(Said(fact, situation, 0) for fact in sorted(timers, key=lambda fact: fact.at))]

    def cycles(self, now: datetime) -> dict[Key, Told]:
        """Every promised cycle, the oldest first."""
        state, situation = self._found.state, self._found.situation
        current = (fire(clock, now)[0] for clock in (state.current.values() if state else ()))
        every = self._past | {(clock.metric, clock.cycle): (clock, situation) for clock in current}
        live = [found for found in every.values() if found[0].terms.live]
        live.sort(key=lambda found: (found[0].started_at, found[0].cycle, found[0].metric))
        at = now.replace(microsecond=0)
        return {(clock.metric, clock.cycle): Told(clock, cycle_at(clock, at), where) for clock, where in live}


# -- another policy


def tried(entry: Entry, at: datetime) -> bool:
    """Whether an entry is told where another policy is tried: not what the real one's timers did."""
    return entry.at <= at and entry.what is not What.LOOKED


def under(promises: Promises, offer: Offer, newest: Promises) -> Promises:
    """A version in which the offer is the only one; its calendar is that of the version in force."""
    calendars = dict(promises.calendars)
    if offer.calendar in newest.calendars:
        calendars[offer.calendar] = newest.calendars[offer.calendar]
    return replace(promises, offers=(offer,), calendars=calendars, made={})
