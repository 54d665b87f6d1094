"""What the OpenTelemetry SDK sends is what the receiver holds; a trace reads as a tree."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link as SdkLink
from opentelemetry.trace import SpanKind

from deploy.local.otlp import Receiver
from deploy.local.spans import Link, Span, render_tree


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


async def test_spans_arrive_with_their_parents_and_links(receiver: Receiver) -> None:
    await asyncio.to_thread(_report_spans, receiver.endpoint)
    child, root = receiver.spans
    assert (root.name, root.kind, root.service, root.parent_span_id) == ("take", "server", "ingest", "")
    assert (child.trace_id, child.parent_span_id) == (root.trace_id, root.span_id)
    assert child.links == (Link(root.trace_id, root.span_id),)
    assert root.attributes == {"n": 3, "tags": ("a", "b")}
    assert receiver.trace(root.trace_id) == [child, root]


def _report_spans(endpoint: str) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "ingest"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("take", kind=SpanKind.SERVER, attributes={"n": 3, "tags": ["a", "b"]}) as root:
        tracer.start_span("store", links=[SdkLink(root.get_span_context())]).end()
    provider.shutdown()


async def test_a_sum_counts_each_process_once_however_often_it_reports(receiver: Receiver) -> None:
    await asyncio.to_thread(_report_metrics, receiver.endpoint)
    await asyncio.to_thread(_report_metrics, receiver.endpoint)
    assert receiver.metric_sum("messages") == 2 * (2 + 3)
    assert receiver.metric_sum("messages", channel="sms") == 2 * 3
    assert receiver.metric_sum("latency") == 2 * 0.5
    assert receiver.metric_sum("unknown") == 0


def _report_metrics(endpoint: str) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint, insecure=True))
    provider = MeterProvider([reader], resource=Resource({"service.name": "ingest"}))
    meter = provider.get_meter("test")
    counter = meter.create_counter("messages")
    counter.add(1, {"channel": "mail"})
    provider.force_flush()
    counter.add(1, {"channel": "mail"})
    counter.add(3, {"channel": "sms"})
    meter.create_histogram("latency").record(0.5)
    provider.force_flush()
    provider.shutdown()


def _span(span_id: str, parent: str, name: str, start_ms: float, end_ms: float, links: tuple[Link, ...] = ()) -> Span:
    return Span("t1", span_id, parent, name, "internal", int(start_ms * 1e6), int(end_ms * 1e6), "svc", links=links)


def test_a_trace_reads_as_a_tree_in_order_of_time() -> None:
    spans = [
        _span("b2", "a", "later", 7, 9),
        _span("c", "b1", "inner", 3, 4),
        _span("b1", "a", "earlier", 2, 5, (Link("t0aaaaaaaaaa", "s0bbbbbbbbbb"),)),
        _span("a", "", "root", 1, 10),
        _span("x", "unreported", "orphan", 6, 6.5),
    ]
    assert render_tree(spans, "t1").splitlines() == [
        "trace t1",
        "     +0.0      9.0 ms  svc: root",
        "     +1.0      3.0 ms    svc: earlier  (follows t0aaaaaa/s0bbbbbb)",
        "     +2.0      1.0 ms      svc: inner",
        "     +6.0      2.0 ms    svc: later",
        "     +5.0      0.5 ms  svc: orphan",
    ]


def test_a_trace_without_spans_says_so() -> None:
    assert render_tree([], "t1") == "trace t1: no spans"
