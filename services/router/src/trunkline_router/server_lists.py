"""RouterService: one conversation, and lists in stable pages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common import rpc
from trunkline_common.auth import caller
from trunkline_common.errors import Violation, invalid_request
from trunkline_common.pages import fitting, page_size

from trunkline_router import commands, wire_api
from trunkline_router.filters import BadFilter, Order, Term, here, parse, parse_order, select
from trunkline_router.index import Place
from trunkline_router.requests import Read
from trunkline_router.server_calls import Calls
from trunkline_router.state import Engine


class ListCalls(Calls):
    """Handlers."""

    async def GetConversation(self, request: api.GetConversationRequest, context: rpc.Context) -> Any:  # noqa: N802
        def respond(engine: Engine) -> api.GetConversationResponse:
            commands.known_conversation(engine, request.conversation_id)
            return api.GetConversationResponse(conversation=wire_api.view(engine, request.conversation_id))

        pool = await self._pool(context, self._directory.of_conversation, request.conversation_id)
        return await self._ask(request, context, pool, Read(pool, respond), "GetConversation")

    async def ListQueue(self, request: api.ListQueueRequest, context: rpc.Context) -> Any:  # noqa: N802
        bound = (caller().tenant, "ListQueue", request.team)
        size, cursor = page_size(request.page_size), self._tokens.open(request.page_token, *bound)

        def respond(engine: Engine) -> api.ListQueueResponse:
            places = engine.waiting.of(request.team)
            start = bisect_right(places, _place(cursor)) if cursor else 0
            found = fitting(wire_api.view(engine, place[-1]) for place in places[start : start + size])
            end = start + len(found)
            last = list(places[end - 1]) if end < len(places) else None
            return api.ListQueueResponse(
                conversations=found, next_page_token=self._tokens.seal(last, *bound) if last else ""
            )

        pool = await self._pool(context, self._directory.of_team, request.team)
        return await self._ask(request, context, pool, Read(pool, respond), "ListQueue")

    async def ListConversations(  # noqa: N802
        self, request: asks.ListConversationsRequest, context: rpc.Context
    ) -> Any:
        terms, order = _parsed(request)
        bound = (caller().tenant, "ListConversations", request.filter, request.order_by)
        size, cursor = page_size(request.page_size), self._tokens.open(request.page_token, *bound)
        pools = await self._directory.everywhere(caller().tenant)
        pool, after = (cursor[0], cursor[1]) if cursor else (pools[0], None)
        following = next((p for p in pools if p > pool), None)

        def respond(engine: Engine) -> api.ListConversationsResponse:
            page = order.page(select(here(engine), terms), after, size)
            found = fitting(wire_api.view(engine, c.id) for c in page[:size])
            more = [pool, order.key(page[len(found) - 1])] if len(page) > len(found) else None
            last = more or ([following, None] if following else None)
            return api.ListConversationsResponse(
                conversations=found, next_page_token=self._tokens.seal(last, *bound) if last else ""
            )

        return await self._ask(request, context, pool, Read(pool, respond), "ListConversations")

    async def ListAgents(self, request: api.ListAgentsRequest, context: rpc.Context) -> Any:  # noqa: N802
        bound = (caller().tenant, "ListAgents", request.team)
        size, cursor = page_size(request.page_size), self._tokens.open(request.page_token, *bound)
        pools = await self._pools(context, request.team)
        pool, after = (cursor[0], cursor[1]) if cursor else (pools[0], "")
        following = next((p for p in pools if p > pool), None)

        def respond(engine: Engine) -> api.ListAgentsResponse:
            agents = engine.pool.agents
            named = sorted(
                a for a in agents if a > after and (not request.team or request.team in agents[a].config.teams)
            )
            found = fitting(wire_api.to_api_agent(agents[a]) for a in named[:size])
            more = [pool, named[len(found) - 1]] if len(named) > len(found) else None
            last = more or ([following, ""] if following else None)
            return api.ListAgentsResponse(agents=found, next_page_token=self._tokens.seal(last, *bound) if last else "")

        return await self._ask(request, context, pool, Read(pool, respond), "ListAgents")


def _parsed(request: asks.ListConversationsRequest) -> tuple[tuple[Term, ...], Order]:
    field = "filter"
    try:
        terms = parse(request.filter)
        field = "order_by"
        return terms, parse_order(request.order_by)
    except BadFilter as error:
        raise invalid_request(Violation(field, str(error))) from error


def _place(cursor: Sequence[Any]) -> Place:
    tier, strict, instant, ordinal, conversation_id = cursor
    return tier, strict, instant, ordinal, conversation_id
