"""SQL of simulations: any process begins one, any other tells how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from trunkline.router.v1 import explain_service_pb2 as api
from trunkline_common.postgres import Pool, Row, transaction

#: A simulation whose process was silent for longer has ended with it.
LOST_AFTER = timedelta(seconds=60)
#: Unfinished ones of a tenant: one runs at a time, and the others wait.
MOST = 5
BEGIN = """
insert into simulation (tenant, id, fingerprint, pool, since, until, begun_at, alive_at)
select $1, $2, $3, $4, $5, $6, $7, $7
where (select count(*) from simulation where tenant = $1 and not done and alive_at >= $8) < $9
on conflict do nothing returning id
"""
LIST = """
select tenant, id, pool, since, until, begun_at, alive_at, progress, done, cancelled, error, null as comparison
from simulation where tenant = $1 and ($2::timestamptz is null or (begun_at, id) < ($2, $3::uuid))
order by begun_at desc, id desc limit $4
"""
#: Of the last one seen: when it was begun, and its id.
Place = tuple[datetime, UUID] | None


async def begin(
    pool: Pool,
    tenant: str,
    simulation: api.Simulation,
    fingerprint: bytes,
    span: tuple[datetime, datetime],
    now: datetime,
) -> bool:
    """Whether it is begun: not where there is one of that id, or where the tenant has as many as it may."""
    async with transaction(pool) as tx:
        await tx.execute("select pg_advisory_xact_lock(hashtext($1))", f"simulation.{tenant}")
        asked = UUID(simulation.simulation_id), fingerprint, simulation.pool, *span, now, now - LOST_AFTER, MOST
        return await tx.fetchval(BEGIN, tenant, *asked) is not None


async def alive(pool: Pool, tenant: str, simulation_id: str, progress: float, now: datetime) -> bool:
    """It is so far; whether it is still wanted."""
    found = await pool.fetchval(
        "update simulation set progress = $3, alive_at = $4 where tenant = $1 and id = $2 and not done returning true",
        tenant,
        UUID(simulation_id),
        progress,
        now,
    )
    return found is not None


async def end(pool: Pool, tenant: str, simulation_id: str, comparison: bytes | None, error: str) -> None:
    """It has come to its end, or to none; one that was cancelled stays so."""
    await pool.execute(
        "update simulation set progress = 1, done = true, comparison = $3, error = $4"
        " where tenant = $1 and id = $2 and not done",
        tenant,
        UUID(simulation_id),
        comparison,
        error,
    )


async def cancel(pool: Pool, tenant: str, simulation_id: str) -> None:
    """Nobody wants it any more; one that has ended stays as it is. The process that runs it sees it by `alive`."""
    if (asked := _uuid(simulation_id)) is not None:
        update = "update simulation set done = true, cancelled = true where tenant = $1 and id = $2 and not done"
        await pool.execute(update, tenant, asked)


async def get(pool: Pool, tenant: str, simulation_id: str, now: datetime) -> tuple[api.Simulation, bytes] | None:
    """How far it is, and the fingerprint of what was asked."""
    if (asked := _uuid(simulation_id)) is None:
        return None
    row = await pool.fetchrow("select * from simulation where tenant = $1 and id = $2", tenant, asked)
    return (_read(row, now), row["fingerprint"]) if row is not None else None


async def list_(pool: Pool, tenant: str, after: Place, most: int, now: datetime) -> Sequence[api.Simulation]:
    """The tenant's, newest first, without results."""
    rows = await pool.fetch(LIST, tenant, *(after or (None, None)), most)
    return [_read(row, now) for row in rows]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _read(row: Row, now: datetime) -> api.Simulation:
    lost = not row["done"] and now - row["alive_at"] > LOST_AFTER
    error = "the process that ran it has ended; begin another one" if lost else row["error"]
    made = api.Simulation(
        simulation_id=str(row["id"]),
        pool=row["pool"],
        since=row["since"],
        until=row["until"],
        done=row["done"] or lost,
        progress=row["progress"],
        error=error,
        state=_state(row, error),
        begun_at=row["begun_at"],
    )
    if row["comparison"] is not None:
        made.comparison.ParseFromString(row["comparison"])
    return made


def _state(row: Row, error: str) -> api.SimulationState.ValueType:
    if row["cancelled"]:
        return api.SIMULATION_STATE_CANCELLED
    if error:
        return api.SIMULATION_STATE_FAILED
    return api.SIMULATION_STATE_SUCCEEDED if row["done"] else api.SIMULATION_STATE_RUNNING


async def forget(pool: Pool, before: datetime) -> None:
    """Drop those begun before the promised window."""
    await pool.execute("delete from simulation where begun_at < $1", before)
