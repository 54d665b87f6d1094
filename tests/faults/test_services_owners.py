"""Who may write for a pool, and what becomes of a command, a decision and a row when its owner changes (P1, P2, P7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import grpc
import pytest
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.router.v1 import router_service_pb2 as api

from deploy.local.process import Process, together
from tests import kit
from tests.faults.builds import PATIENCE_S, Build, frozen, sabotage, wake
from tests.faults.checks import check_log
from tests.faults.world import INBOUND, World, new_tenant

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]
NOTES = 40


# -- commands


async def notes_and_a_kill(world: World, router: Build = "") -> tuple[str, list[str]]:
    """The owner dies after the COMMIT of commands, before anybody is answered; the conversation, the answers' ids."""
    await world.fleet.build(router=router)
    await world.quiet()
    [sent] = await world.send(1)
    await world.arrived([sent])
    async with kit.desk(world.services, world.tenant) as desk:
        world.fleet.fault("router").arm("CRASH_AT", "batch.after_commit", holding=f"{world.tenant}/")
        notes = [asyncio.create_task(add_note(desk, sent.conversation_id, f"note {n}")) for n in range(NOTES)]
        await world.fleet.fault("router").bites(world.services.process("router"))
        await world.fleet.build(router=router)
        answered = await asyncio.gather(*notes)
    await world.settled("router")
    return sent.conversation_id, answered


async def add_note(desk: kit.Desk, conversation: str, text: str) -> str:
    """The id of a note; an error is answered with the same request_id."""
    request = api.AddNoteRequest(request_id=kit.new_id(), conversation_id=conversation, agent_id="ana", text=text)
    return str((await desk.until_done("AddNote", request, seconds=PATIENCE_S)).note_id)


def check_notes(events: list[ConversationEvent], answered: list[str]) -> None:
    """P1, P2: every note that was answered is there, once."""
    notes = [e.note_added.note_id for e in {e.seq: e for e in events}.values() if e.HasField("note_added")]
    assert set(answered) <= set(notes), "notes lost"
    assert sorted(notes) == sorted(answered), "notes added twice"


async def test_commands_in_flight_when_the_owner_dies_have_one_effect_each(world: World) -> None:
    """P1, P2 for commands: an error is retried with its request_id until it is answered; each note is there once."""
    conversation, answered = await notes_and_a_kill(world)
    check_notes((await world.log())[conversation], answered)


async def test_a_router_that_forgets_request_ids_adds_notes_twice(world: World) -> None:
    """P2 needs the stored answers."""
    conversation, answered = await notes_and_a_kill(world, router="no_dedupe")
    log = await world.log()
    with pytest.raises(AssertionError, match="notes added twice"):
        check_notes(log[conversation], answered)


# -- a frozen owner


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a router and an intake had in hand when they froze, and under which epoch somebody else owns the pool."""

    request: api.AddNoteRequest
    text: str
    epoch: int


@asynccontextmanager
async def overlap(world: World, build: Build = "") -> AsyncIterator[Overlap]:
    """SIGSTOP with a command and an event in hand, others take the partitions over, SIGCONT.

    The block begins when those who woke up have been refused, or have written.
    """
    other = replace(world, tenant=new_tenant())  # its event must not move the pool of the command
    await other.configure()
    await world.fleet.build(router=build, intake=build)
    await other.introduce()
    await world.quiet()
    [sent] = await world.send(1)
    await world.arrived([sent])
    request = api.AddNoteRequest(
        request_id=kit.new_id(), conversation_id=sent.conversation_id, agent_id="ana", text="in hand"
    )
    async with kit.desk(world.services, world.tenant) as desk:
        world.fleet.fault("intake").arm("FREEZE_AT", "batch.taken", holding=other.tenant)
        text = await other.produce_ingress()
        world.fleet.fault("router").arm("FREEZE_AT", "batch.taken", holding=f"{world.tenant}/")
        asking = asyncio.create_task(ask(desk, request))
        router, intake = (world.services.process(name) for name in ("router", "intake"))
        await frozen(router, intake)
        world.fleet.disarm()
        seen = [process.log.stat().st_size for process in (router, intake)]
        async with second_members(world, build):
            found = Overlap(request, text, await taken_over(world))
            await kit.eventually(lambda: heard(world, text), seconds=PATIENCE_S, what="the event published")
            wake(router, intake)

            async def tried() -> bool:
                wrote = await answer_of(world, request), await heard(world, text) > 1
                return all(w or said("fenced", p, n) for w, p, n in zip(wrote, (router, intake), seen, strict=True))

            await kit.eventually(tried, seconds=PATIENCE_S, what="both tried to write")
            asking.cancel()
            yield found


async def ask(desk: kit.Desk, request: api.AddNoteRequest) -> None:
    """One call, to whoever has it in hand. Its owner is frozen for longer than a call may take."""
    with suppress(grpc.aio.AioRpcError):
        await desk.call("AddNote", request, seconds=300)


@asynccontextmanager
async def second_members(world: World, build: Build) -> AsyncIterator[None]:
    """Another router and another intake, which own everything when the block begins."""
    env = {**sabotage(build), "TRUNKLINE_INSTANCE": ""}  # dynamic: it leaves its group when it ends
    names = ("router", "intake")
    try:
        await together(*(world.services.start(name, instance=f"{name}-2", env=env) for name in names))
        yield
    finally:
        await together(*(world.services.stop(f"{name}-2") for name in names))


async def taken_over(world: World) -> int:
    """The epoch under which the second router owns the tenant's pool."""
    query = "select owner, epoch from router.consumer_partition where grp = 'router' and part = $1"
    [(owner, epoch)] = await world.rows(query, world.partition)
    assert owner == world.services.address("router-2")
    return int(epoch)


async def heard(world: World, text: str) -> int:
    """How often the text stands in the inbound topic."""
    return sum(text.encode() in r.value for r in await kit.read_topic(world.stack.bootstrap, INBOUND))


async def answer_of(world: World, request: api.AddNoteRequest) -> bool:
    """Whether the command was carried out."""
    query = "select 1 from router.command_result where request_id = $1::text::uuid"
    return bool(await world.rows(query, request.request_id))


def said(word: str, process: Process, since: int) -> bool:
    """Whether the word stands in the process's log after so many bytes."""
    return word.encode() in process.log.read_bytes()[since:]


async def check_pool(world: World, found: Overlap) -> None:
    """P7: the command that a stale router had in hand was carried out by its successor, or by nobody."""
    events = (await world.log())[found.request.conversation_id]
    assert all(e.owner_epoch >= found.epoch for e in events if e.HasField("note_added")), "router: a stale owner wrote"


async def check_inbound(world: World, found: Overlap) -> None:
    """P7: the event that a stale intake had in hand was published by its successor alone."""
    assert await heard(world, found.text) == 1, "intake: a stale owner wrote"


async def test_frozen_owners_that_wake_up_are_fenced(world: World) -> None:
    """P7: what they had in hand is refused, and the epochs of what is published never fall."""
    async with overlap(world) as found:
        async with kit.desk(world.services, world.tenant) as desk:
            await desk.until_done("AddNote", found.request, seconds=PATIENCE_S)
        sent = await world.send(3)
        log = await world.arrived(sent)
        await check_pool(world, found)
        await check_inbound(world, found)
    check_log(log, sent)
    assert kit.kinds(log[found.request.conversation_id]).count("note_added") == 1
    epochs = [(e.pool_seq, e.owner_epoch) for events in log.values() for e in events]
    assert [epoch for _, epoch in sorted(epochs)] == sorted(epoch for _, epoch in epochs), "an older epoch wrote later"


async def test_without_the_fence_frozen_owners_write(world: World) -> None:
    """P7 needs the epoch in every transaction."""
    async with overlap(world, build="no_fence") as found:
        await kit.eventually(lambda: published(world, found), seconds=PATIENCE_S, what="the note published")
        with pytest.raises(AssertionError, match="router: a stale owner wrote"):
            await check_pool(world, found)
        with pytest.raises(AssertionError, match="intake: a stale owner wrote"):
            await check_inbound(world, found)


async def published(world: World, found: Overlap) -> bool:
    """Whether the note is in the log."""
    return "note_added" in kit.kinds((await world.log())[found.request.conversation_id])


# -- a transaction that commits late

LATE = """
create function router.stand() returns trigger language plpgsql set lock_timeout = 0 as
$$ begin perform pg_advisory_xact_lock_shared(7); return null; end $$;
create constraint trigger late after insert on router.outbox deferrable initially deferred
for each row when (new.part = {part}) execute function router.stand();
"""
IN_TIME = "drop trigger if exists late on router.outbox; drop function if exists router.stand;"
STANDING = """
select a.pid, a.xact_start from pg_locks l join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.objid = 7 and not l.granted
"""


async def committed_late(world: World, router: Build = "") -> list[Any]:
    """A batch of one pool commits after a batch of another pool, which has higher row ids, was published.

    Returns what was sent to the first pool, once the last of it is in the log.
    """
    await world.fleet.build(router=router)
    other = elsewhere(world)
    await other.configure()
    sent = await world.send(1)
    await world.arrived(sent)
    lock = await asyncpg.connect(world.stack.database_url)
    try:
        await lock.execute(LATE.format(part=world.partition))
        standing: list[tuple[Any, ...]] = []
        while not standing or standing != await world.rows(STANDING):  # a COMMIT waits 10 s, then it is begun again
            await lock.execute("select pg_advisory_lock(7)")
            sent += await world.send(1)
            standing = await kit.eventually(lambda: world.rows(STANDING), seconds=PATIENCE_S, what="a late COMMIT")
            await other.arrived(await other.send(1))
        await lock.execute("select pg_advisory_unlock_all()")
        sent += await world.send(1)
        await world.arrived(sent[-1:])
    finally:
        await lock.execute("select pg_advisory_unlock_all()")
        await lock.execute(IN_TIME)
        await lock.close()
    return sent


def elsewhere(world: World) -> World:
    """A tenant whose pool is in another partition."""
    while (other := replace(world, tenant=new_tenant())).partition == world.partition:
        pass
    return other


async def test_a_transaction_that_commits_late_is_still_published(world: World) -> None:
    """P1, P3: the relay finds rows with lower ids than it has sent before."""
    sent = await committed_late(world)
    check_log(await world.log(), sent)


async def test_a_relay_that_reads_beyond_its_last_id_skips_rows(world: World) -> None:
    """P1 needs rows to be deleted by id list."""
    sent = await committed_late(world, router="relay_id_gt")
    log = await world.log()
    with pytest.raises(AssertionError, match="messages lost"):
        check_log(log, sent)
