"""Sends a tenant's document to ConfigService."""

from __future__ import annotations

import uuid

from trunkline.config.v1.config_service_pb2 import ApplyConfigRequest
from trunkline.config.v1.config_service_pb2_grpc import ConfigServiceStub
from trunkline_common import rpc
from trunkline_common.rpc_errors import RpcError, from_rpc

from trunkline_sla.import_days import InvalidImport, SourceFailed

#: The caller is at fault, and would be again tomorrow.
REFUSALS = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED")


async def apply(target: str, token: str, text: str) -> int:
    """The version that is in force now. Raises InvalidImport when it is refused, SourceFailed without an answer."""
    async with rpc.channel(target) as channel:
        request = ApplyConfigRequest(request_id=str(uuid.uuid4()), yaml=text)
        metadata = [("authorization", f"Bearer {token}")]
        try:
            stub = ConfigServiceStub(channel)
            answer = await stub.ApplyConfig(request, metadata=metadata, timeout=rpc.UNARY_CAP_SECONDS)
        except RpcError as error:
            raise _failure(target, error) from error
    return int(answer.version)


def _failure(target: str, error: RpcError) -> Exception:
    refused = from_rpc(error)
    if refused.code not in REFUSALS:
        return SourceFailed(f"{target} does not answer ({refused.code}): {refused.message}")
    lines = [f"{v.field}: {v.description}" for v in refused.violations]
    return InvalidImport("\n".join([f"{target} refuses the document ({refused.code}): {refused.message}", *lines]))
