"""SQL of simulations: any process begins one, any other tells how far it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from trunkline.router.v1 import explain_service_pb2 as api
from trunkline_common.postgres import Pool, Row

#: A simulation whose process was silent for longer has ended with it.
LOST_AFTER = timedelta(seconds=60)
BEGIN = """
insert into simulation (tenant, id, fingerprint, pool, since, until, begun_at, alive_at)
values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict do nothing returning id
"""


async def begin(
    pool: Pool,
    tenant: str,
    simulation: api.Simulation,
    fingerprint: bytes,
    span: tuple[datetime, datetime],
    now: datetime,
) -> bool:
    """Whether it is new; the same id is the same simulation."""
    found = await pool.fetchval(BEGIN, tenant, UUID(simulation.simulation_id), fingerprint, simulation.pool, *span, now)
    return found is not None


async def alive(pool: Pool, tenant: str, simulation_id: str, progress: float, now: datetime) -> None:
    """It is so far."""
    await pool.execute(
        "update simulation set progress = $3, alive_at = $4 where tenant = $1 and id = $2 and not done",
        tenant,
        UUID(simulation_id),
        progress,
        now,
    )


async def end(pool: Pool, tenant: str, simulation_id: str, comparison: bytes | None, error: str) -> None:
    """It has come to its end, or to none."""
    await pool.execute(
        "update simulation set progress = 1, done = true, comparison = $3, error = $4 where tenant = $1 and id = $2",
        tenant,
        UUID(simulation_id),
        comparison,
        error,
    )


async def get(pool: Pool, tenant: str, simulation_id: str, now: datetime) -> tuple[api.Simulation, bytes] | None:
    """How far it is, and the fingerprint of what was asked."""
    try:
        asked = UUID(simulation_id)
    except ValueError:
        return None
    row = await pool.fetchrow("select * from simulation where tenant = $1 and id = $2", tenant, asked)
    return (_read(row, now), row["fingerprint"]) if row is not None else None


def _read(row: Row, now: datetime) -> api.Simulation:
    lost = not row["done"] and now - row["alive_at"] > LOST_AFTER
    made = api.Simulation(
        simulation_id=str(row["id"]),
        pool=row["pool"],
        since=row["since"],
        until=row["until"],
        done=row["done"] or lost,
        progress=row["progress"],
        error="the process that ran it has ended; begin another one" if lost else row["error"],
    )
    if row["comparison"] is not None:
        made.comparison.ParseFromString(row["comparison"])
    return made


async def forget(pool: Pool, before: datetime) -> None:
    """Drop those begun before the promised window."""
    await pool.execute("delete from simulation where begun_at < $1", before)
