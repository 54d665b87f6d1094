"""The log and the timers of one partition become clocks and facts (sla 12)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog
from opentelemetry.trace import SpanKind
from trunkline_common import telemetry
from trunkline_common.calendar_zones import tzdata_version
from trunkline_common.deadletters import Rejected
from trunkline_common.errors import Busy
from trunkline_common.faultpoints import sabotaged
from trunkline_common.kafka import Outgoing, Record
from trunkline_common.partitions import Claim
from trunkline_common.postgres import Connection, Pool
from trunkline_common.processor import Batch, Effects, Processor, decode

from trunkline_sla import store, wire
from trunkline_sla.batch import Steps
from trunkline_sla.codec import Find
from trunkline_sla.evaluation import fire
from trunkline_sla.evaluation_facts import FactKind, retraction_key
from trunkline_sla.journal import What
from trunkline_sla.promises import Promises
from trunkline_sla.store import ClockRow
from trunkline_sla.timers import Timers
from trunkline_sla.wire import Announced
from trunkline_sla.wire_config import Book
from trunkline_sla.wire_facts import event_id
from trunkline_sla.wire_log import Logged, parse

log = structlog.get_logger(__name__)

FIRINGS = 2000  # at most so many timers in one transaction (sla 12.4)
SWEEP = 500  # conversations that come under another version in one transaction
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
#: The event ids that one partition of our topic holds.
Published = Callable[[int], AsyncIterator[list[str]]]


@dataclass(frozen=True, slots=True)
class Stale:
    """Another version of a tenant's configuration is there."""

    tenant: str


class Projector(Processor):
    """The clocks of one partition. In memory: one instant for each clock that has something to say, nothing else."""

    def __init__(self, partition: int, book: Book, lateness: timedelta, published: Published) -> None:
        self._partition, self._book, self._lateness, self._published = partition, book, lateness, published
        self._timers, self._tzdata = Timers(), tzdata_version()
        self._logged: Sequence[tuple[Record, Logged]] = ()
        self._rejected: list[Rejected] = []
        #: Tenants whose open clocks may be under an older version.
        self._stale: set[str] = set()
        #: While the log is read from its beginning: what has been published before.
        self._before: set[str] | None = None

    # -- the owner asks

    async def load(self, pool: Pool, claim: Claim) -> None:
        """Arm the clocks that have something to say."""
        self._timers = Timers([pair async for pair in store.armed(pool, claim.partition)])
        if await store.rebuilding(pool, claim.group, claim.topic, claim.partition):
            self._before = {event_id async for ids in self._published(claim.partition) for event_id in ids}
        for tenant, version, tzdata in await store.behind(pool, claim.partition):
            if version < self._book.newest(tenant) or tzdata != self._tzdata:
                self._stale.add(tenant)

    def next_due(self) -> datetime | None:
        """The earliest instant at which a clock has something to say, and the time left for a late reply to arrive."""
        if self._stale:
            return LONG_AGO
        first = self._timers.first()
        return first + self._lateness + timedelta(microseconds=1) if first else None

    async def prepare(self, batch: Batch) -> None:
        """Decode the records; Busy where the configuration that one of them names has not arrived."""
        self._logged, self._rejected = decode(batch.records, parse)
        for tenant, version in {(found.tenant, found.entry.version) for _, found in self._logged}:
            self._promises(tenant, version)

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """Records first, so that a reply wins over the timer; then what changes with the configuration; then timers."""
        self._stale |= {r.content.tenant for r in batch.requests if isinstance(r.content, Stale)}
        announced = await self._read(tx, batch)
        if self._before is not None:  # a warning that was not given in its time is of no use now
            announced = [a for a in announced if a.fact.kind is not FactKind.WARNING]
        if batch.caught_up:  # a reply may still wait in the log (12.4)
            announced += await self._fire(tx, batch.now, {found.conversation_id for _, found in self._logged})
        await store.put_breaches(tx, announced)
        _measure(announced)
        messages = [wire.to_message(a, _traceparent(a)) for a in announced]
        return Effects(
            messages=await self._unpublished(tx, batch, messages),
            answers=[None] * len(batch.requests),
            rejected=self._rejected,
        )

    # -- what events and configurations do

    async def _read(self, tx: Connection, batch: Batch) -> list[Announced]:
        sweep = await self._sweep(tx) if batch.caught_up and self._stale else {}
        ids = dict.fromkeys([*(found.conversation_id for _, found in self._logged), *sweep])
        if not ids:
            return []
        known = await store.conversations(tx, ids, self._finds)
        steps = Steps({key: found for key, (found, _) in known.items()}, self._promises, batch.now)
        for key in (key for key, (_, tzdata) in known.items() if tzdata != self._tzdata):
            steps.rezone(key)
        for _, found in self._logged:
            if _is_new(found, steps.seq(found)):
                steps.take(found, self._book.in_force(found.tenant, found.entry.at))
        for conversation_id, version in sweep.items():
            steps.renew(conversation_id, version)
        rows = [published_before(row, self._before) for row in steps.changed_clocks()]
        await store.put_conversations(tx, self._partition, steps.changed(), self._tzdata)
        await store.put_clocks(tx, self._partition, rows)
        for row in rows:
            self._timers.arm(row.id, row.clock.next_at if row.current else None)
        return steps.announced

    async def _sweep(self, tx: Connection) -> dict[str, int]:
        """Some conversations that are under an older version, with the one in force."""
        tenant = min(self._stale)
        version = self._book.newest(tenant)
        found = await store.stale(tx, self._partition, tenant, version, self._tzdata, SWEEP)
        if len(found) < SWEEP:
            self._stale.discard(tenant)
        return dict.fromkeys(found, version)

    # -- what time does

    async def _fire(self, tx: Connection, now: datetime, busy: set[str]) -> list[Announced]:
        """Let the clocks that are due speak; one whose conversation is in this batch waits for the next."""
        to = now - self._lateness
        ids = self._timers.due(to, FIRINGS)
        announced: list[Announced] = []
        fired: list[ClockRow] = []
        for row in await store.due(tx, self._partition, ids, self._finds) if ids else []:
            if row.about.conversation_id not in busy:
                clock, facts = fire(row.clock, to)
                breached = any(fact.kind is FactKind.BREACHED for fact in facts)
                told = [f for f in facts if not (breached and f.kind is FactKind.WARNING)]  # 12.4
                announced += [Announced(row.about, fact, now) for fact in told]
                row = ClockRow(row.about, clock)
                fired.append(row)
            self._timers.arm(row.id, row.clock.next_at)
        await store.put_fired(tx, fired)
        return announced

    # -- what is published again

    async def _unpublished(self, tx: Connection, batch: Batch, messages: list[Outgoing]) -> list[Outgoing]:
        """Without what had been published before the log was read again (12.5)."""
        if self._before is None:
            return messages
        fresh = [m for m in messages if m.headers["ce_id"].decode() not in self._before]
        due = self.next_due()
        over = batch.caught_up and (due is None or due > batch.now)  # what is past due was announced before, too
        await store.note_rebuild(tx, self._partition, going_on=not over)
        if over:
            self._before = None
        return fresh

    # -- configuration

    def _promises(self, tenant: str, version: int) -> Promises:
        found = self._book.at(tenant, version)
        if found is None:
            raise Busy(f"configuration {tenant}/{version}")
        return found

    def _finds(self, tenant: str) -> Find:
        return lambda policy_id, calendar_id, version: self._promises(tenant, version).setting(policy_id, calendar_id)


def published_before(row: ClockRow, published: set[str] | None) -> ClockRow:
    """With the breaches counted that were taken back before the log was read again: the next has an id of its own."""
    clock = row.clock
    retracted = clock.retracted
    while published and event_id(row.id, retraction_key(clock, retracted)) in published:
        retracted += 1
    return row if retracted == clock.retracted else replace(row, clock=clock._replace(retracted=retracted))


def _is_new(found: Logged, last: int) -> bool:
    seq = found.entry.seq
    if seq <= last:
        telemetry.count("trunkline.log.duplicates", 1, group="sla")
        return sabotaged("no_dedupe") and found.entry.what is not What.CREATED  # nothing begins twice
    if seq > last + 1:
        telemetry.count("trunkline.log.gaps", 1, group="sla")
        log.error("events are missing", conversation_id=found.conversation_id, seq=seq, last=last)
    return True


def _measure(announced: Sequence[Announced]) -> None:
    for found in announced:
        if found.fact.kind in wire.OF_TIMERS:
            telemetry.observe("trunkline.timer.late", found.late_ms / 1000)
    telemetry.count("trunkline.sla.breaches", sum(a.fact.kind is FactKind.BREACHED for a in announced))


def _traceparent(found: Announced) -> str:
    """What a timer noticed continues the trace that began with the customer's message."""
    if found.fact.kind not in wire.OF_TIMERS or not found.about.traceparent:
        return found.about.traceparent
    attributes: dict[str, str | int] = {
        "trunkline.conversation_id": found.about.conversation_id,
        "trunkline.sla.metric": str(found.fact.metric),
        "trunkline.late_ms": found.late_ms,
    }
    name = f"fire {found.fact.kind.name.lower()}"
    span = telemetry.child(name, found.about.traceparent, SpanKind.INTERNAL, attributes)
    if span is None:
        return ""
    span.end()
    return telemetry.traceparent(span)
