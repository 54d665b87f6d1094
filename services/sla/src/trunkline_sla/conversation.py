"""One conversation as the clocks see it, entry by entry (sla 7.9 to 7.14). Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from trunkline_sla import journal
from trunkline_sla.evaluation import State, evolve, settled
from trunkline_sla.evaluation_events import Event, SettingChanged
from trunkline_sla.evaluation_facts import FactKind, fact
from trunkline_sla.evaluation_model import Metric
from trunkline_sla.evaluation_rules import Setting
from trunkline_sla.evaluation_timers import armed
from trunkline_sla.journal import Entry, What
from trunkline_sla.promises import Promises, Situation

NOWHERE = Situation()
#: A version of the tenant's configuration.
Versions = Callable[[int], Promises]


class Conversation(NamedTuple):
    """`told` are the entries since it was read: with what the log said also our own, for the history."""

    tenant: str
    conversation_id: str
    #: The last event of the log, and the last entry of the history.
    seq: int = 0
    n: int = 0
    version: int = 0
    situation: Situation = NOWHERE
    state: State | None = None
    #: The trace that began with the customer's last message.
    traceparent: str = ""
    told: tuple[Entry, ...] = ()

    @property
    def open(self) -> bool:
        """A clock waits for its end, promised or not."""
        return self.state is not None and any(clock.open for clock in self.state.current.values())


def follow(found: Conversation, entry: Entry, version: int, versions: Versions, traceparent: str = "") -> Conversation:
    """After an entry of the log, with that version of the configuration in force; the facts are in the state."""
    version = max(version, entry.version, found.version)
    found = _looked(in_force(found, version, versions, until=entry.at), entry.at)
    if entry.what is What.WROTE or not found.traceparent:
        found = found._replace(traceparent=traceparent)
    return take(found, entry._replace(version=version), versions)


def in_force(found: Conversation, version: int, versions: Versions, until: datetime | None = None) -> Conversation:
    """Under every version up to that one, each from when it was applied on, or from the last event if that is later."""
    if found.state is None:
        return found
    for number in range(found.version + 1 if found.open else max(version, found.version + 1), version + 1):
        promises = versions(number)
        applied = promises.applied_at if until is None else min(promises.applied_at, until)
        found = take(_looked(found, applied), Entry(What.CONFIGURED, applied, version=number), versions)
    return found


def take(found: Conversation, entry: Entry, versions: Versions) -> Conversation:
    """After an entry of the history, which has noted everything else."""
    at = entry.at if found.state is None else max(entry.at, found.state.at)  # effective time never goes back (12.6)
    told = entry._replace(at=at)
    promises, situation = versions(max(entry.version, found.version)), _situation(found.situation, entry)
    state = found.state or State(promises.of(found.situation), _floor(at))
    if entry.what is What.REZONED:
        state = _rearmed(state, told)
    for event in journal.events(told, state.status):
        state = evolve(state, event)
    if entry.what is What.LOOKED:
        state = _noted(state)
    if situation != found.situation or entry.what is What.CONFIGURED:
        state = evolve(state, _changed(promises.of(situation), told))
    return found._replace(
        seq=max(found.seq, entry.seq),
        n=found.n + 1,
        version=promises.version,
        situation=situation,
        state=state,
        told=(*found.told, told),
    )


def strip(found: Conversation) -> Conversation:
    """Without what has been written and published."""
    return found._replace(state=found.state and settled(found.state), told=())


def rezoned(found: Conversation, now: datetime, versions: Versions) -> Conversation:
    """With the zone data of this build: what was counted stays, a deadline that moves is announced (10.7)."""
    clocks = found.state.current.values() if found.state else ()
    moved = [clock.metric for clock in clocks if clock.open and armed(clock).due_at != clock.due_at]
    if not moved:
        return found._replace()  # another one: it is to be written, with this zone data
    at = _floor(now)
    return take(_looked(found, at), Entry(What.REZONED, at, version=found.version, reason=" ".join(moved)), versions)


def _rearmed(state: State, entry: Entry) -> State:
    """The named clocks under another deadline."""
    current, facts, at = dict(state.current), list(state.facts), _floor(entry.at)
    for metric in map(Metric, entry.reason.split()):
        clock = current[metric]
        current[metric] = armed(clock._replace(gen=clock.gen + 1, changed_at=at))
        facts.append(fact(current[metric], FactKind.RESCHEDULED, at))
    return replace(state, current=current, facts=tuple(facts))


def _looked(found: Conversation, at: datetime) -> Conversation:
    """Note that timers spoke ahead of an entry that is late, so that the history says the same (9.6)."""
    state = found.state
    clocks = state.current.values() if state else ()
    early = [clock.said_at for clock in clocks if clock.said_at and clock.said_at >= _floor(at)]
    if state is None or not early:
        return found
    looked = Entry(What.LOOKED, max(early) + timedelta(seconds=1))
    return found._replace(n=found.n + 1, told=(*found.told, looked), state=_noted(state))


def _noted(state: State) -> State:
    return replace(state, current={metric: clock._replace(said_at=None) for metric, clock in state.current.items()})


def _situation(found: Situation, entry: Entry) -> Situation:
    team = found.team if entry.team is None else entry.team
    channel = found.channel if entry.channel is None else entry.channel
    if entry.known is None:
        return replace(found, team=team, channel=channel) if (team, channel) != (found.team, found.channel) else found
    known = entry.known
    return Situation(team, channel, known.priority, frozenset(known.tags), known.attributes)


def _changed(made: Setting, entry: Entry) -> Event:
    return SettingChanged(
        entry.at, made.policy, made.business, made.priority, made.policy_id, made.calendar_id, made.version, entry.cause
    )


def _floor(at: datetime) -> datetime:
    return at.replace(microsecond=0)
