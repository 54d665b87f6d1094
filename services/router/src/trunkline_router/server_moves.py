"""RouterService: what gives a conversation to somebody else, or makes two of one and one of two."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common import rpc
from trunkline_common.errors import Violation, invalid_request

from trunkline_router import inputs, refusals
from trunkline_router.directory import as_refused
from trunkline_router.server_calls import Calls
from trunkline_router.server_checks import derived_id, instant, later, limited
from trunkline_router.state import Engine

CALLBACK_WINDOW = timedelta(minutes=30)


class MoveCalls(Calls):
    """Handlers."""

    async def TransferConversation(  # noqa: N802
        self, request: api.TransferConversationRequest, context: rpc.Context
    ) -> Any:
        if not request.to_team and not request.to_agent_id:
            raise invalid_request(Violation("to_team", "is required where to_agent_id names nobody"))
        if not request.reason.strip():
            raise invalid_request(Violation("reason", "is required: whoever gets the conversation reads it"))
        body = inputs.Transfer(
            request.conversation_id,
            request.agent_id,
            request.to_team,
            limited("reason", request.reason),
            request.to_agent_id,
        )
        return await self._command(request, context, body, complete=_with_team_of_agent)

    async def AssignConversation(  # noqa: N802
        self, request: asks.AssignConversationRequest, context: rpc.Context
    ) -> Any:
        body = inputs.Assign(request.conversation_id, request.agent_id, request.agent_id)
        return await self._command(request, context, body)

    async def PullConversation(self, request: asks.PullConversationRequest, context: rpc.Context) -> Any:  # noqa: N802
        body = inputs.Assign(request.conversation_id, request.agent_id, request.agent_id)
        return await self._command(request, context, body, supervising=False)

    async def ReleaseConversation(  # noqa: N802
        self, request: asks.ReleaseConversationRequest, context: rpc.Context
    ) -> Any:
        body = inputs.Release(request.conversation_id, request.agent_id, limited("reason", request.reason))
        return await self._command(request, context, body)

    async def MergeConversations(  # noqa: N802
        self, request: asks.MergeConversationsRequest, context: rpc.Context
    ) -> Any:
        await self._must_share_a_pool(request, context)
        body = inputs.Merge(request.conversation_id, request.agent_id, request.into_conversation_id)
        return await self._command(request, context, body, views={"into": request.into_conversation_id})

    async def _must_share_a_pool(self, request: asks.MergeConversationsRequest, context: rpc.Context) -> None:
        """Which pool has the other one is not the owner's to know."""
        ids = request.conversation_id, request.into_conversation_id
        pool, into = [await self._pool(context, self._directory.of_conversation, name) for name in ids]
        if pool != into:
            raise as_refused(refusals.cannot_merge(*ids, f"that one is of pool {into}; transfer one of them"))

    async def SplitConversation(  # noqa: N802
        self, request: asks.SplitConversationRequest, context: rpc.Context
    ) -> Any:
        new_id, subject = derived_id(request), limited("subject", request.subject)
        body = inputs.Split(
            request.conversation_id, request.agent_id, new_id, request.team, subject, request.with_unanswered
        )
        return await self._command(request, context, body, complete=_with_own_team, views={"new_conversation": new_id})

    async def ScheduleCallback(self, request: asks.ScheduleCallbackRequest, context: rpc.Context) -> Any:  # noqa: N802
        begins_at = instant("begins_at", request.begins_at)
        given = request.HasField("ends_at")
        ends_at = instant("ends_at", request.ends_at) if given else later("begins_at", begins_at, CALLBACK_WINDOW)
        body = inputs.ScheduleCallback(request.conversation_id, request.agent_id, begins_at, ends_at, request.team)
        return await self._command(request, context, body, complete=_with_own_team)


def _with_team_of_agent(engine: Engine, body: inputs.Transfer) -> inputs.Transfer:
    """To an agent: in the conversation's team where they are in it, else in their first."""
    if body.to_team:
        return body
    agent = engine.pool.agents.get(body.to_agent_id)
    if agent is None:
        raise refusals.no_agent(body.to_agent_id)
    own = engine.pool.conversations[body.conversation_id].team
    return replace(body, to_team=own if own in agent.config.teams else agent.config.teams[0])


def _with_own_team(
    engine: Engine, body: inputs.Split | inputs.ScheduleCallback
) -> inputs.Split | inputs.ScheduleCallback:
    """In the team that the conversation is in."""
    return replace(body, team=body.team or engine.pool.conversations[body.conversation_id].team)
