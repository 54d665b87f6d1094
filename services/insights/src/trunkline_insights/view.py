"""The newest snapshot of every queue, as this process has read them from the compacted topic."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import structlog
from trunkline_common.errors import InvalidMessage, Refused, unavailable

from trunkline_insights import wire
from trunkline_insights.queues import Queue, Snapshot

log = structlog.get_logger(__name__)


class View:
    """Every replica has all of it, so any of them answers for any queue."""

    def __init__(self) -> None:
        self._newest: dict[Queue, Snapshot] = {}
        self._changed: defaultdict[Queue, asyncio.Event] = defaultdict(asyncio.Event)
        self._closed = False

    def take(self, _key: str, value: bytes | None) -> None:
        """One record of the topic; one that cannot be read leaves the queue as it was."""
        if value is None:
            return
        try:
            snapshot = wire.parse_snapshot(value)
        except InvalidMessage as error:
            log.warning("a snapshot cannot be read", topic=wire.SNAPSHOTS, reason=error.reason)
            return
        known = self._newest.get(snapshot.queue)
        if known is None or known.computed_at <= snapshot.computed_at:
            self._newest[snapshot.queue] = snapshot
            self._wake(snapshot.queue)

    def get(self, queue: Queue) -> Snapshot:
        """The queue as last published. Raises Refused where nothing has been seen of it."""
        found = self._newest.get(queue)
        if found is None:
            message = "nothing has been seen of this queue"
            raise Refused("NOT_FOUND", "QUEUE_NOT_FOUND", message, metadata={"queue": queue.team})
        return found

    async def watch(self, queue: Queue) -> AsyncIterator[Snapshot]:
        """The queue now, then whenever its figures differ from those last given. A slow reader gets the newest."""
        given = self.get(queue)
        yield given
        while not self._closed:
            newest = self.get(queue)
            if newest.figures == given.figures:
                await self._changed[queue].wait()
            else:
                given = newest
                yield given
        raise unavailable("insights")

    def close(self) -> None:
        """End every watch: the process is stopping, another replica goes on."""
        self._closed = True
        for queue in list(self._changed):
            self._wake(queue)

    def _wake(self, queue: Queue) -> None:
        event = self._changed.pop(queue, None)
        if event is not None:
            event.set()
