"""Who is this customer? Asked of the timeline with 50 ms; what it said, or why not, is recorded with the decision."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.timeline.v1.timeline_service_pb2 import LookupCustomerRequest
from trunkline.timeline.v1.timeline_service_pb2_grpc import TimelineServiceStub
from trunkline_common import rpc, telemetry
from trunkline_common.rpc_errors import RpcError

from trunkline_router.facts import CustomerLookup

if TYPE_CHECKING:
    from trunkline.timeline.v1.timeline_service_pb2_grpc import TimelineServiceAsyncStub

DEADLINE_SECONDS = 0.05


class Lookup(Protocol):
    """Answers for one inbound message."""

    async def __call__(self, event: InboundEvent) -> CustomerLookup:
        """What the timeline knows; never raises."""


class TimelineLookup:
    """Asks TimelineService.LookupCustomer."""

    def __init__(self, channel: rpc.Channel, token: str) -> None:
        self._stub: TimelineServiceAsyncStub = TimelineServiceStub(channel)
        self._token = token

    async def __call__(self, event: InboundEvent) -> CustomerLookup:
        """What the timeline knows; `fallback` says why where it does not answer in time."""
        request = LookupCustomerRequest(
            channel=event.channel, account=event.account, address=event.message.contact.address
        )
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                found = await self._stub.LookupCustomer(
                    request, metadata=rpc.as_service(self._token, event.tenant), timeout=DEADLINE_SECONDS
                )
        except TimeoutError:
            return _fallback("deadline")
        except RpcError as error:
            late = error.code().name == "DEADLINE_EXCEEDED"
            return _fallback("deadline" if late else "unavailable")
        return CustomerLookup(found.customer_id, found.last_agent_id, found.conversations)


def _fallback(why: str) -> CustomerLookup:
    telemetry.count("trunkline.lookup.fallbacks", 1, reason=why)
    return CustomerLookup(fallback=why)
