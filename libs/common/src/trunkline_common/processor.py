"""What a service gives to the consumer: how one batch of one partition becomes state and messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from trunkline_common.deadletters import Rejected
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Outgoing, Record
from trunkline_common.partitions import Claim
from trunkline_common.postgres import Connection, Pool

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """Something asked of the partition's owner in this process (a command); answered after COMMIT."""

    content: Any
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction handles: records in order of offset, requests in order of arrival, timers due by `now`."""

    records: Sequence[Record]
    requests: Sequence[Request]
    now: datetime
    #: What was in the partition when it was claimed, and what has been fetched since, is in or before this batch:
    #: timers may fire.
    caught_up: bool = True


@dataclass(slots=True)
class Effects:
    """What a batch leads to. `answers` has one entry per request: the answer, or the Refused that is the answer."""

    messages: list[Outgoing] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


class Processor(ABC):
    """The state of one owned partition. Made anew after every claim and after every failed transaction.

    Called by one task at a time: load, then for each batch prepare, process, and committed once it is durable.
    """

    async def load(self, pool: Pool, claim: Claim) -> None:  # noqa: B027 - not every service needs it
        """Read the committed state. Nobody else writes it while the claim holds."""

    def next_due(self) -> datetime | None:
        """When the next timer fires; None where none is set."""
        return None

    async def prepare(self, batch: Batch) -> None:  # noqa: B027 - not every service needs it
        """Fetch what the batch needs from others, before the transaction. May raise Busy; must not change state."""

    @abstractmethod
    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """Write the state of this batch with `tx`, already fenced; no I/O but `tx`."""

    def committed(self) -> None:  # noqa: B027 - not every service needs it
        """The last processed batch is durable: whoever watches may be told."""

    async def close(self) -> None:  # noqa: B027 - not every service needs it
        """The partition is lost or the state is about to be loaded anew: end what was started in load."""


def decode(records: Iterable[Record], parse: Callable[[Record], T]) -> tuple[list[tuple[Record, T]], list[Rejected]]:
    """Parse each record; those that raise InvalidMessage come back as rejected."""
    parsed: list[tuple[Record, T]] = []
    rejected: list[Rejected] = []
    for record in records:
        try:
            parsed.append((record, parse(record)))
        except InvalidMessage as error:
            rejected.append(Rejected(record, error.reason, error.detail))
    return parsed, rejected
