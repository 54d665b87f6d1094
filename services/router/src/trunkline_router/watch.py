"""Who watches an agent, and what they are told after each COMMIT."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.errors import Refused, unavailable

from trunkline_router import wire
from trunkline_router.events import (
    AgentPresenceChanged,
    AgentStoppedResponding,
    ConversationAssigned,
    ConversationResolved,
    ConversationTransferred,
    Event,
    OfferDeclined,
    OfferMade,
    OfferRescinded,
    OfferTimedOut,
)
from trunkline_router.fold import Engine

Change = api.WatchAgentResponse
BUFFER = 1000  # changes a slow watcher may be behind before the stream is ended


class Watcher:
    """One stream: changes in order of pool_seq, then an error that says to watch again."""

    def __init__(self, pool: str, agent_id: str) -> None:
        self.pool, self.agent_id = pool, agent_id
        self._changes: asyncio.Queue[Change | Refused] = asyncio.Queue()

    def tell(self, change: Change | Refused) -> None:
        """Hand over a change; a watcher that does not read is cut off."""
        if self._changes.qsize() < BUFFER:
            self._changes.put_nowait(change)
        elif self._changes.qsize() == BUFFER:
            self._changes.put_nowait(unavailable("watcher"))

    async def next(self) -> Change:
        """The next change. Raises Refused (UNAVAILABLE) when the stream ends: the owner changed or it was too slow."""
        change = await self._changes.get()
        if isinstance(change, Refused):
            raise change
        return change


class Watchers:
    """The watchers of one partition."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], set[Watcher]] = {}

    def add(self, watcher: Watcher) -> None:
        """From now on it is told."""
        self._of.setdefault((watcher.pool, watcher.agent_id), set()).add(watcher)

    def remove(self, watcher: Watcher) -> None:
        """The caller has gone."""
        self._of.get((watcher.pool, watcher.agent_id), set()).discard(watcher)

    def changes(self, engine: Engine, events: Iterable[Event]) -> list[tuple[Watcher, Change]]:
        """What to tell whom once these events are durable; made now, while the state is theirs."""
        told: list[tuple[Watcher, Change]] = []
        for event in events:
            for agent_id in concerned(event):
                watchers = self._of.get((engine.pool.id, agent_id), ())
                told.extend((watcher, _change(engine, event, agent_id)) for watcher in watchers)
        return told

    def end(self) -> None:
        """The partition is no longer ours."""
        for watchers in self._of.values():
            for watcher in watchers:
                watcher.tell(unavailable("owner"))
        self._of.clear()


def concerned(event: Event) -> tuple[str, ...]:
    """The agents an event concerns."""
    match event.payload:
        case (
            OfferMade(agent_id=agent)
            | OfferDeclined(agent_id=agent)
            | OfferTimedOut(agent_id=agent)
            | OfferRescinded(agent_id=agent)
            | ConversationAssigned(agent_id=agent)
            | ConversationTransferred(from_agent_id=agent)
            | ConversationResolved(agent_id=agent)
            | AgentPresenceChanged(agent_id=agent)
            | AgentStoppedResponding(agent_id=agent)
        ):
            return (agent,) if agent else ()
        case _:
            return ()


def _change(engine: Engine, event: Event, agent_id: str) -> Change:
    pool = engine.pool
    if event.conversation_id:
        conversation = wire.to_api_conversation(pool.conversations[event.conversation_id], pool.id)
        return Change(pool_seq=event.pool_seq, conversation=conversation)
    return Change(pool_seq=event.pool_seq, agent=wire.to_api_agent(pool.agents[agent_id]))
