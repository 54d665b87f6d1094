"""Errors on the wire (AIP-193): ErrorInfo always, BadRequest and RetryInfo where they apply; and back again."""

from __future__ import annotations

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from trunkline_common.errors import Refused, Violation, unavailable
from trunkline_common.postgres import OUTAGES

log = structlog.get_logger(__name__)

DOMAIN = "trunkline"
RpcError = grpc.aio.AioRpcError


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
    return Refused("INTERNAL", "INTERNAL", "an internal error; the trace holds the details")


def to_status(refused: Refused) -> status_pb2.Status:
    """A google.rpc.Status with ErrorInfo always, BadRequest and RetryInfo where they apply."""
    code: int = getattr(grpc.StatusCode, refused.code).value[0]
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=refused.reason, domain=DOMAIN, metadata=refused.metadata)
    ]
    if refused.violations:
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in refused.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=fields))
    if refused.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(refused.retry_after * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=code, message=refused.message, details=[_any(d) for d in details])


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
