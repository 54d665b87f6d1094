"""What tests of RouterService on the real stack share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

CONFIG = Path("deploy/local/demo_tenant.yaml").read_text()


def reason(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    """The ErrorInfo of an error."""
    info = error_details_pb2.ErrorInfo()
    status: Any = rpc_status.from_call(error)
    assert any(d.Unpack(info) for d in status.details)
    return info.reason, dict(info.metadata)


def wrong(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields that a BadRequest names."""
    bad = error_details_pb2.BadRequest()
    status: Any = rpc_status.from_call(error)
    assert (error.code(), reason(error)[0]) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert any(d.Unpack(bad) for d in status.details)
    return [v.field for v in bad.field_violations]
