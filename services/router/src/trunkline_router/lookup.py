"""Who is this customer, and when would an answer be due? Asked with 50 ms of timeline and SLA service.

What they said, or why they did not, is recorded with the decision.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.sla.v1.sla_event_pb2 import METRIC_FIRST_RESPONSE, METRIC_NEXT_RESPONSE, Metric
from trunkline.sla.v1.sla_service_pb2 import PreviewDueRequest, PreviewDueResponse
from trunkline.sla.v1.sla_service_pb2_grpc import SlaServiceStub
from trunkline.timeline.v1.timeline_service_pb2 import LookupCustomerRequest
from trunkline.timeline.v1.timeline_service_pb2_grpc import TimelineServiceStub
from trunkline_common import rpc, telemetry
from trunkline_common.rpc_errors import RpcError

from trunkline_router.facts import CustomerLookup, DuePreview
from trunkline_router.protomap import from_timestamp

if TYPE_CHECKING:
    from trunkline.sla.v1.sla_service_pb2_grpc import SlaServiceAsyncStub
    from trunkline.timeline.v1.timeline_service_pb2_grpc import TimelineServiceAsyncStub

DEADLINE_SECONDS = 0.05


class Lookup(Protocol):
    """Answers for one inbound message."""

    async def __call__(self, event: InboundEvent) -> CustomerLookup:
        """What the timeline knows; never raises."""


class DueLookup(Protocol):
    """Answers for one message of a customer."""

    async def __call__(self, tenant: str, request: PreviewDueRequest, /) -> DuePreview:
        """When an answer would be due; never raises."""


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
        except (TimeoutError, RpcError) as error:
            return CustomerLookup(fallback=_why("timeline", error))
        return CustomerLookup(found.customer_id, found.last_agent_id, found.conversations)


class SlaLookup:
    """Asks SlaService.PreviewDue."""

    def __init__(self, channel: rpc.Channel, token: str) -> None:
        self._stub: SlaServiceAsyncStub = SlaServiceStub(channel)
        self._token = token

    async def __call__(self, tenant: str, request: PreviewDueRequest) -> DuePreview:
        """When an answer would be due; `fallback` says why where it does not say in time."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                found = await self._stub.PreviewDue(
                    request, metadata=rpc.as_service(self._token, tenant), timeout=DEADLINE_SECONDS
                )
        except (TimeoutError, RpcError) as error:
            return DuePreview(fallback=_why("sla", error))
        return DuePreview(_dues(found, METRIC_FIRST_RESPONSE), _dues(found, METRIC_NEXT_RESPONSE))


async def not_asked(_tenant: str, _request: PreviewDueRequest) -> DuePreview:
    """There is no SLA service to ask."""
    return DuePreview(fallback="off")


def _dues(found: PreviewDueResponse, metric: Metric.ValueType) -> tuple[tuple[str, datetime], ...]:
    named = (due for due in found.dues if due.metric == metric and due.HasField("due_at"))
    return tuple((due.team, from_timestamp(due.due_at)) for due in named)


def _why(service: str, error: TimeoutError | RpcError) -> str:
    late = isinstance(error, TimeoutError) or error.code().name == "DEADLINE_EXCEEDED"
    reason = "deadline" if late else "unavailable"
    telemetry.count("trunkline.lookup.fallbacks", 1, service=service, reason=reason)
    return reason
