"""The process on real Kafka and PostgreSQL: clocks, breaches, restarts, pages."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from trunkline.config.v1.config_pb2 import SlaPolicy
from trunkline.sla.v1.sla_event_pb2 import METRIC_FIRST_RESPONSE, METRIC_NEXT_RESPONSE
from trunkline.sla.v1.sla_service_pb2 import CLOCK_STATE_FULFILLED, CLOCK_STATE_RUNNING

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.faults.builds import FaultFile
from tests.kit import eventually
from tests.sla.service import Client, Fact, facts, kinds, new_tenant, once, rows
from tests.sla.talk import Talk, configuration, produce

pytestmark = pytest.mark.stack


def promise(tenant: str, seconds: int) -> Any:
    """A configuration that promises replies within so many seconds."""
    return configuration(tenant, SlaPolicy(id="fast", first_response_s=seconds, next_response_s=seconds))


CLOCKS = """
select clock_id, metric, cycle, gen, state, breached_at, started_at, due_at, ended_at, team, policy_id, doc
from clock where tenant = $1 order by clock_id
"""
BREACHES = "select clock_id, breached_at, team from breach where tenant = $1 order by clock_id"


async def both(stack: Stack, tenant: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """A tenant's clocks and breaches as of one instant: timers commit while we read."""
    connection = await asyncpg.connect(stack.database_url, server_settings={"search_path": "sla"})
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = [[tuple(r) for r in await connection.fetch(query, tenant)] for query in (CLOCKS, BREACHES)]
            return found[0], found[1]
    finally:
        await connection.close()


async def test_a_promise_is_kept_or_broken(stack: Stack, services: Services) -> None:
    """A reply in time ends the clock; without one the breach is published about a second after it was due."""
    tenant, trace = new_tenant(), f"{uuid.uuid4().hex}"
    await services.start("sla")
    broken = Talk(tenant, traceparent=f"00-{trace}-{'1' * 16}-01").begin()
    kept = Talk(tenant).begin().later(1).replies("ben").later(0.1).writes().later(0.1).replies("ben")
    silent = Talk(tenant).begin(team="other").later(0.1).replies("ben").writes("out of office", automatic=True)
    log = [*broken.records(), *kept.records(), *silent.records()]
    await produce(stack.bootstrap, [promise(tenant, 2), *log, *log])
    client = Client(services, tenant)

    async def broke() -> Any:
        return [c for c in await client.clocks(broken.conversation_id) if c.breached]

    [clock] = await eventually(broke, seconds=8)
    assert (clock.metric, clock.state, clock.team) == (METRIC_FIRST_RESPONSE, CLOCK_STATE_RUNNING, "support")
    states = [(c.metric, c.cycle, c.state, c.breached) for c in await client.clocks(kept.conversation_id)]
    assert states == [
        (METRIC_FIRST_RESPONSE, 1, CLOCK_STATE_FULFILLED, False),
        (METRIC_NEXT_RESPONSE, 1, CLOCK_STATE_FULFILLED, False),
    ]
    published = await eventually(lambda: complete(stack, tenant, 7))
    assert kinds(published, broken) == ["clock_started", "breached"]
    assert kinds(published, kept) == ["clock_started", "fulfilled"] * 2
    assert kinds(published, silent) == ["clock_started", "fulfilled"]
    breach, headers = next((e, h) for e, h in published if e.HasField("breached"))
    assert breach.occurred_at == breach.due_at == clock.due_at
    assert 500 <= breach.late_ms < 2000
    assert breach.cause == ""
    assert headers["traceparent"].decode().split("-")[1] == trace
    [listed] = (await client.breaches(team="support")).breaches
    assert (listed.conversation_id, listed.late_ms) == (broken.conversation_id, breach.late_ms)
    assert not (await client.breaches(team="other")).breaches
    stranger = Client(services, new_tenant())
    assert not await stranger.clocks(broken.conversation_id)
    assert not (await stranger.breaches()).breaches


async def complete(stack: Stack, tenant: str, number: int) -> list[Fact]:
    """The facts of a tenant once there are so many."""
    found = await facts(stack, tenant)
    return found if len(found) >= number else []


async def test_a_breach_survives_a_kill_and_happens_once(stack: Stack, services: Services) -> None:
    """Killed before the COMMIT of the breach; the next process publishes it, once."""
    tenant = new_tenant()
    await produce(stack.bootstrap, [promise(tenant, 3)])
    fault = FaultFile(stack.folder / "faults" / tenant)
    await services.start("sla", env=fault.env)
    talk = Talk(tenant).begin()
    await produce(stack.bootstrap, talk.records())
    client = Client(services, tenant)
    await eventually(lambda: client.clocks(talk.conversation_id))
    fault.arm("CRASH_AT", "batch.before_commit")
    await fault.bites(services.process("sla"))
    await services.start("sla", wait=False)
    await eventually(lambda: complete(stack, tenant, 2), seconds=30)

    async def listed() -> Any:
        return list((await client.breaches()).breaches)

    assert len(await eventually(listed)) == 1
    assert kinds(once(await facts(stack, tenant)), talk) == ["clock_started", "breached"]


async def test_a_reply_that_waited_in_the_log_wins_over_the_timer(stack: Stack, services: Services) -> None:
    """After a stop nothing fires before the partition is read to the end it had (12.4)."""
    tenant = new_tenant()
    await produce(stack.bootstrap, [promise(tenant, 2)])
    await services.start("sla")
    talk = Talk(tenant).begin()
    await produce(stack.bootstrap, talk.records())
    client = Client(services, tenant)
    await eventually(lambda: client.clocks(talk.conversation_id))
    await services.stop("sla")
    await produce(stack.bootstrap, talk.later(1).replies("ben").records()[-1:])
    due = talk.events[0].occurred_at.ToDatetime(tzinfo=UTC) + timedelta(seconds=2.6)

    async def past() -> bool:
        return datetime.now(UTC) > due

    await eventually(past)
    await services.start("sla")
    found = await eventually(lambda: complete(stack, tenant, 2))
    assert kinds(found, talk) == ["clock_started", "fulfilled"]
    assert not (await client.breaches()).breaches


async def test_events_wait_for_the_configuration_they_name(stack: Stack, services: Services) -> None:
    """A version that has not arrived holds its partition back; nothing is dropped."""
    tenant = new_tenant()
    await services.start("sla")
    talk = Talk(tenant).begin()
    await produce(stack.bootstrap, talk.records())
    log = services.process("sla").log

    async def waits() -> bool:
        return f"configuration {tenant}/1" in await asyncio.to_thread(log.read_text)

    await eventually(waits)
    await produce(stack.bootstrap, [promise(tenant, 600)])
    client = Client(services, tenant)
    [clock] = await eventually(lambda: client.clocks(talk.conversation_id))
    assert clock.target_s == 600


async def relayed(stack: Stack) -> bool:
    """Whether everything that was committed is published."""
    return await rows(stack, "select count(*) from outbox") == [(0,)]


async def test_rebuilt_clocks_equal_the_live_ones(stack: Stack, services: Services) -> None:
    """The log read again from its beginning gives the same rows, and nothing is published twice (P5, 12.5)."""
    tenant = new_tenant()
    ago = datetime.now(UTC) - timedelta(hours=2)
    talks = [
        Talk(tenant, at=ago).begin(),
        Talk(tenant, at=ago).begin().later(700).replies("ben").later(1).writes(),
        Talk(tenant, at=ago).begin().later(9).replies("ben").later(9).writes().queued("other").later(9).replies("ada"),
    ]
    await produce(stack.bootstrap, [promise(tenant, 600)])
    await services.start("sla")
    for talk in talks:  # each whole: an event that came after its timers had looked would be a late one
        await produce(stack.bootstrap, talk.records())

    async def settled() -> Any:
        found = await both(stack, tenant)
        ended = sum(row[8] is not None for row in found[0])
        return found if (len(found[0]), ended, len(found[1])) == (5, 3, 3) else None

    live = await eventually(settled)
    await eventually(lambda: relayed(stack))
    published = [e.event_id for e, _ in await facts(stack, tenant)]
    pages = [await Client(services, tenant).breaches(size=2)]
    pages.append(await Client(services, tenant).breaches(size=2, token=pages[0].next_page_token))
    assert [len(page.breaches) for page in pages] == [2, 1]
    times = [b.breached_at.ToDatetime() for page in pages for b in page.breaches]
    assert times == sorted(times, reverse=True)
    await services.stop("sla")
    await rows(stack, "truncate clock, conversation, breach, history, consumer_partition, outbox")
    await services.start("sla")

    async def as_live() -> bool:
        return bool(await both(stack, tenant) == live)

    await eventually(as_live)
    later = Talk(tenant).begin()
    await produce(stack.bootstrap, later.records())
    found = await eventually(lambda: complete(stack, tenant, len(published) + 1))
    assert sorted(e.event_id for e, _ in found if e.conversation_id != later.conversation_id) == sorted(published)
    assert kinds(found, later) == ["clock_started"]
