"""gRPC: InsightsService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from trunkline.insights.v1 import insights_service_pb2, insights_service_pb2_grpc
from trunkline.insights.v1.insights_service_pb2 import (
    GetQueueRequest,
    GetQueueResponse,
    WatchQueueRequest,
    WatchQueueResponse,
)
from trunkline_common import auth, rpc

from trunkline_insights import wire
from trunkline_insights.queues import Queue
from trunkline_insights.view import View

READERS: tuple[auth.Role, ...] = ("agent", "supervisor", "admin", "service")
POLICY = {
    "GetQueue": rpc.allow(*READERS, required=("queue",)),
    "WatchQueue": rpc.allow(*READERS, required=("queue",)),
}


class InsightsServicer(insights_service_pb2_grpc.InsightsServiceServicer):
    """Answers from the view; the tenant is the caller's."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def GetQueue(self, request: GetQueueRequest, _context: rpc.Context) -> GetQueueResponse:  # noqa: N802
        snapshot = self._view.get(Queue(auth.caller().tenant, request.queue))
        return GetQueueResponse(queue=wire.snapshot_to_message(snapshot))

    async def WatchQueue(  # noqa: N802
        self, request: WatchQueueRequest, _context: rpc.Context
    ) -> AsyncIterator[WatchQueueResponse]:
        async for snapshot in self._view.watch(Queue(auth.caller().tenant, request.queue)):
            yield WatchQueueResponse(queue=wire.snapshot_to_message(snapshot))


def service(view: View) -> rpc.Service:
    """What rpc.serve takes."""
    return rpc.Service(
        insights_service_pb2.DESCRIPTOR.services_by_name["InsightsService"],
        InsightsServicer(view),
        insights_service_pb2_grpc.add_InsightsServiceServicer_to_server,
        POLICY,
    )
