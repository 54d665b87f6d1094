"""What becomes of clocks on real Kafka and PostgreSQL: pauses, calendars, policies, replies, breaches.

What is told happened weeks ago, so that nothing is waited for: every deadline is past when its clock is armed.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import grpc
import pytest
from trunkline.config.v1.config_pb2 import SlaPolicy
from trunkline.inbound.v1.inbound_event_pb2 import DELIVERY_STATUS_FAILED
from trunkline.sla.v1 import sla_service_pb2 as api
from trunkline.sla.v1.sla_event_pb2 import METRIC_FIRST_RESPONSE, METRIC_RESOLUTION
from trunkline_common.calendar_zones import tzdata_version

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.sla.service import MONDAY, Client, at, heard, hours, new_tenant, promises, rows, said, version
from tests.sla.talk import CUSTOMER, SYSTEM, Talk, agent, produce

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
HOUR = 3600


def talk(tenant: str, team: str = "support", **attributes: Any) -> Talk:
    """A conversation that begins on that Monday at eight."""
    return begun(Talk(tenant, at=MONDAY), team, attributes=attributes)


def begun(found: Talk, team: str = "support", **started: Any) -> Talk:
    """As the engine would publish it."""
    contact = {"address": found.conversation_id}
    found.add(SYSTEM, conversation_started={"channel": "app", "account": "main", "contact": contact, **started})
    return (found if started.get("split_from") else found.writes()).queued(team)


def snoozed(found: Talk) -> Talk:
    """An agent puts it aside."""
    return found.add(agent("ben"), conversation_snoozed={"agent_id": "ben"})


def woken(found: Talk) -> Talk:
    """Its time has come."""
    return found.add(SYSTEM, conversation_woken={"agent_id": "ben"})


def resolved(found: Talk, waived: str = "") -> Talk:
    """An agent ends it."""
    return found.add(agent("ben"), conversation_resolved={"agent_id": "ben", "waived_reason": waived})


def prioritised(found: Talk, priority: str) -> Talk:
    """Somebody changes its priority."""
    return found.add(agent("ben"), attributes_changed={"attributes": {"priority": priority}})


def of(found: list[Any], one: Talk, kind: str) -> Any:
    """The one fact of a kind."""
    [event] = [e for e, _ in found if e.conversation_id == one.conversation_id and e.HasField(kind)]
    return event


async def test_a_snooze_pauses_and_the_wake_up_resumes(stack: Stack, running: Services) -> None:
    """At their event times; what is asleep breaches never (7.16)."""
    tenant = new_tenant()
    kept, broken, asleep = talk(tenant), talk(tenant), talk(tenant)
    for one in (kept, broken, asleep):
        snoozed(one.later(600))
    for one in (kept, broken):
        woken(one.later(3000))
    resolved(kept.later(1400))
    told = [record for one in (kept, broken, asleep) for record in one.records()]
    await produce(stack.bootstrap, [version(tenant, 1, [promises("p", resolution=HOUR)]), *told])
    found = await heard(stack, tenant, kept, broken, asleep)
    paused = [("clock_started", 0, 3600), ("clock_paused", 600, None)]
    assert said(found, asleep) == paused
    assert said(found, broken) == [*paused, ("clock_resumed", 3600, 6600), ("breached", 6600, 6600)]
    assert said(found, kept) == [*paused, ("clock_resumed", 3600, 6600), ("fulfilled", 5000, None)]
    end = of(found, kept, "fulfilled").fulfilled
    assert (end.met, end.elapsed_s) == (True, 2000)
    [clock] = await Client(running, tenant).clocks(asleep.conversation_id)
    assert (clock.state, clock.elapsed_s, clock.breached) == (api.CLOCK_STATE_PAUSED, 600, False)


async def test_text_that_postgresql_cannot_keep_stops_no_clock(stack: Stack, running: Services) -> None:
    """An older router let a NUL into tags, attributes and ids of messages: it is replaced."""
    tenant = new_tenant()
    odd = talk(tenant, tags=["a\0b", "vip"], values={"or\0der": "7\0"})
    odd.later(60).add(CUSTOMER, message_received={"message_id": "m\0", "content": {"text": "\0"}})
    odd.add(agent("ben"), message_sent={"message_id": "n\0", "agent_id": "ben", "content": {"text": "hi"}})
    resolved(odd.later(60), waived="sp\0am")
    vip = promises("vip", first_response=HOUR)
    vip.tags.append("vip")
    await produce(stack.bootstrap, [version(tenant, 1, [vip]), *odd.records()])
    assert [kind for kind, *_ in said(await heard(stack, tenant, odd), odd)] == ["clock_started", "fulfilled"]
    [clock] = await Client(running, tenant).clocks(odd.conversation_id)
    assert (clock.state, clock.met) == (api.CLOCK_STATE_FULFILLED, True)


async def test_the_calendar_is_the_policys_else_the_teams_else_the_tenants(stack: Stack, running: Services) -> None:
    """Deadlines and breaches are on it (7.13); a rule for every second needs none."""
    tenant = new_tenant()
    calendars = {"early": hours("06:00", "10:00"), "late": hours("20:00", "24:00"), "day": hours("09:00", "17:00")}
    always = promises("always", first_response=3 * HOUR)
    always.team, always.rules[0].always = "shop", True
    vip = promises("vip", first_response=3 * HOUR)
    vip.calendar, vip.tags[:] = "early", ["vip"]
    offers = [vip, always, promises("plain", first_response=3 * HOUR)]
    talks = [talk(tenant, "late", tags=["vip"]), talk(tenant, "late"), talk(tenant), talk(tenant, "shop")]
    config = version(tenant, 1, offers, calendars, {"late": "late", "support": "", "shop": "late"}, default="day")
    await produce(stack.bootstrap, [config, *(record for one in talks for record in one.records())])
    found = await heard(stack, tenant, *talks)
    for one, due, calendar in zip(talks, (23, 15, 4, 3), ("early", "late", "day", ""), strict=True):
        assert said(found, one) == [("clock_started", 0, due * HOUR), ("breached", due * HOUR, due * HOUR)]
        breach = of(found, one, "breached")
        assert (breach.calendar_id, breach.config_version, breach.tzdata) == (calendar, 1, tzdata_version())
    [clock] = await Client(running, tenant).clocks(talks[2].conversation_id)
    assert (clock.target_text, clock.calendar_id) == ("3 h of calendar day", "day")


async def test_a_policy_that_comes_back_gives_no_time(stack: Stack, running: Services) -> None:
    """No longer matching cancels, matching again is another cycle from the same opening (7.9)."""
    tenant = new_tenant()
    urgent = promises("urgent", first_response=HOUR)
    urgent.priorities[:] = ["high"]
    toggled = prioritised(prioritised(talk(tenant, priority="high").later(600), "normal").later(600), "high")
    await produce(stack.bootstrap, [version(tenant, 1, [urgent]), *toggled.records()])
    found = await heard(stack, tenant, toggled)
    assert said(found, toggled) == [
        ("clock_started", 0, 3600), ("cancelled", 600, None), ("clock_started", 1200, 3600), ("breached", 3600, 3600),
    ]  # fmt: skip
    assert of(found, toggled, "cancelled").cancelled.reason == "no_policy"
    assert of(found, toggled, "breached").cycle == 2
    clocks = await Client(running, tenant).clocks(toggled.conversation_id)
    assert [(c.cycle, c.state, c.breached) for c in clocks] == [
        (1, api.CLOCK_STATE_CANCELLED, False), (2, api.CLOCK_STATE_RUNNING, True),
    ]  # fmt: skip
    assert clocks[0].started_at == clocks[1].started_at == toggled.events[0].occurred_at


async def test_a_waiver_is_counted_apart(stack: Stack, running: Services) -> None:
    """Resolved without the answer that was owed, for a stated reason: neither met nor missed (8.2)."""
    tenant = new_tenant()
    spam = resolved(talk(tenant).later(600), "spam")
    await produce(stack.bootstrap, [version(tenant, 1, [promises("p", first_response=HOUR)]), *spam.records()])
    found = await heard(stack, tenant, spam)
    assert said(found, spam) == [("clock_started", 0, 3600), ("cancelled", 600, None), ("waived", 600, None)]
    assert of(found, spam, "waived").waived.reason == "spam"
    request = api.GetReportRequest()
    getattr(request, "from").FromDatetime(MONDAY)
    request.to.FromDatetime(MONDAY + timedelta(days=1))
    [row] = (await Client(running, tenant).ask("GetReport", request)).rows
    assert (row.met, row.missed, row.waived, row.cancelled) == (0, 0, 1, 0)


@pytest.mark.usefixtures("running")
async def test_merging_keeps_the_earlier_beginning_and_splitting_the_message_s_own(stack: Stack) -> None:
    """The one that ends has no verdict; the survivor, and what was split off, are due when its message was (7.11)."""
    tenant = new_tenant()
    gone, stays, whole = talk(tenant), begun(Talk(tenant, at=MONDAY + timedelta(seconds=1800))), talk(tenant)
    gone.later(3600).add(agent("ben"), conversation_merged={"into": stays.conversation_id})
    absorbed = {"conversation_id": gone.conversation_id, "started_at": MONDAY, "unanswered_since": MONDAY}
    stays.later(1800).add(agent("ben"), conversation_absorbed=absorbed)
    part = begun(Talk(tenant, at=MONDAY + timedelta(seconds=600)), split_from="x", unanswered_since=MONDAY)
    moved = {"conversation_id": part.conversation_id, "unanswered_moved": True}
    whole.later(600).add(agent("ben"), conversation_split=moved)
    talks = [gone, stays, whole, part]
    told = [record for one in talks for record in one.records()]
    await produce(stack.bootstrap, [version(tenant, 1, [promises("p", first_response=2 * HOUR)]), *told])
    found = await heard(stack, tenant, *talks)
    assert said(found, gone) == [("clock_started", 0, 7200), ("cancelled", 3600, None)]
    assert of(found, gone, "cancelled").cancelled.reason == "merged"
    assert said(found, stays) == [
        ("clock_started", 0, 7200), ("clock_rescheduled", 1800, 5400), ("breached", 5400, 5400),
    ]  # fmt: skip
    assert said(found, whole) == [("clock_started", 0, 7200), ("cancelled", 600, None)]
    assert of(found, whole, "cancelled").cancelled.reason == "split"
    assert said(found, part) == [("clock_started", 0, 6600), ("breached", 6600, 6600)]


async def test_a_reply_that_was_not_delivered_never_was(stack: Stack, running: Services) -> None:
    """The clock goes on in its cycle, with its beginning (7.5)."""
    tenant = new_tenant()
    lost = talk(tenant).later(600).replies("ben")
    message = lost.events[-1].message_sent.message_id
    lost.later(60).add(SYSTEM, delivery_updated={"message_id": message, "status": DELIVERY_STATUS_FAILED})
    await produce(stack.bootstrap, [version(tenant, 1, [promises("p", first_response=HOUR)]), *lost.records()])
    found = await heard(stack, tenant, lost)
    assert said(found, lost) == [
        ("clock_started", 0, 3600), ("fulfilled", 600, None), ("clock_resumed", 660, 3600), ("breached", 3600, 3600),
    ]  # fmt: skip
    [clock] = await Client(running, tenant).clocks(lost.conversation_id)
    assert (clock.cycle, clock.state, clock.breached) == (1, api.CLOCK_STATE_RUNNING, True)


@pytest.mark.usefixtures("running")
async def test_a_breach_is_repeated_until_it_is_mended(stack: Stack) -> None:
    """At growing distances, so often at most, not while it is paused (9.3); a late reply recovers it (9.4)."""
    tenant = new_tenant()
    policy = promises("p", first_response=HOUR, resolution=HOUR)
    policy.repeat_s, policy.max_repeats = 600, 3
    mended, asleep = talk(tenant), snoozed(talk(tenant, "other").later(3700))
    log = [*mended.records(), *asleep.records()]
    await produce(stack.bootstrap, [version(tenant, 1, [policy]), *log])
    await heard(stack, tenant, mended, asleep)
    mended.later(10_000).replies("ben")
    await produce(stack.bootstrap, mended.records()[-1:])
    found = [(e, h) for e, h in await heard(stack, tenant, mended, asleep) if e.metric == METRIC_FIRST_RESPONSE]
    repeats = [("overdue", 3600 + after, 3600) for after in (600, 1200, 2400)]
    broken = [("clock_started", 0, 3600), ("breached", 3600, 3600)]
    assert said(found, mended) == [*broken, *repeats, ("fulfilled", 10_000, None), ("recovered", 10_000, None)]
    assert [e.overdue.ordinal for e, _ in found if e.HasField("overdue")][:3] == [1, 2, 3]
    end = of(found, mended, "fulfilled").fulfilled
    assert (end.met, end.overdue_s) == (False, 6400)
    assert of(found, mended, "recovered").recovered.overdue_s == 6400
    paused = [e for e, _ in await heard(stack, tenant, asleep) if e.metric == METRIC_RESOLUTION]
    assert [e.WhichOneof("payload") for e in paused if e.conversation_id == asleep.conversation_id] == [
        "clock_started", "breached", "clock_paused",
    ]  # fmt: skip


async def test_a_reply_in_time_that_arrives_late_takes_the_breach_back(stack: Stack, running: Services) -> None:
    """It is listed no more, the promise was kept, and the explanation gives what was published (9.6)."""
    tenant = new_tenant()
    client, late = Client(running, tenant), talk(tenant)
    await produce(stack.bootstrap, [version(tenant, 1, [promises("p", first_response=HOUR)]), *late.records()])
    await heard(stack, tenant, late)
    [listed] = (await client.breaches()).breaches
    assert listed.conversation_id == late.conversation_id
    late.later(600).replies("ben")
    await produce(stack.bootstrap, late.records()[-1:])
    found = await heard(stack, tenant, late)
    assert said(found, late) == [
        ("clock_started", 0, 3600), ("breached", 3600, 3600), ("breach_retracted", 600, 3600), ("fulfilled", 600, None),
    ]  # fmt: skip
    assert of(found, late, "breach_retracted").breach_retracted.breach_event_id == of(found, late, "breached").event_id
    assert of(found, late, "fulfilled").fulfilled.met
    assert not (await client.breaches()).breaches
    [clock] = await client.clocks(late.conversation_id)
    assert (clock.state, clock.met, clock.breached) == (api.CLOCK_STATE_FULFILLED, True, False)
    told = await client.explained(late.conversation_id, "FIRST_RESPONSE")
    assert sorted(e.event_id for e in told.events) == sorted(e.event_id for e, _ in found)


async def test_a_clock_is_of_the_team_that_has_the_conversation(stack: Stack, running: Services) -> None:
    """Also where the transfer promises nothing else: whoever looks at what is at risk there finds it (7.12)."""
    tenant = new_tenant()
    client, moved = Client(running, tenant), begun(Talk(tenant))
    await produce(stack.bootstrap, [version(tenant, 1, [promises("p", first_response=HOUR)]), *moved.records()])
    await heard(stack, tenant, moved)
    moved.add(agent("ben"), conversation_transferred={"from_team": "support", "to_team": "billing"})
    await produce(stack.bootstrap, moved.records()[-1:])
    found = await heard(stack, tenant, moved)
    assert said(found, moved) == [("clock_started", 0, HOUR)]
    [clock] = (await client.ask("ListAtRisk", api.ListAtRiskRequest(team="billing"))).clocks
    assert (clock.conversation_id, clock.gen) == (moved.conversation_id, 1)
    assert not (await client.ask("ListAtRisk", api.ListAtRiskRequest(team="support"))).clocks


async def test_without_its_calendar_a_clock_has_a_fault_and_no_deadline(stack: Stack, running: Services) -> None:
    """Nothing breaches by the wall clock instead (10.5)."""
    tenant = new_tenant()
    policy = promises("p", first_response=HOUR)
    policy.calendar = "nowhere"
    lost = talk(tenant)
    await produce(stack.bootstrap, [version(tenant, 1, [policy]), *lost.records()])
    found = await heard(stack, tenant, lost)
    assert said(found, lost) == [("clock_started", 0, None), ("config_fault", 0, None)]
    assert "no calendar nowhere" in of(found, lost, "config_fault").config_fault.reason
    assert await rows(stack, "select due_at, next_at from clock where tenant = $1", tenant) == [(None, None)]
    assert not (await Client(running, tenant).breaches()).breaches


async def test_tenants_do_not_see_each_other(stack: Stack, running: Services) -> None:
    """The same team and policy, of another tenant: no clock, no breach, no explanation, no row of a report (P8)."""
    ours, theirs = new_tenant(), new_tenant()
    mine, other = talk(ours), Talk(theirs, str(uuid.uuid4()), at=MONDAY).begin().add(CUSTOMER, exclusions_cleared={})
    policy = SlaPolicy(id="p", first_response_s=HOUR, next_response_s=HOUR)
    await produce(stack.bootstrap, [version(t, 1, [policy]) for t in (ours, theirs)])
    await produce(stack.bootstrap, [*mine.records(), *other.records()])
    await heard(stack, ours, mine, other)
    for tenant, own, foreign in ((ours, mine, other), (theirs, other, mine)):
        client = Client(running, tenant)
        assert [b.conversation_id for b in (await client.breaches()).breaches] == [own.conversation_id]
        assert len(await client.clocks(own.conversation_id)) == 1
        assert not await client.clocks(foreign.conversation_id)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.explained(foreign.conversation_id, "FIRST_RESPONSE")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert at((await client.clocks(own.conversation_id))[0].breached_at) == MONDAY + timedelta(hours=1)
