"""What others are asked before a batch is decided: who a customer is, and when an answer would be due."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.sla.v1.sla_service_pb2 import PreviewDueRequest

from trunkline_router import wire
from trunkline_router.facts import NO_PREVIEW, NOBODY_KNOWN, UNKNOWN, CustomerLookup, DuePreview
from trunkline_router.inputs import Configure, ReceiveMessage
from trunkline_router.known import told
from trunkline_router.lookup import DueLookup, Lookup
from trunkline_router.pool import Status
from trunkline_router.routing import Order, TeamConfig
from trunkline_router.state import Engine


@dataclass(frozen=True, slots=True)
class Advice:
    """What is recorded with the decision about a message."""

    customer: CustomerLookup = NOBODY_KNOWN
    due: DuePreview = NO_PREVIEW


NOTHING_ASKED = Advice()


class Advisor:
    """Asks for all messages at once; nothing takes longer than the deadline of a lookup."""

    def __init__(self, lookup: Lookup, dues: DueLookup) -> None:
        self._lookup, self._dues = lookup, dues

    async def ask(
        self,
        events: Iterable[InboundEvent],
        engines: Mapping[str, Engine],
        configs: Mapping[str, Configure],
        now: datetime,
    ) -> dict[str, Advice]:
        """By conversation: those that are new, and those that may come to wait for a team in order of what is due."""
        found = {e.conversation_id: e for e in events if e.HasField("message")}
        new = {c: self._lookup(e) for c, e in found.items() if not _known(engines, e)}
        asked = {c: _request(e, engines, configs, now) for c, e in found.items()}
        due = {c: self._dues(found[c].tenant, r) for c, r in asked.items() if r.teams}
        customers, dues = await asyncio.gather(asyncio.gather(*new.values()), asyncio.gather(*due.values()))
        who, when = dict(zip(new, customers, strict=True)), dict(zip(due, dues, strict=True))
        return {c: Advice(who.get(c, NOBODY_KNOWN), when.get(c, NO_PREVIEW)) for c in found}


def _known(engines: Mapping[str, Engine], event: InboundEvent) -> bool:
    engine = engines.get(event.pool)
    return engine is not None and event.conversation_id in engine.pool.conversations


def _request(
    event: InboundEvent, engines: Mapping[str, Engine], configs: Mapping[str, Configure], now: datetime
) -> PreviewDueRequest:
    """What is known of the conversation once the message is in; no teams: nothing is to be asked."""
    engine, said = engines.get(event.pool), wire.to_input(event, NOBODY_KNOWN)
    conversation = engine.pool.surviving(event.conversation_id) if engine else None
    goes_on = conversation is not None and conversation.status not in (Status.NEW, Status.RESOLVED)
    if goes_on or not isinstance(said, ReceiveMessage) or said.automatic:
        return PreviewDueRequest()
    known = told(conversation.attributes if conversation else UNKNOWN, said)
    request = PreviewDueRequest(
        teams=[team.id for team in _teams(event.pool, engine, configs) if team.order is Order.EDF],
        channel=event.channel,
        priority=known.priority,
        tags=known.tags,
        attributes=dict(known.values),
    )
    request.at.FromDatetime(now)
    return request


def _teams(pool: str, engine: Engine | None, configs: Mapping[str, Configure]) -> Iterable[TeamConfig]:
    """Those of the version that will be in force when the message is decided."""
    if pool in configs:
        return configs[pool].configuration.teams
    return engine.pool.teams.values() if engine else ()
