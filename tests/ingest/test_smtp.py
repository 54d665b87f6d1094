"""SMTP: 250 only after the record is durable."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiosmtplib
import pytest
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline_common import telemetry
from trunkline_ingest import smtp
from trunkline_ingest.channels import email

from tests.ingest.given import MAIL, NOW, FakePublisher, config, directory

MAIL_TEXT = b"From: Ida <ida@example.org>\r\nMessage-ID: <m1@example.org>\r\nSubject: Hi\r\n\r\nHello\r\n"
TWICE = ChannelAccount(id="t", channel="email", team="support", options={"address": "twice@shop.example"})
URGENT = ChannelAccount(
    id="urgent",
    channel="email",
    team="support",
    options={"address": "urgent@shop.example", "sender_priority": "true"},
)
GOLD = ChannelAccount(
    id="gold",
    channel="email",
    team="support",
    options={"address": "gold@shop.example", "sender_priority": "true"},
)
SALES = ChannelAccount(id="sales", channel="email", team="support", options={"address": "sales@shop.example"})


class Post:
    """The listener with a publisher in memory."""

    def __init__(self, address: str, publisher: FakePublisher) -> None:
        self.address, self.publisher = address, publisher

    async def send(self, *recipients: str, mail: bytes = MAIL_TEXT, sender: str = "ida@example.org") -> int:
        """The code of the answer."""
        host, _, port = self.address.rpartition(":")
        async with aiosmtplib.SMTP(hostname=host, port=int(port), start_tls=False) as client:
            try:
                await client.sendmail(sender, list(recipients), mail)
            except aiosmtplib.SMTPRecipientsRefused as error:
                return error.recipients[0].code
            except aiosmtplib.SMTPResponseException as error:
                return error.code
            return 250


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    """Two tenants; one address is in both."""
    publisher = FakePublisher()
    other = config("other", accounts=[TWICE, GOLD])
    other.priorities["gold"] = 600
    found = directory(config(accounts=[MAIL, SALES, TWICE, URGENT]), other)
    async with smtp.serve(smtp.Mailroom(found, publisher, lambda: NOW), "127.0.0.1:0") as address:
        yield Post(address, publisher)


async def test_a_mail_is_published_for_its_account(post: Post) -> None:
    assert await post.send("support@shop.example") == 250
    (event,) = post.publisher.events
    assert (event.tenant, event.account, event.channel) == ("acme", "mail", "email")
    assert (event.message.contact.address, event.message.content.text) == ("ida@example.org", "Hello")
    assert list(event.message.references) == ["<m1@example.org>"]


async def test_the_same_mail_again_has_the_same_event_id(post: Post) -> None:
    await post.send("support@shop.example")
    await post.send("Support+x@shop.example")
    first, again = post.publisher.events
    assert first.event_id == again.event_id


async def test_two_accounts_get_one_event_each_and_one_account_only_one(post: Post) -> None:
    await post.send("support@shop.example", "sales@shop.example", "support+1@shop.example")
    assert [e.account for e in post.publisher.events] == ["mail", "sales"]


async def test_an_unknown_recipient_is_550(post: Post) -> None:
    assert await post.send("nobody@shop.example") == 550


async def test_an_address_of_two_tenants_goes_to_neither(post: Post) -> None:
    assert await post.send("twice@shop.example") == 451
    assert post.publisher.events == []


async def test_kafka_down_is_451(post: Post) -> None:
    post.publisher.down = True
    assert await post.send("support@shop.example") == 451


async def test_too_large_is_552(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told at MAIL where the client names the size, else after DATA."""
    monkeypatch.setattr(smtp, "MAX_MAIL", 1000)
    assert await post.send("support@shop.example", mail=MAIL_TEXT + b"x\r\n" * 1000) == 552
    assert post.publisher.events == []


async def test_long_lines_are_taken(post: Post) -> None:
    assert await post.send("support@shop.example", mail=MAIL_TEXT + b"y" * 5000 + b"\r\n") == 250


async def test_a_defect_of_ours_is_451_and_not_the_end_of_the_mail(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(email, "parse", broken)
    assert await post.send("support@shop.example") == 451


async def test_an_empty_envelope_sender_is_automatic(post: Post) -> None:
    assert await post.send("support@shop.example", sender="") == 250
    assert post.publisher.events[0].message.automatic


async def test_a_header_that_says_nothing_we_know_is_counted_and_the_mail_taken(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, int, dict[str, str]]] = []
    monkeypatch.setattr(telemetry, "count", lambda name, amount, **facts: counted.append((name, amount, facts)))
    assert await post.send("support@shop.example", mail=b"Content-Language: ??\r\n" + MAIL_TEXT) == 250
    assert post.publisher.events[0].message.language == ""
    assert ("trunkline.mail.headers.dropped", 1, {"header": "content-language"}) in counted


async def test_the_headers_of_a_mail_say_its_language_and_priority(post: Post) -> None:
    mail = b"Importance: high\r\nContent-Language: de-at\r\n" + MAIL_TEXT
    assert await post.send("urgent@shop.example", mail=mail) == 250
    (event,) = post.publisher.events
    assert (event.message.priority, event.message.language) == ("high", "de-AT")
    assert await post.send("gold@shop.example", mail=mail) == 250
    assert post.publisher.events[1].message.priority == ""  # that tenant has none of this name
