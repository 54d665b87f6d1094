"""One account of a partition: its messages, one at a time, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from trunkline_common.clock import Clock
from trunkline_common.errors import Refused
from trunkline_common.postgres import OUTAGES, Pool

from trunkline_ingest import delivery_store as store
from trunkline_ingest.delivery_attempt import Attempts
from trunkline_ingest.delivery_store import Outcome, Waiting

log = structlog.get_logger(__name__)

PAUSE = 0.2  # before asking a database, or an owner, that does not answer again


class Sender:
    """`run` until cancelled. The table is the queue: the head is sent until it is finished, then the next."""

    def __init__(
        self,
        part: int,
        account: str,
        pool: Pool,
        attempts: Attempts,
        submit: Callable[[Outcome], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._part, self._account, self._pool = part, account, pool
        self._attempts, self._submit, self._clock = attempts, submit, clock
        self._more = asyncio.Event()

    def wake(self) -> None:
        """There is more to send."""
        self._more.set()

    async def run(self) -> None:
        """Send what waits, then what comes."""
        while True:
            self._more.clear()
            waiting = await self._head()
            if waiting is None:
                await self._more.wait()
            else:
                await self._deliver(waiting)

    async def _deliver(self, waiting: Waiting) -> None:
        pause = (waiting.due - self._clock()).total_seconds()
        await asyncio.sleep(max(pause, 0))
        await self._report(await self._attempts.outcome(waiting))
        self._attempts.forget(waiting)

    async def _head(self) -> Waiting | None:
        while True:
            try:
                return await store.head(self._pool, self._part, self._account)
            except OUTAGES as error:
                log.warning("waiting for postgresql", error=repr(error))
                await asyncio.sleep(PAUSE)

    async def _report(self, outcome: Outcome) -> None:
        while True:
            try:
                return await self._submit(outcome)
            except Refused:  # the partition is just being claimed, or its state loaded anew
                await asyncio.sleep(PAUSE)
