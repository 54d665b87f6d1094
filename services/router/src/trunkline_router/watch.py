"""Who watches what, and what they are told after each COMMIT."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from trunkline_common.errors import Refused, unavailable

from trunkline_router.events import Event
from trunkline_router.pool import ENDED
from trunkline_router.standing import NOWHERE, Standing, after, standing
from trunkline_router.state import Engine
from trunkline_router.subjects import Change, Step, Subject, is_for_all, newer, told, touched

LONGEST = 10_000  # events of its pool that a watcher may have missed
QUIET = LONGEST // 4  # events after which a watcher that none concerned is told a newer place to go on from
BUFFER = 1000  # changes a slow watcher may be behind before the stream is ended


class Watcher:
    """One stream: changes in order of pool_seq, then an error that says to watch again."""

    def __init__(self, pool: str, subject: Subject) -> None:
        self.pool, self.subject = pool, subject
        #: As far as its last token reaches, or nearly: less than QUIET events before that at most.
        self.seq = 0
        self.gone = False
        self.among: Watchers | None = None
        self._changes: asyncio.Queue[Change | Refused] = asyncio.Queue()

    def tell(self, change: Change | Refused) -> None:
        """Hand over a change; a watcher that does not read is cut off."""
        if self._changes.qsize() < BUFFER:
            self._changes.put_nowait(change)
        elif self._changes.qsize() == BUFFER:
            self._changes.put_nowait(unavailable("watcher"))

    async def next(self) -> Change:
        """The next change. Raises Refused: the owner changed, it was too slow (UNAVAILABLE), the subject is gone."""
        change = await self._changes.get()
        if isinstance(change, Refused):
            raise change
        return change

    def leave(self) -> None:
        """The caller has gone, perhaps before this was added."""
        self.gone = True
        if self.among is not None:
            self.among.remove(self)


@dataclass(slots=True)
class Watched:
    """A pool somebody watches: where its conversations stand, so that an event shows what it changed."""

    standings: dict[str, Standing]
    #: When all watchers were last looked at.
    swept: int
    watchers: dict[Subject, set[Watcher]] = field(default_factory=dict)


def steps(standings: dict[str, Standing], events: Iterable[Event]) -> Iterator[Step]:
    """Each event with where its conversation stood before and after; the standings are kept up to date."""
    for event in events:
        name = event.conversation_id
        before = standings.get(name, NOWHERE)
        stands = after(before, event.payload) if name else NOWHERE
        if stands != before:
            standings[name] = stands
        yield Step(event, before, stands)


class Watchers:
    """The watchers of one partition."""

    def __init__(self) -> None:
        self._pools: dict[str, Watched] = {}

    def add(self, watcher: Watcher, engine: Engine) -> None:
        """From now on it is told; the engine's state is what it knows."""
        if watcher.pool not in self._pools:
            live = (c for c in engine.pool.conversations.values() if c.status not in ENDED)
            self._pools[watcher.pool] = Watched({c.id: standing(c) for c in live}, engine.pool.seq)
        watcher.seq, watcher.among = engine.pool.seq, self
        self._pools[watcher.pool].watchers.setdefault(watcher.subject, set()).add(watcher)

    def remove(self, watcher: Watcher) -> None:
        """The caller has gone."""
        found = self._pools.get(watcher.pool)
        if found is None:
            return
        found.watchers.get(watcher.subject, set()).discard(watcher)
        found.watchers = {subject: still for subject, still in found.watchers.items() if still}
        if not found.watchers:
            del self._pools[watcher.pool]

    def changes(self, engine: Engine, events: Iterable[Event]) -> list[tuple[Watcher, Change | Refused]]:
        """What to tell whom once these events are durable; made now, while the state is theirs."""
        found = self._pools.get(engine.pool.id)
        if found is None:
            return []
        told_: list[tuple[Watcher, Change | Refused]] = []
        for step in steps(found.standings, events):
            wanted = list(found.watchers) if is_for_all(step.event) else dict.fromkeys(touched(engine, step))
            for subject in wanted:
                if watchers := found.watchers.get(subject):
                    made = told(engine, subject, step)
                    told_.extend((watcher, change) for watcher in watchers for change in made)
                    for watcher in watchers:
                        watcher.seq = step.event.pool_seq
        return told_ + _kept_fresh(found, engine.pool.seq)

    def end(self) -> None:
        """The partition is no longer ours."""
        for found in self._pools.values():
            for watchers in found.watchers.values():
                for watcher in watchers:
                    watcher.tell(unavailable("owner"))
        self._pools.clear()


def _kept_fresh(found: Watched, seq: int) -> list[tuple[Watcher, Change | Refused]]:
    """Who was told nothing for long gets a newer token, so that it cannot expire while they listen."""
    if seq - found.swept < QUIET:
        return []
    found.swept = seq
    quiet = [w for watchers in found.watchers.values() for w in watchers if seq - w.seq >= QUIET]
    for watcher in quiet:
        watcher.seq = seq
    return [(watcher, newer(watcher.subject, seq)) for watcher in quiet]
