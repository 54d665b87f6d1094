"""Traces and metrics. OpenTelemetry names are those of contracts 1.8; nothing here ever holds customer data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Literal, get_args

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from trunkline_common import logs
from trunkline_common.kafka import Outgoing, Record

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

#: Every metric of ours, once; `count` and `observe` take nothing else.
Counter = Literal[
    "trunkline.inbox.duplicates",  # inbound events dropped because their event id was seen before
    "trunkline.log.duplicates",  # records of the conversations log dropped by (conversation_id, seq)
    "trunkline.log.gaps",  # records whose seq is not the last one plus one: something is missing
    "trunkline.outbox.sent",  # outbox rows published
    "trunkline.outbox.failures",  # attempts to publish that failed and are repeated
    "trunkline.dlq.messages",  # records refused
    "trunkline.batch.retries",  # batches begun again after an outage
    "trunkline.batch.defects",  # batches that raised: what is at fault is looked for and refused
    "trunkline.partition.fenced",  # times a stale owner was stopped from writing
    "trunkline.partition.stopped",  # partitions stopped by a flood of invalid records
    "trunkline.webhook.accepted",  # events accepted by webhook, SMTP or gRPC
    "trunkline.webhook.refused",  # requests refused, by status
    "trunkline.mail.headers.dropped",  # headers of mail that name no language or priority we know, by header
    "trunkline.delivery.sent",  # messages handed to a provider
    "trunkline.delivery.failures",  # attempts that failed and are repeated
    "trunkline.delivery.typing",  # typing indicators, by outcome: shown, ignored, old, dropped or failed
    "trunkline.sla.breaches",  # clocks that broke their promise
    "trunkline.forwarded",  # commands forwarded to the pool's owner
    "trunkline.handovers",  # conversations handed to another pool
    "trunkline.handover.forwarded",  # messages and receipts sent on to the pool that has their conversation
    "trunkline.lookup.fallbacks",  # decided without the answer of the timeline (new conversations) or the SLA service
]
Histogram = Literal[
    "messaging.process.duration",  # seconds from taking a batch to its COMMIT
    "rpc.server.call.duration",  # seconds per call
    "trunkline.timer.late",  # seconds a timer fired after it was due
]


def setup(service: str, *, endpoint: str, level: str, ratio: float) -> None:
    """Send traces and metrics to `endpoint` (none where it is empty) and log JSON lines to standard output."""
    logs.setup(service, level)
    if not endpoint:
        return
    resource = Resource.create(
        {
            "service.name": f"trunkline-{service}",
            "service.namespace": "trunkline",
            "service.instance.id": str(os.getpid()),
        },
        SCHEMA_URL,
    )
    tracing = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(ratio)))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
    tracing.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    trace.set_tracer_provider(tracing)
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=endpoint, insecure=endpoint.startswith("http://")), export_interval_millis=2000
    )
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader]))


def shutdown() -> None:
    """Flush what has not been exported yet."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        if isinstance(provider, TracerProvider | MeterProvider):
            provider.shutdown()


@cache
def tracer() -> trace.Tracer:
    """The tracer of this product."""
    return trace.get_tracer("trunkline", schema_url=SCHEMA_URL)


@cache
def _counter(name: Counter) -> metrics.Counter:
    return metrics.get_meter("trunkline").create_counter(name)


@cache
def _histogram(name: Histogram) -> metrics.Histogram:
    return metrics.get_meter("trunkline").create_histogram(name, unit="s")


def count(name: Counter, amount: int, **attributes: str) -> None:
    """Add to a counter."""
    if amount:
        _counter(name).add(amount, attributes)


def observe(name: Histogram, seconds: float, **attributes: str) -> None:
    """Record a duration."""
    _histogram(name).record(seconds, attributes)


def traceparent(span: Span | None = None) -> str:
    """The W3C header of a span (the current one); empty where it is not sampled."""
    context = (span or trace.get_current_span()).get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return ""
    return f"00-{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}-01"


def trace_fields(header: str) -> dict[str, str]:
    """What a log line says of the span that a traceparent names; for a line about one record of a batch of many."""
    context = parse_traceparent(header)
    if context is None:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


def parse_traceparent(header: str) -> SpanContext | None:
    """The span a header names, if it is well formed and sampled."""
    parts = header.split("-")
    if len(parts) != 4 or len(parts[1]) != 32 or len(parts[2]) != 16 or parts[3] != "01":
        return None
    try:
        context = SpanContext(int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=TraceFlags(1))
    except ValueError:
        return None
    return context if context.is_valid else None


def child(name: str, parent: str, kind: SpanKind, attributes: Mapping[str, str | int]) -> Span | None:
    """A span under the one that `parent` (a traceparent) names, linked to it too; None where that is not sampled."""
    context = parse_traceparent(parent)
    if context is None:
        return None
    under = trace.set_span_in_context(trace.NonRecordingSpan(context))
    return tracer().start_span(name, under, kind, dict(attributes), [Link(context)])


@contextmanager
def server_span(
    name: str, parent: SpanContext | None, kind: SpanKind, attributes: Mapping[str, str | int]
) -> Iterator[Span]:
    """The current span of a request, under `parent` where there is one; none while nothing is exported."""
    if isinstance(tracer(), trace.ProxyTracer):
        yield trace.INVALID_SPAN
        return
    under = trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent else None
    with tracer().start_as_current_span(
        name, under, kind, dict(attributes), record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


@contextmanager
def sends(messages: Sequence[Outgoing]) -> Iterator[None]:
    """`send T` for each traced message, around its publication."""
    spans = [span for message in messages if (span := _send_span(message))]
    if not spans:
        yield
        return
    with ended(spans):
        yield


def _send_span(message: Outgoing) -> Span | None:
    parent = message.headers.get("traceparent", b"").decode("latin-1")
    if not parent:
        return None
    attributes = {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": message.topic,
        "messaging.message.id": message.headers.get("ce_id", b"").decode("latin-1"),
    }
    return child(f"send {message.topic}", parent, SpanKind.PRODUCER, attributes)


def process_span(record: Record, group: str, parent: str) -> Span | None:
    """`process T` for one record: child of and link to the span that created it (a single message, so it has one)."""
    attributes: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": record.topic,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.consumer.group.name": group,
        "messaging.kafka.offset": record.offset,
        "messaging.message.id": record.headers.get("ce_id", b"").decode("latin-1"),
    }
    return child(f"process {record.topic}", parent, SpanKind.CONSUMER, attributes)


def process_spans(records: Sequence[Record], group: str) -> tuple[list[Span], list[Record]]:
    """Start the `process` span of each sampled record; what the record causes continues from it."""
    spans: list[Span] = []
    continued: list[Record] = []
    for record in records:
        header = record.headers.get("traceparent")
        span = process_span(record, group, header.decode("latin-1")) if header else None
        if span is not None:
            spans.append(span)
        continued.append(record._replace(traceparent=traceparent(span)) if span is not None else record)
    return spans, continued


@contextmanager
def ended(spans: Sequence[Span]) -> Iterator[None]:
    """End the spans after the block; an exception marks them as failed with its type."""
    try:
        yield
    except BaseException as error:
        for span in spans:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
        raise
    finally:
        for span in spans:
            span.end()


@contextmanager
def handling(spans: Sequence[Span]) -> Iterator[None]:
    """`ended`; a single span is the current one, so that what is asked and logged meanwhile belongs to its trace."""
    with ended(spans):
        if len(spans) != 1:
            yield
            return
        with trace.use_span(spans[0], record_exception=False, set_status_on_exception=False):
            yield


METRICS = (*get_args(Counter), *get_args(Histogram))
