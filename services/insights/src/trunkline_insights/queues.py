"""Queues: what one partition of the conversations log says about them, and how such shares add up. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, assert_never

#: A snapshot is advice for this long; a share older than this is no longer added up.
VALIDITY = timedelta(seconds=30)
#: Shares and snapshots are repeated this often though nothing changed, so that whoever lost one has it again.
HEARTBEAT = timedelta(seconds=10)

Outcome = Literal["applied", "duplicate", "gap"]


class Queue(NamedTuple):
    """The conversations of one team. A tuple, because it is hashed several times for every event."""

    tenant: str
    team: str


@dataclass(frozen=True, slots=True)
class Waits:
    """Queued or offered: it waits for an agent, since `entered_at`."""

    queue: Queue
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class Assigned:
    """An agent has it."""

    queue: Queue


@dataclass(frozen=True, slots=True)
class Left:
    """It is in no queue."""


Move = Waits | Assigned | Left


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a conversation: where it stands afterwards; None where the event does not move it."""

    conversation_id: str
    seq: int
    move: Move | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The state of a queue, or one partition's share of it."""

    depth: int = 0
    assigned: int = 0
    oldest_entered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Partial:
    """One partition's share of a queue: absolute, so the newest replaces every earlier one."""

    queue: Queue
    source_partition: int
    figures: Figures
    computed_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state of a queue."""

    queue: Queue
    figures: Figures
    computed_at: datetime

    @property
    def valid_until(self) -> datetime:
        """When the advice lapses."""
        return self.computed_at + VALIDITY


def add_up(shares: Iterable[Figures]) -> Figures:
    """The figures of a queue from those of its partitions."""
    taken = list(shares)
    oldest = [s.oldest_entered_at for s in taken if s.oldest_entered_at is not None]
    return Figures(sum(s.depth for s in taken), sum(s.assigned for s in taken), min(oldest, default=None))


@dataclass(slots=True)
class _Tally:
    waiting: dict[str, datetime] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)

    def figures(self) -> Figures:
        return Figures(len(self.waiting), len(self.assigned), min(self.waiting.values(), default=None))


class Shard:
    """What one partition of the log says: a pure function of the records before `next_offset`."""

    def __init__(self) -> None:
        self.next_offset = 0
        self._stands: dict[str, tuple[int, Queue | None]] = {}
        self._tallies: dict[Queue, _Tally] = {}
        self._changed: set[Queue] = set()

    def apply(self, step: Step, *, dedupe: bool = True) -> Outcome:
        """Fold in the next event. One that was seen before changes nothing; one after a gap is applied."""
        seq, stood = self._stands.get(step.conversation_id, (0, None))
        if step.seq <= seq and dedupe:
            return "duplicate"
        if step.move is not None:
            self._leave(step.conversation_id, stood)
            stood = self._enter(step.conversation_id, step.move)
        self._stands[step.conversation_id] = (max(step.seq, seq), stood)
        return "gap" if step.seq > seq + 1 else "applied"

    def _leave(self, conversation_id: str, queue: Queue | None) -> None:
        if queue is None:
            return
        tally = self._tally(queue)
        tally.waiting.pop(conversation_id, None)
        tally.assigned.discard(conversation_id)

    def _enter(self, conversation_id: str, move: Move) -> Queue | None:
        match move:
            case Waits(queue, entered_at):
                self._tally(queue).waiting[conversation_id] = entered_at
            case Assigned(queue):
                self._tally(queue).assigned.add(conversation_id)
            case Left():
                return None
            case _:
                assert_never(move)
        return queue

    def _tally(self, queue: Queue) -> _Tally:
        self._changed.add(queue)
        tally = self._tallies.get(queue)
        if tally is None:
            tally = self._tallies[queue] = _Tally()
        return tally

    def figures(self) -> dict[Queue, Figures]:
        """Every queue that any event of this partition ever named."""
        return {queue: tally.figures() for queue, tally in self._tallies.items()}

    def partials(self, source: int, now: datetime, *, everything: bool) -> list[Partial]:
        """The shares that changed since they were last taken, or all of them."""
        due = self._tallies.keys() if everything else self._changed
        taken = [Partial(queue, source, self._tallies[queue].figures(), now) for queue in due]
        self._changed = set()
        return taken


class Board:
    """The newest share of each source partition, by queue, and what has been published of them."""

    def __init__(self) -> None:
        self._shares: dict[Queue, dict[int, Partial]] = {}
        self._published: dict[Queue, Snapshot] = {}

    def take(self, partial: Partial) -> None:
        """Keep it, unless a newer one of its source is known: a partition that moved has two writers for a moment."""
        shares = self._shares.setdefault(partial.queue, {})
        known = shares.get(partial.source_partition)
        if known is None or known.computed_at <= partial.computed_at:
            shares[partial.source_partition] = partial

    def snapshots(self, now: datetime) -> list[Snapshot]:
        """What is to be published: queues whose figures changed, and each again after HEARTBEAT.

        A queue with a share older than VALIDITY is left out: its sum would be a guess. What was published lapses.
        """
        found = [s for queue in self._shares if (s := self._due(queue, now)) is not None]
        self._published.update((s.queue, s) for s in found)
        return found

    def _due(self, queue: Queue, now: datetime) -> Snapshot | None:
        shares = self._shares[queue].values()
        if min(share.computed_at for share in shares) + VALIDITY < now:
            return None
        snapshot = Snapshot(queue, add_up(share.figures for share in shares), now)
        last = self._published.get(queue)
        if last is not None and last.figures == snapshot.figures and now < last.computed_at + HEARTBEAT:
            return None
        return snapshot
