"""An OTLP receiver in this process: what the services report, for tests and the demo to read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_wire
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_rpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_wire
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_rpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from deploy.local.spans import Attributes, Link, Span, render_tree

__all__ = ["Link", "Receiver", "Series", "Span", "render_tree"]

MAX_MESSAGE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Series:
    """One process's values of a metric with the same attributes. A process started anew begins a new series."""

    name: str
    service: str
    resource: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[str, str], ...]
    start_ns: int


class Receiver:
    """`async with Receiver() as otlp`; processes send to `otlp.endpoint`."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.series: dict[Series, float] = {}
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX_MESSAGE)])
        self._port = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        trace_rpc.add_TraceServiceServicer_to_server(_Traces(self.spans), self._server)  # type: ignore[no-untyped-call] # generated without types
        metrics_rpc.add_MetricsServiceServicer_to_server(_Metrics(self.series), self._server)  # type: ignore[no-untyped-call] # the same
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(grace=1)

    def trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id == trace_id]

    def metric_sum(self, name: str, **attributes: str) -> float:
        """Over all processes and attributes that include those given; a histogram counts by its sum."""
        wanted = set(attributes.items())
        return sum(
            value for series, value in self.series.items() if series.name == name and wanted <= set(series.attributes)
        )


class _Traces(trace_rpc.TraceServiceServicer):
    def __init__(self, spans: list[Span]) -> None:
        self._spans = spans

    async def Export(  # noqa: N802 - gRPC's name
        self, request: trace_wire.ExportTraceServiceRequest, _: object
    ) -> trace_wire.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            service = str(_attributes(resource.resource.attributes).get("service.name", ""))
            for scope in resource.scope_spans:
                self._spans.extend(_span(span, service) for span in scope.spans)
        return trace_wire.ExportTraceServiceResponse()


class _Metrics(metrics_rpc.MetricsServiceServicer):
    def __init__(self, series: dict[Series, float]) -> None:
        self._series = series

    async def Export(  # noqa: N802 - gRPC's name
        self, request: metrics_wire.ExportMetricsServiceRequest, _: object
    ) -> metrics_wire.ExportMetricsServiceResponse:
        for resource in request.resource_metrics:
            attributes = _attributes(resource.resource.attributes)
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                self._take(metric, attributes)
        return metrics_wire.ExportMetricsServiceResponse()

    def _take(self, metric: Metric, resource: Attributes) -> None:
        delta, points = _points(metric)
        for value, start_ns, attributes in points:
            series = Series(
                metric.name, str(resource.get("service.name", "")), _plain(resource), _plain(attributes), start_ns
            )
            self._series[series] = value + (self._series.get(series, 0.0) if delta else 0.0)


def _points(metric: Metric) -> tuple[bool, Iterator[tuple[float, int, Attributes]]]:
    """Whether values are to be added up, and each value with its series' start and attributes."""
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind) if kind else metric.gauge
    delta = getattr(data, "aggregation_temporality", None) == AGGREGATION_TEMPORALITY_DELTA
    return delta, (
        (_value(point), 0 if delta or kind == "gauge" else point.start_time_unix_nano, _attributes(point.attributes))
        for point in data.data_points
    )


def _value(point: Any) -> float:
    if hasattr(point, "sum"):
        return float(point.sum)
    return float(getattr(point, point.WhichOneof("value") or "as_int"))


def _span(span: WireSpan, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        service=service,
        attributes=_attributes(span.attributes),
        links=tuple(Link(link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return {pair.key: _any(pair.value) for pair in pairs}


def _any(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_any(element) for element in value.array_value.values)
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def _plain(attributes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in attributes.items()))
