"""The HTTP door: who is let in, what is answered, and what is published before the answer."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline_common import telemetry
from trunkline_ingest.accounts import Directory
from trunkline_ingest.channels import CHANNELS
from trunkline_ingest.secret_files import SecretFiles
from trunkline_ingest.webhooks import MAX_BODY, Webhooks

from tests.doubles.twilio import TwilioDouble
from tests.ingest.given import (
    NOW,
    FakePublisher,
    change,
    config,
    directory,
    hub_signature,
    meta,
    wa_text,
    write_secrets,
)

URL = "/webhooks/whatsapp/acme/wa"
FORM_URL = "/webhooks/form/acme/web"


class Door:
    """The application with a publisher in memory."""

    def __init__(
        self, client: TestClient[Any, Any], accounts: Directory, publisher: FakePublisher, folder: Path
    ) -> None:
        self.client, self.accounts, self.publisher, self.folder = client, accounts, publisher, folder
        self.secrets, self.others_secrets = write_secrets(folder), write_secrets(folder, "other")

    async def meta(self, body: bytes, url: str = URL, secret: str = "") -> tuple[int, dict[str, str]]:
        """POST as Meta; the status and the headers."""
        headers = hub_signature(secret or self.secrets["wa-app"], body)
        async with self.client.post(url, data=io.BytesIO(body), headers=headers) as response:
            await response.read()
            return response.status, dict(response.headers)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A tenant acme with all channels, and another one with the same account ids."""
    publisher = FakePublisher()
    accounts = directory(config(), config("other"))
    app = Webhooks(accounts, SecretFiles(tmp_path), publisher, lambda: NOW).app()
    async with TestClient(TestServer(app)) as client:
        yield Door(client, accounts, publisher, tmp_path)


async def test_a_signed_batch_is_published_in_order_under_the_pools_key(door: Door) -> None:
    status, _ = await door.meta(meta(change(messages=[wa_text("a", "1"), wa_text("b", "2"), wa_text("c", "3")])))
    assert status == 200
    assert [e.message.content.text for e in door.publisher.events] == ["1", "2", "3"]
    assert {m.key for m in door.publisher.messages} == {b"acme/default"}
    first = door.publisher.events[0]
    assert (first.tenant, first.channel, first.account, first.pool) == ("acme", "whatsapp", "wa", "acme/default")
    assert door.publisher.messages[0].headers["ce_id"].decode() == first.event_id


async def test_the_same_delivery_has_the_same_ids_and_another_tenants_has_others(door: Door) -> None:
    body = meta(change(messages=[wa_text("a", "1")]))
    await door.meta(body)
    await door.meta(body)
    await door.meta(body, "/webhooks/whatsapp/other/wa", door.others_secrets["wa-app"])
    first, again, other = door.publisher.events
    assert (first.event_id, first.conversation_id) == (again.event_id, again.conversation_id)
    assert first.event_id != other.event_id
    assert first.conversation_id != other.conversation_id


async def test_the_same_event_twice_in_one_post_is_published_once(door: Door) -> None:
    await door.meta(meta(change(messages=[wa_text("a", "1"), wa_text("b", "2"), wa_text("a", "1")])))
    assert [e.message.content.text for e in door.publisher.events] == ["1", "2"]


async def test_what_is_not_understood_is_a_dead_letter_and_200(door: Door) -> None:
    reaction = {"id": "r", "from": "15550111", "type": "reaction", "reaction": {"emoji": "👍"}}
    status, _ = await door.meta(meta(change(messages=[wa_text("a", "1"), reaction])))
    assert status == 200
    assert len(door.publisher.events) == 1
    assert door.publisher.letters == [("UNSUPPORTED_EVENT", json.dumps(reaction).encode())]


async def test_text_that_cannot_be_stored_is_cleaned(door: Door) -> None:
    await door.meta(meta(change(messages=[wa_text("a", "e\u0301 \x00 \ud83d")])))
    assert door.publisher.events[0].message.content.text == "é  \ufffd"


async def test_kafka_down_is_503_with_retry_after(door: Door) -> None:
    door.publisher.down = True
    status, headers = await door.meta(meta(change(messages=[wa_text("a", "1")])))
    assert status == 503
    assert int(headers["Retry-After"]) > 0


async def test_a_wrong_signature_is_401_and_nothing_is_published(door: Door) -> None:
    status, _ = await door.meta(meta(change(messages=[wa_text("a", "1")])), secret="other")
    assert status == 401
    assert door.publisher.messages == []


async def test_a_missing_secret_is_500_and_nothing_is_published(door: Door) -> None:
    """Also an empty file: HMAC with an empty key would accept what anybody signs."""
    body = meta(change(messages=[wa_text("a", "1")]))
    (door.folder / "acme" / "wa-app").write_text("")
    assert (await door.meta(body))[0] == 500
    (door.folder / "acme" / "wa-app").unlink()
    assert (await door.meta(body))[0] == 500
    assert door.publisher.messages == []


async def test_a_rotated_secret_is_used_at_once(door: Door) -> None:
    (door.folder / "acme" / "wa-app").write_text("rotated")
    body = meta(change(messages=[wa_text("a", "1")]))
    assert (await door.meta(body))[0] == 401
    assert (await door.meta(body, secret="rotated"))[0] == 200


@pytest.mark.parametrize("name", ["wa-app", "../acme/wa-app", "acme/wa-app", "/acme/wa-app", "..", ""])
async def test_a_tenant_that_names_another_tenants_secret_gets_nothing(door: Door, name: str) -> None:
    """What acme's secret signs is refused at the thief's webhook, and so is a handshake with acme's token."""
    thief = ChannelAccount(
        id="wa", channel="whatsapp", team="support", secrets={"app_secret": name, "verify_token": name}
    )
    door.accounts.take(config("thief", accounts=[thief]))
    (door.folder / "thief").mkdir()
    url = "/webhooks/whatsapp/thief/wa"
    assert (await door.meta(meta(change(messages=[wa_text("a", "1")])), url))[0] == 500
    asked = {"hub.mode": "subscribe", "hub.verify_token": door.secrets["wa-app"], "hub.challenge": "1"}
    async with door.client.get(url, params=asked) as response:
        assert (response.status, await response.json()) == (500, {"reason": "SECRET_MISSING"})
    assert door.publisher.messages == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"object": "x"}', b'{"object": "x", "entry": {}}'])
async def test_a_signed_body_that_is_not_metas_is_400_naming_the_field(door: Door, body: bytes) -> None:
    async with door.client.post(URL, data=body, headers=hub_signature(door.secrets["wa-app"], body)) as response:
        answer = await response.json()
    assert response.status == 400
    assert answer["reason"] == "INVALID_BODY"
    assert all(f["field"] and f["description"] for f in answer["fields"])


@pytest.mark.parametrize(
    "url",
    [
        "/webhooks/whatsapp/acme/nobody",
        "/webhooks/whatsapp/nobody/wa",
        "/webhooks/telepathy/acme/wa",
        "/webhooks/sms/acme/wa",
        "/webhooks/email/acme/mail",
        "/webhooks/app/acme/own-app",
        "/webhooks/whatsapp/acme",
        "/",
    ],
)
async def test_what_is_not_configured_is_404(door: Door, url: str) -> None:
    assert (await door.meta(b"{}", url))[0] == 404


async def test_a_body_over_the_cap_is_413(door: Door) -> None:
    assert (await door.meta(b"x" * (MAX_BODY + 1)))[0] == 413


async def test_a_body_without_a_length_is_capped_too(door: Door) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    async with door.client.post(URL, data=chunks()) as response:
        assert response.status == 413


async def test_the_handshake(door: Door) -> None:
    good = {"hub.mode": "subscribe", "hub.verify_token": door.secrets["wa-verify"], "hub.challenge": "<b>42"}
    async with door.client.get(URL, params=good) as response:
        assert (response.status, await response.text(), response.content_type) == (200, "<b>42", "text/plain")
    async with door.client.get(URL, params={**good, "hub.verify_token": "x"}) as response:
        assert response.status == 403
    async with door.client.get(FORM_URL) as response:
        assert response.status == 405


async def test_a_form_is_answered_202_with_its_ids(door: Door) -> None:
    form = {"name": "Ida", "email": "ida@example.org", "message": "Where is it?", "nonce": "n1"}
    async with door.client.post(FORM_URL, data=form) as by_form, door.client.post(FORM_URL, json=form) as by_json:
        assert by_form.status == by_json.status == 202
        assert await by_form.json() == await by_json.json()
    assert {e.event_id for e in door.publisher.events} == {(await by_form.json())["event_id"]}


async def test_a_forms_wrong_fields_are_all_named(door: Door) -> None:
    async with door.client.post(FORM_URL, json={"email": "ida"}) as response:
        answer = await response.json()
    assert response.status == 400
    assert {f["field"] for f in answer["fields"]} == {"email", "message"}


async def test_a_form_may_give_a_priority_that_its_tenant_has(door: Door) -> None:
    form = {"email": "ida@example.org", "message": "Where is it?", "order": "7", "priority": "gold"}
    shown = ChannelAccount(
        id="web", channel="form", team="support", options={"attributes": "order", "sender_priority": "true"}
    )
    ours = config(version=2, accounts=[shown])
    ours.priorities["gold"] = 600
    door.accounts.take(ours)
    async with door.client.post(FORM_URL, json=form) as response:
        assert response.status == 202
    found = door.publisher.events[0].message
    assert (found.priority, dict(found.attributes)) == ("gold", {"order": "7"})
    async with door.client.post(FORM_URL, json={**form, "priority": "high"}) as response:
        assert (response.status, (await response.json())["fields"]) == (
            400,
            [{"field": "priority", "description": "must be one of gold"}],
        )


async def test_sms_is_answered_in_twiml(door: Door) -> None:
    """Signed over the URL as received, since this account names no public one."""
    url = str(door.client.make_url("/webhooks/sms/acme/sms"))
    async with TwilioDouble(account_sid="AC1", auth_token=door.secrets["sms-auth"]) as twilio:
        await twilio.post_text(url, "+15550111", "+15550100", "hello")
        assert await twilio.post_webhook(url, {"MessageSid": "SM1"}, signed_url=url + "?x=1") == 401
    assert door.publisher.events[0].message.content.text == "hello"


async def test_a_defect_of_ours_is_500_and_tells_nobody_what_the_customer_wrote(
    door: Door, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise ValueError("hello from +15550111")

    monkeypatch.setitem(CHANNELS, "whatsapp", replace(CHANNELS["whatsapp"], parse=broken))
    assert (await door.meta(b"{}"))[0] == 500
    logged = capsys.readouterr().out
    assert "ValueError" in logged
    assert "+15550111" not in logged


async def test_a_trace_begins_here_and_the_record_carries_it(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stranger sends as traceparent is nobody's parent."""
    tracing, spans = TracerProvider(), InMemorySpanExporter()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(telemetry, "tracer", lambda: tracing.get_tracer("test"))
    foreign = f"00-{'a' * 32}-{'b' * 16}-01"
    body = meta(change(messages=[wa_text("a", "1")]))
    headers = {**hub_signature(door.secrets["wa-app"], body), "traceparent": foreign}
    async with door.client.post(URL, data=body, headers=headers) as response:
        assert response.status == 200
    (server,) = spans.get_finished_spans()
    assert (server.name, server.parent) == ("POST /webhooks/whatsapp", None)
    assert door.publisher.messages[0].headers["traceparent"].decode() == telemetry.traceparent(server)  # type: ignore[arg-type] # a finished span
    assert "a" * 32 not in door.publisher.messages[0].headers["traceparent"].decode()


async def test_healthz(door: Door) -> None:
    async with door.client.get("/healthz") as response:
        assert response.status == 200
