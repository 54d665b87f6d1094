"""Looks at a pool's log as it is written, with books of its own, and says what must not be."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from datetime import datetime, timedelta

from trunkline_router.events import (
    AttributesChanged,
    CallbackScheduled,
    ConversationAssigned,
    ConversationMerged,
    ConversationQueued,
    ConversationRejected,
    ConversationReleased,
    ConversationResolved,
    ConversationSnoozed,
    ConversationStarted,
    ConversationTransferred,
    ConversationWoken,
    Event,
    ExclusionsCleared,
    OfferDeclined,
    OfferMade,
    OfferRescinded,
    OfferTimedOut,
)
from trunkline_router.pool_events import AgentConfigured, PoolConfigured, WrapUpEnded
from trunkline_router.routing import ANY_CHANNEL, AgentConfig, ChannelClass

Key = tuple[int, datetime, int, str]
Class = tuple[object, ...]
LEFT = (ConversationTransferred, ConversationReleased, ConversationSnoozed, ConversationMerged, CallbackScheduled)


class Audit:
    """Sees every event once, in order. `overtakes` counts who was asked for before an earlier one of their class."""

    def __init__(self) -> None:
        self.overtakes, self.offers, self.assignments = 0, 0, 0
        self._pool_seq, self._seq = 0, defaultdict[str, int](int)
        self._agents: dict[str, AgentConfig] = {}
        self._classes: dict[str, ChannelClass] = {}
        self._channel: dict[str, ChannelClass] = {}
        self._begun: dict[str, int] = {}
        self._units: dict[str, dict[str, ChannelClass]] = defaultdict(dict)
        self._holder: dict[str, str] = {}
        self._running: dict[str, tuple[str, str]] = {}
        self._waiting: dict[Class, list[Key]] = defaultdict(list)
        self._place: dict[str, tuple[Class, Key]] = {}
        self._asked: dict[str, tuple[Class, Key]] = {}
        #: Passed over for a reason of their own: who declined them, whom they are for.
        self._particular: set[str] = set()

    def see(self, event: Event) -> None:
        """The next event; an assertion fails where a promise is broken."""
        self._pool_seq += 1
        assert event.pool_seq == self._pool_seq
        if event.conversation_id:
            self._seq[event.conversation_id] += 1
            assert event.seq == self._seq[event.conversation_id]
        match event.payload:
            case PoolConfigured() as new:
                self._agents = {a.id: a for a in new.agents}
                self._classes = {channel: c for c in new.channel_classes for channel in c.channels}
            case AgentConfigured(agent):
                self._agents[agent.id] = agent
            case WrapUpEnded(agent_id, conversation_id):
                del self._units[agent_id][conversation_id]
            case _ if event.conversation_id:
                self._see(event, event.conversation_id)

    def _see(self, event: Event, name: str) -> None:
        match event.payload:
            case ConversationStarted(channel):
                self._channel[name] = self._classes.get(channel, ANY_CHANNEL)
                self._begun[name] = event.pool_seq
            case ConversationQueued() as queued:
                self._queued(name, queued)
            case AttributesChanged(attributes) if attributes.allowed_agents:
                self._particular.add(name)
            case OfferMade(offer_id, agent_id):
                self._offered(name, offer_id, agent_id)
            case OfferDeclined(offer_id, agent_id) | OfferTimedOut(offer_id, agent_id):
                self._particular.add(name)
                self._ended(offer_id, agent_id)
            case OfferRescinded(offer_id, agent_id):
                self._ended(offer_id, agent_id)
            case ExclusionsCleared():
                self._particular.discard(name)
            case ConversationAssigned() as made:
                self._assigned(name, made)
            case ConversationWoken(_, agent_id) if agent_id:
                assert name not in self._holder
                self._hold(name, agent_id)
            case ConversationResolved(_, _, wrap_until):
                self._leave(name, keep=wrap_until is not None)
            case ConversationRejected():
                self._leave(name)
            case left if isinstance(left, LEFT):
                self._leave(name)

    # -- promises

    def _offered(self, name: str, offer_id: str, agent_id: str) -> None:
        """P3: whom the engine asks has room; P5: an offer begins once."""
        self.offers += 1
        assert offer_id not in self._running
        assert self._fits(agent_id, self._channel[name]), (name, agent_id, self._units[agent_id])
        self._running[offer_id] = name, agent_id
        self._units[agent_id][name] = self._channel[name]
        self._served(name)

    def _assigned(self, name: str, made: ConversationAssigned) -> None:
        """P4: nobody else has it."""
        self.assignments += 1
        assert name not in self._holder, (name, self._holder.get(name))
        if made.offer_id:
            self._ended(made.offer_id, made.agent_id)
        elif not made.by_hand:
            assert self._fits(made.agent_id, self._channel[name])
            self._served(name)
        self._drop(name)
        self._hold(name, made.agent_id)

    def _ended(self, offer_id: str, agent_id: str) -> None:
        """P5: an offer ends once."""
        name, asked = self._running.pop(offer_id)
        assert asked == agent_id
        self._units[agent_id].pop(name)

    def _fits(self, agent_id: str, wanted: ChannelClass) -> bool:
        held, config = self._units[agent_id].values(), self._agents[agent_id]
        counted = sum(c.weight for c in held if wanted.interruptible or not c.interruptible)
        in_class = sum(c.weight for c in held if c.id == wanted.id)
        cap = dict(config.caps).get(wanted.id, in_class + wanted.weight)
        return counted + wanted.weight <= config.capacity and in_class + wanted.weight <= cap

    def _served(self, name: str) -> None:
        """Nobody of the same class waits who comes before, but for who is particular about agents."""
        found, key = self._drop(name) or self._asked.get(name) or ((), None)
        if key is None:
            return
        self._asked[name] = found, key
        before = self._waiting[found][: bisect_left(self._waiting[found], key)]
        self.overtakes += sum(k[-1] not in self._particular for k in before)

    # -- books

    def _queued(self, name: str, queued: ConversationQueued) -> None:
        self._release(name)
        self._drop(name)
        if queued.reason not in ("OFFER_ENDED", "RELAXED", "PREFERRED_WAITED", "CHANGED"):
            self._particular.discard(name)
        kept = queued.preferred if queued.preferred_until else ()
        found = (queued.team, queued.skills, self._channel[name].id, queued.strategy, kept, queued.assigned_by_hand)
        key = queued.tier, queued.entered_at - timedelta(seconds=queued.boost_s), self._begun[name], name
        self._place[name] = found, key
        insort(self._waiting[found], key)

    def _drop(self, name: str) -> tuple[Class, Key] | None:
        place = self._place.pop(name, None)
        if place is not None:
            keys = self._waiting[place[0]]
            del keys[bisect_left(keys, place[1])]
        return place

    def _hold(self, name: str, agent_id: str) -> None:
        self._holder[name] = agent_id
        self._units[agent_id][name] = self._channel[name]

    def _leave(self, name: str, *, keep: bool = False) -> None:
        self._drop(name)
        self._release(name, keep=keep)

    def _release(self, name: str, *, keep: bool = False) -> None:
        agent_id = self._holder.pop(name, "")
        if agent_id and not keep:
            del self._units[agent_id][name]

    def units(self, agent_id: str) -> int:
        """What an agent has in use, by these books."""
        return sum(c.weight for c in self._units[agent_id].values())
