"""Which versions of which configurations a batch needs that its pools do not have (yet)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common.postgres import Pool
from trunkline_common.processor import Request

from trunkline_router import store, wire_config
from trunkline_router.inputs import Configure
from trunkline_router.requests import (
    Content,
    Read,
    Reconfigured,
    RunCommand,
    Watch,
    unknown_names,
    unknown_places,
)
from trunkline_router.state import Engine

Engines = Mapping[str, Engine]


async def wanted(
    db: Pool, engines: Engines, inbound: Iterable[InboundEvent], requests: Iterable[Request]
) -> dict[str, Configure]:
    """The newest version for every pool that is new here, was told of one, or is asked for a name it does not know."""
    pools = {event.pool for event in inbound if _lacks(engines, event.pool, event)}
    for content in (r.content for r in requests):
        if isinstance(content, Reconfigured):
            pools |= set(of_tenant(engines, content.tenant))
        elif isinstance(content, RunCommand | Read | Watch) and _lacks(engines, content.pool, content):
            pools.add(content.pool)
    return await newest(db, engines, pools)


async def missed(db: Pool, engines: Engines) -> dict[str, Configure]:
    """The versions that came into force while nobody owned the partition, or while its state was read."""
    tenants = {engine.pool.tenant for engine in engines.values()}
    versions = await store.newest_versions(db, sorted(tenants)) if tenants else {}
    behind = [p for p, e in engines.items() if versions.get(e.pool.tenant, 0) > e.pool.config_version]
    return await newest(db, engines, behind)


async def newest(db: Pool, engines: Engines, pools: Iterable[str]) -> dict[str, Configure]:
    """What is in force, for pools that the document has and those that it has dropped."""
    found: dict[str, Configure] = {}
    for pool in sorted(pools):
        config = await store.newest_config(db, pool.partition("/")[0])
        if config is not None and (pool in wire_config.pools_of(config) or pool in engines):
            found[pool] = Configure(wire_config.to_pool_configured(config, pool))
    return found


def of_tenant(engines: Engines, tenant: str) -> Sequence[str]:
    """Its pools in this partition."""
    return [pool for pool in engines if pool.startswith(f"{tenant}/")]


def _lacks(engines: Engines, pool: str, asked: Content | InboundEvent) -> bool:
    """Whether the pool is new here, or a name is asked for that its configuration does not have (yet)."""
    engine = engines.get(pool)
    if engine is None:
        return True
    if isinstance(asked, InboundEvent):
        return unknown_places(asked, engine.pool)
    if isinstance(asked, RunCommand):
        return unknown_names(asked.asked.body, engine.pool)
    return isinstance(asked, Watch)
