"""gRPC: IngestService, the door for channels of one's own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from trunkline.config.v1.config_pb2 import ChannelAccount, TenantConfig
from trunkline.ingest.v1 import ingest_service_pb2 as pb
from trunkline.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from trunkline.ingest.v1.ingress_event_pb2 import IngressMessage
from trunkline_common import auth, rpc, telemetry
from trunkline_common.clock import Clock
from trunkline_common.errors import InvalidMessage, Refused, Violation, invalid_request, unavailable

from trunkline_ingest import ingress, wire
from trunkline_ingest.accounts import Directory, priorities_of
from trunkline_ingest.publisher import KafkaDown, Publisher

POLICY = {
    "PublishMessage": rpc.allow(
        "integrator",
        "service",
        required=("message.account", "message.message_id", "message.thread_key", "message.contact.address"),
        any_text=True,  # what a customer wrote is cleaned, as it is at every other door
    )
}


class IngestServicer(pb_grpc.IngestServiceServicer):
    """The answer is given when the record is durable."""

    def __init__(self, directory: Directory, publisher: Publisher, clock: Clock) -> None:
        self._directory, self._publisher, self._clock = directory, publisher, clock

    async def PublishMessage(  # noqa: N802 - grpc's name
        self, request: pb.PublishMessageRequest, _context: Any
    ) -> pb.PublishMessageResponse:
        message, tenant = request.message, auth.caller().tenant
        config, account = self._account(tenant, message.account)
        check(message, tenant, priorities_of(config))
        event = ingress.normalise(message, account, config, self._clock())
        try:
            await self._publisher.publish([wire.record(event, telemetry.traceparent())])
        except KafkaDown:
            raise unavailable("kafka") from None
        telemetry.count("trunkline.webhook.accepted", 1, channel="grpc")
        return pb.PublishMessageResponse(event_id=event.event_id, conversation_id=event.conversation_id)

    def _account(self, tenant: str, name: str) -> tuple[TenantConfig, ChannelAccount]:
        config = self._directory.config(tenant)
        if config is None:
            raise Refused(
                "FAILED_PRECONDITION",
                "TENANT_NOT_CONFIGURED",
                f"tenant {tenant} has no configuration; apply one first",
                metadata={"tenant": tenant},
            )
        found = self._directory.find(tenant, name)
        if found is None:
            raise Refused(
                "NOT_FOUND",
                "ACCOUNT_NOT_FOUND",
                f"account {name} is not in the configuration",
                metadata={"channel": "", "account": name},
            )
        return config, found.config


def check(message: IngressMessage, tenant: str, priorities: Collection[str]) -> None:
    """The rules of the ingress topic hold here too; the tenant is the token's."""
    if message.tenant not in ("", tenant):
        raise invalid_request(Violation("message.tenant", "must be empty or the token's tenant"))
    if not message.content.text.strip() and not message.content.attachments:
        raise invalid_request(Violation("message.content", "needs text or an attachment"))
    try:
        ingress.check(message, priorities)
    except InvalidMessage as error:
        field, _, what = error.detail.partition(" ")
        raise invalid_request(Violation(f"message.{field}", what)) from None


def service(directory: Directory, publisher: Publisher, clock: Clock) -> rpc.Service:
    """IngestService with its policy."""
    return rpc.Service(
        pb.DESCRIPTOR.services_by_name["IngestService"],
        IngestServicer(directory, publisher, clock),
        pb_grpc.add_IngestServiceServicer_to_server,
        POLICY,
    )
