"""SIGKILL on the way from one pool to another: the conversation is in exactly one queue afterwards, its log whole.

It goes because somebody transfers it, or because the document drops its pool.

The two pools are owned by two processes. A check that stands in `pytest.raises` is the check of the test above it, on
a build without the mechanism named.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import grpc
import pytest
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.faultpoints import CrashPoint
from trunkline_common.kafka import partition_for

from tests import kit
from tests.faults.builds import PATIENCE_S, Build, sabotage
from tests.faults.checks import check_log
from tests.faults.world import PARTITIONS, World, fault_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]
POINTS: list[CrashPoint] = ["batch.before_commit", "batch.after_commit", "relay.after_send"]
CONFIG = """
pools: [{id: near}, {id: far}]
teams: [{id: support, pool: near}, {id: deals, pool: far}]
agents: [{id: ana, name: Ana, teams: [support]}, {id: dan, name: Dan, teams: [deals]}]
accounts: [{id: own-app, channel: app, team: support}, {id: sales-app, channel: app, team: deals}]
"""
Side = Literal["near", "far"]
#: Which process owns the pool.
PROCESS: dict[Side, str] = {"near": "router", "far": "router-2"}
TEAMS: dict[Side, str] = {"near": "support", "far": "deals"}
ACCOUNTS: dict[Side, str] = {"near": "own-app", "far": "sales-app"}
OWNERS = "select part, owner from router.consumer_partition where grp = 'router' and owner <> ''"


@dataclass(slots=True)
class Pair:
    """A tenant whose pools are owned by two processes."""

    world: World
    sent: list[Any] = field(default_factory=list)

    def pool(self, side: Side) -> str:
        """Its id."""
        return f"{self.world.tenant}/{side}"

    async def build(self, side: Side, build: Build) -> None:
        """Run the owner of a pool without a mechanism; one that is dead or another build is started anew."""
        if side == "near":
            await self.world.fleet.build(router=build)
            return
        env = {"TRUNKLINE_INSTANCE": "router-2", **fault_of(self.world.stack, "router-2").env, **sabotage(build)}
        await self.world.services.start("router", instance="router-2", env=env)

    async def strike(
        self, side: Side, point: CrashPoint, doing: Any, *, for_good: bool = False, holding: str = ""
    ) -> None:
        """The owner of a pool kills itself at a point that `doing` leads it to; a healthy one takes its place.

        `for_good`: nobody will answer what was asked. `holding`: what it must have in hand, if not one of its pools.
        """
        fault = fault_of(self.world.stack, PROCESS[side])
        fault.arm("CRASH_AT", point, holding=holding or f"{self.world.tenant}/")
        task = asyncio.ensure_future(doing)
        await fault.bites(self.world.services.process(PROCESS[side]))
        await self.build(side, "")
        if for_good:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def write(self, side: Side, text: str, conversation: str = "", *, again: int = 0) -> Any:
        """A customer writes; the provider delivers it `again` so many times."""
        event = kit.inbound(self.world.tenant, conversation or kit.new_id(), text, account=ACCOUNTS[side])
        event.pool = self.pool(side)
        self.sent.append(event)
        for _ in range(1 + again):
            await self.world.deliver([event])
        return event

    async def quiet(self) -> None:
        """Nothing of the configuration is left to be handled in either pool."""
        await self.world.quiet(CONFIG, [partial(self.write, side, "quiet?") for side in PROCESS])

    async def transfer(self, conversation: str) -> None:
        """A supervisor sends it to the other pool's team, asking again until there is an answer."""
        request = api.TransferConversationRequest(
            request_id=kit.new_id(), conversation_id=conversation, to_team="deals", reason="theirs"
        )
        far, near = (kit.desk(self.world.services, self.world.tenant, router=name) for name in ("router-2", "router"))
        async with far as desk, near as spare:
            await _either(desk, spare, request)

    async def settled(self) -> None:
        """What one owner sends to the other may make that one send something: so more than once."""
        for _ in range(3):
            await self.world.settled("router")

    async def queues(self, conversation: str) -> list[str]:
        """The teams in whose queues it waits."""
        found = []
        async with kit.desk(self.world.services, self.world.tenant) as desk:
            for team in TEAMS.values():
                listed = await desk.until_done("ListQueue", api.ListQueueRequest(team=team, page_size=500))
                found += [team for c in listed.conversations if c.conversation_id == conversation]
        return found

    async def check(self, conversation: str) -> None:
        """It waits in the other pool's queue alone; its log has no gap; each message counts once."""
        queues = await self.queues(conversation)
        assert queues == ["deals"], f"it waits in {len(queues)} queues"
        log = await self.world.log()
        check_log(log, self.sent)
        kinds = kit.kinds(log[conversation])
        assert [kinds.count(f"conversation_{k}") for k in ("transferred", "handed_over", "taken_over")] == [1, 1, 1]


async def _either(desk: kit.Desk, spare: kit.Desk, request: Any) -> None:
    """One of the two processes is alive."""
    for one in itertools.cycle((desk, spare)):
        try:
            await one.until_done("TransferConversation", request, seconds=2.0)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
        else:
            return


@asynccontextmanager
async def pair(world: World, near: Build = "", far: Build = "") -> AsyncIterator[Pair]:
    """Two owners that have nothing to do."""
    found = Pair(world)
    await found.build("near", near)
    await found.build("far", far)
    try:
        owner_of = await kit.eventually(lambda: _shared(world), seconds=PATIENCE_S, what="partitions of two owners")
        name = next(n for n in (f"p-{kit.new_id()[:8]}" for _ in itertools.count()) if _apart(world, n, owner_of))
        found.world = replace(world, tenant=name)
        await kit.apply_config(world.services, name, CONFIG)
        await found.quiet()
        yield found
    finally:
        fault_of(world.stack, "router-2").disarm()
        await world.services.stop("router-2")


async def _shared(world: World) -> dict[int, str] | None:
    owners: dict[int, str] = dict(await world.rows(OWNERS))
    wanted = {world.services.address(name) for name in PROCESS.values()}
    return owners if len(owners) == PARTITIONS and set(owners.values()) == wanted else None


def _apart(world: World, tenant: str, owner_of: dict[int, str]) -> bool:
    """Whether each pool is where it should be, and configurations are applied beside the first one."""
    places = {side: partition_for(f"{tenant}/{side}".encode(), PARTITIONS) for side in PROCESS}
    there = all(owner_of[places[side]] == world.services.address(name) for side, name in PROCESS.items())
    applied = partition_for(tenant.encode(), PARTITIONS)
    return there and applied not in places.values() and owner_of[applied] == world.services.address(PROCESS["near"])


# -- the hand-over


async def handed_over(found: Pair, side: Side, point: CrashPoint, *, for_good: bool = False) -> str:
    """A conversation is transferred, and an owner dies of it; the conversation."""
    event = await found.write("near", "hello")
    await found.world.arrived([event])
    await found.strike(side, point, found.transfer(event.conversation_id), for_good=for_good)
    await found.settled()
    return str(event.conversation_id)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("side", PROCESS)
async def test_a_conversation_on_its_way_to_another_pool_survives_either_owner(
    world: World, side: Side, point: CrashPoint
) -> None:
    """It arrives once; what its customer writes afterwards, delivered twice, follows it and counts once."""
    async with pair(world) as found:
        conversation = await handed_over(found, side, point)
        await found.write("near", "are you there?", conversation, again=1)
        await found.settled()
        await found.check(conversation)


async def test_an_owner_that_sends_without_an_outbox_loses_a_conversation(world: World) -> None:
    """What brings it to the other pool must be written with what takes it from this one."""
    async with pair(world, near="no_outbox") as found:
        conversation = await handed_over(found, "near", "batch.after_commit", for_good=True)
        with pytest.raises(AssertionError, match="it waits in 0 queues"):
            await found.check(conversation)


async def test_an_owner_that_commits_its_offset_first_loses_a_conversation(world: World) -> None:
    """What came must be read again until it is taken over."""
    async with pair(world, far="commit_first") as found:
        conversation = await handed_over(found, "far", "batch.before_commit", for_good=True)
        with pytest.raises(AssertionError, match="it waits in 0 queues"):
            await found.check(conversation)


# -- what follows it


async def followed(found: Pair, point: CrashPoint) -> str:
    """A conversation has gone; the owner of its account dies of what its customer writes."""
    event = await found.write("near", "hello")
    await found.world.arrived([event])
    await found.transfer(event.conversation_id)
    await found.settled()
    await found.strike("near", point, found.write("near", "are you there?", event.conversation_id, again=1))
    await found.settled()
    return str(event.conversation_id)


@pytest.mark.parametrize("point", POINTS)
async def test_what_follows_a_conversation_survives_the_owner_that_sends_it_on(world: World, point: CrashPoint) -> None:
    """It is there once, in the other pool's part of the log."""
    async with pair(world) as found:
        await found.check(await followed(found, point))


async def test_a_router_that_forgets_event_ids_counts_what_is_sent_on_again(world: World) -> None:
    """What follows needs an id of its own in the inbox, too."""
    async with pair(world, far="no_dedupe") as found:
        conversation = await followed(found, "relay.after_send")
        with pytest.raises(AssertionError, match="messages counted twice"):
            await found.check(conversation)


# -- a pool that the document drops

WITHOUT = """
teams: [{id: support, pool: near}]
pools: [{id: near}]
agents: [{id: ana, name: Ana, teams: [support]}]
accounts: [{id: own-app, channel: app, team: support}, {id: sales-app, channel: app, team: support}]
"""


@pytest.mark.parametrize("point", POINTS)
async def test_what_leaves_a_pool_that_is_dropped_survives_its_owner(world: World, point: CrashPoint) -> None:
    """Whether it dies before or after it has written what leaves, or when it has begun to send: each arrives once."""
    async with pair(world) as found:
        events = [await found.write("far", f"hello {n}") for n in range(3)]
        await found.world.arrived(events)
        dropped = kit.apply_config(found.world.services, found.world.tenant, WITHOUT)
        await found.strike("far", point, dropped, holding=found.world.tenant)
        await arrived(found, [e.conversation_id for e in events])
        await found.write("near", "are you there?", events[0].conversation_id, again=1)
        await found.settled()
        log = await found.world.log()
        check_log(log, found.sent)
        for event in events:
            kinds = kit.kinds(log[event.conversation_id])
            assert [kinds.count(f"conversation_{k}") for k in ("started", "handed_over", "taken_over")] == [1, 1, 1]


async def arrived(found: Pair, conversations: Sequence[str]) -> None:
    """Wait until they wait in the pool that is left."""
    async with kit.desk(found.world.services, found.world.tenant) as desk:

        async def there() -> bool:
            listed = await desk.until_done("ListQueue", api.ListQueueRequest(team="support", page_size=500))
            return set(conversations) <= {c.conversation_id for c in listed.conversations}

        await kit.eventually(there, seconds=PATIENCE_S, what="all of them in the other pool's queue")
