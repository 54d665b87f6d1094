"""The way to the pool's owner: this process, or one hop to the process that owns its partition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import structlog
from trunkline.router.v1.router_service_pb2_grpc import RouterServiceStub
from trunkline_common import partitions, rpc, telemetry
from trunkline_common.auth import caller
from trunkline_common.consumer import Consumer
from trunkline_common.errors import Refused
from trunkline_common.kafka import partition_for
from trunkline_common.postgres import Pool
from trunkline_common.processor import Request
from trunkline_common.rpc_errors import RpcError
from trunkline_common.worker import Worker

from trunkline_router.requests import Content

log = structlog.get_logger(__name__)

GROUP, TOPIC = "router", "trunkline.inbound.v1"
KEY = "trunkline-key"  # metadata of a forwarded call: the pool (or tenant) it is for


def unowned(key: str, why: str) -> Refused:
    """Nobody answers for the partition at this moment; `why` is for who reads the log at night."""
    return Refused(
        "UNAVAILABLE",
        "POOL_UNOWNED",
        f"nobody answers for {key} at this moment ({why}); retry with the same request_id",
        metadata={"pool": key, "why": why},
        retry_after=1.0,
    )


class Gate:
    """Hands requests to owners. `consumer` is None in a process that owns nothing."""

    def __init__(self, pool: Pool, consumer: Consumer | None, topic_partitions: int) -> None:
        self._pool, self._consumer, self._partitions = pool, consumer, topic_partitions
        self._channels: dict[str, rpc.Channel] = {}

    async def close(self) -> None:
        """Close the channels to other processes."""
        for channel in self._channels.values():
            await channel.close()

    def forwarded_key(self, metadata: Mapping[str, str]) -> str | None:
        """The key of a call another router process sent here; it must be of the caller's tenant."""
        key = metadata.get(KEY) if rpc.FORWARDED in metadata else None
        if key is not None and key.partition("/")[0] != caller().tenant:
            raise unowned(key, "it is of another tenant")
        return key

    async def ask(
        self, key: str, content: Content, context: rpc.Context, forward: Callable[[rpc.Channel, Any], Awaitable[Any]]
    ) -> Any:
        """The owner's answer; `forward` makes the same call on another process with the metadata given."""
        if (worker := self._local(key)) is not None:
            return await worker.submit(Request(content, telemetry.traceparent()))
        owner = await self._owner(key, context)
        telemetry.count("trunkline.forwarded", 1)
        try:
            return await forward(self._channel(owner), [*rpc.as_caller(), (KEY, key)])
        except RpcError as error:
            raise _passed_on(error, key, owner) from error

    def forwarding(
        self, method: str, request: Any, context: rpc.Context
    ) -> Callable[[rpc.Channel, Any], Awaitable[Any]]:
        """The same call of RouterService on another process, within what is left of the caller's time."""

        def forward(channel: rpc.Channel, metadata: Any) -> Any:
            left = context.time_remaining() or rpc.UNARY_CAP_SECONDS
            return getattr(RouterServiceStub(channel), method)(request, metadata=metadata, timeout=left)

        return forward

    async def stream(self, key: str, context: rpc.Context, method: str, request: Any) -> AsyncIterator[Any]:
        """The owner's stream, for a pool that this process does not own."""
        owner = await self._owner(key, context)
        watch = getattr(RouterServiceStub(self._channel(owner)), method)
        try:
            async for response in watch(request, metadata=[*rpc.as_caller(), (KEY, key)]):
                yield response
        except RpcError as error:
            raise _passed_on(error, key, owner) from error

    def owns(self, key: str) -> bool:
        """Whether this process decides for the key now."""
        return self._local(key) is not None

    def _partition(self, key: str) -> int:
        return partition_for(key.encode(), self._partitions)

    def _local(self, key: str) -> Worker | None:
        worker = self._consumer.worker(self._partition(key)) if self._consumer else None
        return worker if worker is not None and worker.claimed.is_set() else None

    async def _owner(self, key: str, context: rpc.Context) -> str:
        if rpc.FORWARDED in rpc.metadata(context):
            raise unowned(key, "the process it was forwarded to does not own it")
        owner = await partitions.owner_of(self._pool, GROUP, TOPIC, self._partition(key))
        if not owner:
            raise unowned(key, "its partition is between owners")
        return owner

    def _channel(self, owner: str) -> rpc.Channel:
        if owner not in self._channels:
            self._channels[owner] = rpc.plain_channel(owner)
        return self._channels[owner]


def _passed_on(error: RpcError, key: str, owner: str) -> Exception:
    told = error.trailing_metadata()
    silent = told is None or "grpc-status-details-bin" not in told
    if not silent or error.code().name not in ("UNAVAILABLE", "CANCELLED"):
        return error
    log.warning("the owner does not answer", key=key, owner=owner, status=error.code().name, detail=error.details())
    return unowned(key, "its owner does not answer")
