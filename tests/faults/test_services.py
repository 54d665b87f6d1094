"""Promises P1 to P7 of the design on the real services, with real signals, a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.router.v1 import router_service_pb2 as api
from trunkline.timeline.v1.timeline_service_pb2 import ListTimelineRequest
from trunkline.timeline.v1.timeline_service_pb2_grpc import TimelineServiceStub
from trunkline_common.kafka import Outgoing, Producer

from deploy.local.demo_config import make_secrets
from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="session"),
]
CONFIG = Path("deploy/local/demo_tenant.yaml").read_text()
OUTAGE_S = 20.0


@dataclass(slots=True)
class World:
    """Router, timeline and sla with a tenant of its own."""

    stack: Stack
    services: Services
    producer: Producer
    tenant: str

    async def send(self, count: int) -> list[Any]:
        """Customer messages, each of a new customer."""
        events = [kit.inbound(self.tenant, kit.new_id(), f"message {n}") for n in range(count)]
        await asyncio.gather(*(kit.send(self.producer, e) for e in events))
        return events

    async def log(self) -> dict[str, list[ConversationEvent]]:
        """The tenant's part of the conversations log."""
        return await kit.conversation_log(self.stack.bootstrap, self.tenant)

    async def arrived(self, events: Sequence[Any]) -> dict[str, list[ConversationEvent]]:
        """The log once it holds a queueing of every message's conversation."""

        async def look() -> dict[str, list[ConversationEvent]] | None:
            log = await self.log()
            done = all("conversation_queued" in kit.kinds(log.get(e.conversation_id, [])) for e in events)
            return log if done else None

        return await kit.eventually(look, seconds=60, what="every message in the log")

    async def projected(self, log: dict[str, list[ConversationEvent]]) -> None:
        """Wait until the timeline holds exactly what the log holds; fails with the first difference."""

        async def equal() -> bool:
            return all([await self.timeline(c) == kit.kinds(events) for c, events in log.items()])

        await kit.eventually(equal, seconds=30, what="timeline equal to the log")

    async def timeline(self, conversation: str) -> list[str]:
        """Kinds of the conversation's entries, in order."""
        metadata = kit.token_metadata(self.services.keys, "supervisor", self.tenant, "sam")
        async with grpc.aio.insecure_channel(self.services.address("timeline")) as channel:
            request = ListTimelineRequest(conversation_id=conversation, page_size=500)
            try:
                found = await TimelineServiceStub(channel).ListTimeline(request, metadata=metadata, timeout=5)
            except grpc.aio.AioRpcError:
                return []
        return [e.kind for e in found.entries]


def check_log(log: dict[str, list[ConversationEvent]], sent: Sequence[Any]) -> None:
    """P1: each message is there. P2: once. P3: first occurrences are 1, 2, 3 ... and copies are equal."""
    received: list[str] = []
    for conversation, events in log.items():
        seen: dict[int, ConversationEvent] = {}
        for event in events:
            if event.seq in seen:
                assert event == seen[event.seq], f"{conversation}: two different events have seq {event.seq}"
            else:
                assert event.seq == len(seen) + 1, f"{conversation}: {event.seq} follows {len(seen)}"
                seen[event.seq] = event
        received += [e.message_received.message_id for e in seen.values() if e.HasField("message_received")]
    assert sorted(received) == sorted(e.event_id for e in sent), "messages lost or counted twice"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stack: Stack) -> AsyncIterator[Services]:
    """The services of these tests, static members so that a restarted one takes its partitions back at once."""
    env = {"TRUNKLINE_SESSION_TIMEOUT_MS": "6000", "TRUNKLINE_TEST_BUILD": "1"}
    env_of = {name: {"TRUNKLINE_INSTANCE": name} for name in ("router", "timeline", "sla")}
    async with Services(stack, env=env, env_of=env_of) as services:
        await services.start_all(["sla", "timeline", "router"])
        yield services


@pytest_asyncio.fixture(loop_scope="session")
async def world(stack: Stack, running: Services) -> AsyncIterator[World]:
    """A fresh tenant."""
    tenant = f"f-{kit.new_id()[:8]}"
    await kit.apply_config(running, tenant, CONFIG)
    async with Producer(stack.bootstrap, "test") as producer:
        yield World(stack, running, producer, tenant)


async def kill_at(world: World, service: str, point: str) -> list[Any]:
    """Restart a service so that it kills itself at the point, feed it, then start a healthy one."""
    await world.services.stop(service)
    await world.services.start(service, env={"CRASH_AT": point}, wait=False)
    sent = await world.send(10)
    process = world.services.process(service)
    sent += await feed_until_dead(world, process)
    await world.services.start(service, env={})
    return sent + await world.send(5)


async def feed_until_dead(world: World, process: Any) -> list[Any]:
    """Messages one by one until the process has killed itself."""
    sent: list[Any] = []
    while process.running:
        sent += await world.send(1)
        assert len(sent) < 400, "the fault did not bite"
        await asyncio.sleep(0.05)
    assert process.returncode == -signal.SIGKILL
    return sent


@pytest.mark.parametrize("point", ["batch.before_commit:2", "batch.after_commit:2", "relay.after_send:2"])
async def test_a_killed_router_loses_and_doubles_nothing(world: World, point: str) -> None:
    """P1, P2, P3 for the engine; P5: the timeline equals the log whatever was published twice."""
    sent = await kill_at(world, "router", point)
    log = await world.arrived(sent)
    check_log(log, sent)
    await world.projected(log)


@pytest.mark.parametrize(
    ("service", "point"),
    [
        ("timeline", "batch.before_commit:2"),
        ("timeline", "batch.after_commit:2"),
        ("sla", "batch.before_commit:2"),
        ("sla", "batch.after_commit:2"),
        ("sla", "relay.after_send:2"),
    ],
)
async def test_a_killed_projection_ends_equal_to_the_log(world: World, service: str, point: str) -> None:
    """P2, P5 for the readers of the log."""
    sent = await kill_at(world, service, point)
    log = await world.arrived(sent)
    check_log(log, sent)
    await world.projected(log)


@pytest.mark.parametrize("point", ["batch.before_commit:1", "batch.after_commit:1", "relay.after_send:1"])
async def test_a_killed_intake_loses_and_doubles_nothing(world: World, point: str) -> None:
    """P1, P2 for integrators' events: each is one message in the log, whatever was published twice on the way."""
    await world.services.start("intake", env={"CRASH_AT": point, "TRUNKLINE_INSTANCE": "intake"}, wait=False)
    process, texts = world.services.process("intake"), list[str]()
    while process.running:
        texts.append(await produce_ingress(world))
        assert len(texts) < 400, "the fault did not bite"
        await asyncio.sleep(0.05)
    assert process.returncode == -signal.SIGKILL
    await world.services.start("intake", env={"TRUNKLINE_INSTANCE": "intake"})
    texts += [await produce_ingress(world) for _ in range(3)]
    assert await said(world, texts) == sorted(texts)
    await world.services.stop("intake")


async def produce_ingress(world: World) -> str:
    """A JSON CloudEvent of the tenant's registered source; its text."""
    text = kit.new_id()
    data = {
        "tenant": world.tenant,
        "account": "own-app",
        "message_id": text,
        "thread_key": text,
        "contact": {"address": "user-7"},
        "content": {"text": text},
    }
    headers = {
        "ce_specversion": "1.0",
        "ce_id": text,
        "ce_source": "https://crm.demo.example",
        "ce_type": "trunkline.ingest.v1.IngressMessage",
        "content-type": "application/json",
    }
    encoded = {name: value.encode() for name, value in headers.items()}
    await world.producer.send(Outgoing("trunkline.ingress.v1", b"k", json.dumps(data).encode(), encoded), timeout=15)
    return text


async def test_an_engine_that_forgets_event_ids_counts_a_delivery_twice(world: World) -> None:
    """The check of P2 sees what the inbox prevents."""
    await world.services.restart("router", env={"TRUNKLINE_SABOTAGE": "no_dedupe"})
    try:
        sent = await world.send(3)
        await world.arrived(sent)
        for event in sent:
            await kit.send(world.producer, event)
        await kit.eventually(lambda: longer(world, sent), what="the copies in the log")
        with pytest.raises(AssertionError, match="counted twice"):
            check_log(await world.log(), sent)
    finally:
        await world.services.restart("router", env={})


async def longer(world: World, sent: Sequence[Any]) -> bool:
    """Whether every conversation has a second message."""
    log = await world.log()
    return all(kit.kinds(log[e.conversation_id]).count("message_received") == 2 for e in sent)


async def test_the_same_delivery_twice_is_one_message(world: World) -> None:
    """P2 across a restart of the engine."""
    sent = await world.send(5)
    await world.arrived(sent)
    await world.services.restart("router")
    for event in sent:
        await kit.send(world.producer, event)
    later = await world.send(1)
    check_log(await world.arrived([*sent, *later]), [*sent, *later])


async def test_commands_in_flight_when_the_owner_dies_have_one_effect_each(world: World) -> None:
    """P1, P2 for commands: an error is retried with its request_id until it is answered; each note is there once."""
    sent = await world.send(1)
    await world.arrived(sent)
    conversation = sent[0].conversation_id
    async with kit.desk(world.services, world.tenant) as desk:

        async def note(n: int) -> str:
            request = api.AddNoteRequest(
                request_id=kit.new_id(), conversation_id=conversation, agent_id="ana", text=f"note {n}"
            )
            return str((await desk.until_done("AddNote", request)).note_id)

        notes = [asyncio.create_task(note(n)) for n in range(40)]
        await asyncio.wait(notes, return_when=asyncio.FIRST_COMPLETED)
        await world.services.kill("router")
        await world.services.start("router")
        answered = await asyncio.gather(*notes)

    async def published() -> list[ConversationEvent] | None:
        events = (await world.log()).get(conversation, [])
        return events if kit.kinds(events).count("note_added") >= 40 else None

    events = await kit.eventually(published, what="40 notes in the log")
    unique = {e.seq: e.note_added.note_id for e in events if e.HasField("note_added")}
    assert sorted(unique.values()) == sorted(answered)
    check_log(await world.log(), sent)


async def test_kafka_down_fails_no_command_and_webhooks_ask_for_a_retry(world: World) -> None:
    """P4: for 20 s commands go on and webhooks answer 503; afterwards everything is published, in order."""
    make_secrets({"secrets": {"a": "wa-app-secret", "b": "wa-verify-token"}}, world.stack.folder, world.tenant)
    await world.services.start("ingest")
    sent = await world.send(1)
    await world.arrived(sent)
    conversation = sent[0].conversation_id
    loop = asyncio.get_running_loop()
    async with kit.desk(world.services, world.tenant) as desk:
        await world.stack.kafka.stop()
        began, notes, forms = loop.time(), 0, list[str]()
        while loop.time() - began < OUTAGE_S:
            request = api.AddNoteRequest(
                request_id=kit.new_id(), conversation_id=conversation, agent_id="ana", text=f"note {notes}"
            )
            await desk.call("AddNote", request, seconds=5)
            notes += 1
            if notes % 20 == 1:
                forms.append(kit.new_id())
                assert await post_form(world, forms[-1]) == (503, True)
            await asyncio.sleep(0.05)
        await world.stack.kafka.start()

    async def published() -> list[ConversationEvent] | None:
        events = (await world.log()).get(conversation, [])
        return events if kit.kinds(events).count("note_added") >= notes else None

    events = await kit.eventually(published, seconds=60, what=f"{notes} notes in the log")
    texts = [e.note_added.text for e in {e.seq: e for e in events}.values() if e.HasField("note_added")]
    assert texts == [f"note {n}" for n in range(notes)]
    for form in forms:  # as a provider does after a 503
        await kit.eventually(lambda form=form: accepted(world, form), seconds=30, what="the form accepted")  # type: ignore[misc]
    assert await said(world, forms) == sorted(forms)
    await world.services.stop("ingest")


async def accepted(world: World, nonce: str) -> bool:
    """Whether the same form is taken now."""
    return (await post_form(world, nonce))[0] == 202


async def said(world: World, texts: list[str]) -> list[str]:
    """Those of the texts that stand in the log, as often as they do, once all are there."""

    async def look() -> list[str] | None:
        events = {(c, e.seq): e for c, found in (await world.log()).items() for e in found}.values()
        heard = sorted(t for e in events if (t := e.message_received.content.text) in texts)
        return heard if set(heard) == set(texts) else None

    return await kit.eventually(look, what="every form in the log")


async def post_form(world: World, nonce: str) -> tuple[int, bool]:
    """Status of a web form's post, and whether it says when to come back."""
    url = f"http://{world.services.address('ingest', 'http')}/webhooks/form/{world.tenant}/web-form"
    form = {"name": "Kim", "email": "kim@customer.example", "subject": "Hi", "message": nonce, "nonce": nonce}
    async with aiohttp.ClientSession() as http, http.post(url, json=form) as answer:
        return answer.status, "Retry-After" in answer.headers


async def test_a_postgresql_restart_loses_nothing_and_dead_letters_nothing(world: World) -> None:
    """Consumers keep their batch and go on; commands are answered UNAVAILABLE meanwhile and succeed when retried."""
    before = len(await kit.read_topic(world.stack.bootstrap, "trunkline.inbound.dlq.v1"))
    sent = await world.send(5)
    await world.arrived(sent)
    await world.stack.postgres.kill()
    sent += await world.send(10)
    await world.stack.postgres.start()
    sent += await world.send(5)
    log = await world.arrived(sent)
    check_log(log, sent)
    await world.projected(log)
    assert len(await kit.read_topic(world.stack.bootstrap, "trunkline.inbound.dlq.v1")) == before


async def test_a_poison_record_stops_nobody_else(world: World) -> None:
    """P6: it is dead-lettered as it was, with its reason; its neighbours in the same partition go on."""
    first = await world.send(2)
    poison = Outgoing("trunkline.inbound.v1", f"{world.tenant}/default".encode(), b"\xff\xff not protobuf", {"x": b"y"})
    await world.producer.send(poison, timeout=10)
    sent = first + await world.send(2)
    check_log(await world.arrived(sent), sent)

    async def letter() -> Any:
        letters = await kit.read_topic(world.stack.bootstrap, "trunkline.inbound.dlq.v1")
        return next((r for r in letters if r.key == poison.key and r.value == poison.value), None)

    headers = dict((await kit.eventually(letter, what="the dead letter")).headers)
    assert headers["dlq.reason"] == b"NOT_AN_INBOUND_EVENT"
    assert headers["x"] == b"y"


async def test_a_frozen_engine_that_wakes_up_is_fenced(world: World) -> None:
    """P7: SIGSTOP with a batch in hand, another process takes the pools over, SIGCONT: its decisions are refused."""
    members = {"TRUNKLINE_INSTANCE": ""}
    await world.services.stop("router")
    await world.services.start("router", env={**members, "FREEZE_AT": "batch.taken:3"})
    sent: list[Any] = []
    frozen = world.services.process("router")
    while (await asyncio.to_thread(Path(f"/proc/{frozen.pid}/stat").read_text)).rpartition(")")[2].split()[0] != "T":
        sent += await world.send(1)
        await asyncio.sleep(0.1)
        assert len(sent) < 200, "the engine did not freeze"
    await world.services.start("router", instance="router-2", env=members)
    sent += await world.send(5)
    await world.arrived(sent)
    os.kill(frozen.pid, signal.SIGCONT)
    await kit.eventually(lambda: fenced(frozen.log), seconds=30, what="the stale engine refused")
    sent += await world.send(5)
    log = await world.arrived(sent)
    check_log(log, sent)
    epochs = [(e.pool_seq, e.owner_epoch) for events in log.values() for e in events]
    assert [epoch for _, epoch in sorted(epochs)] == sorted(epoch for _, epoch in epochs), "an older epoch wrote later"
    await world.services.stop("router-2")
    await world.services.restart("router", env={})


async def fenced(log: Path) -> bool:
    """Whether the process said that it was refused."""
    return "fenced" in await asyncio.to_thread(log.read_text)
