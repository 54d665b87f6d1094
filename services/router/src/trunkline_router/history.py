"""A pool's past, read from its log: the state before any event, the decision that an event belongs to.

The state is folded from the last snapshot before that event (the newest, or one of those kept at intervals), and where
there is none from the first event on: one after the other, so that memory holds one state and one chunk of the log.
"""

from __future__ import annotations

from asyncio import Runner
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Protocol

from trunkline_common.postgres import Pool

from trunkline_router import store, wire
from trunkline_router.directory import as_refused
from trunkline_router.events import Event
from trunkline_router.fold import evolve
from trunkline_router.pool import Pool as PoolState
from trunkline_router.refusals import no_conversation
from trunkline_router.state import Engine
from trunkline_router.toolbox import TOOLS
from trunkline_router.tools import Tools

CHUNK = 2000
NEAR = 50  # events read at a time around a decision


class Log(Protocol):
    """What is stored of one pool."""

    def after(self, pool_seq: int, most: int) -> Sequence[bytes]:
        """The events after one, in order."""

    def of_conversation(self, conversation_id: str) -> Sequence[bytes]:
        """The events of a conversation, in order."""

    def snapshot_before(self, pool_seq: int) -> bytes | None:
        """The last snapshot of those taken before that event."""

    def last_seq(self) -> int:
        """Of the last event."""


class PostgresLog:
    """A pool's log where it is kept; for a process that does nothing else, as it waits for every answer."""

    def __init__(self, runner: Runner, db: Pool, pool: str) -> None:
        self._runner, self._db, self._pool = runner, db, pool

    def after(self, pool_seq: int, most: int) -> Sequence[bytes]:
        """The events after one, in order."""
        return self._runner.run(store.log_after(self._db, self._pool, pool_seq, most))

    def of_conversation(self, conversation_id: str) -> Sequence[bytes]:
        """The events of a conversation, in order."""
        return self._runner.run(store.log_of(self._db, self._pool, [conversation_id], self.last_seq()))

    def snapshot_before(self, pool_seq: int) -> bytes | None:
        """The last snapshot of those taken before that event."""
        return self._runner.run(store.snapshot_before(self._db, self._pool, pool_seq))

    def last_seq(self) -> int:
        """Of the last event."""
        return self._runner.run(store.last_seq(self._db, self._pool))


class History:
    """One pool's."""

    def __init__(self, pool: str, log: Log, tools: Tools = TOOLS) -> None:
        self.pool, self._log, self._tools = pool, log, tools

    def after(self, pool_seq: int, chunk: int = CHUNK) -> Iterator[Event]:
        """The events after one."""
        while True:
            rows = self._log.after(pool_seq, chunk)
            yield from map(wire.from_pool_event, rows)
            if len(rows) < chunk:
                return
            pool_seq += len(rows)

    def before(self, pool_seq: int) -> Engine:
        """The pool as it was before an event, derived anew."""
        kept = self._log.snapshot_before(pool_seq)
        made = Engine(wire.load_pool(kept) if kept is not None else PoolState(self.pool), self._tools)
        for event in takewhile(lambda e: e.pool_seq < pool_seq, self.after(made.pool.seq)):
            evolve(made, event)
        return Engine(made.pool, self._tools)

    def conversation(self, conversation_id: str) -> dict[int, Event]:
        """The events of a conversation by seq. Raises Refused."""
        rows = self._log.of_conversation(conversation_id)
        if not rows:
            raise as_refused(no_conversation(conversation_id))
        return {event.seq: event for event in map(wire.from_pool_event, rows)}

    def decision(self, of: Event) -> list[Event]:
        """All events of the decision that an event belongs to."""

        def same(event: Event) -> bool:
            return (event.cause, event.occurred_at) == (of.cause, of.occurred_at)

        first = of.pool_seq
        while first > 1:
            start = max(0, first - 1 - NEAR)
            others = [e.pool_seq for e in self._between(start, first) if not same(e)]
            first = others[-1] + 1 if others else start + 1
            if others:
                break
        return list(takewhile(same, self.after(first - 1, NEAR)))

    def _between(self, after: int, before: int) -> Iterator[Event]:
        return takewhile(lambda e: e.pool_seq < before, self.after(after, NEAR))

    def first_since(self, instant: datetime) -> int:
        """The pool_seq of the first event at or after an instant; the one after the last where there is none."""
        low, high = 1, self._log.last_seq() + 1
        while low < high:
            middle = (low + high) // 2
            earlier = next(self.after(middle - 1, 1)).occurred_at < instant
            low, high = (middle + 1, high) if earlier else (low, middle)
        return low
