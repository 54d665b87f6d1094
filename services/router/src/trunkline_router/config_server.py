"""gRPC ConfigService: documents go to the owner of the tenant's key, so that versions have one writer."""

from __future__ import annotations

import hashlib
from typing import Any

from trunkline.config.v1 import config_service_pb2 as api
from trunkline.config.v1.config_service_pb2_grpc import ConfigServiceServicer, ConfigServiceStub
from trunkline_common import rpc
from trunkline_common.auth import caller
from trunkline_common.clock import utc_now

from trunkline_router import config
from trunkline_router.directory import Directory
from trunkline_router.gate import Gate
from trunkline_router.requests import ApplyDocument

POLICY = {
    "ApplyConfig": rpc.allow("admin", required=("request_id", "yaml")),
    "GetConfig": rpc.allow("admin", "supervisor", "service"),
}


class ConfigServer(ConfigServiceServicer):
    """Handlers."""

    def __init__(self, gate: Gate, directory: Directory) -> None:
        self._gate, self._directory = gate, directory

    async def ApplyConfig(self, request: api.ApplyConfigRequest, context: rpc.Context) -> Any:  # noqa: N802
        who = caller()
        parsed = await config.parse_aside(request.yaml, who.tenant, utc_now())
        if request.validate_only:
            return api.ApplyConfigResponse()
        fingerprint = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        content = ApplyDocument(who.tenant, request.request_id, fingerprint, parsed, who.subject)

        def forward(channel: rpc.Channel, metadata: Any) -> Any:
            return ConfigServiceStub(channel).ApplyConfig(request, metadata=metadata, timeout=rpc.UNARY_CAP_SECONDS)

        return await self._gate.ask(who.tenant, content, context, forward)

    async def GetConfig(self, _request: api.GetConfigRequest, _context: rpc.Context) -> Any:  # noqa: N802
        return api.GetConfigResponse(config=await self._directory.config(caller().tenant, fresh=True))
