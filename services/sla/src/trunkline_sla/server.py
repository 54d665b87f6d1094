"""gRPC: SlaService."""

from __future__ import annotations

from datetime import datetime

from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline.sla.v1.sla_service_pb2_grpc import SlaServiceServicer, add_SlaServiceServicer_to_server
from trunkline_common import pages, rpc
from trunkline_common.auth import Role, caller
from trunkline_common.postgres import Pool

from trunkline_sla import store, wire

READERS: tuple[Role, ...] = ("agent", "supervisor", "admin", "service")
POLICY = {
    "GetClocks": rpc.allow(*READERS, required=("conversation_id",)),
    "ListBreaches": rpc.allow(*READERS),
}


class SlaServer(SlaServiceServicer):
    """Reads the clocks of the caller's tenant."""

    def __init__(self, pool: Pool, tokens: pages.PageTokens) -> None:
        self._pool, self._tokens = pool, tokens

    async def GetClocks(self, request: pb.GetClocksRequest, context: object) -> pb.GetClocksResponse:  # noqa: ARG002, N802
        """Every clock of a conversation, oldest cycle first."""
        found = await store.clocks_of(self._pool, caller().tenant, request.conversation_id)
        return pb.GetClocksResponse(clocks=[wire.to_clock(clock) for clock in found])

    async def ListBreaches(self, request: pb.ListBreachesRequest, context: object) -> pb.ListBreachesResponse:  # noqa: ARG002, N802
        """Breaches, newest first."""
        bound = (caller().tenant, "ListBreaches", request.team)
        size = pages.page_size(request.page_size)
        cursor = self._tokens.open(request.page_token, *bound)
        before = (datetime.fromisoformat(cursor[0]), str(cursor[1])) if cursor else None
        found = await store.breaches(self._pool, caller().tenant, request.team, before, size + 1)
        response = pb.ListBreachesResponse(breaches=[_breach(b) for b in found[:size]])
        if len(found) > size:
            last = found[size - 1]
            response.next_page_token = self._tokens.seal([last.breached_at.isoformat(), last.clock_id], *bound)
        return response


def _breach(found: store.Breach) -> pb.Breach:
    return pb.Breach(
        conversation_id=found.conversation_id,
        metric=wire.METRICS[found.metric],
        cycle=found.cycle,
        breached_at=wire.timestamp(found.breached_at),
        emitted_at=wire.timestamp(found.emitted_at),
        late_ms=found.late_ms,
        team=found.team,
    )


def service(pool: Pool, tokens: pages.PageTokens) -> rpc.Service:
    """The service, ready to be served."""
    descriptor = pb.DESCRIPTOR.services_by_name["SlaService"]
    return rpc.Service(descriptor, SlaServer(pool, tokens), add_SlaServiceServicer_to_server, POLICY)
