"""Which versions of which configurations a batch needs that its pools do not have (yet)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

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
    return await _behind(db, engines, engines)


async def outgrown(db: Pool, engines: Engines, begun: Iterable[tuple[str, str]]) -> dict[str, Configure]:
    """The newest version for pools that take themselves for their tenant's only one and are to begin a conversation.

    Of an account that is another pool's by a version they have not heard of, a conversation may have begun there.
    """
    alone = {pool for pool, name in begun if _is_alone(engines.get(pool), name)}
    return await _behind(db, engines, alone)


def _is_alone(engine: Engine | None, conversation_id: str) -> bool:
    return engine is not None and conversation_id not in engine.pool.conversations and not engine.pool.config.elsewhere


async def _behind(db: Pool, engines: Engines, pools: Collection[str]) -> dict[str, Configure]:
    tenants = sorted({engines[pool].pool.tenant for pool in pools})
    versions = await store.newest_versions(db, tenants) if tenants else {}
    behind = [p for p in pools if versions.get(engines[p].pool.tenant, 0) > engines[p].pool.config_version]
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
