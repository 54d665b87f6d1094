"""python -m trunkline_timeline [--role all|projector|api]: composition root."""

from __future__ import annotations

from functools import partial

from trunkline_common import pages, postgres, projecting, rpc, run, topics
from trunkline_common.auth import Authenticator
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.kafka import Producer
from trunkline_common.postgres import Pool
from trunkline_common.worker import Context

from trunkline_timeline import promises
from trunkline_timeline.processor import Projector
from trunkline_timeline.server import service
from trunkline_timeline.settings import Settings

NAME = "timeline"
LOG, DLQ = "trunkline.conversations.v1", "trunkline.conversations.dlq.v1"


async def main(role: projecting.Role, settings: Settings, stop: run.Stop) -> None:
    """Serve and project until stopped."""
    async with (
        postgres.connect(settings.database_url, NAME, application="trunkline-timeline") as pool,
        promises.connect(settings.sla_target, settings.service_token_file) as promised,
    ):
        await postgres.migrate(pool, NAME, "trunkline_timeline")
        auth = Authenticator(settings.jwks, settings.jwt_issuer, settings.jwt_audience)
        tokens = pages.PageTokens(settings.page_key_file.read_bytes())
        services = [] if role == "projector" else [service(pool, tokens, promised)]
        async with rpc.serve(settings.grpc_listen, auth, services) as server:
            if role == "api":
                await projecting.answer(settings, stop, server)
            else:
                await _project(settings, stop, pool, server)


async def _project(settings: Settings, stop: run.Stop, pool: Pool, server: rpc.Server) -> None:
    await topics.verify(settings.kafka)
    async with Producer(settings.kafka, NAME) as producer:
        context = Context(NAME, server.address, DLQ, pool, producer, lambda _: Projector(), utc_now)
        await projecting.project(settings, stop, server, Consumer.of(settings, context, LOG))


if __name__ == "__main__":
    run.service(NAME, Settings, partial(main, projecting.role(NAME, "History and TimelineService.")))
