"""When to look at which clock: derived state, rebuilt from the clocks that run (sla 12.2)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime

SLACK = 1000  # dropped entries worth keeping


class Timers:
    """One instant per clock. An entry of the heap that is no longer the armed one is dropped when met."""

    def __init__(self, armed: Iterable[tuple[str, datetime]] = ()) -> None:
        self._armed = dict(armed)
        self._heap = [(at, key) for key, at in self._armed.items()]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, key: str, at: datetime | None) -> None:
        """Look at `key` after `at`, and no earlier; None: not at all."""
        if at is None:
            self._armed.pop(key, None)
        elif self._armed.get(key) != at:
            self._armed[key] = at
            heapq.heappush(self._heap, (at, key))
            if len(self._heap) > 2 * len(self._armed) + SLACK:
                self._heap = [(when, k) for k, when in self._armed.items()]
                heapq.heapify(self._heap)

    def first(self) -> datetime | None:
        """The earliest instant armed."""
        while self._heap and self._armed.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: datetime, most: int) -> list[str]:
        """Take what was armed for before `now`, oldest first, at most so many; each is to be armed again."""
        taken: list[str] = []
        while len(taken) < most and (first := self.first()) is not None and first < now:
            key = heapq.heappop(self._heap)[1]
            del self._armed[key]
            taken.append(key)
        return taken
