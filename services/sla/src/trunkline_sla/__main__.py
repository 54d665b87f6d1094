"""python -m trunkline_sla [--role all|projector|api]: composition root."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from trunkline_common import pages, postgres, projecting, rpc, run, topics
from trunkline_common.auth import Authenticator
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.kafka import Producer
from trunkline_common.postgres import Pool
from trunkline_common.tenants import Tenants
from trunkline_common.worker import Context

from trunkline_sla.processor import Projector
from trunkline_sla.server import service
from trunkline_sla.settings import Settings

NAME = "sla"
LOG, DLQ = "trunkline.conversations.v1", "trunkline.conversations.dlq.v1"


async def main(role: projecting.Role, settings: Settings, stop: run.Stop) -> None:
    """Serve, project and fire until stopped."""
    async with postgres.connect(settings.database_url, NAME, application="trunkline-sla") as pool:
        await postgres.migrate(pool, NAME, "trunkline_sla")
        auth = Authenticator(settings.jwks, settings.jwt_issuer, settings.jwt_audience)
        tokens = pages.PageTokens(settings.page_key_file.read_bytes())
        services = [] if role == "projector" else [service(pool, tokens)]
        async with rpc.serve(settings.grpc_listen, auth, services) as server:
            if role == "api":
                await projecting.answer(settings, stop, server)
            else:
                await _project(settings, stop, pool, server)


async def _project(settings: Settings, stop: run.Stop, pool: Pool, server: rpc.Server) -> None:
    await topics.verify(settings.kafka)
    tenants, lateness = Tenants(settings.kafka), timedelta(milliseconds=settings.lateness_ms)
    async with Producer(settings.kafka, NAME) as producer:
        context = Context(
            NAME, server.address, DLQ, pool, producer, lambda part: Projector(part, tenants, lateness), utc_now
        )
        await projecting.project(settings, stop, server, Consumer.of(settings, context, LOG), tenants)


if __name__ == "__main__":
    run.service(NAME, Settings, partial(main, projecting.role(NAME, "Clocks, timers and SlaService.")))
