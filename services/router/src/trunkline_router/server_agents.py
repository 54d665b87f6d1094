"""RouterService: what is asked about agents."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common import rpc

from trunkline_router import inputs, refusals, wire_api
from trunkline_router.requests import Read
from trunkline_router.server_calls import Calls
from trunkline_router.server_checks import agent_of, presence
from trunkline_router.state import Engine


class AgentCalls(Calls):
    """Handlers."""

    async def SetAgentPresence(self, request: api.SetAgentPresenceRequest, context: rpc.Context) -> Any:  # noqa: N802
        body = inputs.SetPresence(request.agent_id, presence(request))
        return await self._agent_command(request, context, body, api.SetAgentPresenceResponse)

    async def SetAgentAccepting(  # noqa: N802
        self, request: asks.SetAgentAcceptingRequest, context: rpc.Context
    ) -> Any:
        body = inputs.SetAccepting(request.agent_id, request.accepting)
        return await self._agent_command(request, context, body, api.SetAgentAcceptingResponse)

    async def ClearNotResponding(  # noqa: N802
        self, request: asks.ClearNotRespondingRequest, context: rpc.Context
    ) -> Any:
        body = inputs.ClearNotResponding(request.agent_id)
        return await self._agent_command(request, context, body, api.ClearNotRespondingResponse)

    async def EndWrapUp(self, request: asks.EndWrapUpRequest, context: rpc.Context) -> Any:  # noqa: N802
        body = inputs.EndWrapUp(request.agent_id, request.conversation_id)
        return await self._agent_command(request, context, body, api.EndWrapUpResponse)

    async def PutAgent(self, request: asks.PutAgentRequest, context: rpc.Context) -> Any:  # noqa: N802
        agent = agent_of(request)
        pool = await self._pool(context, self._directory.of_teams, agent.teams)

        def respond(engine: Engine) -> Message:
            return api.PutAgentResponse(agent=wire_api.to_api_agent(engine.pool.agents[agent.id]))

        return await self._run(request, context, pool, inputs.PutAgent(agent), respond)

    async def DeleteAgent(self, request: asks.DeleteAgentRequest, context: rpc.Context) -> Any:  # noqa: N802
        pool = await self._pool(context, self._directory.of_agent, request.agent_id)
        body = inputs.DeleteAgent(request.agent_id)
        return await self._run(request, context, pool, body, lambda _engine: api.DeleteAgentResponse())

    async def GetAgent(self, request: asks.GetAgentRequest, context: rpc.Context) -> Any:  # noqa: N802
        def respond(engine: Engine) -> Message:
            agent = engine.pool.agents.get(request.agent_id)
            if agent is None:
                raise refusals.no_agent(request.agent_id)
            held = [wire_api.view(engine, c) for c in sorted(agent.holds)]
            return api.GetAgentResponse(agent=wire_api.to_api_agent(agent), conversations=held)

        pool = await self._pool(context, self._directory.of_agent, request.agent_id)
        return await self._ask(request, context, pool, Read(pool, respond), "GetAgent")

    async def _agent_command(self, request: Any, context: rpc.Context, body: inputs.AgentCommand, response: Any) -> Any:
        def respond(engine: Engine) -> Message:
            made: Message = response(agent=wire_api.to_api_agent(engine.pool.agents[request.agent_id]))
            return made

        pool = await self._pool(context, self._directory.of_agent, request.agent_id)
        return await self._run(request, context, pool, body, respond)
