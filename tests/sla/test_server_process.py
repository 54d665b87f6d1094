"""SlaService of the running process: what it explains is what it published, and watches end as they should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.sla.v1 import sla_service_pb2 as api
from trunkline.sla.v1.sla_event_pb2 import METRIC_FIRST_RESPONSE, SlaEvent
from trunkline.sla.v1.sla_service_pb2_grpc import SlaServiceStub
from trunkline_common.rpc_errors import from_rpc

from deploy.local.keys import Role
from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.kit import eventually, token_metadata
from tests.sla.service import MONDAY, Client, heard, hours, new_tenant, promises, version
from tests.sla.talk import SYSTEM, Talk, agent, produce

pytestmark = pytest.mark.stack
HOUR = 3600
ALL = ("first_response", "next_response", "periodic_update", "requester_wait", "agent_work", "resolution")


def talks(tenant: str) -> list[Talk]:
    """Answered late and written to again; snoozed, resolved and reopened; given to a team with other hours."""
    late = Talk(tenant, at=MONDAY).begin().later(5 * HOUR).replies("ben").later(60).writes().later(60).replies("ben")
    moody = Talk(tenant, at=MONDAY).begin().later(HOUR).add(agent("ben"), conversation_snoozed={})
    moody.later(HOUR).add(SYSTEM, conversation_woken={}).later(HOUR).replies("ben")
    moody.add(agent("ben"), conversation_resolved={}).later(HOUR).add(agent("ben"), conversation_reopened={})
    moved = Talk(tenant, at=MONDAY).begin().later(HOUR).queued("night").later(30 * HOUR).replies("eve")
    return [late, moody, moved]


def configured(tenant: str) -> list[Any]:
    """Two versions: everything within four hours; from Monday noon on within three."""
    calendars, teams = {"day": hours("07:00", "19:00"), "dark": hours("19:00", "07:00")}, {"night": "dark"}
    policies = [promises("p", **dict.fromkeys(ALL, seconds)) for seconds in (4 * HOUR, 3 * HOUR)]
    first = version(tenant, 1, policies[:1], calendars, teams, default="day")
    return [first, version(tenant, 2, policies[1:], calendars, teams, default="day", at=MONDAY + timedelta(hours=4))]


def unstamped(found: SlaEvent) -> SlaEvent:
    """Without what only the moment of publication knew."""
    plain = SlaEvent()
    plain.CopyFrom(found)
    plain.ClearField("emitted_at")
    plain.late_ms, plain.tzdata = 0, ""
    return plain


async def test_what_is_explained_is_what_was_published(stack: Stack, services: Services) -> None:
    """Event for event, clock for clock; intervals follow on each other and add up to what the clock has counted."""
    tenant = new_tenant()
    await services.start("sla")
    told = talks(tenant)
    await produce(stack.bootstrap, [*configured(tenant), *(r for talk in told for r in talk.records())])
    facts = [unstamped(event) for event, _ in await heard(stack, tenant, *told)]
    client, seen = Client(services, tenant), 0
    for talk in told:
        for clock in await client.clocks(talk.conversation_id):
            ask = {"conversation_id": talk.conversation_id, "metric": clock.metric, "cycle": clock.cycle}
            found = await client.ask("ExplainClock", api.ExplainClockRequest(**ask))
            assert list(found.events) == [event for event in facts if event.clock_id == clock.clock_id]
            assert sum(part.business_s for part in found.intervals) == found.clock.elapsed_s
            assert all(a.ends_at == b.begins_at for a, b in pairwise(found.intervals))
            if clock.HasField("ended_at"):
                ends = [part.ends_at for part in found.intervals] or [clock.started_at]
                assert (found.clock, ends[-1]) == (clock, clock.ended_at)
            seen += len(found.events)
    assert seen == len(facts) > 40
    period: dict[str, Any] = {"from": stamp(0), "to": stamp(72)}
    [first, *_] = (await client.ask("GetReport", api.GetReportRequest(**period))).rows
    assert (first.metric, first.met, first.missed, first.seconds) == (METRIC_FIRST_RESPONSE, 1, 2, "business")


def stamp(hour: int) -> Timestamp:
    """So many hours after that Monday morning."""
    found = Timestamp()
    found.FromDatetime(MONDAY + timedelta(hours=hour))
    return found


class Watcher:
    """Watches as somebody of a tenant."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Any) -> None:
        self._stub: Any = SlaServiceStub(channel)
        self._metadata = metadata

    def watch(self, token: str = "", seconds: float = 60) -> Any:
        """A stream."""
        request = api.WatchSlaRequest(resume_token=token)
        return self._stub.WatchSla(request, metadata=self._metadata, timeout=seconds)

    async def refused(self) -> Any:
        """Why a new stream is refused; None where it is not."""
        stream = self.watch()
        try:
            await stream.read()
        except grpc.aio.AioRpcError as error:
            return from_rpc(error)
        stream.cancel()
        return None


@asynccontextmanager
async def watcher(services: Services, tenant: str, role: Role = "agent") -> AsyncIterator[Watcher]:
    """A caller with a channel of its own."""
    async with grpc.aio.insecure_channel(services.address("sla")) as channel:
        yield Watcher(channel, token_metadata(services.keys, role, tenant, "ana"))


async def test_a_watch_goes_on_where_another_ended(stack: Stack, services: Services) -> None:
    """Of two watches together everything is seen once; one more than there may be is refused until one has ended."""
    tenant = new_tenant()
    await services.start("sla", env={"TRUNKLINE_SLA_WATCHES": "1"})
    told = talks(tenant)
    async with watcher(services, tenant) as caller:
        stream = caller.watch()
        token = (await stream.read()).resume_token
        error = await caller.refused()
        assert (error.code, error.reason, error.retry_after) == ("RESOURCE_EXHAUSTED", "WATCH_LIMIT", 5.0)
        await produce(stack.bootstrap, [*configured(tenant), *(r for talk in told for r in talk.records())])
        published = [event for event, _ in await heard(stack, tenant, *told)]
        early: list[SlaEvent] = []
        while len(early) < 10:
            message = await stream.read()
            token, early = message.resume_token, [*early, *([message.event] if message.HasField("event") else [])]
        stream.cancel()

        async def free() -> bool:
            return await caller.refused() is None

        await eventually(free, what="a seat")
        late: list[SlaEvent] = []

        async def rest() -> bool:
            """Another stream may still be going."""
            resumed = caller.watch(token)
            try:
                async for found in resumed:
                    late.extend([found.event] if found.HasField("event") else [])
                    if len(early) + len(late) >= len(published):
                        return bool(resumed.cancel())
            except grpc.aio.AioRpcError as refused:
                if refused.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
            return False

        await eventually(rest, what="the rest")
        assert sorted(e.event_id for e in (*early, *late)) == sorted(e.event_id for e in published)
        for talk in told:
            mine = [e.event_id for e in (*early, *late) if e.conversation_id == talk.conversation_id]
            assert mine == [e.event_id for e in published if e.conversation_id == talk.conversation_id]

        async def timed_out() -> bool:
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await drained(caller.watch(seconds=2))
            return ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

        await eventually(timed_out, what="a stream that its deadline ends")
        await eventually(free, what="a seat after a deadline")


async def drained(stream: Any) -> None:
    """To its end."""
    async for _ in stream:
        await asyncio.sleep(0)
