"""RouterService: what is done with a conversation by who has it, and what is known of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common import rpc
from trunkline_common.auth import caller
from trunkline_common.errors import Violation, invalid_request

from trunkline_router import inputs, threads, wire_api
from trunkline_router.facts import Attributes, Contact
from trunkline_router.protomap import read
from trunkline_router.server_calls import Calls
from trunkline_router.server_checks import (
    MAX_NAME,
    MAX_VALUE,
    content_of,
    derived_id,
    instant,
    limited,
    must_be_priority,
    names,
)
from trunkline_router.state import Engine
from trunkline_router.typing_indicator import ShowTyping


class ConversationCalls(Calls):
    """Handlers."""

    async def AcceptOffer(self, request: api.AcceptOfferRequest, context: rpc.Context) -> Any:  # noqa: N802
        body = inputs.AcceptOffer(request.conversation_id, request.offer_id, request.agent_id)
        return await self._command(request, context, body)

    async def DeclineOffer(self, request: api.DeclineOfferRequest, context: rpc.Context) -> Any:  # noqa: N802
        reason = limited("reason", request.reason)
        body = inputs.DeclineOffer(request.conversation_id, request.offer_id, request.agent_id, reason)
        return await self._command(request, context, body)

    async def SendReply(self, request: api.SendReplyRequest, context: rpc.Context) -> Any:  # noqa: N802
        message_id = derived_id(request)
        body = inputs.SendReply(
            request.conversation_id, request.agent_id, message_id, content_of(request), request.answers_through_seq
        )
        return await self._command(request, context, body, message_id=message_id)

    async def SetTyping(self, request: asks.SetTypingRequest, context: rpc.Context) -> Any:  # noqa: N802
        pool = await self._pool(context, self._directory.of_conversation, request.conversation_id)
        shown = ShowTyping(
            pool, request.conversation_id, request.agent_id, request.on, supervising=caller().role != "agent"
        )
        await self._ask(request, context, pool, shown, "SetTyping")
        return api.SetTypingResponse()

    async def AddNote(self, request: api.AddNoteRequest, context: rpc.Context) -> Any:  # noqa: N802
        note_id = derived_id(request)
        body = inputs.AddNote(request.conversation_id, request.agent_id, note_id, limited("text", request.text))
        return await self._command(request, context, body, note_id=note_id)

    async def SnoozeConversation(  # noqa: N802
        self, request: asks.SnoozeConversationRequest, context: rpc.Context
    ) -> Any:
        body = inputs.Snooze(request.conversation_id, request.agent_id, instant("until", request.until))
        return await self._command(request, context, body)

    async def WakeConversation(self, request: asks.WakeConversationRequest, context: rpc.Context) -> Any:  # noqa: N802
        body = inputs.Wake(request.conversation_id, request.agent_id)
        return await self._command(request, context, body)

    async def ResolveConversation(  # noqa: N802
        self, request: api.ResolveConversationRequest, context: rpc.Context
    ) -> Any:
        body = _resolve_of(request)
        return await self._command(request, context, body, message_id=body.message_id)

    async def ReopenConversation(self, request: api.ReopenConversationRequest, context: rpc.Context) -> Any:  # noqa: N802
        body = inputs.Reopen(request.conversation_id, request.agent_id)
        return await self._command(request, context, body)

    async def ChangeAttributes(self, request: asks.ChangeAttributesRequest, context: rpc.Context) -> Any:  # noqa: N802
        return await self._command(request, context, _change_of(request), complete=_known_priority)

    async def StartConversation(  # noqa: N802
        self, request: asks.StartConversationRequest, context: rpc.Context
    ) -> Any:
        message_id = derived_id(request)
        body = _start_of(request, message_id)

        def respond(engine: Engine) -> api.StartConversationResponse:
            shown = wire_api.view(engine, body.conversation_id)
            return api.StartConversationResponse(conversation=shown, message_id=message_id)

        pool = await self._pool(context, self._directory.of_account, request.channel, request.account)
        return await self._run(request, context, pool, body, respond)


def _resolve_of(request: api.ResolveConversationRequest) -> inputs.Resolve:
    closes = request.WhichOneof("closing")
    return inputs.Resolve(
        request.conversation_id,
        request.agent_id,
        message_id=derived_id(request) if request.closing_text or closes == "closing_content" else "",
        closing=content_of(request, "closing_content") if closes == "closing_content" else None,
        closing_text=request.closing_text,
        waive_reason=limited("waive_reason", request.waive_reason.strip(), MAX_VALUE),
    )


def _change_of(request: asks.ChangeAttributesRequest) -> inputs.ChangeAttributes:
    set_names = names("set_values", request.set_values)
    values = [(n, limited(f"set_values.{n}", request.set_values[n], MAX_VALUE)) for n in set_names]
    removed = [(name, None) for name in names("remove_values", request.remove_values)]
    allowed = request.HasField("allowed_agents")
    return inputs.ChangeAttributes(
        request.conversation_id,
        request.agent_id,
        set_values=(*sorted(values), *sorted(removed)),
        add_tags=names("add_tags", request.add_tags),
        remove_tags=names("remove_tags", request.remove_tags),
        priority=limited("priority", request.priority, MAX_NAME) if request.HasField("priority") else None,
        language=limited("language", request.language, MAX_NAME) if request.HasField("language") else None,
        allowed_agents=names("allowed_agents", request.allowed_agents.agent_ids) if allowed else None,
    )


def _known_priority(engine: Engine, body: inputs.ChangeAttributes) -> inputs.ChangeAttributes:
    """One of the configuration's, or a number of seconds."""
    if body.priority is not None:
        must_be_priority(body.priority, dict(engine.pool.config.priorities))
    return body


def _start_of(request: asks.StartConversationRequest, message_id: str) -> inputs.StartConversation:
    consent = limited("consent", request.consent.strip(), MAX_VALUE)
    if not consent:
        raise invalid_request(Violation("consent", "must say where the person agreed to be written to"))
    limited("contact.address", request.contact.address, MAX_VALUE)
    limited("contact.display_name", request.contact.display_name, MAX_VALUE)
    channel, address = request.channel, request.contact.address
    key = request.thread_key or threads.thread_key(channel, address, message_id)
    return inputs.StartConversation(
        threads.conversation_id(caller().tenant, channel, request.account, limited("thread_key", key, MAX_VALUE)),
        request.agent_id,
        channel,
        request.account,
        read(Contact, request.contact),
        message_id,
        content_of(request),
        attributes=replace(Attributes(), values=(("consent", consent),)),
    )
