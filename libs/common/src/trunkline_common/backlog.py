"""The records fetched for a partition and not yet taken, bounded by number and size."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from trunkline_common.kafka import Record

MAX_RECORDS, MAX_BYTES = 2000, 8 << 20  # what one transaction takes
FULL_RECORDS, FULL_BYTES = 4000, 4 << 20  # above this fetching pauses; below half of it, it goes on


class Backlog:
    """First in, first out; what a failed batch gave back comes first again."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._records)

    @property
    def full(self) -> bool:
        """Fetching should pause."""
        return len(self._records) > FULL_RECORDS or self._bytes > FULL_BYTES

    @property
    def low(self) -> bool:
        """Fetching may go on."""
        return len(self._records) < FULL_RECORDS / 2 and self._bytes < FULL_BYTES / 2

    def add(self, records: Sequence[Record]) -> None:
        """Records in order of offset, after those that are there."""
        self._records.extend(records)
        self._bytes += sum(map(_size, records))

    def give_back(self, records: Sequence[Record]) -> None:
        """Records of a batch that is to be tried again."""
        self._records.extendleft(reversed(records))
        self._bytes += sum(map(_size, records))

    def take(self, most: int = MAX_RECORDS) -> list[Record]:
        """The next batch."""
        taken, size = list[Record](), 0
        while self._records and len(taken) < most and size < MAX_BYTES:
            taken.append(self._records.popleft())
            size += _size(taken[-1])
        self._bytes -= size
        return taken

    def drop_before(self, offset: int) -> None:
        """Forget what is consumed already."""
        while self._records and self._records[0].offset < offset:
            self._bytes -= _size(self._records.popleft())

    def clear(self) -> None:
        """Forget everything."""
        self._records.clear()
        self._bytes = 0


def _size(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"")
