"""That an agent types: shown at once where the channel can and it is not old; otherwise forgotten. Nothing is kept,
nothing is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from trunkline.outbound.v1.outbound_message_pb2 import TypingIndicator
from trunkline_common import telemetry

#: Whoever stopped typing five seconds ago does not type.
WORTH = timedelta(seconds=5)
#: Of a partition at once: a provider that hangs costs no more than this.
MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Typing:
    """An indicator as it comes from the topic."""

    indicator: TypingIndicator
    traceparent: str


Attempt = Callable[[Typing], Coroutine[Any, Any, None]]


class Indicators:
    """Those of one partition that are being shown, from `show` to `cancel`."""

    def __init__(self, tasks: asyncio.TaskGroup, attempt: Attempt) -> None:
        self._tasks, self._attempt = tasks, attempt
        self._running: set[asyncio.Task[None]] = set()

    def show(self, found: Sequence[Typing]) -> None:
        """Begin; nobody waits for the end."""
        for typing in found:
            if len(self._running) >= MOST_AT_ONCE:
                count(typing, "dropped")
                continue
            task = self._tasks.create_task(self._attempt(typing))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def cancel(self) -> None:
        """The partition is somebody else's."""
        for task in self._running:
            task.cancel()


def count(typing: Typing, outcome: str) -> None:
    """What became of it: shown, ignored (the channel has no such thing), old, dropped, failed."""
    telemetry.count("trunkline.delivery.typing", 1, channel=typing.indicator.channel, outcome=outcome)
