"""What happened in a pool since a watcher was cut off: read from its log, told once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trunkline_common.errors import Refused
from trunkline_common.postgres import Connection, Pool

from trunkline_router import store, wire
from trunkline_router.events import Event
from trunkline_router.standing import NOWHERE, Standing, after
from trunkline_router.state import Engine
from trunkline_router.subjects import Change, Subject, is_for_all, newer, told, touched
from trunkline_router.watch import LONGEST, QUIET, steps

AT_ONCE = 200  # events that are read again before others have their turn


def expired(pool_seq: int) -> Refused:
    """The log does not reach back to there, or it is too far."""
    return Refused(
        "OUT_OF_RANGE",
        "WATCH_EXPIRED",
        f"what happened since {pool_seq} cannot be told one by one; watch again without resume_token",
        metadata={"pool_seq": str(pool_seq)},
    )


@dataclass(slots=True)
class Gap:
    """The pool's events after `since`, and where their conversations stood then."""

    pool: str
    since: int
    events: list[Event] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)

    async def read_on(self, connection: Connection | Pool, unwritten: Iterable[bytes] = ()) -> None:
        """Read what came after the events known so far; `unwritten` are those the caller is about to write."""
        known = self.events[-1].pool_seq if self.events else self.since
        rows = await store.log_after(connection, self.pool, known, LONGEST + 1)
        if len(self.events) + len(rows) > LONGEST:
            raise expired(self.since)
        newer = await _parsed([*rows, *unwritten])
        self.events += newer
        names = {e.conversation_id for e in newer if e.conversation_id} - self.standings.keys()
        self.standings |= dict.fromkeys(names, NOWHERE)
        for event in await _parsed(await store.log_of(connection, self.pool, sorted(names), self.since)):
            self.standings[event.conversation_id] = after(self.standings[event.conversation_id], event.payload)

    def changes(self, engine: Engine, subject: Subject) -> list[Change | Refused]:
        """What the subject's watcher missed. Raises Refused where the events do not lead from then to now."""
        here = [self.since, *(e.pool_seq for e in self.events)]
        if here != list(range(self.since, engine.pool.seq + 1)):
            raise expired(self.since)
        found = steps(dict(self.standings), self.events)
        wanted = (s for s in found if is_for_all(s.event) or subject in touched(engine, s))
        missed = [change for step in wanted for change in told(engine, subject, step)]
        last = missed[-1] if missed else None
        if not isinstance(last, Refused) and engine.pool.seq - (last.pool_seq if last else self.since) >= QUIET:
            missed.append(newer(subject, engine.pool.seq))
        return missed


async def _parsed(rows: Sequence[bytes]) -> list[Event]:
    """The events, a few at a time: the owner of the pool works in this process."""
    found: list[Event] = []
    for start in range(0, len(rows), AT_ONCE):
        found += [wire.from_pool_event(row) for row in rows[start : start + AT_ONCE]]
        await asyncio.sleep(0)
    return found
