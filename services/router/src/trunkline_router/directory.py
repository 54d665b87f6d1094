"""Which pool a conversation, an agent or a team belongs to, from the tenant's configuration."""

from __future__ import annotations

import time

from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common.errors import Refused
from trunkline_common.postgres import Pool

from trunkline_router import refusals, store, wire
from trunkline_router.refusals import Refusal

FRESH_SECONDS = 1.0  # a configuration is read again after this; ownership of names changes rarely


class Directory:
    """Resolves names to pool ids ("tenant/pool"). Raises Refused where a name is unknown."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._cache: dict[str, tuple[float, TenantConfig]] = {}

    async def config(self, tenant: str, *, fresh: bool = False) -> TenantConfig:
        """The tenant's configuration in force."""
        read_at, found = self._cache.get(tenant, (0.0, None))
        if found is None or fresh or time.monotonic() - read_at > FRESH_SECONDS:
            found = await store.newest_config(self._pool, tenant)
            if found is None:
                raise not_configured(tenant)
            self._cache[tenant] = time.monotonic(), found
        return found

    async def pools(self, tenant: str) -> list[str]:
        """Every pool of the tenant."""
        return sorted(wire.pools_of(await self.config(tenant)))

    async def of_conversation(self, tenant: str, conversation_id: str) -> str:
        """The pool whose log has it. With one pool there is nothing to look up."""
        pools = await self.pools(tenant)
        if len(pools) == 1:
            return pools[0]
        sql = "select pool from pool_log where conversation_id = $1 order by pool_seq desc limit 1"
        found = await self._pool.fetchval(sql, conversation_id)
        if found not in pools:
            raise as_refused(refusals.no_conversation(conversation_id))
        return str(found)

    async def of_team(self, tenant: str, team: str) -> str:
        """The pool of a team."""
        for fresh in (False, True):
            config = await self.config(tenant, fresh=fresh)
            for found in config.teams:
                if found.id == team:
                    return f"{tenant}/{found.pool}"
        raise as_refused(refusals.no_team(team))

    async def of_agent(self, tenant: str, agent_id: str) -> str:
        """The pool of an agent: that of their teams."""
        for fresh in (False, True):
            config = await self.config(tenant, fresh=fresh)
            pools = {t.id: t.pool for t in config.teams}
            for agent in config.agents:
                if agent.id == agent_id:
                    return f"{tenant}/{pools[agent.teams[0]]}"
        raise as_refused(refusals.no_agent(agent_id))


def not_configured(tenant: str) -> Refused:
    """There is nothing to decide with yet."""
    return Refused(
        "FAILED_PRECONDITION",
        "TENANT_NOT_CONFIGURED",
        f"tenant {tenant} has no configuration; apply one with ConfigService.ApplyConfig",
        metadata={"tenant": tenant},
    )


def as_refused(refusal: Refusal) -> Refused:
    """A domain refusal as an answer."""
    return Refused(refusal.code, refusal.reason, refusal.message, metadata=refusal.facts)
