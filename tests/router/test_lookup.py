"""What others are asked before a message is decided: a local double of the SLA service checks what it receives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.sla.v1 import sla_event_pb2 as sla
from trunkline.sla.v1.sla_service_pb2 import Due, PreviewDueRequest, PreviewDueResponse
from trunkline_common import rpc
from trunkline_router import lookup
from trunkline_router.advice import Advice, Advisor
from trunkline_router.events import ConversationQueued
from trunkline_router.facts import Attributes, CustomerLookup, DuePreview, Presence
from trunkline_router.inputs import AcceptOffer, Configure, Resolve, SetPresence
from trunkline_router.lookup import SlaLookup, not_asked
from trunkline_router.routing import Order
from trunkline_router.state import Engine

from tests import kit
from tests.router.given import BILLING, POOL, RETURNS, Step, after, ask, at, configured, message, offer_id

pytestmark = pytest.mark.asyncio(loop_scope="function")
EDF = configured(teams=(replace(BILLING, order=Order.EDF), RETURNS))
TEN_S = 10.0


@dataclass
class Double:
    """Answers as it is told to, and keeps what it was asked and by whom."""

    dues: list[Due] = field(default_factory=list)
    silent: asyncio.Event | None = None
    asked: list[PreviewDueRequest] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: PreviewDueRequest, context: Any) -> PreviewDueResponse:
        self.asked.append(request)
        self.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
        if self.silent is not None:
            await self.silent.wait()
        return PreviewDueResponse(dues=self.dues)


@asynccontextmanager
async def served(double: Double) -> AsyncIterator[rpc.Channel]:
    """A channel to the double that is connected."""
    server = grpc.aio.server()
    answers = grpc.unary_unary_rpc_method_handler(
        double.answer,
        request_deserializer=PreviewDueRequest.FromString,
        response_serializer=PreviewDueResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler("trunkline.sla.v1.SlaService", {"PreviewDue": answers})
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with rpc.plain_channel(f"127.0.0.1:{port}") as channel:
        await asyncio.wait_for(channel.channel_ready(), TEN_S)
        yield channel
    await server.stop(None)


def due(team: str, metric: sla.Metric.ValueType, seconds: float | None) -> Due:
    """What the double answers of a team."""
    found = Due(team=team, metric=metric)
    if seconds is not None:
        found.due_at.FromDatetime(at(seconds))
    return found


async def test_both_reply_metrics_of_every_team_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no due time, and what is no reply, is left out; the call is the service's own, for the tenant."""
    monkeypatch.setattr(lookup, "DEADLINE_SECONDS", TEN_S)
    first, following = sla.METRIC_FIRST_RESPONSE, sla.METRIC_NEXT_RESPONSE
    double = Double([due("a", first, 60), due("a", following, 30), due("b", first, None), due("b", following, 90),
                     due("a", sla.METRIC_RESOLUTION, 5)])  # fmt: skip
    async with served(double) as channel:
        found = await SlaLookup(channel, "our-token")("acme", PreviewDueRequest(teams=["a", "b"]))
    assert found == DuePreview((("a", at(60)),), (("a", at(30)), ("b", at(90))))
    assert (double.metadata[0]["authorization"], double.metadata[0]["trunkline-tenant"]) == ("Bearer our-token", "acme")


async def test_an_answer_that_does_not_come_in_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision is made without it, and says why."""
    monkeypatch.setattr(lookup, "DEADLINE_SECONDS", 0.01)
    double = Double(silent=asyncio.Event())
    async with served(double) as channel:
        assert await SlaLookup(channel, "")("acme", PreviewDueRequest()) == DuePreview(fallback="deadline")


async def test_nobody_there_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is down holds nothing up."""
    monkeypatch.setattr(lookup, "DEADLINE_SECONDS", TEN_S)
    async with rpc.plain_channel("127.0.0.1:1") as channel:
        assert await SlaLookup(channel, "")("acme", PreviewDueRequest()) == DuePreview(fallback="unavailable")
    assert await not_asked("acme", PreviewDueRequest()) == DuePreview(fallback="off")


# -- what is asked for which message


@dataclass
class Asked:
    """Stands in for both services."""

    customers: list[str] = field(default_factory=list)
    dues: list[tuple[str, PreviewDueRequest]] = field(default_factory=list)

    async def customer(self, event: InboundEvent) -> CustomerLookup:
        self.customers.append(event.conversation_id)
        return CustomerLookup("customer-1")

    async def due(self, tenant: str, request: PreviewDueRequest, /) -> DuePreview:
        self.dues.append((tenant, request))
        return DuePreview((("billing", at(60)),))


async def advised(
    *events: InboundEvent, engine: Engine | None = None, config: Configure | None = None
) -> tuple[Asked, dict[str, Advice]]:
    """What is asked, and what comes of it, for these messages in a pool."""
    asked = Asked()
    engines, configs = {POOL: engine} if engine else {}, {POOL: config} if config else {}
    return asked, await Advisor(asked.customer, asked.due).ask(events, engines, configs, at(5))


def written(conversation: str, **fields: Any) -> InboundEvent:
    """A customer message."""
    event = kit.inbound("acme", conversation, "hello")
    event.message.MergeFrom(type(event.message)(**fields))
    return event


async def test_a_new_conversation_is_asked_for_with_all_that_is_known_of_it() -> None:
    """The teams that serve what is due first, and no others."""
    engine, _ = after(Step(0, Configure(EDF)))
    event = written("c1", tags=["vip"], attributes={"order": "1"}, priority="high")
    asked, found = await advised(event, engine=engine)
    expected = PreviewDueRequest(
        teams=["billing"], channel="app", priority="high", tags=["vip"], attributes={"order": "1"}
    )
    expected.at.FromDatetime(at(5))
    assert (asked.customers, asked.dues) == (["c1"], [("acme", expected)])
    assert found == {"c1": Advice(CustomerLookup("customer-1"), DuePreview((("billing", at(60)),)))}


async def test_only_what_may_come_to_wait_is_asked_for() -> None:
    """Not what waits already or is in somebody's hands, nor what a machine wrote; what is resolved comes back."""
    engine, _ = after(
        Step(0, Configure(EDF)),
        Step(0, SetPresence("ana", Presence.ONLINE)),
        Step(1, message("over")),
        Step(2, AcceptOffer("over", offer_id("over", 4), "ana")),
        Step(3, Resolve("over", "ana")),
        Step(4, replace(message("held"), attributes=(("plan", "gold"),))),
    )
    engine.pool.conversations["over"].attributes = Attributes(tags=("old",))
    events = [written("over", tags=["new"]), written("held"), written("robot", automatic=True)]
    asked, found = await advised(*events, engine=engine)
    assert [(list(request.tags), request.priority) for _, request in asked.dues] == [(["new", "old"], "normal")]
    assert asked.customers == ["robot"]
    assert {name: bool(advice.due.first_response) for name, advice in found.items()} == {
        "over": True, "held": False, "robot": False}  # fmt: skip


async def test_a_pool_whose_teams_take_turns_asks_nobody() -> None:
    """A version that comes into force with the batch counts already."""
    plain, _ = after(Step(0, Configure(configured())))
    assert (await advised(written("c1"), engine=plain))[0].dues == []
    assert (await advised(written("c1")))[0].dues == []
    newer = Configure(replace(EDF, version=2))
    assert len((await advised(written("c1"), engine=plain, config=newer))[0].dues) == 1
    assert len((await advised(written("c1"), config=newer))[0].dues) == 1


async def test_what_was_answered_is_in_the_log() -> None:
    """The way of a message from the answer to its place in the queue."""
    engine, _ = after(Step(0, Configure(EDF)))
    _, found = await advised(written("c1"), engine=engine)
    events = ask(engine, Step(5, replace(message("c1"), due=found["c1"].due)))
    assert [e.payload.due_at for e in events if isinstance(e.payload, ConversationQueued)] == [at(60)]
