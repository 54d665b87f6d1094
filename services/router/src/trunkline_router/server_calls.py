"""The way of every call: to the pool, to its owner, and the answer back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common import rpc
from trunkline_common.auth import caller
from trunkline_common.pages import PageTokens
from trunkline_common.postgres import Pool

from trunkline_router import commands, inputs, refusals, wire_api
from trunkline_router.directory import Directory
from trunkline_router.gate import Gate
from trunkline_router.inputs import Input
from trunkline_router.requests import RunCommand, as_asked
from trunkline_router.server_checks import actor_of, must_fit, must_name_itself
from trunkline_router.state import Engine

Complete = Callable[[Engine, Any], Any]


def as_it_is(_engine: Engine, body: Any) -> Any:
    """A command that names everything."""
    return body


class Calls:
    """What all handlers share. Which process owns the pool is the gate's business."""

    def __init__(self, gate: Gate, directory: Directory, tokens: PageTokens, log: Pool) -> None:
        self._gate, self._directory, self._tokens, self._log = gate, directory, tokens, log

    async def _pool(self, context: rpc.Context, resolve: Callable[..., Any], *names: Any) -> str:
        forwarded = self._gate.forwarded_key(rpc.metadata(context))
        return forwarded if forwarded is not None else str(await resolve(caller().tenant, *names))

    async def _pools(self, context: rpc.Context, team: str = "") -> list[str]:
        if team:
            return [await self._pool(context, self._directory.of_team, team)]
        return await self._directory.pools(caller().tenant)

    async def _ask(self, request: Any, context: rpc.Context, pool: str, content: Any, method: str) -> Any:
        return await self._gate.ask(pool, content, context, self._gate.forwarding(method, request, context))

    async def _command(
        self,
        request: Any,
        context: rpc.Context,
        body: inputs.ConversationCommand,
        *,
        complete: Complete = as_it_is,
        views: Mapping[str, str] | None = None,
        supervising: bool | None = None,
        **facts: str,
    ) -> Any:
        """A command on a conversation; the answer shows it, and what `views` names (field: conversation id)."""
        expected, named = request.expected_seq, request.conversation_id

        def completed(engine: Engine, asked: Input) -> Input:
            known = commands.known_conversation(engine, named)
            if expected and known.seq != expected:
                raise refusals.changed_meanwhile(known, expected)
            return replace(asked, body=complete(engine, body))

        def respond(engine: Engine) -> Message:
            shown = {"conversation": named, **(views or {})}
            made: Message = _response(request)(**{f: wire_api.view(engine, c) for f, c in shown.items()}, **facts)
            return made

        pool = await self._pool(context, self._directory.of_conversation, named)
        return await self._run(request, context, pool, body, respond, completed, supervising=supervising)

    async def _run(
        self,
        request: Any,
        context: rpc.Context,
        pool: str,
        body: inputs.Command,
        respond: Callable[[Engine], Message],
        complete: Callable[[Engine, Input], Input] = as_asked,
        *,
        supervising: bool | None = None,
    ) -> Any:
        must_fit(request)
        must_name_itself(request)
        who, method = caller(), _method(request)
        over_others = who.role != "agent" if supervising is None else supervising
        asked = Input(body, request.request_id, actor_of(who), supervising=over_others)
        fingerprint = hashlib.sha256(method.encode() + request.SerializeToString(deterministic=True)).digest()
        content = RunCommand(
            who.tenant, pool, request.request_id, fingerprint, asked, respond, _response(request), complete
        )
        return await self._ask(request, context, pool, content, method)


def _method(request: Any) -> str:
    return type(request).__name__.removesuffix("Request")


def _response(request: Any) -> Any:
    return getattr(api, f"{_method(request)}Response")
