"""Sending: what the provider gets, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import ClientSession
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline_ingest.channels import CHANNELS, sms, whatsapp
from trunkline_ingest.channels.posting import judge
from trunkline_ingest.channels.sending import SendContext, SendFailed, SendRefused
from trunkline_ingest.model import Receipt

from tests.doubles.graph import GraphDouble
from tests.doubles.mail import MailDouble
from tests.doubles.twilio import TwilioDouble
from tests.ingest.given import MAIL, arrival, change, meta, raw

CONVERSATION = "6a5f1c1e-7a0c-5b59-8a55-0e6f0b1a2c3d"
WA = ChannelAccount(
    id="wa", channel="whatsapp", secrets={"access_token": "f"}, options={"phone_number_id": "100200300"}
)
TWILIO = ChannelAccount(
    id="s/1",
    channel="sms",
    secrets={"auth_token": "f"},
    options={"number": "+15550100", "account_sid": "AC1", "public_url": "https://hooks.example/"},
)


def outbound(to: str, text: str = "On its way") -> OutboundMessage:
    """A message to somebody."""
    return OutboundMessage(
        message_id="m1",
        tenant="acme",
        conversation_id=CONVERSATION,
        pool="acme/default",
        to=Contact(address=to),
        content=Content(text=text),
    )


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    """A client."""
    async with ClientSession() as session:
        yield session


def context(http: ClientSession, url: str = "http://127.0.0.1:9", relay: str = "") -> SendContext:
    """Everything at one URL, one secret for all."""
    return SendContext(http, url, url, relay, lambda *_: "once")


@pytest.mark.parametrize(("address", "field"), [("15550111", "to"), ("US.1349", "recipient")])
async def test_whatsapp_by_number_and_by_business_scoped_id(http: ClientSession, address: str, field: str) -> None:
    async with GraphDouble(access_token="once", app_secret="k") as graph:
        sent = await whatsapp.send(outbound(address), WA, context(http, graph.url))
    (taken,) = graph.received
    assert (taken.id, taken.text, taken.body[field]) == (sent.provider_message_id, "On its way", address)
    status = {"id": taken.id, "status": "read", "biz_opaque_callback_data": taken.body["biz_opaque_callback_data"]}
    (receipt,) = whatsapp.normalise(whatsapp.parse(raw(meta(change(statuses=[status])))), arrival(WA))
    assert isinstance(receipt, Receipt)
    assert (receipt.callback.message_id, receipt.callback.conversation_id) == ("m1", CONVERSATION)


async def test_sms_tells_twilio_where_its_receipts_go(http: ClientSession) -> None:
    async with TwilioDouble(account_sid="AC1", auth_token="once") as twilio:
        sent = await sms.send(outbound("+15550111"), TWILIO, context(http, twilio.url))
    (taken,) = twilio.received
    assert (taken.sid, taken.form["Body"], taken.form["From"]) == (sent.provider_message_id, "On its way", "+15550100")
    back = urlsplit(taken.form["StatusCallback"])
    assert (back.netloc, back.path) == ("hooks.example", "/webhooks/sms/acme/s%2F1")
    assert dict(parse_qsl(back.query)) == {"m": "m1", "c": CONVERSATION, "p": "acme/default"}


async def test_mail_goes_to_the_relay_and_a_form_is_answered_by_mail(http: ClientSession) -> None:
    message = outbound("ida@example.org")
    message.created_at.GetCurrentTime()
    async with MailDouble() as relay:
        for channel in ("email", "form"):
            sent = await CHANNELS[channel].send(message, MAIL, context(http, relay=relay.address))
            assert relay.received[-1].message["Message-ID"] == sent.provider_message_id
    assert [m.rcpt_tos for m in relay.received] == [("ida@example.org",)] * 2
    assert relay.received[0].mail_from == "support@shop.example"


@pytest.mark.parametrize(("code", "expected"), [(451, SendFailed), (550, SendRefused)])
async def test_the_relays_codes_are_kept_apart(http: ClientSession, code: int, expected: type[Exception]) -> None:
    async with MailDouble() as relay:
        relay.fail(1, code)
        with pytest.raises(expected):
            await CHANNELS["email"].send(outbound("ida@example.org"), MAIL, context(http, relay=relay.address))


@pytest.mark.parametrize("channel", ["whatsapp", "sms", "email"])
async def test_nobody_there_is_tried_again(http: ClientSession, channel: str) -> None:
    account = {"whatsapp": WA, "sms": TWILIO, "email": MAIL}[channel]
    with pytest.raises(SendFailed):
        await CHANNELS[channel].send(outbound("ida@example.org"), account, context(http, relay="127.0.0.1:9"))


@pytest.mark.parametrize("channel", ["whatsapp", "sms", "email", "form"])
async def test_an_account_without_what_sending_needs_is_refused(http: ClientSession, channel: str) -> None:
    with pytest.raises(SendRefused):
        await CHANNELS[channel].send(outbound("x"), ChannelAccount(id="a"), context(http, relay="127.0.0.1:9"))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, SendRefused),
        (404, SendRefused),
        (302, SendRefused),
        (401, SendFailed),
        (429, SendFailed),
        (500, SendFailed),
    ],
)
def test_what_an_http_status_means(status: int, expected: type[Exception]) -> None:
    body = json.dumps({"error": {"code": 131026, "message": "to +15550111"}}).encode()
    with pytest.raises(expected) as refused:
        judge(status, "7", body)
    assert str(refused.value) == f"HTTP {status}, code 131026"
    if isinstance(refused.value, SendFailed):
        assert refused.value.retry_after == 7
