"""Automatic texts in Liquid (python-liquid), checked when a configuration is applied so that none fails when sent.

Plain text comes out: nothing is escaped and no markup is understood. There are no loops, as no variable is a list, no
other template can be included, and no filter reads a clock.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import FilterArgumentError, LiquidError
from liquid.expression import Expression
from liquid.span import Span

MAX_LENGTH = 5_000
MAX_TAGS = 200
MAX_DEPTH = 50
MAX_VALUE = 25_000  # characters of what a filter makes, and of a whole text

#: The names a template may use, and attributes.<any>.
VARIABLES: Mapping[str, type] = MappingProxyType(
    {
        "customer.name": str,
        "customer.first_name": str,
        "conversation.id": str,
        "conversation.reference": str,
        "team.name": str,
        "agent.name": str,
        "channel": str,
        "language": str,
        "wait.low_minutes": int,
        "wait.high_minutes": int,
        "wait.as_of": str,  # how old what it is estimated from is
        "opens_at": str,
        "tenant.name": str,
        "alternative.channel": str,
        "alternative.address": str,
        "channels": str,
    }
)
ATTRIBUTES = "attributes"
ROOTS = {ATTRIBUTES, *(name.split(".")[0] for name in VARIABLES)}

#: Characters a channel takes at most; an account may set its own (SMS up to 1,600).
LIMITS: Mapping[str, int] = MappingProxyType(
    {
        "web": 10_000,
        "api": 10_000,
        "messenger": 2_000,
        "instagram": 1_000,
        "sms": 320,
        "whatsapp": 4_096,
        "telegram": 4_096,
        "line": 5_000,
        "email": 25_000,
    }
)
OTHER_LIMIT = 10_000

# fmt: off
TAGS = {"content", "output", "illegal", "if", "unless", "case", "assign", "comment", "#"}  # the first three are text
FILTERS = {
    "abs", "append", "at_least", "at_most", "capitalize", "ceil", "default", "divided_by", "downcase", "floor", "minus",
    "plus", "prepend", "remove", "round", "size", "squish", "strip", "times", "truncate", "truncatewords", "upcase",
    "url_encode",
}
# fmt: on


class BadTemplate(Exception):
    """A template that is refused; the message says where and why."""


def _guarded(name: str, applied: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose every failure is Liquid's, and whose result has a limit: filters in a row could double it."""

    @functools.wraps(applied)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            result = applied(*args, **kwargs)
        except (ArithmeticError, ValueError) as error:
            raise FilterArgumentError(f"{name}: {error}", token=None) from error
        if len(result) > MAX_VALUE if isinstance(result, str) else isinstance(result, int) and abs(result) > 10**15:
            raise FilterArgumentError(f"{name}: what comes out is too large", token=None)
        return result

    return call


class _Environment(Environment):
    """Liquid without loops, clocks, markup and files. Names are checked before, so what is undefined is empty."""

    block_nesting_limit = 10
    output_stream_limit = 4 * MAX_VALUE
    local_namespace_limit = 20 * MAX_VALUE

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: self.tags[name] for name in TAGS}
        self.filters = {name: _guarded(name, self.filters[name]) for name in FILTERS}


ENVIRONMENT = _Environment()


class _Group:
    """Values under one name. Not a Mapping: Liquid would answer .size and .first of one itself."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]


@dataclass(frozen=True, slots=True)
class Template:
    """A text with variables that was accepted."""

    source: str
    _bound: BoundTemplate = field(repr=False, compare=False)
    _attributes: frozenset[str] = field(repr=False, compare=False)
    #: The variables it names, but for attributes.
    names: frozenset[str] = field(repr=False, compare=False)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text for values by name: {"customer.name": "Ana", "channel": "sms", "attributes": {...}}.

        A variable without a value (absent, None or "") is empty in the text, false in a condition, and gives way to
        `default`. Raises BadTemplate for values that make a text or number too large, ValueError for a name that is
        not one of VARIABLES.
        """
        try:
            return self._bound.render(_scope(values))
        except LiquidError as error:
            raise BadTemplate(_where(error)) from error


def compile_template(text: str) -> Template:
    """The template a text describes. Raises BadTemplate: syntax, an unknown variable, filter or tag, too long, or what
    would fail for some values, in whatever branch it stands."""
    if not text.strip():
        raise BadTemplate("is empty")
    if len(text) > MAX_LENGTH:
        raise BadTemplate(f"has {len(text)} characters, more than {MAX_LENGTH}")
    if text.count("{{") + text.count("{%") > MAX_TAGS:  # its reader takes time quadratic in them
        raise BadTemplate(f"has more than {MAX_TAGS} tags")
    try:
        bound = ENVIRONMENT.from_string(text)
        attributes, names = _check_names(bound, text)
        _try(bound, attributes)
    except LiquidError as error:
        raise BadTemplate(_where(error)) from error
    except RecursionError as error:
        raise BadTemplate("is nested too deeply") from error
    return Template(text, bound, attributes, names)


def must_fit(template: Template, channel: str, limit: int | None = None) -> None:
    """Refuse a text that is too long for its channel before any value is. Raises BadTemplate."""
    most = LIMITS.get(channel, OTHER_LIMIT) if limit is None else limit
    without, with_short, _ = _samples(template._attributes)  # noqa: SLF001  of this module
    length = max(len(template.render(without)), len(template.render(with_short)))
    if length > most:
        raise BadTemplate(f"has {length} characters without its values, {channel} takes {most}")


def _scope(values: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(values.keys() - VARIABLES.keys() - {ATTRIBUTES}):
        raise ValueError(f"not variables of a template: {', '.join(unknown)}")
    given = {name: value for name, value in values.items() if value not in (None, "")}
    attributes = {name: value for name, value in given.pop(ATTRIBUTES, {}).items() if value not in (None, "")}
    groups: dict[str, dict[str, Any]] = {}
    for name in [name for name in given if "." in name]:
        group, _, part = name.partition(".")
        groups.setdefault(group, {})[part] = given.pop(name)
    return {**given, **{name: _Group(group) for name, group in groups.items()}, ATTRIBUTES: _Group(attributes)}


def _check_names(bound: BoundTemplate, source: str) -> tuple[frozenset[str], frozenset[str]]:
    """The attributes and the other variables that it asks for. Raises BadTemplate for a name that is not declared."""
    found = bound.analyze(include_partials=False)
    for name, spans in sorted(found.filters.items()):
        if name not in FILTERS:
            raise _unknown(source, spans[0], f"filter {name}", FILTERS)
    for name in sorted(found.locals.keys() & ROOTS):
        raise BadTemplate(f"{name} is a variable's name; assign to another")
    parts_of_assigned = [v for name in found.locals for v in found.variables.get(name, []) if len(v.segments) > 1]
    attributes, names = set(), set()
    for variable in [*parts_of_assigned, *(v for group in found.globals.values() for v in group)]:
        match variable.segments:
            case [first, str(key)] if first == ATTRIBUTES:
                attributes.add(key)
            case segments if (name := ".".join(map(str, segments))) in VARIABLES:
                names.add(name)
            case _:
                raise _unknown(source, variable.span, f"variable {variable}", [*VARIABLES, f"{ATTRIBUTES}.<name>"])
    return frozenset(attributes), frozenset(names)


def _unknown(source: str, span: Span, what: str, known: Iterable[str]) -> BadTemplate:
    return BadTemplate(f"{_place(source, span.index)}there is no {what[:100]}; there are {', '.join(sorted(known))}")


def _samples(attributes: Iterable[str]) -> list[dict[str, Any]]:
    """No values, short ones, and those that are easily forgotten: 0."""
    return [{}] + [
        {name: number if kind is int else text for name, kind in VARIABLES.items()}
        | {ATTRIBUTES: dict.fromkeys(attributes, text)}
        for text, number in (("a", 1), ("0", 0))
    ]


def _try(bound: BoundTemplate, attributes: frozenset[str]) -> None:
    """Evaluate every part, in whatever branch it stands, and the whole. Raises LiquidError, BadTemplate."""
    context = RenderContext(bound)
    parts = list(_parts(_expressions(bound.nodes, context)))
    if any(isinstance(part, RangeLiteral) for part in parts):
        raise BadTemplate("a range (1..n) is not of use here")
    for values in _samples(attributes):
        context = RenderContext(bound, globals=_scope(values))
        for part in parts:
            part.evaluate(context)
        bound.render(_scope(values))


def _expressions(nodes: Iterable[Node], context: RenderContext) -> Iterator[Expression]:
    for node in nodes:
        yield from node.expressions()
        yield from _expressions(node.children(context, include_partials=False), context)


def _parts(expressions: Iterable[Expression], depth: int = 1) -> Iterator[Expression]:
    for expression in expressions:
        if depth > MAX_DEPTH:  # evaluation recurses, and is called from deeper than this
            raise BadTemplate("is nested too deeply")
        yield expression
        yield from _parts(expression.children(), depth + 1)


def _where(error: LiquidError) -> str:
    """The message with its place in the text."""
    place = _place(error.token.source, error.token.start_index) if error.token else ""
    return f"{place}{error.args[0] if error.args else type(error).__name__}"


def _place(source: str, index: int) -> str:
    if index < 0:
        return ""
    before = source[:index]
    return f"line {before.count(chr(10)) + 1}, character {index - before.rfind(chr(10))}: "
