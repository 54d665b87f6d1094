"""The log and the timers of one partition become clocks and facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from opentelemetry.trace import SpanKind
from trunkline_common import telemetry
from trunkline_common.deadletters import Rejected
from trunkline_common.errors import Busy
from trunkline_common.faultpoints import sabotaged
from trunkline_common.kafka import Record
from trunkline_common.partitions import Claim
from trunkline_common.postgres import Connection, Pool
from trunkline_common.processor import Batch, Effects, Processor, decode
from trunkline_common.tenants import Tenants

from trunkline_sla import store, wire
from trunkline_sla.clocks import Step, next_at
from trunkline_sla.model import Breached, Conversation, Event, Fulfilled, Kind, Policy, SlaFact, Started, Warned
from trunkline_sla.timers import Timers

log = structlog.get_logger(__name__)

FIRINGS = 2000  # at most so many timers in one transaction (sla 12.4)
STARTS_CLOCKS = (Kind.WROTE, Kind.QUEUED)


class Projector(Processor):
    """The clocks of one partition. In memory: one instant for each clock that runs, nothing else."""

    def __init__(self, partition: int, tenants: Tenants, lateness: timedelta) -> None:
        self._partition, self._tenants, self._lateness = partition, tenants, lateness
        self._timers = Timers()
        self._events: Sequence[tuple[Record, Event]] = ()
        self._rejected: list[Rejected] = []
        self._policies: dict[tuple[str, int], tuple[Policy, ...]] = {}

    async def load(self, pool: Pool, claim: Claim) -> None:
        """Arm the clocks that run."""
        clocks = await store.armed(pool, claim.partition)
        self._timers = Timers((c.conversation_id, at) for c in clocks if (at := next_at(c)) is not None)

    def next_due(self) -> datetime | None:
        """The earliest instant at which a clock has something to say, and the time left for a late reply to arrive."""
        first = self._timers.first()
        return first + self._lateness + timedelta(microseconds=1) if first else None

    async def prepare(self, batch: Batch) -> None:
        """Decode the records and find the promises they are measured by."""
        self._events, self._rejected = decode(batch.records, wire.parse)
        wanted = {(e.tenant, e.config_version) for _, e in self._events if e.kind in STARTS_CLOCKS}
        self._policies = {key: self._promised(*key) for key in wanted}

    def _promised(self, tenant: str, version: int) -> tuple[Policy, ...]:
        if version == 0:
            return ()
        config = self._tenants.at(tenant, version)
        if config is None:
            raise Busy(f"configuration {tenant}/{version}")
        return wire.policies(config)

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """Records first, so that a reply wins over the timer; then what is due."""
        now = batch.now - self._lateness
        due = self._timers.due(now, FIRINGS) if batch.caught_up else []  # sla 12.4: a reply may still wait
        touched = dict.fromkeys([*(e.conversation_id for _, e in self._events), *due])
        if not touched:
            return Effects(rejected=self._rejected)
        steps = {key: Step(state) for key, state in (await store.conversations(tx, touched)).items()}
        facts = [*self._read(steps), *_look(steps, due, now)]
        changed = [clock for step in steps.values() for clock in step.changed.values()]
        seen = {e.conversation_id for _, e in self._events}
        await store.put(tx, self._partition, [steps[key].state for key in seen], changed, facts, batch.now)
        for key, step in steps.items():
            self._timers.arm(key, next_at(step.state.clock) if step.state.clock else None)
        _measure(facts, batch.now)
        return Effects(
            messages=[wire.to_message(f, batch.now, _traceparent(f, batch.now)) for f in facts], rejected=self._rejected
        )

    def _read(self, steps: dict[str, Step]) -> list[SlaFact]:
        facts: list[SlaFact] = []
        for _, event in self._events:
            step = steps.setdefault(event.conversation_id, Step(Conversation(event.tenant, event.conversation_id)))
            if _is_new(event, step.state.seq):
                before = len(step.facts)
                step.see(event, self._policies.get((event.tenant, event.config_version), ()))
                facts += step.facts[before:]
        return facts


def _look(steps: dict[str, Step], due: Sequence[str], now: datetime) -> list[SlaFact]:
    facts: list[SlaFact] = []
    for step in (steps[key] for key in due if key in steps):
        before = len(step.facts)
        step.look(now)
        facts += step.facts[before:]
    return facts


def _is_new(event: Event, last: int) -> bool:
    if event.seq <= last:
        telemetry.count("trunkline.log.duplicates", 1, group="sla")
        return sabotaged("no_dedupe")
    if event.seq > last + 1:
        telemetry.count("trunkline.log.gaps", 1, group="sla")
        log.error("events are missing", conversation_id=event.conversation_id, seq=event.seq, last=last)
    return True


def _measure(facts: Sequence[SlaFact], now: datetime) -> None:
    for fact in facts:
        if isinstance(fact, Warned | Breached):
            telemetry.observe("trunkline.timer.late", wire.late_ms(fact, now) / 1000)
    telemetry.count("trunkline.sla.breaches", sum(isinstance(f, Breached) for f in facts))


def _traceparent(fact: SlaFact, now: datetime) -> str:
    """What a timer noticed continues the trace that began with the customer's message."""
    if isinstance(fact, Started | Fulfilled):
        return fact.traceparent
    attributes: dict[str, str | int] = {
        "trunkline.conversation_id": fact.clock.conversation_id,
        "trunkline.sla.metric": str(fact.clock.metric),
        "trunkline.late_ms": wire.late_ms(fact, now),
    }
    name = "fire warning" if isinstance(fact, Warned) else "fire breached"
    span = telemetry.child(name, fact.clock.traceparent, SpanKind.INTERNAL, attributes)
    if span is None:
        return ""
    span.end()
    return telemetry.traceparent(span)
