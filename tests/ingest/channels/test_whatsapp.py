"""WhatsApp Cloud API: signatures, batches, and what each kind of event becomes."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline_ingest import callbacks
from trunkline_ingest.channels import whatsapp
from trunkline_ingest.channels.adapter import BadSignature, InvalidBody
from trunkline_ingest.labels import NONE
from trunkline_ingest.model import Attachment, Fact, Message, Receipt, Unknown

from tests.ingest.given import NUMBER_ID, WHATSAPP, arrival, change, meta, raw, wa_text

TOY = "0329a06b62cd16b33eb6792be8c60b158d89a2ee3a876fce9a881ebb488c0914"
CONVERSATION = "6a5f1c1e-7a0c-5b59-8a55-0e6f0b1a2c3d"


def facts(*changes: dict[str, Any]) -> list[Fact]:
    """What one POST with these changes says."""
    return whatsapp.normalise(whatsapp.parse(raw(meta(*changes))), arrival(WHATSAPP))


def message(**fields: Any) -> Message:
    """The one message of a POST with one event."""
    (found,) = facts(change(messages=[{"id": "wamid.1", "from": "15550111", "timestamp": "1763630000", **fields}]))
    assert isinstance(found, Message)
    return found


def test_the_toy_vector_verifies() -> None:
    """HMAC-SHA256 of `test` under `secret`."""
    whatsapp.verify(raw(b"test", headers={"x-hub-signature-256": f"sha256={TOY}"}), WHATSAPP, "secret")


@pytest.mark.parametrize(
    ("body", "secret", "header"),
    [
        (b"tess", "secret", f"sha256={TOY}"),
        (b"test", "other", f"sha256={TOY}"),
        (b"test", "secret", ""),
        (b"test", "secret", TOY),
        (b"test", "secret", f"sha1={TOY}"),
        (b"test", "secret", "sha256=not-hex-ü"),
        (b"test", "secret", f"sha256={TOY[:-1]}"),
        (b"test ", "secret", f"sha256={TOY}"),
    ],
    ids=["flipped byte", "wrong secret", "no header", "no scheme", "old scheme", "not hex", "short", "longer body"],
)
def test_what_meta_did_not_sign_is_refused(body: bytes, secret: str, header: str) -> None:
    with pytest.raises(BadSignature):
        whatsapp.verify(raw(body, headers={"x-hub-signature-256": header} if header else {}), WHATSAPP, secret)


def test_the_signature_is_over_the_bytes_not_over_their_meaning() -> None:
    """The same JSON with an unescaped letter is another body."""
    sent = b'{"a":"\\u00e9"}'
    header = {"x-hub-signature-256": "sha256=" + hmac.new(b"k", sent, hashlib.sha256).hexdigest()}
    whatsapp.verify(raw(sent, headers=header), WHATSAPP, "k")
    with pytest.raises(BadSignature):
        whatsapp.verify(raw(json.dumps(json.loads(sent), ensure_ascii=False).encode(), headers=header), WHATSAPP, "k")


def test_the_handshake_answers_the_challenge() -> None:
    found = whatsapp.handshake(raw(target="/x?hub.mode=subscribe&hub.verify_token=t&hub.challenge=42"), "t")
    assert (found.status, found.text) == (200, "42")


@pytest.mark.parametrize("query", ["", "hub.mode=subscribe&hub.verify_token=u", "hub.mode=x&hub.verify_token=t"])
def test_the_handshake_needs_mode_and_token(query: str) -> None:
    with pytest.raises(BadSignature):
        whatsapp.handshake(raw(target=f"/x?{query}"), "t")


def test_a_text_message() -> None:
    found = facts(
        change(messages=[wa_text("wamid.1", "hello")], contacts=[{"profile": {"name": "Ida"}, "wa_id": "15550111"}])
    )
    at = datetime.fromtimestamp(1763630000, UTC)
    assert found == [Message("wamid.1", "15550111", "15550111", "hello", display_name="Ida", provider_time=at)]


def test_a_batch_keeps_its_order_over_entries_and_changes() -> None:
    body = json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {"id": "1", "changes": [change(messages=[wa_text("a", "1"), wa_text("b", "2")])]},
                {"id": "2", "changes": [change(messages=[wa_text("c", "3")]), change(messages=[wa_text("d", "4")])]},
            ],
        }
    ).encode()
    found = whatsapp.normalise(whatsapp.parse(raw(body)), arrival(WHATSAPP))
    assert [f.text for f in found if isinstance(f, Message)] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "wamid.x"},
        {"type": "text"},
        {"id": 7, "type": "text"},
        {"id": "wamid.x", "type": "image", "image": {}},
        {"id": "wamid.x", "type": "text", "text": {"body": "nobody wrote this"}},
    ],
)
def test_one_bad_event_loses_none_of_the_others(bad: dict[str, Any]) -> None:
    found = facts(change(messages=[wa_text("a", "1"), bad, wa_text("b", "2")]))
    assert [type(f) for f in found] == [Message, Unknown, Message]


@pytest.mark.parametrize("broken", [{"field": "messages"}, {"value": {}}, change(messages="no list"), {}])
def test_one_bad_change_loses_none_of_the_others(broken: dict[str, Any]) -> None:
    found = facts(broken, change(messages=[wa_text("a", "1")]))
    assert [type(f) for f in found] == [Unknown, Message]


def test_a_bad_contact_loses_only_the_name() -> None:
    (found,) = facts(change(messages=[wa_text("a", "1")], contacts=[{"wa_id": 7}]))
    assert isinstance(found, Message)
    assert found.display_name == ""


def test_a_user_without_a_phone_number_is_known_by_the_business_scoped_id() -> None:
    incoming = wa_text("wamid.1", "hi", from_user_id="US.1349")
    del incoming["from"]
    contacts = [{"profile": {"name": "", "username": "ida"}, "user_id": "US.1349"}]
    (found,) = facts(change(messages=[incoming], contacts=contacts))
    assert isinstance(found, Message)
    assert (found.address, found.thread_key, found.display_name) == ("US.1349", "US.1349", "ida")


def test_a_thread_outlives_the_phone_number() -> None:
    """With and without `from`, the same BSUID is the same thread."""
    shown = message(type="text", text={"body": "1"}, from_user_id="US.1349")
    hidden = message(type="text", text={"body": "2"}, from_user_id="US.1349", **{"from": ""})
    assert shown.thread_key == hidden.thread_key
    assert (shown.address, hidden.address) == ("15550111", "US.1349")


@pytest.mark.parametrize("kind", whatsapp.MEDIA)
def test_media_are_pointers(kind: str) -> None:
    media = {"id": "77", "mime_type": "image/jpeg", "sha256": "abc=", "caption": "look"}
    found = message(type=kind, **{kind: media})
    assert found.text == "look"
    assert found.attachments == (Attachment("77", "image/jpeg", sha256="abc="),)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"type": "button", "button": {"text": "Yes", "payload": "y"}}, "Yes"),
        (
            {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": "A"}}},
            "A",
        ),
        ({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "1", "title": "B"}}}, "B"),
        ({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"body": "Sent"}}}, "Sent"),
        ({"type": "location", "location": {"latitude": 52.5, "longitude": 13.4, "name": "Depot"}}, "Depot"),
        ({"type": "text", "text": {"body": ""}}, ""),
    ],
)
def test_what_counts_as_the_text(fields: dict[str, Any], text: str) -> None:
    assert message(**fields).text == text


@pytest.mark.parametrize(
    ("name", "item", "reason"),
    [
        ("messages", {"type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": "👍"}}, "UNSUPPORTED_EVENT"),
        ("messages", {"type": "edit", "edit": {"original_message_id": "wamid.0"}}, "UNSUPPORTED_EVENT"),
        ("messages", {"type": "revoke"}, "UNSUPPORTED_EVENT"),
        ("messages", {"type": "unsupported", "errors": [{"code": 131051}]}, "UNSUPPORTED_EVENT"),
        ("messages", {"type": "interactive", "interactive": {}}, "UNSUPPORTED_EVENT"),
        ("statuses", {"status": "warning"}, "UNSUPPORTED_EVENT"),
        ("statuses", {"status": "delivered"}, "NO_CALLBACK"),
        ("statuses", {"status": "delivered", "biz_opaque_callback_data": "order:7"}, "NO_CALLBACK"),
        ("errors", {"code": 131000}, "UNSUPPORTED_EVENT"),
    ],
)
def test_what_is_not_understood_is_kept(name: str, item: dict[str, Any], reason: str) -> None:
    """Nothing is refused and nothing is lost: the raw event is the dead letter."""
    sent = {"id": "wamid.1", "from": "15550111", **item}
    value: dict[str, Any] = {name: [sent]}
    (found,) = facts(change(**value))
    assert isinstance(found, Unknown)
    assert (found.reason, json.loads(found.raw)) == (reason, sent)


def test_another_field_is_kept() -> None:
    (found,) = facts(change(name="message_template_status_update", event="APPROVED"))
    assert isinstance(found, Unknown)
    assert found.reason == "UNSUPPORTED_EVENT"


def test_a_number_that_is_not_this_accounts_is_kept() -> None:
    (found,) = facts(change(number_id="999", messages=[wa_text("a", "1")]))
    assert isinstance(found, Unknown)
    assert found.reason == "UNKNOWN_ACCOUNT"


def callback(tenant: str = "acme") -> str:
    """What `send` gives Meta."""
    return callbacks.to_json(OutboundMessage(message_id="m1", conversation_id=CONVERSATION, pool=f"{tenant}/default"))


@pytest.mark.parametrize("status", ["sent", "delivered", "read", "failed"])
def test_a_status_of_our_message_is_a_receipt(status: str) -> None:
    sent = {"id": "wamid.9", "status": status, "timestamp": "1763630000", "biz_opaque_callback_data": callback()}
    if status == "failed":
        sent["errors"] = [{"code": 131026, "title": "Message undeliverable"}]  # type: ignore[assignment]
    (found,) = facts(change(statuses=[sent]))
    assert isinstance(found, Receipt)
    assert (found.status, found.callback.message_id, found.callback.conversation_id) == (status, "m1", CONVERSATION)
    assert found.error == ("131026 Message undeliverable" if status == "failed" else "")


def test_a_status_naming_another_tenants_pool_is_no_receipt() -> None:
    (found,) = facts(change(statuses=[{"id": "w", "status": "read", "biz_opaque_callback_data": callback("other")}]))
    assert isinstance(found, Unknown)


@pytest.mark.parametrize("stamp", ["", "later", "99999999999999999999", -(10**18)])
def test_a_time_that_is_none_is_left_out(stamp: str | int) -> None:
    assert message(type="text", text={"body": "x"}, timestamp=stamp).provider_time is None


@pytest.mark.parametrize(
    ("body", "field"), [(b"not json", "body"), (b"{}", "object"), (b'{"object":"w","entry":[{}]}', "entry.0.changes")]
)
def test_a_body_that_is_not_metas_is_refused_with_the_field(body: bytes, field: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        whatsapp.parse(raw(body))
    assert field in {v.field for v in refused.value.violations}


def test_the_account_id_stands_in_for_the_number_id() -> None:
    account = type(WHATSAPP)(id=NUMBER_ID, channel="whatsapp", team="support")
    (found,) = whatsapp.normalise(whatsapp.parse(raw(meta(change(messages=[wa_text("a", "1")])))), arrival(account))
    assert isinstance(found, Message)


def test_a_message_says_nothing_of_its_conversation_beside_its_words() -> None:
    """Meta sends no language; what is not known stays unset."""
    assert message(type="text", text={"body": "hi"}).labels == NONE
