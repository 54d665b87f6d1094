"""Errors on the wire (AIP-193): ErrorInfo always, BadRequest and RetryInfo where they apply; and back again."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from trunkline_common.errors import Refused, Violation, internal_error, unavailable
from trunkline_common.postgres import OUTAGES

log = structlog.get_logger(__name__)

DOMAIN = "trunkline"
RpcError = grpc.aio.AioRpcError
#: An error travels as metadata, its message twice, and gRPC clients may drop a call with 8 kB of that: these make about
#: 6 kB, in base64. Every text may repeat what a caller sent.
MESSAGE_BYTES, FACT_BYTES, DESCRIPTION_BYTES, VIOLATIONS_BYTES = 500, 200, 400, 3400
#: The fact that says how many violations did not fit.
LEFT_OUT = "violations_left_out"


def to_refused(error: Exception, method: str) -> Refused:
    """The error a caller sees for an exception: its own, an outage, a passed deadline, or INTERNAL with a log line."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, RpcError):
        return from_rpc(error)
    if isinstance(error, TimeoutError):
        message = "the deadline passed; retry with the same request_id"
        return Refused("DEADLINE_EXCEEDED", "DEPENDENCY_UNAVAILABLE", message, metadata={"dependency": "time"})
    if isinstance(error, OUTAGES):
        log.warning("postgresql does not answer", method=method, error=repr(error))
        return unavailable("postgresql")
    log.exception("a call failed", method=method)
    return internal_error()


def to_status(refused: Refused) -> status_pb2.Status:
    """A google.rpc.Status with ErrorInfo always, BadRequest and RetryInfo where they apply; small enough to arrive."""
    code: int = getattr(grpc.StatusCode, refused.code).value[0]
    facts = {name: cut(value, FACT_BYTES) for name, value in refused.metadata.items()}
    bad = _bad_request(refused.violations)
    message = cut(refused.message, MESSAGE_BYTES)
    if left_out := len(refused.violations) - len(bad.field_violations):
        facts[LEFT_OUT] = str(left_out)
        message = cut(refused.message, MESSAGE_BYTES // 2) + f" ({left_out} wrong fields are not listed)"
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=refused.reason, domain=DOMAIN, metadata=facts)]
    if refused.violations:
        details.append(bad)
    if refused.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(refused.retry_after * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=code, message=message, details=[_any(d) for d in details])


def cut(text: str, most: int) -> str:
    """The text, or as much of its beginning as fits with three dots into so many bytes."""
    raw = text.encode(errors="replace")
    return raw.decode() if len(raw) <= most else raw[: most - 3].decode(errors="ignore") + "..."


def _bad_request(violations: Sequence[Violation]) -> error_details_pb2.BadRequest:
    """The first violations that fit."""
    made = error_details_pb2.BadRequest()
    for v in violations:
        field, description = cut(v.field, FACT_BYTES), cut(v.description, DESCRIPTION_BYTES)
        made.field_violations.add(field=field, description=description)
        if made.ByteSize() > VIOLATIONS_BYTES:
            made.field_violations.pop()
            break
    return made


def _any(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def from_rpc(error: RpcError) -> Refused:
    """The error another service of ours gave, to be passed on as it is."""
    refused = Refused(error.code().name, "DEPENDENCY_UNAVAILABLE", error.details() or "")
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        _read_detail(refused, detail)
    if error.code() is grpc.StatusCode.UNAVAILABLE and refused.retry_after is None:
        refused.retry_after = 1.0
    return refused


def _read_detail(refused: Refused, detail: any_pb2.Any) -> None:
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    if detail.Unpack(info):
        refused.reason, refused.metadata = info.reason, dict(info.metadata)
    elif detail.Unpack(bad):
        refused.violations = tuple(Violation(v.field, v.description) for v in bad.field_violations)
    elif detail.Unpack(retry):
        refused.retry_after = retry.retry_delay.ToMilliseconds() / 1000
