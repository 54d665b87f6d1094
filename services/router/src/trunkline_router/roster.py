"""Which pool has an agent that was made by a command. An agent belongs to one pool (routing 2.4)."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common.errors import Refused, Violation, invalid_request
from trunkline_common.postgres import Connection, Pool

from trunkline_router import refusals, store
from trunkline_router.routing import AgentConfig

RESERVE = """
insert into agent_pool (tenant, agent_id, pool) values ($1, $2, $3)
on conflict (tenant, agent_id) do update set pool = agent_pool.pool returning pool
"""


async def pool_of(pool: Pool, tenant: str, agent_id: str) -> str | None:
    """The pool id of an agent made by a command."""
    found = await pool.fetchval("select pool from agent_pool where tenant = $1 and agent_id = $2", tenant, agent_id)
    return str(found) if found else None


async def reserve(tx: Connection, pool: str, agent: AgentConfig) -> None:
    """The agent is of that pool from now on. Raises Refusal or Refused where the document or another pool has it.

    The lock keeps out a document that names the agent in the same moment (store.next_version).
    """
    tenant = pool.partition("/")[0]
    await tx.execute("select pg_advisory_xact_lock_shared(hashtext($1))", f"config/{tenant}")
    config = await store.newest_config(tx, tenant)
    if config is not None:
        _must_fit(agent, config)
    holder = await tx.fetchval(RESERVE, tenant, agent.id, pool)
    if holder != pool:
        raise refusals.agent_of_another_pool(agent.id, str(holder))


def _must_fit(agent: AgentConfig, config: TenantConfig) -> None:
    """The document's own agents are changed there; its lists of skills and channel classes hold for all."""
    if any(known.id == agent.id for known in config.agents):
        raise refusals.agent_of_document(agent.id)
    skills, classes = {s.id for s in config.skills}, {c.id for c in config.channel_classes}
    wrong = [Violation(f"skills.{s}", f"{s} is not configured") for s, _ in agent.skills if skills and s not in skills]
    wrong += [Violation(f"caps.{c}", f"{c} is not configured") for c, _ in agent.caps if c not in classes]
    if wrong:
        raise invalid_request(*wrong)


async def keep(tx: Connection, pool: str, agents: Iterable[str]) -> None:
    """Only these agents of the pool were made by a command and are still there."""
    await tx.execute("delete from agent_pool where pool = $1 and agent_id <> all($2::text[])", pool, sorted(agents))


async def must_not_clash(tx: Connection, config: TenantConfig) -> None:
    """Refuse a document that puts an agent made by a command into another pool. Raises Refused."""
    teams = {team.id: f"{config.tenant}/{team.pool}" for team in config.teams}
    rows = await tx.fetch("select agent_id, pool from agent_pool where tenant = $1", config.tenant)
    made = {row["agent_id"]: row["pool"] for row in rows}
    problems = [
        Violation(f"agents[{i}].id", f"{agent.id} was made by PutAgent in pool {made[agent.id]}; delete it first")
        for i, agent in enumerate(config.agents)
        if made.get(agent.id, teams[agent.teams[0]]) != teams[agent.teams[0]]
    ]
    if problems:
        message = "; ".join(f"{p.field}: {p.description}" for p in problems)
        raise Refused("INVALID_ARGUMENT", "INVALID_CONFIG", message, violations=problems)
