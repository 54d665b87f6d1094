"""The requests that wait for a partition's owner, and those of the batch in hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from trunkline_common.processor import Request

MAX_REQUESTS = 500  # commands that share one transaction


class Asked:
    """First come, first served; whoever gave up waiting is left out."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Request, asyncio.Future[Any]]] = deque()
        self._in_hand: list[tuple[Request, asyncio.Future[Any]]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, request: Request) -> asyncio.Future[Any]:
        """Its answer, to be awaited."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        return future

    def take(self, most: int = MAX_REQUESTS) -> list[Request]:
        """The requests of the next batch."""
        taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), most))]
        self._in_hand = [(request, future) for request, future in taken if not future.done()]
        return [request for request, _ in self._in_hand]

    def give_back(self) -> None:
        """Those in hand come first again."""
        self._waiting.extendleft(reversed(self._in_hand))
        self._in_hand = []

    def answer(self, answers: Sequence[Any]) -> None:
        """What each in hand led to; an exception is raised where it was asked."""
        for (_, future), answer in zip(self._in_hand, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._in_hand = []

    def refuse(self, error: Exception) -> None:
        """Those in hand are not handled."""
        self.answer([error] * len(self._in_hand))

    def refuse_all(self, error: Exception) -> None:
        """Nor is any other."""
        self.give_back()
        self.take(len(self._waiting))
        self.refuse(error)
