"""The integrators' door: `python -m trunkline_ingest.intake` reads trunkline.ingress.v1 until stopped."""

from __future__ import annotations

from trunkline_common import kafka, run
from trunkline_common.clock import utc_now
from trunkline_common.settings import CommonSettings
from trunkline_common.tenants import Tenants
from trunkline_common.worker import Context

from trunkline_ingest import consuming
from trunkline_ingest.intake_processor import Intake

GROUP, TOPIC, DLQ = "intake", "trunkline.ingress.v1", "trunkline.ingress.dlq.v1"


async def main(settings: CommonSettings, stop: run.Stop) -> None:
    """Compose and run the process."""
    tenants = Tenants(settings.kafka)
    async with (
        consuming.database(settings, "trunkline-intake") as pool,
        kafka.Producer(settings.kafka, "trunkline-intake") as producer,
        consuming.following(tenants),
    ):
        context = Context(
            group=GROUP,
            owner=consuming.owner(),
            dlq_topic=DLQ,
            pool=pool,
            producer=producer,
            make=lambda _: Intake(tenants),
            clock=utc_now,
            poison_limit=False,  # strangers write this topic: their mistakes must not stop the others' events
        )
        await consuming.until_stopped(consuming.consumer_of(TOPIC, context, settings), stop, settings.ready_file)


if __name__ == "__main__":
    run.service("intake", CommonSettings, main)
