"""The real services under SIGKILL at each named point: nothing is lost and nothing counts twice (P1, P2, P3, P5, P6).

A check that stands in `pytest.raises` is the check of the test above it, on a build without the mechanism named.
"""

from __future__ import annotations

from typing import Any

import pytest
from trunkline_common.faultpoints import CrashPoint
from trunkline_common.kafka import Outgoing

from tests.faults.builds import Build
from tests.faults.checks import check_all, check_clocks, check_log, check_said, check_timeline
from tests.faults.world import LOG, World
from tests.sla.talk import Talk

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]
POINTS: list[CrashPoint] = ["batch.before_commit", "batch.after_commit", "relay.after_send"]


# -- SIGKILL of the engine


async def router_killed(world: World, point: CrashPoint, first: Build = "", then: Build = "") -> list[Any]:
    """The router kills itself with messages in hand, another build takes over; what was sent.

    Where that is after COMMIT every message is delivered a second time: providers do, when nobody answers them.
    """
    await world.fleet.build(router=first)
    await world.quiet()
    sent = await world.strike(["router"], point)
    await world.fleet.build(router=then)
    if point != "batch.before_commit":
        await world.deliver(sent)
    sent += await world.send(2)
    await world.settled("router", "timeline", "sla")
    return sent


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_router_loses_and_doubles_nothing(world: World, point: CrashPoint) -> None:
    """P1, P2, P3 for the engine; P5: timeline and sla equal the log whatever was published twice."""
    await check_all(world, await router_killed(world, point))


async def test_a_router_that_commits_its_offset_first_loses_messages(world: World) -> None:
    """P1 needs the offset in the transaction."""
    sent = await router_killed(world, "batch.before_commit", first="commit_first")
    with pytest.raises(AssertionError, match="messages lost"):
        await check_all(world, sent)


async def test_a_router_that_forgets_event_ids_counts_a_second_delivery(world: World) -> None:
    """P2 needs the inbox."""
    sent = await router_killed(world, "batch.after_commit", then="no_dedupe")
    with pytest.raises(AssertionError, match="messages counted twice"):
        await check_all(world, sent)


async def test_a_timeline_that_forgets_seqs_counts_what_a_killed_router_sends_again(world: World) -> None:
    """P5 needs the comparison with the last seq."""
    await world.fleet.build(timeline="no_dedupe")
    sent = await router_killed(world, "relay.after_send")
    check_log(await world.log(), sent)
    with pytest.raises(AssertionError, match="timeline: messages counted otherwise"):
        await check_all(world, sent)


# -- SIGKILL of the readers of the log


async def projections_killed(
    world: World, point: CrashPoint, first: Build = "", then: Build = "", poison: Outgoing | None = None
) -> list[Any]:
    """As `router_killed`, for timeline and sla at once; after COMMIT it is the log that comes a second time."""
    await world.fleet.build(timeline=first, sla=first)
    answered = Talk(world.tenant).begin().later(1).replies("ana")
    await world.producer.send_all(answered.records())
    sent = await world.send(2)
    await world.settled("router", "timeline", "sla")
    sent += await world.strike(["timeline", "sla"], point, poison)
    await world.fleet.build(timeline=then, sla=then)
    if point != "batch.before_commit":
        await world.publish_again()
    sent += await world.send(2)
    await world.settled("router", "timeline", "sla")
    return sent


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_projection_ends_equal_to_the_log(world: World, point: CrashPoint) -> None:
    """P2, P5 for the readers of the log; P6: a poison record is dead-lettered by each, and stops nobody."""
    poison = Outgoing(LOG, world.tenant.encode(), b"\xff\xff not protobuf")
    await check_all(world, await projections_killed(world, point, poison=poison))
    groups = {letter["dlq.group"] for letter in await world.letters("trunkline.conversations.dlq.v1", poison)}
    assert groups == {b"timeline", b"sla"}


async def test_projections_that_commit_their_offset_first_lack_events(world: World) -> None:
    """P5 needs the offset in the transaction."""
    await projections_killed(world, "batch.before_commit", first="commit_first")
    log = await world.log()
    with pytest.raises(AssertionError, match="timeline: other entries"):
        await check_timeline(world, log)
    with pytest.raises(AssertionError, match="sla: other clocks"):
        await check_clocks(world, log)


async def test_projections_that_forget_seqs_count_copies(world: World) -> None:
    """P2 needs the comparison with the last seq."""
    await projections_killed(world, "batch.after_commit", then="no_dedupe")
    log = await world.log()
    with pytest.raises(AssertionError, match="timeline: messages counted otherwise"):
        await check_timeline(world, log)
    with pytest.raises(AssertionError, match="sla: other clocks"):
        await check_clocks(world, log)


# -- SIGKILL of intake


async def intake_killed(world: World, point: CrashPoint, first: Build = "", router: Build = "") -> list[str]:
    """Intake kills itself with an integrator's events in hand, a healthy one takes over; the texts of the events."""
    await world.fleet.build(intake=first, router=router)
    await world.introduce()
    world.fleet.fault("intake").arm("CRASH_AT", point, holding=world.tenant)
    texts = [await world.produce_ingress()]
    await world.fleet.fault("intake").bites(world.services.process("intake"))
    await world.fleet.build(intake="")
    texts += [await world.produce_ingress() for _ in range(2)]
    await world.settled("intake", "router")
    return texts


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_intake_loses_and_doubles_nothing(world: World, point: CrashPoint) -> None:
    """P1, P2 for integrators' events: each is one message in the log, whatever was published twice on the way."""
    texts = await intake_killed(world, point)
    check_said(await world.log(), texts)


async def test_an_intake_that_commits_its_offset_first_loses_events(world: World) -> None:
    """P1 needs the offset in the transaction."""
    texts = await intake_killed(world, "batch.before_commit", first="commit_first")
    with pytest.raises(AssertionError, match="texts lost"):
        check_said(await world.log(), texts)


async def test_a_router_that_forgets_event_ids_counts_what_a_killed_intake_sends_again(world: World) -> None:
    """P2 needs the inbox."""
    texts = await intake_killed(world, "relay.after_send", router="no_dedupe")
    with pytest.raises(AssertionError, match="texts counted twice"):
        check_said(await world.log(), texts)
