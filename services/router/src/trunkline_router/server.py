"""gRPC RouterService: requests to inputs for the pool's owner, answers from the state after COMMIT."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from google.protobuf.message import Message
from trunkline.router.v1 import router_service_pb2 as api
from trunkline.router.v1.router_service_pb2_grpc import RouterServiceServicer, RouterServiceStub
from trunkline_common import rpc
from trunkline_common.auth import Caller, Role, caller
from trunkline_common.errors import Violation, invalid_request
from trunkline_common.pages import PageTokens, page_size

from trunkline_router import inputs, refusals, wire
from trunkline_router.directory import Directory
from trunkline_router.events import Actor, ActorType, Content, Presence
from trunkline_router.fold import Engine
from trunkline_router.gate import Gate
from trunkline_router.protomap import enum_name, read
from trunkline_router.requests import Read, RunCommand, Watch
from trunkline_router.watch import Watcher, Watchers

IDS = UUID("3e1b0b7e-5d8e-5a57-8a53-4a3f6b7b9c21")
DESK: tuple[Role, ...] = ("agent", "supervisor", "admin", "service")
MAX_COMMAND_BYTES = 256 * 1024  # as much as a customer may write
COMMAND = ("request_id", "conversation_id", "agent_id")
MAX_TEXT = 25_000  # characters, the most any channel takes (features: limits); also keeps events below a record's size

POLICY = {
    "SetAgentPresence": rpc.allow(*DESK, required=("request_id", "agent_id", "presence")),
    "AcceptOffer": rpc.allow(*DESK, required=(*COMMAND, "offer_id")),
    "DeclineOffer": rpc.allow(*DESK, required=(*COMMAND, "offer_id")),
    "SendReply": rpc.allow(*DESK, required=(*COMMAND, "content")),
    "AddNote": rpc.allow(*DESK, required=(*COMMAND, "text")),
    "TransferConversation": rpc.allow(*DESK, required=(*COMMAND, "to_team", "reason")),
    "ResolveConversation": rpc.allow(*DESK, required=COMMAND),
    "ReopenConversation": rpc.allow(*DESK, required=COMMAND),
    "GetConversation": rpc.allow(*DESK, required=("conversation_id",)),
    "ListQueue": rpc.allow(*DESK, required=("team",)),
    "ListAgents": rpc.allow(*DESK),
    "WatchAgent": rpc.allow(*DESK, required=("agent_id",)),
}
ACTORS = {"agent": ActorType.AGENT, "service": ActorType.SERVICE}


def actor_of(who: Caller) -> Actor:
    """Who acts: agents and supervisors are people at the desk."""
    return Actor(ACTORS.get(who.role, ActorType.AGENT), who.subject)


def derived_id(request: Any) -> str:
    """The id of what a command makes: the same for the same request_id."""
    return str(uuid5(IDS, f"{caller().tenant}/{request.request_id}"))


def limited(field: str, text: str) -> str:
    """The text, if it is not too long."""
    if len(text) > MAX_TEXT:
        raise invalid_request(Violation(field, f"must have at most {MAX_TEXT} characters"))
    return text


def content_of(request: api.SendReplyRequest) -> Content:
    """What is to be said; it must not be empty."""
    limited("content.text", request.content.text)
    limited("content.subject", request.content.subject)
    if not request.content.text.strip() and not request.content.attachments:
        raise invalid_request(Violation("content.text", "must not be empty without attachments"))
    return read(Content, request.content)


def must_fit(request: Message) -> None:
    """What is decided is published: a record that the broker refuses would hold up everything after it."""
    if (size := request.ByteSize()) > MAX_COMMAND_BYTES:
        limit = f"has {size} bytes; send at most {MAX_COMMAND_BYTES}, and files as references"
        raise invalid_request(Violation("request", limit))


class RouterServer(RouterServiceServicer):
    """Handlers. Which process owns the pool is the gate's business."""

    def __init__(self, gate: Gate, directory: Directory, tokens: PageTokens) -> None:
        self._gate, self._directory, self._tokens = gate, directory, tokens

    # -- commands

    async def SetAgentPresence(  # noqa: N802 - the name of the rpc
        self, request: api.SetAgentPresenceRequest, context: rpc.Context
    ) -> api.SetAgentPresenceResponse:
        body = inputs.SetPresence(request.agent_id, Presence(enum_name(request, "presence")))

        def respond(engine: Engine) -> Message:
            return api.SetAgentPresenceResponse(agent=wire.to_api_agent(engine.pool.agents[request.agent_id]))

        pool = await self._pool(context, self._directory.of_agent, request.agent_id)
        found: api.SetAgentPresenceResponse = await self._run(request, context, pool, body, respond)
        return found

    async def AcceptOffer(self, request: api.AcceptOfferRequest, context: rpc.Context) -> Any:  # noqa: N802
        body = inputs.AcceptOffer(request.conversation_id, request.offer_id, request.agent_id)
        return await self._command(request, context, body, api.AcceptOfferResponse)

    async def DeclineOffer(self, request: api.DeclineOfferRequest, context: rpc.Context) -> Any:  # noqa: N802
        body = inputs.DeclineOffer(
            request.conversation_id, request.offer_id, request.agent_id, limited("reason", request.reason)
        )
        return await self._command(request, context, body, api.DeclineOfferResponse)

    async def SendReply(self, request: api.SendReplyRequest, context: rpc.Context) -> Any:  # noqa: N802
        message_id = derived_id(request)
        body = inputs.SendReply(request.conversation_id, request.agent_id, message_id, content_of(request))
        return await self._command(request, context, body, api.SendReplyResponse, message_id=message_id)

    async def AddNote(self, request: api.AddNoteRequest, context: rpc.Context) -> Any:  # noqa: N802
        note_id = derived_id(request)
        body = inputs.AddNote(request.conversation_id, request.agent_id, note_id, limited("text", request.text))
        return await self._command(request, context, body, api.AddNoteResponse, note_id=note_id)

    async def TransferConversation(  # noqa: N802
        self, request: api.TransferConversationRequest, context: rpc.Context
    ) -> Any:
        body = inputs.Transfer(
            request.conversation_id, request.agent_id, request.to_team, limited("reason", request.reason)
        )
        return await self._command(request, context, body, api.TransferConversationResponse)

    async def ResolveConversation(  # noqa: N802
        self, request: api.ResolveConversationRequest, context: rpc.Context
    ) -> Any:
        body = inputs.Resolve(request.conversation_id, request.agent_id)
        return await self._command(request, context, body, api.ResolveConversationResponse)

    async def ReopenConversation(self, request: api.ReopenConversationRequest, context: rpc.Context) -> Any:  # noqa: N802
        body = inputs.Reopen(request.conversation_id, request.agent_id)
        return await self._command(request, context, body, api.ReopenConversationResponse)

    async def _command(
        self, request: Any, context: rpc.Context, body: inputs.Command, response: Any, **facts: str
    ) -> Any:
        def respond(engine: Engine) -> Message:
            conversation = engine.pool.conversations[request.conversation_id]
            made: Message = response(conversation=wire.to_api_conversation(conversation, engine.pool.id), **facts)
            return made

        pool = await self._pool(context, self._directory.of_conversation, request.conversation_id)
        return await self._run(request, context, pool, body, respond)

    async def _run(
        self,
        request: Any,
        context: rpc.Context,
        pool: str,
        body: inputs.Command,
        respond: Callable[[Engine], Message],
    ) -> Any:
        must_fit(request)
        who, method = caller(), type(request).__name__.removesuffix("Request")
        asked = inputs.Input(body, request.request_id, actor_of(who), supervising=who.role != "agent")
        fingerprint = hashlib.sha256(method.encode() + request.SerializeToString(deterministic=True)).digest()
        response = getattr(api, f"{method}Response")
        content = RunCommand(who.tenant, pool, request.request_id, fingerprint, asked, respond, response)
        return await self._ask(request, context, pool, content, method)

    # -- reads

    async def GetConversation(self, request: api.GetConversationRequest, context: rpc.Context) -> Any:  # noqa: N802
        def respond(engine: Engine) -> api.GetConversationResponse:
            conversation = engine.pool.conversations.get(request.conversation_id)
            if conversation is None:
                raise refusals.no_conversation(request.conversation_id)
            return api.GetConversationResponse(conversation=wire.to_api_conversation(conversation, engine.pool.id))

        pool = await self._pool(context, self._directory.of_conversation, request.conversation_id)
        return await self._ask(request, context, pool, Read(pool, respond), "GetConversation")

    async def ListQueue(self, request: api.ListQueueRequest, context: rpc.Context) -> Any:  # noqa: N802
        bound = (caller().tenant, "ListQueue", request.team)
        size, cursor = page_size(request.page_size), self._tokens.open(request.page_token, *bound)

        def respond(engine: Engine) -> api.ListQueueResponse:
            places = engine.waiting.of(request.team)
            start = bisect_right(places, (datetime.fromisoformat(cursor[0]), *cursor[1:])) if cursor else 0
            page = places[start : start + size]
            found = [wire.to_api_conversation(engine.pool.conversations[c], engine.pool.id) for _, _, c in page]
            last = [page[-1][0].isoformat(), *page[-1][1:]] if start + size < len(places) else None
            return api.ListQueueResponse(
                conversations=found, next_page_token=self._tokens.seal(last, *bound) if last else ""
            )

        pool = await self._pool(context, self._directory.of_team, request.team)
        return await self._ask(request, context, pool, Read(pool, respond), "ListQueue")

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
            found = [wire.to_api_agent(agents[a]) for a in named[:size]]
            last = [pool, named[size - 1]] if len(named) > size else [following, ""] if following else None
            return api.ListAgentsResponse(agents=found, next_page_token=self._tokens.seal(last, *bound) if last else "")

        return await self._ask(request, context, pool, Read(pool, respond), "ListAgents")

    async def WatchAgent(  # noqa: N802
        self, request: api.WatchAgentRequest, context: rpc.Context
    ) -> AsyncIterator[api.WatchAgentResponse]:
        pool = await self._pool(context, self._directory.of_agent, request.agent_id)
        if not self._gate.owns(pool):
            async for response in self._gate.stream(pool, context, request):
                yield response
            return
        snapshot, watcher, watchers = await self._ask(request, context, pool, _watch(pool, request.agent_id), "")
        try:
            yield snapshot
            while True:
                yield await watcher.next()
        finally:
            watchers.remove(watcher)

    # -- to the owner

    async def _pool(self, context: rpc.Context, resolve: Callable[[str, str], Any], name: str) -> str:
        forwarded = self._gate.forwarded_key(rpc.metadata(context))
        return forwarded if forwarded is not None else str(await resolve(caller().tenant, name))

    async def _pools(self, context: rpc.Context, team: str) -> list[str]:
        if team:
            return [await self._pool(context, self._directory.of_team, team)]
        return await self._directory.pools(caller().tenant)

    async def _ask(self, request: Any, context: rpc.Context, pool: str, content: Any, method: str) -> Any:
        def forward(channel: rpc.Channel, metadata: Any) -> Any:
            return getattr(RouterServiceStub(channel), method)(
                request, metadata=metadata, timeout=context.time_remaining() or rpc.UNARY_CAP_SECONDS
            )

        return await self._gate.ask(pool, content, context, forward)


def _watch(pool: str, agent_id: str) -> Watch:
    def subscribe(engine: Engine, watchers: Watchers) -> tuple[api.WatchAgentResponse, Watcher, Watchers]:
        agent = engine.pool.agents.get(agent_id)
        if agent is None:
            raise refusals.no_agent(agent_id)
        held = [engine.pool.conversations[c] for c in sorted(agent.holds)]
        snapshot = api.AgentSnapshot(
            agent=wire.to_api_agent(agent), conversations=[wire.to_api_conversation(c, pool) for c in held]
        )
        watcher = Watcher(pool, agent_id)
        watchers.add(watcher)
        return api.WatchAgentResponse(pool_seq=engine.pool.seq, snapshot=snapshot), watcher, watchers

    return Watch(pool, subscribe)
