"""What a double was told to do instead of taking the next requests."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer other than success, for `account` (any where empty)."""

    status: int
    account: str = ""
    retry_after: int | None = None


class Faults:
    """`fail` and `refuse` are used up one per request; `open` is cleared to make every request wait."""

    def __init__(self) -> None:
        self._waiting: deque[Fault] = deque()
        self.open = asyncio.Event()
        self.open.set()

    def fail(self, times: int, status: int = 503, *, account: str = "", retry_after: int | None = None) -> None:
        """Answer the next requests with a transient error."""
        self._waiting.extend([Fault(status, account, retry_after)] * times)

    def refuse(self, times: int = 1, status: int = 400, *, account: str = "") -> None:
        """Answer the next requests with a permanent error."""
        self.fail(times, status, account=account)

    def recover(self) -> None:
        """Take requests again."""
        self._waiting.clear()

    def take(self, account: str) -> Fault | None:
        """The fault for a request of the account, used up."""
        fault = next((f for f in self._waiting if f.account in ("", account)), None)
        if fault is not None:
            self._waiting.remove(fault)
        return fault
