"""That an agent types: what the provider gets, and what is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from trunkline.common.v1.common_pb2 import Contact
from trunkline.config.v1.config_pb2 import ChannelAccount, TenantConfig
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage, TypingIndicator
from trunkline_common import telemetry
from trunkline_common.cloudevents import headers
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import Record
from trunkline_ingest.channels import CHANNELS
from trunkline_ingest.channels.sending import SendContext
from trunkline_ingest.delivery_attempt import Provider
from trunkline_ingest.delivery_store import New
from trunkline_ingest.delivery_typing import MOST_AT_ONCE, WORTH, Indicators, Typing
from trunkline_ingest.delivery_wire import parse

from tests.doubles.graph import GraphDouble
from tests.ingest.intake_samples import NOW, tenants

CONFIG = TenantConfig(
    tenant="acme",
    version=1,
    accounts=[
        ChannelAccount(id="100200300", channel="whatsapp", secrets={"access_token": "f"}),
        ChannelAccount(id="s", channel="sms"),
    ],
)


def typing(*, on: bool = True, channel: str = "whatsapp", account: str = "100200300", message: str = "wamid.A1",
           written: datetime = NOW) -> Typing:  # fmt: skip
    """An indicator, written by the router."""
    made = TypingIndicator(
        on=on,
        tenant="acme",
        conversation_id="c-1",
        channel=channel,
        account=account,
        to=Contact(address="+15550100"),
        provider_message_id=message,
    )
    made.created_at.FromDatetime(written)
    return Typing(made, "")


@pytest.fixture(name="outcomes")
def _outcomes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is counted."""
    found: list[str] = []
    monkeypatch.setattr(telemetry, "count", lambda _name, _amount, **facts: found.append(facts["outcome"]))
    return found


@pytest.fixture(name="graph")
async def _graph() -> AsyncIterator[GraphDouble]:
    async with GraphDouble(access_token="once", app_secret="k") as graph:
        yield graph


@pytest.fixture(name="provider")
async def _provider(graph: GraphDouble) -> AsyncIterator[Provider]:
    async with ClientSession() as http:
        context = SendContext(http, graph.url, graph.url, "", lambda *_: "once")
        yield Provider(CHANNELS, tenants(CONFIG), context, lambda: NOW)


async def test_whatsapp_marks_the_customers_message_as_read_with_three_dots(
    graph: GraphDouble, provider: Provider, outcomes: list[str]
) -> None:
    """The double refuses what Meta does not document; it is no message."""
    await provider.show(typing())
    assert (graph.typing, graph.received, outcomes) == (["wamid.A1"], [], ["shown"])


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ({"on": False}, "ignored"),
        ({"message": ""}, "ignored"),
        ({"channel": "sms", "account": "s"}, "ignored"),
        ({"channel": "crm", "account": "x"}, "ignored"),
        ({"written": NOW - WORTH}, "old"),
        ({"account": "another"}, "failed"),
        ({"message": "no wamid"}, "failed"),
    ],
)
async def test_what_cannot_be_shown_is_forgotten(
    graph: GraphDouble, provider: Provider, outcomes: list[str], what: dict[str, Any], outcome: str
) -> None:
    """Nothing is raised; it is counted."""
    await provider.show(typing(**what))
    assert (graph.typing, outcomes) == ([], [outcome])


async def test_a_failure_is_not_tried_again(graph: GraphDouble, provider: Provider, outcomes: list[str]) -> None:
    """One request, whatever the answer."""
    graph.fail(1, 503)
    await provider.show(typing(written=NOW - WORTH + timedelta(seconds=1)))
    assert (graph.attempts, graph.typing, outcomes) == (1, [], ["failed"])


async def test_a_provider_that_hangs_holds_a_bounded_number(outcomes: list[str]) -> None:
    """The others are dropped; all end with the partition."""
    begun, never = [], asyncio.Event()

    async def hang(one: Typing) -> None:
        begun.append(one)
        await never.wait()

    async with asyncio.TaskGroup() as tasks:
        indicators = Indicators(tasks, hang)
        indicators.show([typing()] * (MOST_AT_ONCE + 2))
        await asyncio.sleep(0)
        assert (len(begun), outcomes) == (MOST_AT_ONCE, ["dropped"] * 2)
        indicators.cancel()


def record(value: bytes, message: str) -> Record:
    """As the router writes it."""
    found = headers(event_id="e", message=message, source="router", subject="c-1", time=NOW, tenant="acme")
    return Record("trunkline.outbound.v1", 0, 7, b"k", value, found, 0, "00-t")


def test_the_type_in_the_header_says_what_a_record_is() -> None:
    """An indicator is no message with fields missing, and a message is no indicator."""
    shown = typing().indicator
    assert parse(record(shown.SerializeToString(), "trunkline.outbound.v1.TypingIndicator")) == Typing(shown, "00-t")
    message = OutboundMessage(
        message_id="m", tenant="acme", conversation_id="c-1", channel="sms", account="s", pool="acme/main"
    )
    assert isinstance(parse(record(message.SerializeToString(), "trunkline.outbound.v1.OutboundMessage")), New)
    with pytest.raises(InvalidMessage, match="MISSING_FIELD: missing: tenant, channel, account"):
        parse(record(b"", "trunkline.outbound.v1.TypingIndicator"))
