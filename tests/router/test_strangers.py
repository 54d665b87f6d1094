"""A conversation that is new to a pool of several: whether another one has it, also at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from trunkline_common.clock import utc_now
from trunkline_common.postgres import Connection, Pool
from trunkline_router import store, wire
from trunkline_router.engine import SYSTEM, handle
from trunkline_router.events import Event
from trunkline_router.handed import Place
from trunkline_router.inputs import Configure, Input
from trunkline_router.pool import Pool as PoolState
from trunkline_router.state import Engine
from trunkline_router.strangers import Strangers

from tests import kit
from tests.router.given import CUSTOMER, at, configured, message

pytestmark = [pytest.mark.stack, pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="session")]


class Owner:
    """A pool of a tenant of two, and what its owner does about a conversation in a transaction."""

    def __init__(self, tenant: str, name: str, other: str) -> None:
        self.pool, self.engine = f"{tenant}/{name}", Engine(PoolState(f"{tenant}/{name}"))
        config = replace(configured(), elsewhere=((other, f"{tenant}/{other}"),) if other else ())
        handle(self.engine, Input(Configure(config), "config", SYSTEM), at(0))
        self.strangers = Strangers({self.pool: self.engine})

    async def look(self, tx: Connection, conversation: str) -> Place | None:
        """Whether another pool has it."""
        new = self.strangers.among([(self.pool, conversation)])
        await self.strangers.note(tx, new, {kit.new_id()}, utc_now())
        await self.strangers.look(tx, new)
        return self.strangers.place(self.pool, conversation)

    async def begin(self, tx: Connection, conversation: str) -> Event:
        """Decide about its first message; the last event of that."""
        events = handle(self.engine, Input(message(conversation), "event", CUSTOMER), at(1))
        stored = [wire.to_pool_event(e, self.pool, 1, at(1)).SerializeToString() for e in events]
        rows = [(self.pool, e.pool_seq, e.conversation_id, s) for e, s in zip(events, stored, strict=True)]
        await store.record(tx, 0, rows, [], utc_now())
        return events[-1]


async def test_whoever_hears_of_it_second_waits_and_finds_it(db: Pool) -> None:
    """Neither sees what the other has not committed; so one waits for the other's end, and looks then."""
    tenant, conversation = f"t-{kit.new_id()}", kit.new_id()
    near, far = Owner(tenant, "near", "far"), Owner(tenant, "far", "near")
    async with db.acquire() as one, db.acquire() as two:
        first = one.transaction()
        await first.start()
        assert await near.look(one, conversation) is None
        last = await near.begin(one, conversation)
        async with two.transaction():
            looking = asyncio.create_task(far.look(two, conversation))
            await kit.eventually(lambda: _blocked(db, two), seconds=10, what="the second one waiting")
            await first.commit()
            assert await looking == Place(conversation, near.pool, last.seq)


async def _blocked(db: Pool, by: Connection) -> bool:
    query = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1"
    return bool(await db.fetchval(query, by.get_server_pid()))


async def test_what_the_same_transaction_began_in_another_pool_counts_too(db: Pool) -> None:
    """Two pools of one partition; nothing of it is in a log yet."""
    tenant, conversation = f"t-{kit.new_id()}", kit.new_id()
    near, far = Owner(tenant, "near", "far"), Owner(tenant, "far", "near")
    far.strangers = Strangers({near.pool: near.engine, far.pool: far.engine})
    async with db.acquire() as tx, tx.transaction():
        assert await far.look(tx, conversation) is None
        handle(near.engine, Input(message(conversation), "event", CUSTOMER), at(1))
        assert far.strangers.place(far.pool, conversation) == Place(conversation, near.pool, 3)


async def test_what_another_tenant_has_under_the_same_id_is_nobodys(db: Pool) -> None:
    """Names of one tenant say nothing to another (P8)."""
    conversation = kit.new_id()
    theirs, ours = Owner(f"t-{kit.new_id()}", "near", "far"), Owner(f"t-{kit.new_id()}", "far", "near")
    async with db.acquire() as tx, tx.transaction():
        await theirs.begin(tx, conversation)
        assert await ours.look(tx, conversation) is None


async def test_a_tenant_of_one_pool_asks_nothing_until_it_has_had_another(db: Pool) -> None:
    """A pool that the document has dropped may have it all the same."""
    tenant, conversation = f"t-{kit.new_id()}", kit.new_id()
    only, old = Owner(tenant, "near", ""), Owner(tenant, "old", "near")
    named = [(only.pool, conversation)]
    await only.strangers.prepare(db, [only.pool], [])
    assert only.strangers.among(named) == set()
    async with db.acquire() as tx, tx.transaction():
        for owner in (only, old):
            await store.snapshot(tx, 0, owner.engine.pool)
        last = await old.begin(tx, conversation)
    await only.strangers.prepare(db, [only.pool], [])
    assert only.strangers.among(named) == set(), "asked again without a new version"
    await only.strangers.prepare(db, [], [only.pool])
    assert only.strangers.among(named) == set(named)
    async with db.acquire() as tx, tx.transaction():
        assert await only.look(tx, conversation) == Place(conversation, old.pool, last.seq)
        await only.begin(tx, conversation)
        assert only.strangers.among(named) == set(), "it is known here"
