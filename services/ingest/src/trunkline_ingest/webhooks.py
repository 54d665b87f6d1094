"""HTTP: raw bytes -> verify -> parse -> normalise -> Kafka's acknowledgement -> 2xx, in this order and no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from opentelemetry.trace import SpanKind
from trunkline_common import telemetry
from trunkline_common.clock import Clock
from trunkline_common.errors import Violation

from trunkline_ingest.accounts import Account, Directory
from trunkline_ingest.channels import CHANNELS
from trunkline_ingest.channels.adapter import Adapter, Answer, Arrival, BadSignature, InvalidBody, Raw
from trunkline_ingest.defects import log_defect
from trunkline_ingest.publisher import KafkaDown, Publisher, publish_facts
from trunkline_ingest.secret_files import SecretFiles, SecretMissing

log = structlog.get_logger(__name__)

ROUTE = "/webhooks/{channel}/{tenant}/{account}"
MAX_BODY = 1024 * 1024
BODY_SECONDS = 10
RETRY_AFTER_SECONDS = 5


class Refusal(Exception):
    """A request that is not accepted, and what its sender is told."""

    def __init__(
        self,
        status: int,
        reason: str,
        *,
        fields: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.fields, self.headers = status, reason, tuple(fields), dict(headers or {})

    def response(self) -> web.Response:
        """The answer, as JSON."""
        fields = [{"field": v.field, "description": v.description} for v in self.fields]
        text = json.dumps({"reason": self.reason, "fields": fields} if fields else {"reason": self.reason})
        return web.Response(status=self.status, text=text, content_type="application/json", headers=self.headers)


class Webhooks:
    """The handlers. What they need comes in, so that tests give a publisher of their own."""

    def __init__(self, directory: Directory, secrets: SecretFiles, publisher: Publisher, clock: Clock) -> None:
        self._directory, self._secrets, self._publisher, self._clock = directory, secrets, publisher, clock

    def app(self) -> web.Application:
        """The application; a body over the cap is refused before it is hashed."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post(ROUTE, self._answer)
        app.router.add_get(ROUTE, self._answer, allow_head=False)
        app.router.add_get("/healthz", _healthy)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        """A trace begins here: what a stranger sends as traceparent is not believed."""
        asked, method = request.match_info["channel"], request.method
        channel = asked if asked in CHANNELS else "unknown"
        attributes = {"http.request.method": method, "http.route": ROUTE}
        with telemetry.server_span(f"{method} /webhooks/{channel}", None, SpanKind.SERVER, attributes) as span:
            try:
                response = await (self._receive(request) if method == "POST" else self._shake(request))
            except Exception as error:  # noqa: BLE001 - the edge: whatever it is, it has an answer
                refusal = _to_refusal(error)
                telemetry.count("trunkline.webhook.refused", 1, channel=channel, status=str(refusal.status))
                response = refusal.response()
            span.set_attribute("http.response.status_code", response.status)
            return response

    async def _receive(self, request: web.Request) -> web.Response:
        adapter, account = self._addressed(request)
        if adapter.accepted is None:
            raise Refusal(404, "UNKNOWN_CHANNEL")
        raw = await _raw(request)
        secret = await self._secret(account, adapter.secret) if adapter.secret else ""
        adapter.verify(raw, account.config, secret)
        payload = adapter.parse(raw)
        arrival = Arrival(account.tenant, account.pool, account.config, self._clock(), account.priorities)
        facts = adapter.normalise(payload, arrival)
        return _response(adapter.accepted(await publish_facts(self._publisher, facts, arrival)))

    async def _shake(self, request: web.Request) -> web.Response:
        adapter, account = self._addressed(request)
        if adapter.handshake is None:
            raise Refusal(405, "METHOD_NOT_ALLOWED", headers={"Allow": "POST"})
        secret = await self._secret(account, "verify_token")
        try:
            return _response(adapter.handshake(await _raw(request), secret))
        except BadSignature:
            raise Refusal(403, "WRONG_VERIFY_TOKEN") from None

    def _addressed(self, request: web.Request) -> tuple[Adapter, Account]:
        place = request.match_info
        adapter = CHANNELS.get(place["channel"])
        account = self._directory.find(place["tenant"], place["account"])
        if adapter is None or account is None or account.config.channel != adapter.name:
            raise Refusal(404, "UNKNOWN_ACCOUNT")
        return adapter, account

    async def _secret(self, account: Account, purpose: str) -> str:
        return await self._secrets.read(account.tenant, account.config, purpose)


def _to_refusal(error: Exception) -> Refusal:
    """What the sender is told about an exception."""
    match error:
        case Refusal():
            return error
        case BadSignature():
            return Refusal(401, "BAD_SIGNATURE")
        case InvalidBody():
            return Refusal(400, "INVALID_BODY", fields=error.violations)
        case KafkaDown():
            return Refusal(503, "KAFKA_DOWN", headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        case SecretMissing():
            log.error(
                "secret missing", tenant=error.tenant, account=error.account, purpose=error.purpose, file=error.file
            )
            return Refusal(500, "SECRET_MISSING")
        case _:
            log_defect("a webhook failed", error)
            return Refusal(500, "INTERNAL")


async def _raw(request: web.Request) -> Raw:
    try:
        body = await _body(request)
    except web.HTTPRequestEntityTooLarge:
        raise Refusal(413, "TOO_LARGE") from None
    except TimeoutError:
        raise Refusal(408, "TOO_SLOW") from None
    return Raw(request.method, f"{request.scheme}://{request.host}", request.raw_path, request.headers, body)


async def _body(request: web.Request) -> bytes:
    if request.content.is_eof():  # it came with the head: nothing to wait for
        return await request.read()
    async with asyncio.timeout(BODY_SECONDS):
        return await request.read()


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, text=answer.text, content_type=answer.content_type)


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


@asynccontextmanager
async def serve(webhooks: Webhooks, listen: str) -> AsyncIterator[str]:
    """The started server's address. On leaving, requests in hand get 5 s."""
    # What is signed is what was sent: a compressed body is not unpacked.
    runner = web.AppRunner(webhooks.app(), access_log=None, auto_decompress=False, shutdown_timeout=5.0)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    try:
        await web.TCPSite(runner, host, int(port), backlog=1024).start()
        yield "{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()
