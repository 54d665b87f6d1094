"""Log lines: JSON on standard output, ours and the libraries'. None quotes a record or the text of an exception."""

from __future__ import annotations

import logging
import sys
import traceback

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, ExcInfo, Processor


def setup(service: str, level: str) -> None:
    """Ours from `level` up, the libraries' from WARNING up."""
    common: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        _Service(service),
        structlog.processors.ExceptionRenderer(_describe),
    ]
    structlog.configure(
        processors=[*common, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_library_formatter(common))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)


def _library_formatter(common: list[Processor]) -> logging.Formatter:
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(),
    ]
    return structlog.stdlib.ProcessorFormatter(
        processors=last, foreign_pre_chain=[_of_library, *common], pass_foreign_args=True, use_get_message=False
    )


def _of_library(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The message's template without its arguments; one made beforehand is replaced by the place it comes from."""
    record = event["_record"]
    if not event.pop("positional_args"):
        event["event"] = f"{record.name}:{record.funcName}"
    event["logger"] = record.name
    return event


def _describe(exc_info: ExcInfo) -> str:
    """An exception by its type and place."""
    frames = traceback.extract_tb(exc_info[2])[-8:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in reversed(frames)]
    return " < ".join([exc_info[0].__qualname__, *places])


def _add_trace(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The current span, unless the line says which one it is about."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return event
    ids = {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}
    return {**ids, **event}


class _Service:
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        event["service"] = self._name
        return event
