"""The channels' `send` against the doubles, and what the doubles send back: each side checks the other."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline_ingest.channels import email, sms, whatsapp
from trunkline_ingest.channels.adapter import Adapter, Arrival, BadSignature, Raw
from trunkline_ingest.channels.sending import SendContext, SendFailed, SendRefused
from trunkline_ingest.model import Callback, Message, Receipt

from tests.doubles.graph import GraphDouble
from tests.doubles.mail import MailDouble
from tests.doubles.twilio import TwilioDouble
from tests.ingest.intake_samples import NOW

CALLBACK = Callback("m-1", "f5a3c1f0-3a53-5d7c-8f43-0f6a4a3cbd11", "acme/main")
KEYS = {name: secrets.token_hex(16) for name in ("access_token", "app_secret", "auth_token")}
SID = "AC" + "0" * 32
WHATSAPP = ChannelAccount(id="1055", channel="whatsapp", team="support", secrets={"access_token": "access_token"})
SMS = ChannelAccount(
    id="sms-1",
    channel="sms",
    secrets={"auth_token": "auth_token"},
    options={"account_sid": SID, "number": "+15550111", "public_url": "http://ours.example"},
)
EMAIL = ChannelAccount(id="help", channel="email", options={"address": "help@acme.example"})


def message(channel: str, address: str, text: str = "On its way.") -> OutboundMessage:
    found = OutboundMessage(
        message_id=CALLBACK.message_id,
        tenant="acme",
        conversation_id=CALLBACK.conversation_id,
        channel=channel,
        to=Contact(address=address),
        content=Content(text=text, subject="Order 7"),
        pool=CALLBACK.pool,
    )
    found.created_at.FromDatetime(NOW)
    return found


class Webhooks:
    """A server that keeps what the doubles post, as the ingest process would see it."""

    def __init__(self) -> None:
        self.posted: list[Raw] = []

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        origin = f"{request.scheme}://{request.host}"
        self.posted.append(Raw(request.method, origin, request.path_qs, headers, await request.read()))
        return web.Response()

    def normalised(self, adapter: Adapter, account: ChannelAccount, secret: str) -> list[object]:
        raw = self.posted[-1]
        adapter.verify(raw, account, secret)
        return list(adapter.normalise(adapter.parse(raw), Arrival("acme", "acme/main", account, NOW)))


@pytest.fixture
async def webhooks() -> AsyncIterator[tuple[str, Webhooks]]:
    found = Webhooks()
    application = web.Application()
    application.router.add_post("/{path:.*}", found.take)
    async with TestServer(application) as server:
        yield str(server.make_url("/")), found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def context(http: aiohttp.ClientSession, url: str = "", relay: str = "") -> SendContext:
    return SendContext(http, url, url, relay, lambda _tenant, name: KEYS[name])


async def test_whatsapp_sends_and_its_signed_receipt_names_the_message(
    http: aiohttp.ClientSession, webhooks: tuple[str, Webhooks]
) -> None:
    url, posted = webhooks
    async with GraphDouble(access_token=KEYS["access_token"], app_secret=KEYS["app_secret"]) as graph:
        sent = await whatsapp.send(message("whatsapp", "+15550100"), WHATSAPP, context(http, graph.url))
        taken = graph.received[0]
        assert (taken.id, taken.phone_number_id, taken.text) == (sent.provider_message_id, "1055", "On its way.")
        for status in ("sent", "delivered", "read"):
            assert await graph.post_status(url, taken, status) == 200
            (receipt,) = posted.normalised(whatsapp.ADAPTER, WHATSAPP, KEYS["app_secret"])
            assert isinstance(receipt, Receipt)
            assert (receipt.status, receipt.callback, receipt.provider_message_id) == (status, CALLBACK, taken.id)
        with pytest.raises(BadSignature):
            posted.normalised(whatsapp.ADAPTER, WHATSAPP, "another")
        wamid = await graph.post_text(url, "1055", "15550100", "Kim", "Thanks!")
        (said,) = posted.normalised(whatsapp.ADAPTER, WHATSAPP, KEYS["app_secret"])
        assert isinstance(said, Message)
        assert (said.provider_message_id, said.text, said.display_name) == (wamid, "Thanks!", "Kim")


async def test_graph_refuses_what_meta_would(http: aiohttp.ClientSession) -> None:
    async with GraphDouble(access_token=KEYS["access_token"], app_secret=KEYS["app_secret"]) as graph:
        reach = context(http, graph.url)
        graph.fail(1, 429, account="1055", retry_after=9)
        with pytest.raises(SendFailed, match="130429") as failed:
            await whatsapp.send(message("whatsapp", "+15550100"), WHATSAPP, reach)
        assert failed.value.retry_after == 9
        graph.refuse()
        for bad in (
            message("whatsapp", "+15550100"),
            message("whatsapp", "nobody"),
            message("whatsapp", "+15550100", ""),
        ):
            with pytest.raises(SendRefused):
                await whatsapp.send(bad, WHATSAPP, reach)
        strangers = SendContext(http, graph.url, "", "", lambda *_: "stranger")
        with pytest.raises(SendFailed, match="401"):
            await whatsapp.send(message("whatsapp", "+15550100"), WHATSAPP, strangers)
        assert (graph.received, graph.attempts) == ([], 5)


async def test_twilio_sends_and_its_signed_callback_names_the_message(
    http: aiohttp.ClientSession, webhooks: tuple[str, Webhooks]
) -> None:
    url, posted = webhooks
    async with TwilioDouble(account_sid=SID, auth_token=KEYS["auth_token"]) as twilio:
        account = ChannelAccount()
        account.CopyFrom(SMS)
        account.options["public_url"] = url
        sent = await sms.send(message("sms", "+15550100"), account, context(http, twilio.url))
        taken = twilio.received[0]
        assert (taken.sid, taken.form["To"], taken.form["Body"]) == (
            sent.provider_message_id,
            "+15550100",
            "On its way.",
        )
        assert await twilio.post_status(taken, "delivered") == 200
        (receipt,) = posted.normalised(sms.ADAPTER, account, KEYS["auth_token"])
        assert receipt == Receipt(taken.sid, "delivered", CALLBACK)
        sid = await twilio.post_text(url, "+15550100", "+15550111", "Thanks!")
        (said,) = posted.normalised(sms.ADAPTER, account, KEYS["auth_token"])
        assert isinstance(said, Message)
        assert (said.provider_message_id, said.text) == (sid, "Thanks!")
        with pytest.raises(SendRefused, match="21617"):
            await sms.send(message("sms", "+15550100", "x" * 1601), account, context(http, twilio.url))
        twilio.fail(1, 500)
        with pytest.raises(SendFailed):
            await sms.send(message("sms", "+15550100"), account, context(http, twilio.url))


async def test_mail_goes_to_the_relay_and_its_codes_are_understood(http: aiohttp.ClientSession) -> None:
    async with MailDouble() as relay:
        reach = context(http, relay=relay.address)
        await email.send(message("email", "kim@example.com"), EMAIL, reach)
        mail = relay.received[0]
        assert (mail.mail_from, mail.rcpt_tos) == ("help@acme.example", ("kim@example.com",))
        assert (mail.message["Subject"], mail.message.get_content().strip()) == ("Re: Order 7", "On its way.")
        relay.fail(1, 451)
        with pytest.raises(SendFailed, match="451"):
            await email.send(message("email", "kim@example.com"), EMAIL, reach)
        relay.refuse(1, 550)
        with pytest.raises(SendRefused, match="550"):
            await email.send(message("email", "kim@example.com"), EMAIL, reach)
