"""SQL of the router. Writers run inside the fenced transaction of the pool's owner."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common.errors import Busy
from trunkline_common.postgres import Connection, Pool, unlimited

from trunkline_router import wire
from trunkline_router.events import Event
from trunkline_router.fold import evolve
from trunkline_router.handed import ConversationHandedOver, Sighting
from trunkline_router.pool import Pool as PoolState
from trunkline_router.state import Engine
from trunkline_router.toolbox import TOOLS

#: (pool, pool_seq, conversation id, event)
LogRow = tuple[str, int, str, bytes]
#: (tenant, request id, fingerprint, response)
ResultRow = tuple[str, str, bytes, bytes]

RECORD = """
with logged as (
    insert into pool_log (part, pool, pool_seq, conversation_id, event)
    select $1, * from unnest($2::text[], $3::bigint[], $4::text[], $5::bytea[])
)
insert into command_result (tenant, request_id, fingerprint, response, done_at)
select *, $10 from unnest($6::text[], $7::uuid[], $8::bytea[], $9::bytea[]) on conflict do nothing
"""
#: Events of a pool between two snapshots that are kept for good: what is folded at most to see a moment of the past.
CHECKPOINT_EVERY = 250_000
SNAPSHOT = """
with kept as (
    insert into pool_checkpoint (pool, pool_seq, state)
    select pool, pool_seq, state from pool_snapshot s
    where pool = $1 and pool_seq < $3
      and pool_seq - coalesce((select max(pool_seq) from pool_checkpoint c where c.pool = $1), 0) >= $5
)
insert into pool_snapshot (pool, part, pool_seq, state) values ($1, $2, $3, $4)
on conflict (pool) do update set pool_seq = $3, state = $4 where pool_snapshot.pool_seq < $3
"""
SNAPSHOT_BEFORE = """
select state from (
    select pool_seq, state from pool_snapshot where pool = $1 and pool_seq < $2
    union all
    (select pool_seq, state from pool_checkpoint where pool = $1 and pool_seq < $2 order by pool_seq desc limit 1)
) as found order by pool_seq desc limit 1
"""
#: One look at an index for a conversation that nobody has.
SIGHTINGS = """
select distinct on (conversation_id, pool) conversation_id, pool, event from pool_log
where conversation_id = any($1) and conversation_id <> '' order by conversation_id, pool, pool_seq desc
"""
#: One look at the index for each, also under a plan that was made while the table was small.
RESULTS = """
select r.* from unnest($1::text[], $2::uuid[]) as a (tenant, request_id), lateral (
    select tenant, request_id, fingerprint, response from command_result c
    where c.tenant = a.tenant and c.request_id = a.request_id limit 1
) as r
"""
NEW_INBOX = """
insert into inbox (event_id, seen_at) select id, $2 from unnest($1::uuid[]) as id
on conflict do nothing returning event_id
"""


async def load_pools(pool: Pool, part: int) -> dict[str, tuple[Engine, int]]:
    """Every pool of a partition, rebuilt from snapshot and log, with the seq of its snapshot."""
    found: dict[str, tuple[Engine, int]] = {}
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await unlimited(connection)
        for row in await connection.fetch("select pool, pool_seq, state from pool_snapshot where part = $1", part):
            with _no_collections():
                made = Engine(wire.load_pool(row["state"]), TOOLS)
            if await _replay_tail(connection, made):
                # The log ends where matching had nothing left to do: everything derived anew, nothing touched.
                with _no_collections():
                    made = Engine(made.pool, TOOLS)
            found[row["pool"]] = made, row["pool_seq"]
    return found


@contextmanager
def _no_collections() -> Iterator[None]:
    """What is made here stays: collections meanwhile would find nothing and take half the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _replay_tail(connection: Connection, made: Engine) -> bool:
    tail = "select event from pool_log where pool = $1 and pool_seq > $2 order by pool_seq"
    seen = False
    async for stored in connection.cursor(tail, made.pool.id, made.pool.seq):
        evolve(made, wire.from_pool_event(stored["event"]))
        seen = True
    return seen


async def record(
    tx: Connection, part: int, events: Sequence[LogRow], answers: Sequence[ResultRow], now: datetime
) -> None:
    """Add to the log and remember answers, in one statement; a pool_seq that is taken breaks the transaction.

    Raises Busy where another pool has answered one of the request ids meanwhile: begun again, this one finds that.
    """
    if events or answers:
        logged = [list(column) for column in zip(*events, strict=True)] or [[], [], [], []]
        kept = [list(column) for column in zip(*answers, strict=True)] or [[], [], [], []]
        done = await tx.execute(RECORD, part, *logged, kept[0], [UUID(i) for i in kept[1]], *kept[2:], now)
        if done != f"INSERT 0 {len(answers)}":
            raise Busy("another pool that was asked with the same request_id")


async def log_after(connection: Connection | Pool, pool: str, pool_seq: int, most: int) -> list[bytes]:
    """The events of a pool after one of them, in order."""
    sql = "select event from pool_log where pool = $1 and pool_seq > $2 order by pool_seq limit $3"
    return [row["event"] for row in await connection.fetch(sql, pool, pool_seq, most)]


async def log_of(connection: Connection | Pool, pool: str, conversations: Sequence[str], until: int) -> list[bytes]:
    """The events of some conversations up to a pool_seq, in order."""
    if not conversations:
        return []
    rows = await connection.fetch(
        "select event from pool_log where conversation_id = any($1) and conversation_id <> '' and pool = $2"
        " and pool_seq <= $3 order by pool_seq",
        conversations,
        pool,
        until,
    )
    return [row["event"] for row in rows]


async def newest_by_pool(
    connection: Connection | Pool, pools: Sequence[str], conversation_id: str
) -> list[tuple[str, Event]]:
    """Those of the pools that have something of a conversation in their log, with the last of it."""
    rows = await connection.fetch(
        "select p.pool, l.event from unnest($1::text[]) as p (pool), lateral (select event from pool_log l"
        " where l.conversation_id = $2 and l.pool = p.pool and l.conversation_id <> ''"
        " order by pool_seq desc limit 1) l",
        pools,
        conversation_id,
    )
    return [(row["pool"], wire.from_pool_event(row["event"])) for row in rows]


async def sightings(tx: Connection, tenant: str, conversations: Sequence[str]) -> dict[str, list[Sighting]]:
    """What the tenant's pools have in their logs of those conversations: the last of each; mostly nothing."""
    rows = await tx.fetch(SIGHTINGS, sorted(conversations))
    found: dict[str, list[Sighting]] = {}
    for row in rows:
        if row["pool"].startswith(f"{tenant}/"):
            last = wire.from_pool_event(row["event"])
            to_pool = last.payload.to_pool if isinstance(last.payload, ConversationHandedOver) else ""
            found.setdefault(row["conversation_id"], []).append(Sighting(row["pool"], last.seq, to_pool))
    return found


async def pools_of(connection: Connection | Pool, tenants: Sequence[str]) -> list[str]:
    """Every pool of the tenants that ever decided something, also those that no document has any more."""
    rows = await connection.fetch(
        "select pool from pool_snapshot where split_part(pool, '/', 1) = any($1) order by pool", tenants
    )
    return [row["pool"] for row in rows]


async def newest_versions(connection: Connection | Pool, tenants: Sequence[str]) -> dict[str, int]:
    """The version in force of each of the tenants."""
    rows = await connection.fetch(
        "select tenant, max(version) as version from config where tenant = any($1) group by tenant", tenants
    )
    return {row["tenant"]: row["version"] for row in rows}


async def snapshot(tx: Connection, part: int, state: PoolState, checkpoint_every: int = CHECKPOINT_EVERY) -> None:
    """Write the pool as it is; of those before one in so many events stays."""
    await tx.execute(SNAPSHOT, state.id, part, state.seq, wire.dump_pool(state), checkpoint_every)


async def unseen(tx: Connection, event_ids: Sequence[str], now: datetime) -> set[str]:
    """Those of the event ids that were never handled; they count as handled from here on."""
    if not event_ids:
        return set()
    rows = await tx.fetch(NEW_INBOX, [UUID(e) for e in sorted(event_ids)], now)  # two owners wait in the same order
    return {str(row["event_id"]) for row in rows}


async def results(tx: Connection, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[bytes, bytes]]:
    """Stored (fingerprint, response) of those (tenant, request id) that were answered before."""
    if not asked:
        return {}
    rows = await tx.fetch(
        RESULTS,
        [t for t, _ in asked],
        [UUID(r) for _, r in asked],
    )
    return {(r["tenant"], str(r["request_id"])): (r["fingerprint"], r["response"]) for r in rows}


async def next_version(tx: Connection, tenant: str) -> int:
    """The version after the tenant's newest. The lock keeps two appliers apart until the end of the transaction."""
    await tx.execute("select pg_advisory_xact_lock(hashtext($1))", f"config/{tenant}")
    return int(await tx.fetchval("select coalesce(max(version), 0) + 1 from config where tenant = $1", tenant))


async def put_config(tx: Connection, config: TenantConfig) -> None:
    """Store a version."""
    await tx.execute(
        "insert into config values ($1, $2, $3)", config.tenant, config.version, config.SerializeToString()
    )


async def newest_config(pool: Connection | Pool, tenant: str) -> TenantConfig | None:
    """The configuration in force."""
    found = await pool.fetchval("select config from config where tenant = $1 order by version desc limit 1", tenant)
    return TenantConfig.FromString(found) if found else None


async def forget(pool: Pool, before: datetime) -> None:
    """Drop inbox entries and answers older than the promised window."""
    await pool.execute("delete from inbox where seen_at < $1", before)
    await pool.execute("delete from command_result where done_at < $1", before)


async def snapshot_before(pool: Pool, name: str, pool_seq: int) -> bytes | None:
    """The pool's last snapshot of those taken before that event."""
    found: bytes | None = await pool.fetchval(SNAPSHOT_BEFORE, name, pool_seq)
    return found


async def last_seq(pool: Pool, name: str) -> int:
    """The pool_seq of the pool's last event."""
    return int(await pool.fetchval("select coalesce(max(pool_seq), 0) from pool_log where pool = $1", name))
