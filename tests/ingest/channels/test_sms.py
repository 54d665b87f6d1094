"""Twilio: the published signature vectors, what proxies do to URLs, messages and status callbacks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlencode

import pytest
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline_ingest.channels import sms
from trunkline_ingest.channels.adapter import BadSignature, InvalidBody, Raw
from trunkline_ingest.labels import NONE
from trunkline_ingest.model import Attachment, Fact, Message, Receipt, Unknown

from tests.ingest.given import SMS, arrival, raw

TOKEN = "12345"
TARGET = "/myapp.php?foo=1&bar=2"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
CONVERSATION = "6a5f1c1e-7a0c-5b59-8a55-0e6f0b1a2c3d"
BODY_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


def delivery(signature: str, form: list[tuple[str, str]], *, origin: str = "https://mycompany.com",
             target: str = TARGET, settings: str = "") -> Raw:  # fmt: skip
    """A signed POST."""
    headers = {"x-twilio-signature": signature}
    if settings:
        headers["x-twilio-webhooks-signature-settings"] = settings
    return Raw("POST", origin, target, headers, urlencode(form).encode())


@pytest.mark.parametrize("origin", ["https://mycompany.com", "https://mycompany.com:443"])
@pytest.mark.parametrize("signature", ["RSOYDt4T1cUTdK1PDd93/VVr8B8=", "kvajT1Ptam85bY51eRf/AJRuM3w="])
def test_the_published_vectors_verify_with_and_without_the_port(origin: str, signature: str) -> None:
    """Twilio signs one of the two spellings, whichever we see."""
    sms.verify(delivery(signature, FORM, origin=origin), ChannelAccount(), TOKEN)


def test_a_repeated_field_counts_once_per_value() -> None:
    """The published vector: names sorted, then values, each pair once."""
    form = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
    sms.verify(delivery("IK+Dwps556ElfBT0I3Rgjkr1wJU=", form), ChannelAccount(), TOKEN)


def test_the_json_vector_verifies_by_the_hash_of_the_body() -> None:
    body = b'{"property": "value", "boolean": true}'
    target = f"{TARGET}&bodySHA256={BODY_HASH}"
    headers = {"x-twilio-signature": "a9nBmqA0ju/hNViExpshrM61xv4="}
    sms.verify(Raw("POST", "https://mycompany.com", target, headers, body), ChannelAccount(), TOKEN)
    with pytest.raises(BadSignature):
        sms.verify(Raw("POST", "https://mycompany.com", target, headers, body + b" "), ChannelAccount(), TOKEN)


def test_sha256_where_the_settings_header_says_so() -> None:
    signed = "https://mycompany.com" + TARGET + "".join(n + v for n, v in sorted(FORM))
    signature = base64.b64encode(hmac.new(b"k", signed.encode(), hashlib.sha256).digest()).decode()
    sms.verify(delivery(signature, FORM, settings="key=sk1,algorithm=HMAC_SHA256"), ChannelAccount(), "k")
    for settings in ("", "key=sk1", "key=sk1,algorithm=HMAC_SHA1", "key=sk1,algorithm=HMAC_MD5"):
        with pytest.raises(BadSignature):
            sms.verify(delivery(signature, FORM, settings=settings), ChannelAccount(), "k")


@pytest.mark.parametrize(
    ("signature", "token", "target"),
    [
        ("", TOKEN, TARGET),
        ("RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12346", TARGET),
        ("RSOYDt4T1cUTdK1PDd93/VVr8B8=", TOKEN, "/myapp.php?foo=1&bar=3"),
        ("RSOYDt4T1cUTdK1PDd93/VVr8B8", TOKEN, TARGET),
        ("nicht-base64-ü", TOKEN, TARGET),
    ],
    ids=["missing", "wrong token", "other URL", "cut", "not base64"],
)
def test_what_twilio_did_not_sign_is_refused(signature: str, token: str, target: str) -> None:
    with pytest.raises(BadSignature):
        sms.verify(delivery(signature, FORM, target=target), ChannelAccount(), token)


def test_a_changed_field_is_refused() -> None:
    with pytest.raises(BadSignature):
        sms.verify(delivery("RSOYDt4T1cUTdK1PDd93/VVr8B8=", [*FORM[:-1], ("Caller", "+1")]), ChannelAccount(), TOKEN)


def test_behind_a_proxy_the_public_url_is_what_was_signed() -> None:
    seen = delivery("RSOYDt4T1cUTdK1PDd93/VVr8B8=", FORM, origin="http://10.0.0.7:8080")
    with pytest.raises(BadSignature):
        sms.verify(seen, ChannelAccount(), TOKEN)
    sms.verify(seen, ChannelAccount(options={"public_url": "https://mycompany.com/"}), TOKEN)


def facts(query: str = "", **form: str) -> list[Fact]:
    """What a POST with these fields says."""
    fields = {"MessageSid": "SM1", "AccountSid": "AC1", "To": "+15550100", "From": "+15550111", **form}
    found = sms.parse(raw(urlencode(fields).encode(), target=f"/webhooks/sms/acme/sms?{query}"))
    return sms.normalise(found, arrival(SMS))


def message(**form: str) -> Message:
    """The one message of a POST."""
    (found,) = facts(**form)
    assert isinstance(found, Message)
    return found


def test_a_text_message() -> None:
    assert message(Body="Grüße 👋") == Message("SM1", "+15550111", "+15550111", "Grüße 👋")


def test_media_without_text() -> None:
    found = message(NumMedia="2", MediaUrl0="https://a/0", MediaContentType0="image/png", MediaUrl1="https://a/1")
    assert found.text == ""
    assert found.attachments == (Attachment("https://a/0", "image/png"), Attachment("https://a/1"))


@pytest.mark.parametrize("form", [{}, {"Body": ""}, {"Body": "", "NumMedia": "0"}])
def test_no_text_at_all_is_still_a_message(form: dict[str, str]) -> None:
    assert message(**form).text == ""


def test_whatsapp_through_twilio() -> None:
    account = ChannelAccount(id="x", channel="sms", options={"number": "whatsapp:+15550100"})
    body = urlencode({"MessageSid": "SM2", "From": "whatsapp:US.12", "To": "whatsapp:+15550100", "ButtonText": "Yes",
                      "ProfileName": "Ida"}).encode()  # fmt: skip
    (found,) = sms.normalise(sms.parse(raw(body)), arrival(account))
    assert found == Message("SM2", "whatsapp:US.12", "whatsapp:US.12", "Yes", display_name="Ida")


@pytest.mark.parametrize("form", [{"AccountSid": "AC2"}, {"To": "+15559999"}])
def test_another_account_or_number_is_kept(form: dict[str, str]) -> None:
    (found,) = facts(**form)
    assert isinstance(found, Unknown)
    assert found.reason == "UNKNOWN_ACCOUNT"


@pytest.mark.parametrize(
    ("status", "expected"),
    [("sent", "sent"), ("delivered", "delivered"), ("read", "read"), ("failed", "failed"), ("undelivered", "failed")],
)
def test_a_status_callback_is_a_receipt(status: str, expected: str) -> None:
    query = urlencode({"m": "m1", "c": CONVERSATION, "p": "acme/default"})
    ours = {"From": "+15550100", "To": "+15550111", "ErrorCode": "30003" if expected == "failed" else ""}
    (found,) = facts(query, MessageStatus=status, **ours)
    assert isinstance(found, Receipt)
    assert (found.status, found.callback.message_id) == (expected, "m1")
    assert found.error == ("twilio error 30003" if expected == "failed" else "")


@pytest.mark.parametrize("status", sms.ON_THE_WAY)
def test_a_status_on_the_way_says_nothing(status: str) -> None:
    assert facts("m=m1", MessageStatus=status, From="+15550100") == []


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("", "sent", "NO_CALLBACK"),
        (f"m=m1&c={CONVERSATION}&p=other/default", "sent", "NO_CALLBACK"),
        ("m=m1&c=7&p=acme/default", "sent", "NO_CALLBACK"),
        ("", "exploded", "UNSUPPORTED_EVENT"),
    ],
)
def test_a_callback_that_is_not_ours_is_kept(query: str, status: str, reason: str) -> None:
    (found,) = facts(query, MessageStatus=status, From="+15550100")
    assert isinstance(found, Unknown)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("body", "field"),
    [(b"From=%2B1", "MessageSid"), (b"MessageSid=S&NumMedia=many", "NumMedia"), (b"a=1&" * 1001, "body")],
)
def test_a_form_that_is_not_twilios_is_refused_with_the_field(body: bytes, field: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        sms.parse(raw(body))
    assert field in {v.field for v in refused.value.violations}


def test_a_message_says_nothing_of_its_conversation_beside_its_words() -> None:
    (found,) = facts(MessageSid="SM1", From="+15550111", Body="hi")
    assert isinstance(found, Message)
    assert found.labels == NONE
