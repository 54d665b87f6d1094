"""Sending to providers: `python -m trunkline_ingest.delivery` reads trunkline.outbound.v1 until stopped."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from pydantic import Field
from trunkline_common import kafka, run
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.errors import unavailable
from trunkline_common.processor import Request
from trunkline_common.settings import CommonSettings
from trunkline_common.tenants import Tenants
from trunkline_common.worker import Context

from trunkline_ingest import consuming
from trunkline_ingest.channels import CHANNELS
from trunkline_ingest.channels.sending import SendContext, SendFailed
from trunkline_ingest.delivery_attempt import Attempts, Provider
from trunkline_ingest.delivery_processor import Delivery
from trunkline_ingest.delivery_store import Outcome
from trunkline_ingest.secret_files import read_secret

GROUP, TOPIC, DLQ = "delivery", "trunkline.outbound.v1", "trunkline.outbound.dlq.v1"


class DeliverySettings(CommonSettings):
    """What the delivery process needs."""

    secrets_dir: Path = Field(
        alias="TRUNKLINE_SECRETS_DIR", description="Folder of <tenant>/<name>, the files that accounts name"
    )
    whatsapp_base_url: str = Field(
        "https://graph.facebook.com", alias="TRUNKLINE_WHATSAPP_BASE_URL", description="WhatsApp Cloud API (Meta Graph)"
    )
    twilio_base_url: str = Field(
        "https://api.twilio.com", alias="TRUNKLINE_TWILIO_BASE_URL", description="Twilio REST API"
    )
    smtp_relay: str = Field(
        "", alias="TRUNKLINE_SMTP_RELAY", description="host:port that takes our mail; empty: no mail"
    )


def secrets(folder: Path) -> Callable[[str, str], str]:
    """Reads a tenant's secret by its file name, anew each time: a rotated one is used at once."""

    def read(tenant: str, name: str) -> str:
        try:
            return read_secret(folder, tenant, name)
        except (OSError, ValueError):
            raise SendFailed(f"secret {name} cannot be read") from None

    return read


class Deliveries:
    """Makes the state of each partition and hands outcomes to its owner."""

    def __init__(self, tasks: asyncio.TaskGroup, provider: Provider) -> None:
        self._tasks, self._provider = tasks, provider
        self._attempts: defaultdict[int, Attempts] = defaultdict(lambda: Attempts(provider.attempt))
        self.consumer: Consumer | None = None

    def make(self, partition: int) -> Delivery:
        """The state of a partition that was just claimed."""
        provider, attempts = self._provider, self._attempts[partition]
        return Delivery(self._tasks, attempts, self._submit(partition), provider.clock, provider.show)

    def _submit(self, partition: int) -> Callable[[Outcome], Awaitable[None]]:
        async def submit(outcome: Outcome) -> None:
            worker = self.consumer.worker(partition) if self.consumer else None
            if worker is None:
                raise unavailable("owner")
            await worker.submit(Request(outcome))

        return submit

    def abandon(self) -> None:
        """Cancel what is still in the air when the process ends."""
        for attempts in self._attempts.values():
            attempts.cancel()


async def main(settings: DeliverySettings, stop: run.Stop) -> None:
    """Compose and run the process."""
    tenants = Tenants(settings.kafka)
    async with (
        consuming.database(settings, "trunkline-delivery") as pool,
        kafka.Producer(settings.kafka, "trunkline-delivery") as producer,
        aiohttp.ClientSession() as http,
        consuming.following(tenants) as tasks,
    ):
        deliveries = Deliveries(tasks, Provider(CHANNELS, tenants, _context(settings, http), utc_now))
        context = Context(
            group=GROUP,
            owner=consuming.owner(),
            dlq_topic=DLQ,
            pool=pool,
            producer=producer,
            make=deliveries.make,
            clock=utc_now,
        )
        deliveries.consumer = consuming.consumer_of(TOPIC, context, settings)
        await consuming.until_stopped(deliveries.consumer, stop, settings.ready_file)
        deliveries.abandon()


def _context(settings: DeliverySettings, http: aiohttp.ClientSession) -> SendContext:
    return SendContext(
        http=http,
        whatsapp_base_url=settings.whatsapp_base_url.rstrip("/"),
        twilio_base_url=settings.twilio_base_url.rstrip("/"),
        smtp_relay=settings.smtp_relay,
        secret=secrets(settings.secrets_dir),
    )


if __name__ == "__main__":
    run.service("delivery", DeliverySettings, main)
