"""The clocks of a conversation, asked of the sla service; a brief does without them rather than wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from trunkline.sla.v1.sla_service_pb2 import Clock, GetClocksRequest
from trunkline.sla.v1.sla_service_pb2_grpc import SlaServiceStub
from trunkline_common import rpc
from trunkline_common.rpc_errors import RpcError, from_rpc

DEADLINE_SECONDS = 0.2


class Promises:
    """Asks with the service's own token, read at each call so that it may be renewed."""

    def __init__(self, channel: rpc.Channel | None, token_file: Path | None) -> None:
        self._stub = SlaServiceStub(channel) if channel else None
        self._token_file = token_file

    async def clocks(self, tenant: str, conversation_id: str) -> tuple[list[Clock], str]:
        """The newest cycle of every metric, or none and why."""
        if self._stub is None or self._token_file is None:
            return [], "not configured"
        token = (await asyncio.to_thread(self._token_file.read_text)).strip()
        request = GetClocksRequest(conversation_id=conversation_id)
        try:
            found = await self._stub.GetClocks(
                request, metadata=rpc.as_service(token, tenant), timeout=DEADLINE_SECONDS
            )
        except RpcError as error:
            return [], _why(error)
        return _newest(found.clocks), ""


def _newest(clocks: Iterable[Clock]) -> list[Clock]:
    """A thread that has lived for years has hundreds of answered cycles; the next agent needs one of each metric."""
    return list({clock.metric: clock for clock in sorted(clocks, key=lambda clock: clock.cycle)}.values())


def _why(error: RpcError) -> str:
    refused = from_rpc(error)
    names = {"DEADLINE_EXCEEDED": "deadline", "UNAVAILABLE": "unavailable"}
    return names.get(refused.code, refused.reason.lower())


@asynccontextmanager
async def connect(target: str, token_file: Path | None) -> AsyncIterator[Promises]:
    """Promises of the sla service at `target`; of nobody where it is empty."""
    if not target:
        yield Promises(None, token_file)
        return
    async with rpc.plain_channel(target) as channel:
        yield Promises(channel, token_file)
