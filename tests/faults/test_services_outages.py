"""The real services without Kafka, without PostgreSQL, and with a record that nobody can read (P4, P6)."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.kafka import Outgoing

from tests import kit
from tests.faults.builds import PATIENCE_S, Build
from tests.faults.checks import check_all, check_log, check_said
from tests.faults.world import INBOUND, World

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]
OUTAGE_S = 20.0
INBOUND_DEAD_LETTERS = "trunkline.inbound.dlq.v1"


async def test_kafka_down_fails_no_command_and_webhooks_ask_for_a_retry(world: World) -> None:
    """P4: for 20 s commands go on and webhooks answer 503; afterwards everything is published, in order."""
    await world.services.start("ingest")
    sent = await world.send(1)
    await world.arrived(sent)
    conversation = sent[0].conversation_id
    loop = asyncio.get_running_loop()
    async with kit.desk(world.services, world.tenant) as desk:
        await world.stack.kafka.stop()
        try:
            began, notes, forms = loop.time(), 0, list[str]()
            while loop.time() - began < OUTAGE_S:
                request = api.AddNoteRequest(
                    request_id=kit.new_id(), conversation_id=conversation, agent_id="ana", text=f"note {notes}"
                )
                await desk.call("AddNote", request, seconds=15)
                notes += 1
                if notes % 20 == 1:
                    forms.append(kit.new_id())
                    assert await post_form(world, forms[-1]) == (503, True)
                await asyncio.sleep(0.05)
        finally:
            await world.stack.kafka.start()

    async def published() -> list[ConversationEvent] | None:
        events = (await world.log()).get(conversation, [])
        return events if kit.kinds(events).count("note_added") >= notes else None

    events = await kit.eventually(published, seconds=PATIENCE_S, what=f"{notes} notes in the log")
    texts = [e.note_added.text for e in {e.seq: e for e in events}.values() if e.HasField("note_added")]
    assert texts == [f"note {n}" for n in range(notes)]
    for form in forms:  # as a provider does after a 503
        await kit.eventually(lambda form=form: accepted(world, form), seconds=PATIENCE_S, what="the form accepted")  # type: ignore[misc]
    await world.settled("router")
    check_said(await world.log(), forms)
    await world.services.stop("ingest")


async def accepted(world: World, nonce: str) -> bool:
    """Whether the same form is taken now."""
    return (await post_form(world, nonce))[0] == 202


async def post_form(world: World, nonce: str) -> tuple[int, bool]:
    """Status of a web form's post, and whether it says when to come back."""
    url = f"http://{world.services.address('ingest', 'http')}/webhooks/form/{world.tenant}/web-form"
    form = {"name": "Kim", "email": "kim@customer.example", "subject": "Hi", "message": nonce, "nonce": nonce}
    async with aiohttp.ClientSession() as http, http.post(url, json=form) as answer:
        return answer.status, "Retry-After" in answer.headers


async def postgresql_killed(world: World, router: Build = "") -> list[Any]:
    """PostgreSQL dies while the router is in the middle of a transaction; what was sent."""
    await world.fleet.build(router=router)
    sent = await world.send(2)
    await world.arrived(sent)
    async with world.holding("router.inbox"):
        sent += await world.send(5)
        await world.held("router.inbox")
        await world.stack.postgres.kill()
    sent += await world.send(5)
    await world.stack.postgres.start()
    sent += await world.send(2)
    await world.settled("router", "timeline", "sla")
    return sent


async def test_a_postgresql_restart_loses_nothing_and_dead_letters_nothing(world: World) -> None:
    """P1: consumers keep their batch and go on."""
    before = len(await kit.read_topic(world.stack.bootstrap, INBOUND_DEAD_LETTERS))
    await check_all(world, await postgresql_killed(world))
    assert len(await kit.read_topic(world.stack.bootstrap, INBOUND_DEAD_LETTERS)) == before


async def test_a_router_that_commits_its_offset_first_loses_what_postgresql_did_not_get(world: World) -> None:
    """P1 needs the offset in the transaction."""
    sent = await postgresql_killed(world, router="commit_first")
    log = await world.log()
    with pytest.raises(AssertionError, match="messages lost"):
        check_log(log, sent)


async def poisoned(world: World, router: Build = "") -> tuple[Outgoing, list[Any]]:
    """The router dies before the COMMIT of a poison record, a healthy one takes over; the record, its neighbours."""
    await world.fleet.build(router=router)
    await world.quiet()
    poison = Outgoing(INBOUND, f"{world.tenant}/default".encode(), b"\xff\xff not protobuf", {"x": b"y"})
    sent = await world.send(1)
    await world.arrived(sent)
    world.fleet.fault("router").arm("CRASH_AT", "batch.before_commit", holding=f"{world.tenant}/")
    await world.producer.send(poison, timeout=30)
    await world.fleet.fault("router").bites(world.services.process("router"))
    await world.fleet.build(router="")
    sent += await world.send(2)
    await world.settled("router")
    return poison, sent


async def check_letter(world: World, poison: Outgoing) -> None:
    """P6: it is dead-lettered as it was, once, with its reason."""
    letters = await world.letters(INBOUND_DEAD_LETTERS, poison)
    assert letters, "no dead letter"
    assert [(d["dlq.reason"], d["x"]) for d in letters] == [(b"NOT_AN_INBOUND_EVENT", b"y")]


async def test_a_poison_record_stops_nobody_else(world: World) -> None:
    """P6: its neighbours in the same partition go on."""
    poison, sent = await poisoned(world)
    await check_letter(world, poison)
    check_log(await world.log(), sent)


async def test_a_router_that_commits_its_offset_first_loses_a_dead_letter(world: World) -> None:
    """P6 needs the dead letter in the transaction that passes the record over."""
    poison, sent = await poisoned(world, router="commit_first")
    check_log(await world.log(), sent)
    with pytest.raises(AssertionError, match="no dead letter"):
        await check_letter(world, poison)
