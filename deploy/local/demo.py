"""Starts everything and tells the story of a message. Exit 0 when all of it happened, 1 on any shortfall."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from trunkline.sla.v1.sla_event_pb2 import SlaEvent
from trunkline_common.kafka import Producer

from deploy.local import chapters
from deploy.local.demo_config import DEMO_TENANT, TENANT, apply_demo_config, make_secrets
from deploy.local.envfile import addresses
from deploy.local.otlp import Receiver, render_tree
from deploy.local.process import NotReady, ProcessDied
from deploy.local.services import Services, secrets_folder
from deploy.local.stack import Stack
from deploy.local.story import Shortfall, Story
from deploy.local.topiclog import TopicLog
from tests.doubles.graph import GraphDouble
from tests.doubles.mail import MailDouble
from tests.doubles.twilio import TwilioDouble

AGENTS = ("ana", "ben", "cleo", "dan")
BREACH_S = 40.0


async def demo(folder: Path) -> None:
    """The whole story, in a folder of its own."""
    async with AsyncExitStack() as stack:
        print("starting Kafka and PostgreSQL (real ones; the first time they are fetched)", flush=True)
        local = await stack.enter_async_context(Stack(folder))
        otlp = await stack.enter_async_context(Receiver())
        make_secrets(_document(), folder)
        graph = await stack.enter_async_context(
            GraphDouble(access_token=_secret(folder, "wa-access-token"), app_secret=_secret(folder, "wa-app-secret"))
        )
        twilio = await stack.enter_async_context(
            TwilioDouble(account_sid=_option("account_sid"), auth_token=_secret(folder, "sms-auth-token"))
        )
        mails = await stack.enter_async_context(MailDouble())
        services = await stack.enter_async_context(
            Services(local, env=_env(otlp), env_of=_env_of(graph, twilio, mails))
        )
        print("starting ingest, intake, delivery, router, timeline, sla, insights", flush=True)
        await services.start_all()
        await apply_demo_config(addresses(local, services), folder)
        log = TopicLog(local.bootstrap, TENANT)
        following = asyncio.create_task(log.run())
        stack.callback(following.cancel)
        producer = await stack.enter_async_context(Producer(local.bootstrap, "integrator"))
        token = services.keys.mint("supervisor", TENANT, "sam", timedelta(hours=1))
        story = Story(services, graph, twilio, otlp, log, producer, [("authorization", f"Bearer {token}")])
        await chapters.handshake(story, _secret(folder, "wa-verify-token"))
        await tell(story)


async def tell(story: Story) -> None:
    """Every chapter, then the trace of the first message and the count."""
    story.tell(
        f"tenant {TENANT} applied: two teams, {len(AGENTS)} agents, their channels; {', '.join(AGENTS)} come online"
    )
    for agent in AGENTS:
        await story.presence(agent)
    first = await chapters.whatsapp(story)
    unanswered = await chapters.sms_unanswered(story)
    await chapters.mail_handed_over(story)
    await chapters.integrator(story)
    await chapters.twice(story)
    await chapters.killed(story, lambda: story.services.start("router"))
    breach = await story.until("the breach", lambda: _breach(story, unanswered), BREACH_S)
    story.tell(f"The SMS was not answered: first response breached, noticed {breach.late_ms} ms after it was due")
    await asyncio.sleep(3)  # the exporters send spans and metrics every 2 s
    print_trace(story.otlp, first)
    conclude(story)


def _breach(story: Story, conversation: str) -> SlaEvent | None:
    found = (s for s in story.log.sla.values() if s.conversation_id == conversation and s.HasField("breached"))
    return next(found, None)


def print_trace(otlp: Receiver, conversation: str) -> None:
    """The first message from the webhook on."""
    webhooks = [s for s in otlp.spans if s.name.startswith("POST /webhooks/whatsapp")]
    if not webhooks:
        raise Shortfall("no webhook span was reported")
    earliest = min(webhooks, key=lambda s: s.start_ns)
    print(f"\nthe trace of the first message (conversation {conversation[:8]}):")
    print(render_tree(otlp.spans, earliest.trace_id), flush=True)
    names = {s.name for s in otlp.trace(earliest.trace_id)}
    for wanted in ("process trunkline.inbound.v1", "process trunkline.conversations.v1"):
        if wanted not in names:
            raise Shortfall(f"the trace of the first message lacks {wanted}")


def conclude(story: Story) -> None:
    """The figures, from the log itself; a shortfall in any of them raises."""
    log = story.log
    figures = {
        "messages": log.count("message_received"),
        "conversations": log.count("conversation_started"),
        "assigned": log.count("conversation_assigned"),
        "handoffs": log.count("conversation_transferred"),
        "breaches": sum(s.HasField("breached") for s in log.sla.values()),
        "duplicates_dropped": int(story.otlp.metric_sum("trunkline.inbox.duplicates")),
        "lost": story.sent - log.count("message_received"),
    }
    wrong = [f"{n}={figures[n]}" for n in ("assigned", "handoffs", "breaches", "duplicates_dropped") if figures[n] < 1]
    wrong += [f"lost={figures['lost']}"] if figures["lost"] else []
    wrong += [f"span {name} tells {canary!r}" for name, canary in leaks(story.otlp)]
    wrong += [f"seq with gaps in {len(log.gaps())} conversations"] if log.gaps() else []
    line = " ".join(f"{name}={value}" for name, value in figures.items())
    if wrong:
        raise Shortfall(f"{', '.join(wrong)} ({line})")
    print(f"\ndemo: ok {line}", flush=True)


def leaks(otlp: Receiver) -> list[tuple[str, str]]:
    """Spans that hold what a customer wrote or their address: there must be none (P10)."""
    canaries = ("parcel", "lamp", chapters.CUSTOMER, "+15550102", "lee@customer.example")
    return [(s.name, c) for s in otlp.spans for c in canaries if c in s.name or c in str(dict(s.attributes))]


def _document() -> Any:
    return yaml.safe_load(DEMO_TENANT.read_text())


def _option(name: str) -> str:
    return next(str(a["options"][name]) for a in _document()["accounts"] if name in a.get("options", {}))


def _secret(folder: Path, name: str) -> str:
    return (secrets_folder(folder, TENANT) / name).read_text().strip()


def _env(otlp: Receiver) -> Mapping[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint, "TRUNKLINE_SESSION_TIMEOUT_MS": "6000"}


def _env_of(graph: GraphDouble, twilio: TwilioDouble, mails: MailDouble) -> Mapping[str, Mapping[str, str]]:
    delivery = {
        "TRUNKLINE_WHATSAPP_BASE_URL": graph.url,
        "TRUNKLINE_TWILIO_BASE_URL": twilio.url,
        "TRUNKLINE_SMTP_RELAY": mails.address,
    }
    return {"delivery": delivery, "router": {"TRUNKLINE_INSTANCE": "router"}}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.demo", description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder for data and logs (default: one that is removed)")
    options = parser.parse_args()
    try:
        if options.keep:
            asyncio.run(demo(options.keep.absolute()))
        else:
            with tempfile.TemporaryDirectory(prefix="trunkline-demo-") as folder:
                asyncio.run(demo(Path(folder)))
    except (Shortfall, ProcessDied, NotReady) as error:
        print(f"\ndemo: failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
