"""gRPC ExplainService: what is now is asked of the pool's owner, what is past of a process that reads the log."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from trunkline.router.v1 import explain_service_pb2 as api
from trunkline.router.v1.explain_service_pb2_grpc import ExplainServiceServicer, ExplainServiceStub
from trunkline_common import rpc
from trunkline_common.auth import Role, caller
from trunkline_common.clock import utc_now
from trunkline_common.errors import Refused, Violation, invalid_request
from trunkline_common.pages import PageTokens, page_size
from trunkline_common.postgres import Pool

from trunkline_router import commands, config, simulation_store, wire_config, wire_explain
from trunkline_router.directory import Directory
from trunkline_router.explain import explain_waiting
from trunkline_router.gate import Gate
from trunkline_router.protomap import from_timestamp
from trunkline_router.requests import Read
from trunkline_router.server_checks import instant
from trunkline_router.simulations import Past, Simulations
from trunkline_router.state import Engine

LEADS: tuple[Role, ...] = ("supervisor", "admin", "service")
POLICY = {
    "ExplainDecision": rpc.allow(*LEADS, required=("conversation_id", "seq")),
    "ExplainWaiting": rpc.allow(*LEADS, required=("conversation_id",)),
    "ReplayDecision": rpc.allow(*LEADS, required=("conversation_id", "seq")),
    "StartSimulation": rpc.allow(*LEADS, required=("request_id", "since", "until", "yaml")),
    "GetSimulation": rpc.allow(*LEADS, required=("simulation_id",)),
    "ListSimulations": rpc.allow(*LEADS),
    "CancelSimulation": rpc.allow(*LEADS, required=("simulation_id",)),
}


class ExplainServer(ExplainServiceServicer):
    """Handlers."""

    def __init__(
        self, gate: Gate, directory: Directory, db: Pool, tokens: PageTokens, past: Past, simulations: Simulations
    ) -> None:
        self._gate, self._directory, self._db, self._tokens = gate, directory, db, tokens
        self._past, self._simulations = past, simulations

    async def ExplainDecision(self, request: api.ExplainDecisionRequest, _context: rpc.Context) -> Any:  # noqa: N802
        return api.ExplainDecisionResponse.FromString(await self._of_the_past("explain", request))

    async def ReplayDecision(self, request: api.ReplayDecisionRequest, _context: rpc.Context) -> Any:  # noqa: N802
        return api.ReplayDecisionResponse.FromString(await self._of_the_past("replay", request))

    async def _of_the_past(self, kind: str, request: Any) -> bytes:
        pool = await self._directory.of_event(caller().tenant, request.conversation_id, request.seq)
        return await self._past.ask(kind, pool, conversation_id=request.conversation_id, seq=request.seq)

    async def ExplainWaiting(self, request: api.ExplainWaitingRequest, context: rpc.Context) -> Any:  # noqa: N802
        def respond(engine: Engine) -> api.ExplainWaitingResponse:
            conversation = commands.known_conversation(engine, request.conversation_id)
            return wire_explain.to_waiting(explain_waiting(engine, conversation, utc_now()))

        def forward(channel: rpc.Channel, metadata: Any) -> Any:
            left = context.time_remaining() or rpc.UNARY_CAP_SECONDS
            return ExplainServiceStub(channel).ExplainWaiting(request, metadata=metadata, timeout=left)

        pool = self._gate.forwarded_key(rpc.metadata(context))
        if pool is None:
            pool = await self._directory.of_conversation(caller().tenant, request.conversation_id)
        return await self._gate.ask(pool, Read(pool, respond), context, forward)

    # -- simulations

    async def StartSimulation(self, request: api.StartSimulationRequest, _context: rpc.Context) -> Any:  # noqa: N802
        tenant, now = caller().tenant, utc_now()
        span = _span(request, now)
        parsed = await config.parse_aside(request.yaml, tenant, now)
        pool = await self._pool(tenant, request.pool)
        if pool not in wire_config.pools_of(parsed):
            raise invalid_request(Violation("yaml", f"has no pool {pool.partition('/')[2]}"))
        wanted = api.Simulation(simulation_id=request.request_id, pool=pool, since=request.since, until=request.until)
        fingerprint = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        if await simulation_store.begin(self._db, tenant, wanted, fingerprint, span, now):
            self._simulations.begin(tenant, wanted, parsed.SerializeToString())
        elif await simulation_store.get(self._db, tenant, request.request_id, now) is None:
            raise too_many()
        return api.StartSimulationResponse(simulation=await self._get(tenant, request.request_id, fingerprint))

    async def _pool(self, tenant: str, named: str) -> str:
        pools = await self._directory.pools(tenant)
        if named in pools or (not named and len(pools) == 1):
            return named or pools[0]
        raise invalid_request(Violation("pool", f"must be one of {', '.join(pools)}"))

    async def GetSimulation(self, request: api.GetSimulationRequest, _context: rpc.Context) -> Any:  # noqa: N802
        return api.GetSimulationResponse(simulation=await self._get(caller().tenant, request.simulation_id, None))

    async def ListSimulations(self, request: api.ListSimulationsRequest, _context: rpc.Context) -> Any:  # noqa: N802
        bound = (caller().tenant, "ListSimulations")
        size, cursor = page_size(request.page_size), self._tokens.open(request.page_token, *bound)
        after = (datetime.fromisoformat(cursor[0]), UUID(cursor[1])) if cursor else None
        found = await simulation_store.list_(self._db, caller().tenant, after, size + 1, utc_now())
        page, token = found[:size], ""
        if len(found) > size:
            begun_at = from_timestamp(page[-1].begun_at)
            token = self._tokens.seal([begun_at.isoformat(), page[-1].simulation_id], *bound)
        return api.ListSimulationsResponse(simulations=page, next_page_token=token)

    async def CancelSimulation(self, request: api.CancelSimulationRequest, _context: rpc.Context) -> Any:  # noqa: N802
        tenant, name = caller().tenant, request.simulation_id
        await simulation_store.cancel(self._db, tenant, name)
        found = await self._get(tenant, name, None)
        self._simulations.cancel(tenant, found.simulation_id)
        return api.CancelSimulationResponse(simulation=found)

    async def _get(self, tenant: str, simulation_id: str, fingerprint: bytes | None) -> api.Simulation:
        found = await simulation_store.get(self._db, tenant, simulation_id, utc_now())
        if found is None:
            raise not_found(simulation_id)
        if fingerprint is not None and found[1] != fingerprint:
            raise Refused(
                "INVALID_ARGUMENT",
                "REQUEST_ID_REUSED",
                f"request_id {simulation_id} was used before with other content; make a new one",
                metadata={"request_id": simulation_id},
            )
        return found[0]


def not_found(simulation_id: str) -> Refused:
    """There is no such simulation in this tenant."""
    facts = {"simulation_id": simulation_id}
    return Refused("NOT_FOUND", "SIMULATION_NOT_FOUND", f"there is no simulation {simulation_id}", metadata=facts)


def too_many() -> Refused:
    """Each takes its time, and one runs after the other."""
    most = simulation_store.MOST
    says = f"{most} simulations of this tenant are not finished; wait for one, or cancel one"
    return Refused("RESOURCE_EXHAUSTED", "SIMULATION_LIMIT", says, metadata={"limit": str(most)})


def _span(request: api.StartSimulationRequest, now: datetime) -> tuple[datetime, datetime]:
    since, until = instant("since", request.since), instant("until", request.until)
    if until <= since:
        raise invalid_request(Violation("until", "must be after since"))
    if until > now:
        raise invalid_request(Violation("until", "must be past: what has not happened yet is not recorded"))
    return since, until
