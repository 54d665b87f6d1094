"""One partition of the outbound topic: records become waiting rows, outcomes become finished rows and receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from trunkline_common import outbox, partitions
from trunkline_common.clock import Clock
from trunkline_common.errors import Fenced
from trunkline_common.kafka import Outgoing
from trunkline_common.partitions import Claim
from trunkline_common.postgres import OUTAGES, Connection, Pool, transaction
from trunkline_common.processor import Batch, Effects, Processor, decode

from trunkline_ingest import delivery_store as store
from trunkline_ingest.delivery_attempt import Attempts
from trunkline_ingest.delivery_sender import Sender
from trunkline_ingest.delivery_store import Finished, New, Outcome, Postponed
from trunkline_ingest.delivery_typing import Attempt, Indicators, Typing
from trunkline_ingest.delivery_wire import parse, receipt

#: What is in the air when the partition goes gets this long to come back; within the 8 s a revocation may take.
GRACE_SECONDS = 4.0
PURGE_EVERY = timedelta(hours=1)


class Delivery(Processor):
    """Its senders run in `tasks`, from load to close. `submit` hands an outcome to the partition's owner."""

    _pool: Pool
    _claim: Claim

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        attempts: Attempts,
        submit: Callable[[Outcome], Awaitable[None]],
        clock: Clock,
        show: Attempt,
    ) -> None:
        self._tasks, self._attempts, self._submit, self._clock = tasks, attempts, submit, clock
        self._senders: dict[str, tuple[Sender, asyncio.Task[None]]] = {}
        self._touched: set[str] = set()
        self._indicators, self._typing = Indicators(tasks, show), list[Typing]()
        self._purge_at = datetime.min.replace(tzinfo=UTC)

    async def load(self, pool: Pool, claim: Claim) -> None:
        """Go on with what waits."""
        waiting = await store.accounts(pool, claim.partition)
        self._pool, self._claim = pool, claim
        for account in waiting:
            self._wake(account)

    def next_due(self) -> datetime | None:
        """Old rows are purged now and then."""
        return self._purge_at

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """Take new messages and what became of earlier ones."""
        parsed, rejected = decode(batch.records, parse)
        self._typing = [found for _, found in parsed if isinstance(found, Typing)]
        new = [found for _, found in parsed if isinstance(found, New)]
        self._touched = set(await store.insert(tx, self._claim.partition, batch.now, new))
        messages = await self._note(tx, [request.content for request in batch.requests], batch.now)
        if batch.now >= self._purge_at:
            await store.purge(tx, self._claim.partition, batch.now)
            self._purge_at = batch.now + PURGE_EVERY
        return Effects(messages, [None] * len(batch.requests), rejected)

    async def _note(self, tx: Connection, outcomes: Sequence[Outcome], now: datetime) -> list[Outgoing]:
        part = self._claim.partition
        await store.postpone(tx, part, [o for o in outcomes if isinstance(o, Postponed)])
        finished = await store.finish(tx, part, now, [o for o in outcomes if isinstance(o, Finished)])
        return [receipt(f, now) for f in finished]

    def committed(self) -> None:
        """What was taken may be sent."""
        for account in self._touched:
            self._wake(account)
        self._indicators.show(self._typing)

    def _wake(self, account: str) -> None:
        if account not in self._senders:
            sender = Sender(self._claim.partition, account, self._pool, self._attempts, self._submit, self._clock)
            self._senders[account] = (sender, self._tasks.create_task(sender.run()))
        self._senders[account][0].wake()

    async def close(self) -> None:
        """Start no more sends, and write down what became of those in the air: the next owner sends the rest."""
        for _, task in self._senders.values():
            task.cancel()
        self._senders = {}
        self._indicators.cancel()
        outcomes = await self._attempts.settle(GRACE_SECONDS)
        with suppress(Fenced, *OUTAGES):
            if outcomes:
                await self._write(outcomes)
            self._attempts.drop_done()

    async def _write(self, outcomes: Sequence[Outcome]) -> None:
        own = self._claim
        position = await partitions.position(self._pool, own)
        async with transaction(self._pool) as tx:
            await partitions.fence(tx, own, position, position)
            await outbox.write(tx, own.group, own.partition, await self._note(tx, outcomes, self._clock()))
