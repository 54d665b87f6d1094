"""The log of one partition becomes rows."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from trunkline_common import telemetry
from trunkline_common.faultpoints import sabotaged
from trunkline_common.postgres import Connection
from trunkline_common.processor import Batch, Effects, Processor, decode

from trunkline_timeline import store, wire
from trunkline_timeline.history import Conversation, Entry, Event, begin, customers, evolve

log = structlog.get_logger(__name__)


class Projector(Processor):
    """Keeps nothing in memory: what a batch needs is read, and what it changes written, in its transaction."""

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """Fold the records that are new into their conversations, in a few statements."""
        parsed, rejected = decode(batch.records, wire.parse)
        events = [event for _, event in parsed]
        states = await store.conversations(tx, {e.conversation_id for e in events}) if events else {}
        fresh, entries = _fold(states, events)
        touched = {e.conversation_id for e in fresh}
        await store.put(tx, customers(fresh).values(), [states[key] for key in touched], entries)
        return Effects(rejected=rejected)


def _fold(states: dict[str, Conversation], events: Sequence[Event]) -> tuple[list[Event], list[Entry]]:
    fresh: list[Event] = []
    entries: list[Entry] = []
    for event in events:
        state = states.get(event.conversation_id) or begin(event)
        if not _is_new(event, state.seq):
            continue
        states[event.conversation_id] = evolve(state, event)
        fresh.append(event)
        entries.append(Entry(event, state.customer_id))
    return fresh, entries


def _is_new(event: Event, last: int) -> bool:
    if event.seq <= last:
        telemetry.count("trunkline.log.duplicates", 1, group="timeline")
        return sabotaged("no_dedupe")
    if event.seq > last + 1:
        telemetry.count("trunkline.log.gaps", 1, group="timeline")
        log.error("events are missing", conversation_id=event.conversation_id, seq=event.seq, last=last)
    return True
