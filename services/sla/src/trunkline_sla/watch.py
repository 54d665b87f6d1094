"""What a watcher of the topic trunkline.sla.v1 is told, and how far it has come with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from trunkline.sla.v1.sla_event_pb2 import SlaEvent
from trunkline_common.cloudevents import text
from trunkline_common.errors import Refused
from trunkline_common.kafka import Record

#: How long a watcher is without a newer token.
BEAT_SECONDS = 2.0

Read = tuple[list[Record], tuple[int, ...]]
#: An event, or none, and where a watch goes on after it.
Told = tuple[SlaEvent | None, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose events; an empty team and metric 0 are all of them."""

    tenant: str
    team: str = ""
    metric: int = 0

    def event(self, record: Record) -> SlaEvent | None:
        """The event in a record, if it is wanted."""
        if text(record.headers, "ce_tenant") != self.tenant:
            return None
        try:
            found = SlaEvent.FromString(record.value or b"")
        except DecodeError:
            return None
        fits = self.team in ("", found.team) and self.metric in (0, found.metric)
        return found if fits and found.tenant == self.tenant else None


async def watch(reads: AsyncIterator[Read], wanted: Wanted, time: Callable[[], float]) -> AsyncIterator[Told]:
    """Each wanted event with the place after it, in order; a place alone at once, and when nothing came for a while."""
    place: list[int] = []
    told_at = float("-inf")
    async for records, reached in reads:
        for event, after in _wanted(records, wanted, place):
            told_at = time()
            yield event, after
        place = list(reached)
        if time() - told_at >= BEAT_SECONDS:
            told_at = time()
            yield None, reached


def _wanted(records: Sequence[Record], wanted: Wanted, place: list[int]) -> Iterator[Told]:
    for record in records:
        place[record.partition] = record.offset + 1
        if (event := wanted.event(record)) is not None:
            yield event, tuple(place)


class Seats:
    """How many watches this process may hold: each has its own connection to Kafka."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A seat for as long as the block. RESOURCE_EXHAUSTED where none is free."""
        if self._taken >= self._most:
            raise Refused(
                "RESOURCE_EXHAUSTED",
                "WATCH_LIMIT",
                f"this process holds {self._most} watches already; ask again",
                metadata={"limit": str(self._most)},
                retry_after=5.0,
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
