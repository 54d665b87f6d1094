"""Conversations that are new to a pool of several: no two pools may begin the same one (design 1: one log for each).

A document may give an account to another pool; what was begun before is that other pool's all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from trunkline_common.postgres import Connection, Pool

from trunkline_router import handover, store
from trunkline_router.handed import Place, Sighting
from trunkline_router.state import Engine

#: A pool and the id of a conversation.
Named = tuple[str, str]


class Strangers:
    """Where such conversations are: by the engines of this partition and by everybody's log."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines
        #: By tenant, every pool that ever decided something.
        self._pools: dict[str, list[str]] = {}
        self._asked: set[Named] = set()
        self._logged: dict[str, list[Sighting]] = {}

    async def prepare(self, db: Pool, pools: Iterable[str], changed: Iterable[str]) -> None:
        """Before the transaction: which pools the tenants have; asked again where a new version may say otherwise."""
        again = {_tenant(pool) for pool in changed}
        wanted = sorted(again | {_tenant(pool) for pool in pools} - self._pools.keys())
        if wanted:
            self._pools.update({tenant: [] for tenant in wanted})
            for pool in await store.pools_of(db, wanted):
                self._pools[_tenant(pool)].append(pool)

    def among(self, asked: Iterable[Named]) -> set[Named]:
        """Those that another pool may have; none where the tenant has one pool, and always had."""
        return {(pool, name) for pool, name in asked if self._is_new(pool, name) and len(self._siblings(pool)) > 1}

    def _is_new(self, pool: str, conversation_id: str) -> bool:
        engine = self._engines.get(pool)
        return engine is None or conversation_id not in engine.pool.conversations

    def _siblings(self, pool: str) -> set[str]:
        engine = self._engines.get(pool)
        named = {other for _, other in engine.pool.config.elsewhere} if engine is not None else set()
        return {pool, *named, *self._pools.get(_tenant(pool), ())}

    async def note(self, tx: Connection, new: Iterable[Named], event_ids: set[str], now: datetime) -> set[str]:
        """Those of the event ids that were never handled; whoever else has one of the conversations in hand is done."""
        return await store.unseen(tx, [*event_ids, *{handover.begun_id(name) for _, name in new}], now)

    async def look(self, tx: Connection, new: set[Named]) -> None:
        """Read the logs, all at once. After `note`, so that what others began is there."""
        self._asked, self._logged = new, {}
        by_tenant: dict[str, set[str]] = {}
        for pool, name in new:
            by_tenant.setdefault(_tenant(pool), set()).add(name)
        for tenant, names in by_tenant.items():
            self._logged |= await store.sightings(tx, tenant, list(names))

    def place(self, pool: str, conversation_id: str) -> Place | None:
        """Where one is that was asked about; None: nowhere. What this transaction has done so far counts, too."""
        if (pool, conversation_id) not in self._asked:
            return None
        seen = list(self._logged.get(conversation_id, ()))
        for other in self._siblings(pool) & self._engines.keys():
            c = self._engines[other].pool.conversations.get(conversation_id)
            seen += [Sighting(other, c.seq, c.moved_to)] if c is not None else []
        return handover.seen_elsewhere(conversation_id, pool, seen)


def _tenant(pool: str) -> str:
    return pool.partition("/")[0]
