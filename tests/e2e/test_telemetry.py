"""Telemetry is a contract: one message through the running system, and what every service reports of it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from trunkline.sla.v1.sla_event_pb2 import SlaEvent
from trunkline_common.kafka import Outgoing, Producer
from trunkline_common.telemetry import METRICS

from deploy.local.demo_config import DEMO_TENANT, TENANT, account_of, make_secrets
from deploy.local.otlp import Receiver, Series
from deploy.local.services import Services, secrets_folder
from deploy.local.spans import Span, render_tree
from deploy.local.stack import Stack
from tests import kit
from tests.doubles.twilio import TwilioDouble

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

SERVICES = ("ingest", "router", "timeline", "sla", "insights")
PHONE, TEXT = "+15550177", "The blue kettle leaks"
CANARIES = (PHONE.removeprefix("+"), "kettle")
WEBHOOK, INBOUND, LOG, SLA = "POST /webhooks/sms", "trunkline.inbound.v1", "trunkline.conversations.v1", "trunkline.sla.v1"
POISON = 3

#: The attributes that spans may have: OpenTelemetry's own names, and ours of numbers and ids that name no person.
ALLOWED = {
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "messaging.consumer.group.name",
    "messaging.destination.name",
    "messaging.destination.partition.id",
    "messaging.kafka.offset",
    "messaging.message.id",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "rpc.status_code",
    "rpc.system.name",
    "trunkline.conversation_id",
    "trunkline.late_ms",
    "trunkline.sla.metric",
}
KINDS = {"POST": "server", "send": "producer", "process": "consumer", "fire": "internal"}


@dataclass(frozen=True, slots=True)
class Observed:
    """What was reported. `trace` is the message's; `poison` names the traces of records that were refused."""

    spans: list[Span]
    trace: list[Span]
    series: Iterable[Series]
    poison: frozenset[str]
    logs: Mapping[str, list[str]]

    def of(self, name: str, service: str = "") -> list[Span]:
        """The message's spans of that name, by that service where one is given."""
        return [s for s in self.trace if s.name == name and s.service.endswith(service)]

    def lines(self, service: str, event: str) -> list[dict[str, Any]]:
        """A service's log lines that say so."""
        return [line for line in map(json.loads, self.logs[service]) if line["event"] == event]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Observed]:
    """An SMS that nobody answers, a webhook whose secret is missing, and records that nobody can read."""
    folder = tmp_path_factory.mktemp("telemetry")
    async with Stack(folder) as stack, Receiver() as otlp:
        async with Services(stack, env={"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint}) as services:
            await services.start_all(SERVICES)
            await kit.apply_config(services, TENANT, configuration(folder))
            poison = await send_poison(stack.bootstrap)
            await write(services, folder)
            await kit.eventually(lambda: breached(stack.bootstrap), what="the breach", seconds=30)
            await kit.eventually(lambda: complete(otlp), what="the message's trace", seconds=15)
        logs = {name: (folder / "logs" / f"{name}.log").read_text().splitlines() for name in SERVICES}
        yield Observed(otlp.spans, otlp.trace(trace_id(otlp)), otlp.series, poison, logs)


def configuration(folder: Path) -> str:
    """The demo tenant with a promise of two seconds; the secret of its WhatsApp account is missing."""
    text = DEMO_TENANT.read_text().replace("first_response_s: 10", "first_response_s: 2")
    assert "first_response_s: 2," in text
    make_secrets(yaml.safe_load(text), folder)
    (secrets_folder(folder, TENANT) / "wa-app-secret").unlink()
    return text


async def send_poison(bootstrap: str) -> frozenset[str]:
    """Records that cannot be decoded, each in a trace of its own, on the two inner topics."""
    traces = [secrets.token_hex(16) for _ in range(POISON)]
    value = b"\xff" + f"{PHONE} {TEXT}".encode()
    async with Producer(bootstrap, "test") as producer:
        for topic in (INBOUND, LOG):
            for trace in traces:
                headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01".encode()}
                await producer.send(Outgoing(topic, b"poison", value, headers), timeout=15)
    return frozenset(traces)


async def write(services: Services, folder: Path) -> None:
    """The customer's SMS, once ingest knows the tenant."""
    account = account_of(yaml.safe_load(DEMO_TENANT.read_text()), "sms") or {}
    token = (secrets_folder(folder, TENANT) / account["secrets"]["auth_token"]).read_text().strip()
    hooks = f"http://{services.address('ingest', 'http')}/webhooks"
    async with TwilioDouble(account_sid=account["options"]["account_sid"], auth_token=token) as twilio:

        async def known() -> bool:
            return await twilio.post_webhook(f"{hooks}/sms/{TENANT}/sms-main", {}, signed_url="another") == 401

        await kit.eventually(known, what="the account at ingest")
        await twilio.post_text(f"{hooks}/sms/{TENANT}/sms-main", PHONE, account["options"]["number"], TEXT)
    async with aiohttp.ClientSession() as http, http.post(f"{hooks}/whatsapp/{TENANT}/wa-main", data=TEXT) as answer:
        assert answer.status == 500


async def breached(bootstrap: str) -> bool:
    """Whether the promise's breach is published."""
    facts = [SlaEvent.FromString(record.value) for record in await kit.read_topic(bootstrap, SLA)]
    return any(fact.HasField("breached") for fact in facts)


def trace_id(otlp: Receiver) -> str:
    """The trace that began with the accepted SMS."""
    accepted = [s for s in otlp.spans if s.name == WEBHOOK and s.attributes["http.response.status_code"] == 200]
    return accepted[0].trace_id if len(accepted) == 1 else ""


async def complete(otlp: Receiver) -> bool:
    """Whether the last span of each branch has come, and metrics of every service."""
    trace = otlp.trace(trace_id(otlp))
    fired = {s.span_id for s in trace if s.name == "fire breached"}
    told = any(s.name == f"send {SLA}" and s.parent_span_id in fired for s in trace)
    readers = {s.service for s in trace if s.name == f"process {LOG}"}
    return told and len(readers) == 3 and len({series.service for series in otlp.series}) == len(SERVICES)


async def test_dump(seen: Observed) -> None:
    import pickle
    Path("/tmp/t/seen.pickle").write_bytes(pickle.dumps((seen.spans, seen.trace, list(seen.series), seen.logs, seen.poison)))
    print(render_tree(seen.spans, seen.trace[0].trace_id))
