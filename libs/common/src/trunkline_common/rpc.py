"""gRPC: the server with its checks in their order, the client channel. With rpc_errors the home of grpc."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from google.protobuf import descriptor
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from opentelemetry.trace import SpanKind

from trunkline_common import telemetry
from trunkline_common.auth import Authenticator, Caller, Role, caller, set_caller
from trunkline_common.errors import Refused, Violation, invalid_request
from trunkline_common.rpc_errors import to_refused, to_status
from trunkline_common.text import with_nul

log = structlog.get_logger(__name__)

UNARY_CAP_SECONDS = 30.0
MAX_ID = 200  # characters of an id in a request
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
OPEN_SERVICES = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")
FORWARDED = "trunkline-forwarded"
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
]
RETRY_POLICY = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}

Context = grpc.aio.ServicerContext[Any, Any]
Channel = grpc.aio.Channel
Handler = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Allow:
    """Who may call a method and which fields it cannot do without. A method without an entry is denied to all.

    `any_text`: its handler cleans what it is given, NUL too; all others are never given a NUL.
    """

    roles: frozenset[Role]
    required: tuple[str, ...] = ()
    any_text: bool = False


def allow(*roles: Role, required: tuple[str, ...] = (), any_text: bool = False) -> Allow:
    """An entry of a service's policy."""
    return Allow(frozenset(roles), required, any_text)


@dataclass(frozen=True, slots=True)
class Service:
    """A gRPC service to serve: its descriptor, its handlers, how to add them, and its policy by method name."""

    descriptor: descriptor.ServiceDescriptor
    servicer: object
    add: Callable[[Any, grpc.aio.Server], None]
    policy: Mapping[str, Allow]


@asynccontextmanager
async def serve(listen: str, auth: Authenticator, services: Sequence[Service]) -> AsyncIterator[Server]:
    """A started server, NOT_SERVING until told otherwise. Leaving drains it: 5 s for the calls in hand."""
    policies = {f"/{s.descriptor.full_name}/{m}": a for s in services for m, a in s.policy.items()}
    server = grpc.aio.server(interceptors=[_Checks(auth, policies)], options=OPTIONS, maximum_concurrent_rpcs=1000)
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    for service in services:
        service.add(service.servicer, server)
    names = [s.descriptor.full_name for s in services]
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port(listen)
    running = Server(checks, ["", "readiness", *names], f"{listen.rpartition(':')[0]}:{port}")
    await running.set(serving=False)
    await checks.set("liveness", health_pb2.HealthCheckResponse.SERVING)
    await server.start()
    try:
        yield running
    finally:
        await checks.enter_graceful_shutdown()
        await server.stop(5)


class Server:
    """A running server: its address and its health."""

    def __init__(self, checks: Any, names: Sequence[str], address: str) -> None:
        self._checks, self._names, self.address = checks, names, address

    async def set(self, *, serving: bool) -> None:
        """Tell health checks whether this process can answer."""
        states = health_pb2.HealthCheckResponse
        for name in self._names:
            await self._checks.set(name, states.SERVING if serving else states.NOT_SERVING)


class _Checks(grpc.aio.ServerInterceptor):
    """Every call passes, in this order: deadline cap, authentication, tenant, role, validation; then the handler."""

    def __init__(self, auth: Authenticator, policies: Mapping[str, Allow]) -> None:
        self._auth, self._policies = auth, policies

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.split("/")[1] in OPEN_SERVICES:
            return handler
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(details.method, handler.unary_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(details.method, handler.unary_unary), handler.request_deserializer, handler.response_serializer
        )

    def _unary(self, method: str, behave: Handler) -> Handler:
        async def call(request: Message, context: Context) -> Any:
            remaining = context.time_remaining()
            cap = UNARY_CAP_SECONDS if remaining is None else min(remaining, UNARY_CAP_SECONDS)
            async with _observed(method, context):
                async with asyncio.timeout(cap):
                    await self._check(method, request, context)
                    return await behave(request, context)

        return call

    def _streaming(self, method: str, behave: Handler) -> Handler:
        async def call(request: Message, context: Context) -> AsyncIterator[Any]:
            async with _observed(method, context):
                await self._check(method, request, context)
                async for response in behave(request, context):
                    yield response

        return call

    async def _check(self, method: str, request: Message, context: Context) -> None:
        given = metadata(context)
        who = await self._auth.verify(given.get("authorization", ""), given.get("trunkline-tenant", ""))
        set_caller(who)
        authorize(self._policies.get(method), method, who, request)
        must_be_short(request)
        policy = self._policies[method]
        validate(request, policy.required, any_text=policy.any_text)


def metadata(context: Context) -> dict[str, str]:
    """The text metadata of a call."""
    return {k: v for k, v in context.invocation_metadata() or () if isinstance(v, str)}


def authorize(policy: Allow | None, method: str, who: Caller, request: Message) -> None:
    """Deny by default; an agent may only speak for itself."""
    if policy is None or who.role not in policy.roles:
        raise Refused(
            "PERMISSION_DENIED",
            "ROLE_FORBIDDEN",
            f"role {who.role} may not call {method}",
            metadata={"method": method, "role": who.role},
        )
    named = getattr(request, "agent_id", None)
    if who.role == "agent" and named and named != who.subject:
        raise Refused(
            "PERMISSION_DENIED",
            "ROLE_FORBIDDEN",
            f"an agent may only act as itself, {who.subject}",
            metadata={"method": method, "role": who.role},
        )


def must_be_short(request: Message) -> None:
    """An id longer than any that exists is not looked for."""
    texts = {field.name: value for field, value in request.ListFields() if isinstance(value, str)}
    long = [name for name, value in texts.items() if name.endswith("_id") and len(value) > MAX_ID]
    if long:
        raise invalid_request(*(Violation(name, f"must have at most {MAX_ID} characters") for name in long))


def validate(request: Message, required: Sequence[str], *, any_text: bool = False) -> None:
    """Every required field is set, no text holds a NUL, request_id is a UUID; all violations at once.

    A request_id is the same in upper case: from here on it is in lower case.
    """
    problems = [Violation(name, "is required") for name in required if not _is_set(request, name)]
    if not any_text:
        problems += [Violation(path, "must not hold a NUL character") for path in with_nul(request)]
    request_id = getattr(request, "request_id", "")
    if request_id and not _is_uuid(request_id):
        problems.append(Violation("request_id", "must be a UUID, the same one on every retry"))
    if problems:
        raise invalid_request(*problems)
    if request_id:
        request.request_id = request_id.lower()  # type: ignore[attr-defined] # it has one


def _is_set(message: Message, path: str) -> bool:
    name, _, rest = path.partition(".")
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.message_type is not None and not field.is_repeated:
        return message.HasField(name) and (not rest or _is_set(getattr(message, name), rest))
    return bool(getattr(message, name))


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


@asynccontextmanager
async def _observed(method: str, context: Context) -> AsyncIterator[None]:
    """A server span, a duration, and every exception turned into an AIP-193 error."""
    began = time.perf_counter()
    parent = telemetry.parse_traceparent(metadata(context).get("traceparent", ""))
    with telemetry.server_span(method.lstrip("/"), parent, SpanKind.SERVER, {"rpc.system.name": "grpc"}) as span:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - every failure of a call becomes a status; none is dropped
            refused = to_refused(error, method)
            span.set_attribute("rpc.status_code", refused.code)
            await _abort(context, refused)
        finally:
            telemetry.observe("rpc.server.call.duration", time.perf_counter() - began, method=method)


async def _abort(context: Context, refused: Refused) -> None:
    status = rpc_status.to_status(to_status(refused))
    await context.abort(status.code, status.details, status.trailing_metadata)


def channel(target: str) -> Channel:
    """A client channel with round robin and retries of UNAVAILABLE."""
    return grpc.aio.insecure_channel(target, [*OPTIONS, ("grpc.service_config", json.dumps(RETRY_POLICY))])


def plain_channel(target: str) -> Channel:
    """A client channel that never retries by itself: for calls whose caller decides what UNAVAILABLE means."""
    return grpc.aio.insecure_channel(target, [*OPTIONS, ("grpc.enable_retries", 0)])


def as_service(token: str, tenant: str) -> list[tuple[str, str]]:
    """Metadata of a call one of our services makes for a tenant, with the trace it belongs to."""
    found = [("authorization", f"Bearer {token}"), ("trunkline-tenant", tenant)]
    parent = telemetry.traceparent()
    return [*found, ("traceparent", parent)] if parent else found


def as_caller() -> list[tuple[str, str]]:
    """Metadata that forwards the call being handled, once, as its caller."""
    who = caller()
    return [*as_service(who.token, who.tenant), (FORWARDED, "1")]
