"""The owner of a partition of pools: a batch of inbound records, commands and timers becomes log, answers, messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never

from google.protobuf.message import Message
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.config.v1.config_service_pb2 import ApplyConfigResponse
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common import telemetry
from trunkline_common.deadletters import Rejected
from trunkline_common.errors import Refused
from trunkline_common.faultpoints import sabotaged
from trunkline_common.kafka import Record
from trunkline_common.partitions import Claim
from trunkline_common.postgres import Connection, Pool
from trunkline_common.processor import Batch, Effects, Processor, Request, decode

from trunkline_router import news, refusals, roster, store, wire, wire_config, wire_handover
from trunkline_router.advice import NOTHING_ASKED, Advice, Advisor
from trunkline_router.directory import as_refused, not_configured
from trunkline_router.draft import Draft
from trunkline_router.engine import SYSTEM, handle
from trunkline_router.facts import Actor, ActorType
from trunkline_router.inputs import Configure, Input, PutAgent, StartConversation, Tick
from trunkline_router.pool import BEGINNING
from trunkline_router.pool import Pool as PoolState
from trunkline_router.pool_events import AgentRemoved, PoolConfigured
from trunkline_router.publishing import decides, records_of, sent_on
from trunkline_router.refusals import Refusal
from trunkline_router.requests import (
    ApplyDocument,
    Content,
    Read,
    Reconfigured,
    RunCommand,
    Watch,
    reused,
)
from trunkline_router.state import Engine
from trunkline_router.strangers import Named, Strangers
from trunkline_router.subjects import Change
from trunkline_router.toolbox import TOOLS
from trunkline_router.typing_indicator import ShowTyping
from trunkline_router.watch import Watcher, Watchers

SNAPSHOT_EVERY = 5000  # events of a pool between two snapshots; more where the pool is large, for it is written whole
CUSTOMER = Actor(ActorType.CUSTOMER)


class PoolProcessor(Processor):
    """All pools of one partition. State lives in memory and is rebuilt from PostgreSQL after every failure."""

    def __init__(self, pool: Pool, advisor: Advisor) -> None:
        self._db, self._advisor = pool, advisor
        self._engines: dict[str, Engine] = {}
        self._snapshots: dict[str, int] = {}
        self._strangers = Strangers(self._engines)
        self._looked = False
        self._watchers = Watchers()
        self._changes: list[tuple[Watcher, Change | Refused]] = []
        self._inbound: list[tuple[Record, InboundEvent]] = []
        self._advice: dict[str, Advice] = {}
        self._new_configs: dict[str, Configure] = {}
        self._rejected: list[Rejected] = []
        self._stored: dict[tuple[str, str], tuple[bytes, bytes]] = {}

    async def load(self, pool: Pool, claim: Claim) -> None:
        """Rebuild every pool of the partition."""
        self._claim = claim
        for pool_id, (engine, snapshot_seq) in (await store.load_pools(pool, claim.partition)).items():
            self._engines[pool_id], self._snapshots[pool_id] = engine, snapshot_seq
        self._looked = not self._engines

    def next_due(self) -> datetime | None:
        """The earliest timer of any pool; at once where a version may have been missed."""
        if not self._looked:
            return BEGINNING
        return min((due for e in self._engines.values() if (due := e.next_due()) is not None), default=None)

    # -- before the transaction

    async def prepare(self, batch: Batch) -> None:
        """Decode, fetch configurations this partition has not seen, and ask what others know of the messages."""
        self._inbound, self._rejected = decode(batch.records, wire.parse_inbound)
        messages = [event for _, event in self._inbound]
        self._new_configs = {} if self._looked else await news.missed(self._db, self._engines)
        self._new_configs |= await news.wanted(self._db, self._engines, messages, batch.requests)
        self._looked = True
        named = [*((e.pool, e.conversation_id) for e in messages), *_begun(batch.requests)]
        self._new_configs |= await news.outgrown(self._db, self._engines, named)
        await self._strangers.prepare(self._db, {pool for pool, _ in named}, self._new_configs)
        self._advice = await self._advisor.ask(messages, self._engines, self._new_configs, batch.now)

    # -- inside the transaction

    async def process(self, tx: Connection, batch: Batch) -> Effects:
        """Decide everything in the batch and write it down."""
        draft = Draft(batch.now)
        for pool, configure in self._new_configs.items():
            self._configure(draft, pool, configure)
        await self._receive(tx, draft)
        self._stored = await self._answered_before(tx, batch.requests)
        answers = [await self._answer(tx, draft, request) for request in batch.requests]
        if batch.caught_up:
            self._tick(draft)
        await store.record(tx, self._claim.partition, draft.rows, draft.results, draft.now)
        for pool in draft.left:
            agents = self._engines[pool].pool.agents.values()
            await roster.keep(tx, pool, [a.config.id for a in agents if a.config.by_api])
        await self._snapshot(tx, draft)
        return Effects(draft.messages, answers, self._rejected)

    def _configure(self, draft: Draft, pool: str, configure: Configure) -> None:
        engine = self._engines.setdefault(pool, Engine(PoolState(pool), TOOLS))
        self._decide(draft, engine, Input(configure, f"config/{configure.configuration.version}", SYSTEM), "")

    async def _receive(self, tx: Connection, draft: Draft) -> None:
        told = (event for _, event in self._inbound if not event.HasField("hand_over"))
        new = self._strangers.among((event.pool, event.conversation_id) for event in told)
        fresh = await self._strangers.note(tx, new, {e.event_id for _, e in self._inbound}, draft.now)
        await self._strangers.look(tx, new)
        duplicates = 0
        for record, event in self._inbound:
            if event.event_id in fresh or sabotaged("no_dedupe"):
                fresh.discard(event.event_id)
                self._handle_inbound(draft, record, event)
            else:
                duplicates += 1
        telemetry.count("trunkline.inbox.duplicates", duplicates)

    def _handle_inbound(self, draft: Draft, record: Record, event: InboundEvent) -> None:
        engine = self._engines.get(event.pool)
        seen = self._strangers.place(event.pool, event.conversation_id)
        if (onward := sent_on(engine, event, draft.now, record.traceparent, seen)) is not None:
            draft.messages.append(onward)
            return
        if engine is None or not decides(engine):
            detail = "the tenant has no such pool; apply a configuration that names it, then produce the event again"
            self._rejected.append(Rejected(record, "UNKNOWN_POOL", detail, poison=False))
            return
        advice = self._advice.get(event.conversation_id, NOTHING_ASKED)
        body = wire.to_input(event, advice.customer, advice.due)
        actor = wire_handover.actor_of(event) if event.HasField("hand_over") else CUSTOMER
        try:
            self._decide(draft, engine, Input(body, event.event_id, actor), record.traceparent)
        except Refusal as refusal:
            self._rejected.append(Rejected(record, refusal.reason, refusal.message, poison=False))

    async def _answered_before(
        self, tx: Connection, requests: Sequence[Request]
    ) -> dict[tuple[str, str], tuple[bytes, bytes]]:
        keyed = [r.content for r in requests if isinstance(r.content, RunCommand | ApplyDocument)]
        return await store.results(tx, list({(c.tenant, c.request_id) for c in keyed}))

    async def _answer(self, tx: Connection, draft: Draft, request: Request) -> Any:
        content: Content = request.content
        try:
            match content:
                case RunCommand():
                    return await self._run(tx, draft, content, request.traceparent)
                case Read():
                    return content.respond(self._engine(content.pool))
                case Watch():
                    return await self._watch(tx, draft, content)
                case ShowTyping():
                    shown = content.record(self._engine(content.pool), draft.now, request.traceparent)
                    return draft.messages.append(shown)
                case ApplyDocument():
                    return await self._apply(tx, draft, content, request.traceparent)
                case Reconfigured():
                    return None
                case _:
                    assert_never(content)
        except Refusal as refusal:
            return as_refused(refusal)
        except Refused as refused:
            return refused

    def _engine(self, pool: str) -> Engine:
        engine = self._engines.get(pool)
        if engine is None:
            raise not_configured(pool.partition("/")[0])
        return engine

    def _stored_answer(self, tenant: str, request_id: str, fingerprint: bytes) -> bytes | None:
        stored = self._stored.get((tenant, request_id))
        if stored is None:
            return None
        if stored[0] != fingerprint:
            raise reused(request_id)
        return stored[1]

    async def _watch(self, tx: Connection, draft: Draft, content: Watch) -> object:
        engine = self._engine(content.pool)
        if content.gap is not None:
            await content.gap.read_on(tx, [event for pool, _, _, event in draft.rows if pool == content.pool])
        return content.subscribe(engine, self._watchers)

    async def _run(self, tx: Connection, draft: Draft, command: RunCommand, traceparent: str) -> Message:
        stored = self._stored_answer(command.tenant, command.request_id, command.fingerprint)
        if stored is not None and not sabotaged("no_dedupe"):
            return command.response.FromString(stored)
        engine = self._engine(command.pool)
        asked = command.complete(engine, command.asked)
        if isinstance(asked.body, StartConversation):
            await self._must_begin_here(tx, draft, (command.pool, asked.body.conversation_id))
        if isinstance(asked.body, PutAgent):
            async with tx.transaction():  # with a refusal the name is free again
                await roster.reserve(tx, command.pool, asked.body.agent)
                self._decide(draft, engine, asked, traceparent)
        else:
            self._decide(draft, engine, asked, traceparent)
        response = command.respond(engine)
        self._keep(draft, command, response)
        return response

    async def _must_begin_here(self, tx: Connection, draft: Draft, named: Named) -> None:
        new = self._strangers.among([named])
        if new:
            await self._strangers.note(tx, new, set(), draft.now)
            await self._strangers.look(tx, new)
            if (place := self._strangers.place(*named)) is not None:
                raise refusals.already_there(place.conversation_id, place.pool)

    def _keep(self, draft: Draft, command: RunCommand | ApplyDocument, response: Message) -> None:
        data = response.SerializeToString()
        if (command.tenant, command.request_id) not in self._stored:
            draft.results.append((command.tenant, command.request_id, command.fingerprint, data))
        self._stored[command.tenant, command.request_id] = (command.fingerprint, data)

    async def _apply(self, tx: Connection, draft: Draft, document: ApplyDocument, traceparent: str) -> Message:
        stored = self._stored_answer(document.tenant, document.request_id, document.fingerprint)
        if stored is not None:
            return ApplyConfigResponse.FromString(stored)
        parsed = TenantConfig()
        parsed.CopyFrom(document.config)
        parsed.version, parsed.applied_by = await store.next_version(tx, document.tenant), document.applied_by
        parsed.applied_at.FromDatetime(draft.now)
        await roster.must_not_clash(tx, parsed)
        await store.put_config(tx, parsed)
        draft.messages.append(wire_config.config_record(parsed, traceparent))
        for pool in news.of_tenant(self._engines, document.tenant):
            self._configure(draft, pool, Configure(wire_config.to_pool_configured(parsed, pool)))
        response = ApplyConfigResponse(version=parsed.version)
        self._keep(draft, document, response)
        return response

    def _tick(self, draft: Draft) -> None:
        for engine in self._engines.values():
            if (due := engine.next_due()) is not None and due <= draft.now:
                self._decide(draft, engine, Input(Tick(), "timer", SYSTEM), "")

    def _decide(self, draft: Draft, engine: Engine, asked: Input, traceparent: str) -> None:
        """Let the engine decide; log and publish what follows."""
        events = handle(engine, asked, draft.now)
        pool = engine.pool.id
        for event in events:
            stored = wire.to_pool_event(event, pool, self._claim.epoch, draft.now)
            draft.rows.append((pool, event.pool_seq, event.conversation_id, stored.SerializeToString()))
            if event.conversation_id:
                draft.messages += records_of(engine, stored.conversation, traceparent)
            if isinstance(event.payload, AgentRemoved | PoolConfigured):
                draft.left.add(pool)
        if events:
            draft.touched.add(pool)
            self._changes += self._watchers.changes(engine, events)

    async def _snapshot(self, tx: Connection, draft: Draft) -> None:
        for pool in draft.touched:
            state, last = self._engines[pool].pool, self._snapshots.get(pool)
            if last is None or state.seq - last >= max(SNAPSHOT_EVERY, len(state.conversations) // 10):
                await store.snapshot(tx, self._claim.partition, state)
                self._snapshots[pool] = state.seq

    # -- afterwards

    def committed(self) -> None:
        """Tell the watchers."""
        for watcher, change in self._changes:
            watcher.tell(change)
        self._changes = []

    async def close(self) -> None:
        """The partition is lost, or a transaction failed: watchers begin again."""
        self._watchers.end()


def _begun(requests: Sequence[Request]) -> list[Named]:
    """The conversations that commands want to begin."""
    asked = [r.content for r in requests if isinstance(r.content, RunCommand)]
    return [(c.pool, c.asked.body.conversation_id) for c in asked if isinstance(c.asked.body, StartConversation)]
