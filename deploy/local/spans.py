"""Spans as plain values, and a trace as an indented tree."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """Ids in hex; parent_span_id is empty at a trace's root; kind is server, client, producer, consumer or internal."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    service: str
    attributes: Attributes = field(default_factory=dict)
    links: tuple[Link, ...] = ()


def render_tree(spans: Iterable[Span], trace_id: str) -> str:
    """One line a span, children under their parent in order of time: offset from the start, duration, service, name.

    A span whose parent was not reported stands at the left like a root.
    """
    own = sorted((span for span in spans if span.trace_id == trace_id), key=lambda span: (span.start_ns, span.span_id))
    if not own:
        return f"trace {trace_id}: no spans"
    known = {span.span_id for span in own}
    children: dict[str, list[Span]] = defaultdict(list)
    for span in own:
        children[span.parent_span_id if span.parent_span_id in known else ""].append(span)
    lines = [_line(span, depth, own[0].start_ns) for depth, span in _walk(children)]
    return "\n".join([f"trace {trace_id}", *lines])


def _walk(children: Mapping[str, list[Span]]) -> Iterator[tuple[int, Span]]:
    waiting = [(0, span) for span in reversed(children.get("", []))]
    while waiting:
        depth, span = waiting.pop()
        yield depth, span
        waiting.extend((depth + 1, child) for child in reversed(children.get(span.span_id, [])))


def _line(span: Span, depth: int, origin_ns: int) -> str:
    offset = f"+{(span.start_ns - origin_ns) / 1e6:.1f}"
    duration = f"{(span.end_ns - span.start_ns) / 1e6:.1f} ms"
    links = "".join(f"  (follows {link.trace_id[:8]}/{link.span_id[:8]})" for link in span.links)
    return f"{offset:>9} {duration:>11}  {'  ' * depth}{span.service}: {span.name}{links}"
