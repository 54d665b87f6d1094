"""Which pool a conversation, an agent or a team belongs to, from the tenant's configuration."""

from __future__ import annotations

import time
from collections.abc import Sequence

from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common.errors import Refused, Violation, invalid_request
from trunkline_common.postgres import Pool

from trunkline_router import refusals, roster, store, wire, wire_config
from trunkline_router.handed import ConversationHandedOver
from trunkline_router.refusals import Refusal

FRESH_SECONDS = 1.0  # a configuration is read again after this; ownership of names changes rarely


class Directory:
    """Resolves names to pool ids ("tenant/pool"). Raises Refused where a name is unknown."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._cache: dict[str, tuple[float, TenantConfig]] = {}
        self._known: dict[str, tuple[float, list[str]]] = {}

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
        """Every pool of the tenant's document."""
        return sorted(wire_config.pools_of(await self.config(tenant)))

    async def everywhere(self, tenant: str) -> list[str]:
        """Every pool that may have conversations of the tenant: those that the document has dropped, too."""
        read_at, found = self._known.get(tenant, (0.0, []))
        if not found or time.monotonic() - read_at > FRESH_SECONDS:
            found = await store.pools_of(self._pool, [tenant])
            self._known[tenant] = time.monotonic(), found
        return sorted({*await self.pools(tenant), *found})

    async def of_conversation(self, tenant: str, conversation_id: str) -> str:
        """The pool that has it; with one pool there is nothing to look up. Raises Refused while it is on its way."""
        pools = await self.everywhere(tenant)
        if len(pools) == 1:
            return pools[0]
        newest = await store.newest_by_pool(self._pool, pools, conversation_id)
        if not newest:
            raise as_refused(refusals.no_conversation(conversation_id))
        pool, last = max(newest, key=lambda found: found[1].seq)
        if isinstance(last.payload, ConversationHandedOver):
            raise as_refused(refusals.moved(conversation_id, last.payload.to_pool))
        return pool

    async def of_event(self, tenant: str, conversation_id: str, seq: int) -> str:
        """The pool that decided an event of a conversation, whoever has it now; any that had it if none did."""
        pools = await self.everywhere(tenant)
        if len(pools) == 1:
            return pools[0]
        newest = await store.newest_by_pool(self._pool, pools, conversation_id)
        if not newest:
            raise as_refused(refusals.no_conversation(conversation_id))
        for pool, last in newest[1:]:
            rows = await store.log_of(self._pool, pool, [conversation_id], last.pool_seq)
            if any(wire.from_pool_event(row).seq == seq for row in rows):
                return pool
        return newest[0][0]

    async def of_team(self, tenant: str, team: str) -> str:
        """The pool of a team."""
        for fresh in (False, True):
            config = await self.config(tenant, fresh=fresh)
            for found in config.teams:
                if found.id == team:
                    return f"{tenant}/{found.pool}"
        raise as_refused(refusals.no_team(team))

    async def of_teams(self, tenant: str, teams: Sequence[str]) -> str:
        """The one pool of several teams."""
        pools = sorted({await self.of_team(tenant, team) for team in teams})
        if len(pools) > 1:
            raise invalid_request(Violation("teams", "are of more than one pool; an agent belongs to one"))
        return pools[0]

    async def of_agent(self, tenant: str, agent_id: str) -> str:
        """The pool of an agent: that of their teams, or the one they were made in. A single pool knows whom it has."""
        pools = await self.pools(tenant)
        if len(pools) == 1:
            return pools[0]
        made = None
        for fresh in (False, True):
            config = await self.config(tenant, fresh=fresh)
            teams = {t.id: t.pool for t in config.teams}
            for agent in config.agents:
                if agent.id == agent_id:
                    return f"{tenant}/{teams[agent.teams[0]]}"
            made = made or await roster.pool_of(self._pool, tenant, agent_id)
            if made is not None:
                return made
        raise as_refused(refusals.no_agent(agent_id))

    async def of_account(self, tenant: str, channel: str, account: str) -> str:
        """The pool that gets what comes to an account of that channel."""
        for fresh in (False, True):
            config = await self.config(tenant, fresh=fresh)
            for found in config.accounts:
                if (found.id, found.channel) == (account, channel):
                    return await self.of_team(tenant, found.team)
        raise Refused(
            "NOT_FOUND",
            "ACCOUNT_NOT_FOUND",
            f"no account {account} of channel {channel}",
            metadata={"channel": channel, "account": account},
        )


def not_configured(tenant: str) -> Refused:
    """There is nothing to decide with yet."""
    return Refused(
        "FAILED_PRECONDITION",
        "TENANT_NOT_CONFIGURED",
        f"tenant {tenant} has no configuration; apply one with ConfigService.ApplyConfig",
        metadata={"tenant": tenant},
    )


def as_refused(refusal: Refusal) -> Refused:
    """A domain refusal as an answer; a wrong field is named as one, what nobody can answer now may be asked again."""
    again = 1.0 if refusal.code == "UNAVAILABLE" else None
    field = refusal.facts.get("field", "")
    wrong = [Violation(field, refusal.message.removeprefix(f"{field} "))] if field else []
    return Refused(
        refusal.code, refusal.reason, refusal.message, metadata=refusal.facts, violations=wrong, retry_after=again
    )
