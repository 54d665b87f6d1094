"""The ingest process: webhooks, SMTP and gRPC, published to trunkline.inbound.v1."""

from __future__ import annotations

import asyncio
import gc

import structlog
from trunkline_common import rpc, run, topics
from trunkline_common.auth import Authenticator
from trunkline_common.clock import utc_now
from trunkline_common.kafka import Producer
from trunkline_common.tenants import Tenants

from trunkline_ingest import server, smtp, webhooks
from trunkline_ingest.accounts import Directory
from trunkline_ingest.publisher import KafkaPublisher
from trunkline_ingest.secret_files import SecretFiles
from trunkline_ingest.settings import IngestSettings

log = structlog.get_logger(__name__)

# A request leaves next to nothing in cycles: looked for after every 700 objects, they cost a few per cent of the time.
GARBAGE = 20_000


async def main(settings: IngestSettings, stop: run.Stop) -> None:
    """Serve until stopped; ready when every tenant's configuration is read."""
    gc.set_threshold(GARBAGE)
    await topics.verify(settings.kafka)
    directory = Directory()
    tenants = Tenants(settings.kafka, directory.take)
    async with Producer(settings.kafka, "trunkline-ingest") as producer, asyncio.TaskGroup() as tasks:
        following = tasks.create_task(tenants.run())
        await tenants.loaded()
        await producer.ready()
        await _serve(settings, stop, directory, producer)
        following.cancel()


async def _serve(settings: IngestSettings, stop: run.Stop, directory: Directory, producer: Producer) -> None:
    publisher = KafkaPublisher(producer)
    hooks = webhooks.Webhooks(directory, SecretFiles(settings.secrets_dir), publisher, utc_now)
    mailroom = smtp.Mailroom(directory, publisher, utc_now)
    auth = Authenticator(settings.jwks, settings.jwt_issuer, settings.jwt_audience)
    async with (
        rpc.serve(settings.grpc_listen, auth, [server.service(directory, publisher, utc_now)]) as grpc,
        smtp.serve(mailroom, settings.smtp_listen) as mail,
        webhooks.serve(hooks, settings.http_listen) as http,
    ):
        log.info("listening", http=http, smtp=mail, grpc=grpc.address)
        await grpc.set(serving=True)
        run.say_ready(settings.ready_file)
        await stop.wait()
        await grpc.set(serving=False)


if __name__ == "__main__":
    run.service("ingest", IngestSettings, main)
