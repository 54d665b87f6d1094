"""Telemetry is a contract: one message through the running system, and what every service reports of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
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
WEBHOOK, INBOUND, LOG, SLA = (
    "POST /webhooks/sms",
    "trunkline.inbound.v1",
    "trunkline.conversations.v1",
    "trunkline.sla.v1",
)
LOOKUP = "trunkline.timeline.v1.TimelineService/LookupCustomer"
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
#: By the first word of a name; a span named after a gRPC method is a server's.
KINDS = {"POST": "server", "send": "producer", "process": "consumer", "fire": "internal"}


@dataclass(frozen=True, slots=True)
class Observed:
    """What was reported. `trace` is the message's; `poison` names the traces of records that were refused."""

    spans: list[Span]
    trace: list[Span]
    series: Iterable[Series]
    poison: frozenset[str]
    logs: Mapping[str, list[str]]

    def of(self, name: str) -> list[Span]:
        """The message's spans of that name."""
        return [s for s in self.trace if s.name == name]

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
    text = DEMO_TENANT.read_text().replace("first_response: {target_s: 10}", "first_response: {target_s: 2}")
    assert "first_response: {target_s: 2}" in text
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


async def test_one_trace_runs_from_the_webhook_to_the_breach(seen: Observed) -> None:
    """Everything that the message caused, in every service, is in its trace, under what caused it."""
    assert edges(seen.trace) == {
        ("", f"ingest: {WEBHOOK}"),
        (f"ingest: {WEBHOOK}", f"ingest: send {INBOUND}"),
        (f"ingest: {WEBHOOK}", f"router: process {INBOUND}"),
        (f"router: process {INBOUND}", f"router: send {LOG}"),
        *((f"router: process {INBOUND}", f"{reader}: process {LOG}") for reader in ("timeline", "sla", "insights")),
        (f"sla: process {LOG}", f"sla: send {SLA}"),
        (f"sla: process {LOG}", "sla: fire breached"),
        ("sla: fire breached", f"sla: send {SLA}"),
    }, render_tree(seen.trace, seen.trace[0].trace_id)


def edges(trace: list[Span]) -> set[tuple[str, str]]:
    """(parent, child) as service: name, without what need not happen: a lookup in its 50 ms, a warning in time."""
    names = {s.span_id: f"{s.service.removeprefix('trunkline-')}: {s.name}" for s in trace}
    found = {(names.get(s.parent_span_id, s.parent_span_id), names[s.span_id]) for s in trace if s.name != LOOKUP}
    return {edge for edge in found if "sla: fire warning" not in edge}


async def test_a_question_to_another_service_is_asked_in_the_trace_of_the_message(seen: Observed) -> None:
    asking = {s.span_id for s in seen.of(f"process {INBOUND}")}
    asked = [s for s in seen.spans if s.name == LOOKUP]
    assert all(s.parent_span_id in asking and s.kind == "server" for s in asked)


async def test_spans_have_the_kinds_of_the_conventions(seen: Observed) -> None:
    wrong = [s for s in seen.spans if s.kind != KINDS.get(s.name.split()[0], "server")]
    assert not wrong


async def test_processing_is_linked_to_the_span_that_created_the_record(seen: Observed) -> None:
    """For a single message it is its child as well: conventions 1.8."""
    processing = [s for s in seen.spans if s.kind in ("consumer", "producer")]
    assert processing
    assert all(
        [(link.trace_id, link.span_id) for link in s.links] == [(s.trace_id, s.parent_span_id)] for s in processing
    )
    spans = {s.span_id for s in seen.trace}
    assert all(s.parent_span_id in spans for s in seen.trace if s.kind == "consumer")


async def test_messages_are_described_as_the_conventions_say(seen: Observed) -> None:
    for span in (s for s in seen.spans if s.kind in ("consumer", "producer")):
        operation, topic = span.name.split()
        told = span.attributes
        assert (told["messaging.system"], told["messaging.destination.name"]) == ("kafka", topic)
        assert told["messaging.operation.name"] == told["messaging.operation.type"] == operation
        assert ("messaging.consumer.group.name" in told) is (operation == "process")
    created = {s.attributes["messaging.message.id"] for s in seen.of(f"send {INBOUND}")}
    assert {s.attributes["messaging.message.id"] for s in seen.of(f"process {INBOUND}")} == created


async def test_no_span_has_an_attribute_that_is_not_declared(seen: Observed) -> None:
    assert {name for s in seen.spans for name in s.attributes} - ALLOWED == set()


async def test_every_metric_is_one_that_is_declared(seen: Observed) -> None:
    names = {series.name for series in seen.series}
    assert names - set(METRICS) == set()
    assert {"trunkline.webhook.accepted", "trunkline.outbox.sent", "trunkline.sla.breaches"} <= names


async def test_nothing_that_is_reported_holds_the_customers_number_or_words(seen: Observed) -> None:
    """Neither a span, nor a metric, nor a log line: promise P10."""
    reported = [*map(str, seen.spans), *map(str, seen.series), *(line for log in seen.logs.values() for line in log)]
    assert [text for text in reported for canary in CANARIES if canary in text] == []


@pytest.mark.parametrize("service", SERVICES)
async def test_every_log_line_is_json_with_time_level_event_and_service(seen: Observed, service: str) -> None:
    assert seen.logs[service]
    for line in seen.logs[service]:
        told = json.loads(line)
        assert datetime.fromisoformat(told["timestamp"]).tzinfo
        assert told["level"] in ("info", "warning", "error", "critical")
        assert told["event"]
        assert told["service"] == service


async def test_a_line_written_in_a_request_names_its_trace(seen: Observed) -> None:
    (failed,) = (s for s in seen.spans if s.name == "POST /webhooks/whatsapp")
    (line,) = seen.lines("ingest", "secret missing")
    assert (line["trace_id"], line["span_id"]) == (failed.trace_id, failed.span_id)


@pytest.mark.parametrize("service", ["router", "timeline", "sla", "insights"])
async def test_a_line_written_about_a_record_names_the_records_trace(seen: Observed, service: str) -> None:
    lines = [line for event in ("record refused", "a record was refused") for line in seen.lines(service, event)]
    assert len(lines) == POISON
    assert {line["trace_id"] for line in lines} == seen.poison
