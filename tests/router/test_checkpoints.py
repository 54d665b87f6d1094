"""Snapshots that are kept at intervals, and a past that is read from the nearest: on real PostgreSQL."""

from __future__ import annotations

import random
from asyncio import Runner
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from trunkline_common import postgres
from trunkline_common.postgres import Pool, transaction
from trunkline_router import store, wire
from trunkline_router.events import Event
from trunkline_router.fold import evolve
from trunkline_router.history import History, PostgresLog
from trunkline_router.pool import Pool as PoolState
from trunkline_router.replay import replay
from trunkline_router.state import Engine

from deploy.local.stack import Stack
from tests import kit
from tests.router.given import POOL
from tests.router.test_engine_properties import TOOLS, drawn
from tests.router.test_replay import Recorded

T = TypeVar("T")
pytestmark = pytest.mark.stack
EVERY, SNAPSHOT = 60, 15  # events between two that are kept, and between two that are taken


def recorded() -> Recorded:
    """Many inputs and what followed, the same every time."""
    made, chance = Recorded(), random.Random(7)  # noqa: S311 - the same numbers every time are the point
    for _ in range(450):
        made.step(drawn(chance))
    return made


async def write(db: Pool, log: list[Event]) -> list[int]:
    """The log as an owner writes it, a snapshot now and then; the seqs of those."""
    engine, taken = Engine(PoolState(POOL), TOOLS), list[int]()
    for event in log:
        evolve(engine, event)
        data = wire.to_pool_event(event, POOL, 1, event.occurred_at).SerializeToString()
        async with transaction(db) as tx:
            row = (POOL, event.pool_seq, event.conversation_id, data)
            await store.record(tx, 0, [row], [], event.occurred_at)
            if event.pool_seq % SNAPSHOT == 0:
                await store.snapshot(tx, 0, engine.pool, EVERY)
                taken.append(event.pool_seq)
    return taken


@dataclass(frozen=True)
class Past:
    """A log with its snapshots, and a loop to read it with, as in the process that knows the past."""

    runner: Runner
    db: Pool
    recorded: Recorded
    taken: list[int]

    def run(self, asked: Coroutine[Any, Any, T]) -> T:
        """Wait for it."""
        return self.runner.run(asked)

    def seqs(self, sql: str) -> list[int]:
        """The pool_seqs of some rows."""
        return [row["pool_seq"] for row in self.run(self.db.fetch(sql))]


@pytest.fixture(name="past", scope="module")
def _past(stack: Stack) -> Iterator[Past]:
    schema, made = f"c{kit.new_id()[:8]}", recorded()
    with Runner() as runner:
        blocks = AsyncExitStack()

        async def begin() -> tuple[Pool, list[int]]:
            db = await blocks.enter_async_context(postgres.connect(stack.database_url, schema, size=1))
            await postgres.migrate(db, schema, "trunkline_router")
            return db, await write(db, made.log)

        db, taken = runner.run(begin())
        yield Past(runner, db, made, taken)
        runner.run(blocks.aclose())


def from_start(log: list[Event], pool_seq: int) -> PoolState:
    """The pool before an event, without any snapshot."""
    engine = Engine(PoolState(POOL), TOOLS)
    for event in log[: pool_seq - 1]:
        evolve(engine, event)
    return engine.pool


def test_one_snapshot_in_an_interval_stays_and_the_newest_always_does(past: Past) -> None:
    """However many are taken in between."""
    kept = past.seqs("select pool_seq from pool_checkpoint order by pool_seq")
    assert past.seqs("select pool_seq from pool_snapshot") == past.taken[-1:]
    assert len(kept) > 2
    assert set(kept) < set(past.taken[:-1])
    gaps = [after - before for before, after in zip([0, *kept], [*kept, past.taken[-1]], strict=False)]
    assert all(EVERY <= gap < EVERY + SNAPSHOT for gap in gaps[:-1])
    assert gaps[-1] < EVERY + 2 * SNAPSHOT


def test_a_decision_is_re_run_from_the_nearest_as_from_the_start(past: Past) -> None:
    """The same state before it, and the same events after it."""
    history = History(POOL, PostgresLog(past.runner, past.db, POOL), TOOLS)
    for before, _, events in past.recorded.decided[::9]:
        nearest, first = history.before(events[0].pool_seq), from_start(past.recorded.log, events[0].pool_seq)
        assert nearest.pool == first == before
        assert replay(nearest, events) == replay(Engine(first, TOOLS), events)


def test_what_is_just_after_a_kept_one_is_read_from_it(past: Past) -> None:
    """Not from the newest, which is later, nor from the start."""
    kept = past.seqs("select pool_seq from pool_checkpoint order by pool_seq")
    for seq in kept:
        found = [past.run(store.snapshot_before(past.db, POOL, before)) for before in (seq + 1, seq)]
        seqs = [wire.load_pool(state).seq if state else 0 for state in found]
        assert seqs == [seq, max(k for k in [0, *kept] if k < seq)]
    newest = past.run(store.snapshot_before(past.db, POOL, past.recorded.log[-1].pool_seq + 1))
    assert newest is not None
    assert wire.load_pool(newest).seq == past.taken[-1]
