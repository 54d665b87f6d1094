"""E-mail: threads, machines, broken mail, and replies that find their way back."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage
from trunkline_ingest.channels import email
from trunkline_ingest.channels.adapter import BadSignature
from trunkline_ingest.channels.sending import SendRefused
from trunkline_ingest.model import Message, Unknown

from tests.ingest.given import MAIL, arrival, raw

SUPPORT = "support@shop.example"


def read(mail: str | bytes, envelope_sender: str = "ida@example.org", account: ChannelAccount = MAIL) -> Message:
    """What a mail says."""
    body = mail.encode("utf-8", "surrogateescape") if isinstance(mail, str) else mail
    envelope = {email.MAIL_FROM: envelope_sender, email.RCPT_TO: SUPPORT}
    (found,) = email.normalise(email.parse(raw(body, headers=envelope)), arrival(account))
    assert isinstance(found, Message)
    return found


def mail(body: str = "Hello", **headers: str) -> str:
    """A plain mail with these headers (underscores are hyphens)."""
    fields = {"From": "Ida <ida@example.org>", "Message-ID": "<m1@example.org>", "Subject": "Order 7"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value) + f"\r\n{body}\r\n"


def test_a_plain_mail() -> None:
    found = read(mail(Date="Fri, 20 Nov 2026 10:00:00 +0100"))
    assert (found.address, found.display_name, found.subject, found.text) == (
        "ida@example.org",
        "Ida",
        "Order 7",
        "Hello",
    )
    assert found.provider_message_id == "<m1@example.org>"
    assert found.provider_time is not None
    assert not found.automatic


@pytest.mark.parametrize(
    ("headers", "root", "chain"),
    [
        ({}, "<m1@example.org>", ["<m1@example.org>"]),
        ({"In_Reply_To": "<a@x>"}, "<a@x>", ["<a@x>", "<m1@example.org>"]),
        ({"References": "<r@x> <a@x>", "In_Reply_To": "<a@x>"}, "<r@x>", ["<r@x>", "<a@x>", "<m1@example.org>"]),
        ({"References": "<r@x>\r\n\t<a@x>"}, "<r@x>", ["<r@x>", "<a@x>", "<m1@example.org>"]),
        ({"References": "garbage", "In_Reply_To": "<a@x> <b@x>"}, "<a@x>", ["<a@x>", "<m1@example.org>"]),
        ({"In_Reply_To": "Your message of Friday"}, "<m1@example.org>", ["<m1@example.org>"]),
        ({"References": "<m1@example.org>"}, "<m1@example.org>", ["<m1@example.org>"]),
    ],
)
def test_the_thread_is_its_root(headers: dict[str, str], root: str, chain: list[str]) -> None:
    found = read(mail(**headers))
    assert found.thread_key == email.thread_of(root)
    assert list(found.references) == chain


def test_a_subject_alone_never_makes_a_thread() -> None:
    assert read(mail()).thread_key != read(mail(Message_ID="<m2@example.org>")).thread_key


def test_mail_without_an_id_has_the_same_one_on_a_retry() -> None:
    first, again = read(mail(Message_ID="")), read(mail(Message_ID="", Received="from elsewhere"))
    other = read(mail(Message_ID="", body="Something else"))
    assert first.provider_message_id == again.provider_message_id != other.provider_message_id
    assert read(mail(Message_ID="", From="b@example.org")).provider_message_id != first.provider_message_id


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated; owner-email=x"},
        {"Precedence": "bulk"},
        {"Precedence": "Auto_Reply"},
        {"X_Autoreply": "yes"},
        {"X_Autorespond": "1"},
        {"X_Loop": "a@b"},
        {"List_Id": "<list.example.org>"},
        {"Return_Path": "<>"},
        {"From": "MAILER-DAEMON@example.org"},
        {"From": "Shop <no-reply@example.org>"},
        {"From": "noreply@example.org"},
        {"Subject": "Automatic reply: Order 7"},
        {"Subject": "Abwesenheitsnotiz: bin weg"},
        {"Subject": "=?utf-8?q?R=C3=A9ponse_automatique=3A?="},
        {"Subject": "Out of Office"},
        {"Content_Type": 'multipart/report; report-type=delivery-status; boundary="b"'},
    ],
)
def test_machines_are_recognised(headers: dict[str, str]) -> None:
    assert read(mail(**headers)).automatic


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "no"},
        {"Precedence": "first-class"},
        {"X_Auto_Response_Suppress": "All"},
        {"From": "Noreen <noreen@example.org>"},
        {"Subject": "Re: your automatic reply"},
        {"Subject": "Automobile"},
    ],
)
def test_people_are_not_taken_for_machines(headers: dict[str, str]) -> None:
    assert not read(mail(**headers)).automatic


def test_an_empty_envelope_sender_is_a_machine() -> None:
    assert read(mail(), envelope_sender="").automatic
    assert read(mail(), envelope_sender="<>").automatic


PARTS = """From: ida@example.org
Message-ID: <m1@example.org>
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8

plain words
--inner
Content-Type: text/html; charset=utf-8

<p>rich words</p>
--inner--
--outer
Content-Type: application/pdf; name="bill.pdf"
Content-Disposition: attachment; filename="bill.pdf"
Content-Transfer-Encoding: base64

aGVsbG8=
--outer
Content-Type: text/calendar

BEGIN:VCALENDAR
--outer--
"""


def test_plain_text_wins_and_the_rest_are_pointers_with_their_hash() -> None:
    found = read(PARTS)
    assert found.text == "plain words"
    bill, calendar = found.attachments
    assert (bill.name, bill.content_type, bill.size_bytes) == ("bill.pdf", "application/pdf", 5)
    assert bill.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert bill.ref == "mid:m1@example.org/3"
    assert calendar.content_type == "text/calendar"


def test_html_alone_becomes_text() -> None:
    html = (
        "<head><style>p {}</style></head><p>Hello&nbsp;<b>you</b></p>\r\n"
        "<p>two<br>three &amp; four</p><script>x</script>"
    )
    found = read(mail(body=html, Content_Type="text/html; charset=utf-8"))
    assert found.text.replace("\xa0", " ") == "Hello you\ntwo\nthree & four"


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ("no-such-charset", "Grüße".encode(), "Grüße"),
        ("no-such-charset", "Grüße".encode("cp1252"), "Grüße"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("utf-8", b"\xff\xfe broken", "ÿþ broken"),
        ('"', b"words", "words"),
    ],
)
def test_charsets_that_lie_or_do_not_exist(charset: str, body: bytes, text: str) -> None:
    head = f"From: a@b.c\r\nMessage-ID: <m@x>\r\nContent-Type: text/plain; charset={charset}\r\n"
    sent = head.encode() + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + body
    assert read(sent).text == text


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n\r\n",
        b"From: ida@example.org",
        b"From: \xff\xfe <ida@example.org>\r\nSubject: =?x-unknown?q?=FF?=\r\n\r\nx",
        b"From: ida@example.org\r\nContent-Type: multipart/mixed\r\n\r\nno boundary",
        b"From: ida@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
        b"From: ida@example.org\r\nContent-Type: text/plain; charset*=utf-8''%\r\n\r\nx",
        b"From: ida@example.org\r\nContent-Type: ;;;\r\nContent-Disposition: ===\r\nDate: yesterday\r\n\r\nx",
        b"From: ida@example.org\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!not base64!!!",
        b"From: ida@example.org\r\nContent-Type: text/plain; charset=a\x00b\r\n\r\nx",
        b"From: ida@example.org\r\nContent-Type: text/plain; charset*=\r\n\r\nx",
        b"From: @@@, <>\r\nMessage-ID: <>\r\nReferences: <<<>>> < >\r\n\r\nx",
    ],
)
def test_broken_mail_is_still_mail(sent: bytes) -> None:
    """Whatever arrives has somebody's envelope around it and becomes a message."""
    assert read(sent).address == "ida@example.org"


def test_parts_nested_without_end_are_one_attachment() -> None:
    """Such a mail is an attack or a defect; it must not come back for days because it cannot be read."""
    levels = (b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3000))
    found = read(b"From: ida@example.org\r\n" + b"".join(levels) + b"\r\nhi")
    assert found.text == ""
    assert [a.content_type for a in found.attachments] == ["multipart/mixed"]


def test_mail_without_any_sender_is_kept() -> None:
    envelope = {email.MAIL_FROM: "", email.RCPT_TO: SUPPORT}
    (found,) = email.normalise(email.parse(raw(b"\r\nx", headers=envelope)), arrival(MAIL))
    assert isinstance(found, Unknown)
    assert found.reason == "NO_SENDER"


def test_reply_to_is_where_the_answer_goes() -> None:
    assert read(mail(Reply_To="Ida at home <home@example.org>")).reply_address == "home@example.org"
    assert read(mail(Reply_To="ida@example.org")).reply_address == ""


@pytest.mark.parametrize("recipient", [SUPPORT, "Support@Shop.Example", "support+order7@shop.example"])
def test_mail_is_for_the_account_it_is_addressed_to(recipient: str) -> None:
    email.verify(raw(headers={email.RCPT_TO: recipient}), MAIL, "")


@pytest.mark.parametrize("recipient", ["", "sales@shop.example", "support@other.example"])
def test_mail_for_somebody_else_is_refused(recipient: str) -> None:
    with pytest.raises(BadSignature):
        email.verify(raw(headers={email.RCPT_TO: recipient}), MAIL, "")


def reply(references: list[str], subject: str = "Order 7") -> OutboundMessage:
    """An agent's answer."""
    return OutboundMessage(
        message_id="0b9a3a0e-0d3c-4c1e-9f0e-000000000001",
        to=Contact(address="ida@example.org", display_name="Ida"),
        content=Content(text="On its way", subject=subject),
        references=references,
    )


def test_a_reply_continues_the_thread() -> None:
    sent = email.compose(reply(["<r@x>", "<m1@example.org>"]), SUPPORT)
    assert (sent["Subject"], sent["To"], sent["From"]) == ("Re: Order 7", "Ida <ida@example.org>", SUPPORT)
    assert (sent["In-Reply-To"], sent["References"]) == ("<m1@example.org>", "<r@x> <m1@example.org>")
    assert sent["Message-ID"].startswith("<0b9a3a0e-0d3c-4c1e-9f0e-000000000001.")


@pytest.mark.parametrize("subject", ["Re: Order 7", "RE: Order 7", "Order\r\n 7"])
def test_a_subject_gets_one_re(subject: str) -> None:
    assert email.compose(reply([], subject), SUPPORT)["Subject"].lower() == "re: order 7"


@pytest.mark.parametrize("kept", ["references", "in-reply-to only"])
def test_the_answer_to_our_reply_is_in_the_same_thread(kept: str) -> None:
    """Also from a client that names only our mail: our Message-ID says which thread it is of."""
    first = read(mail())
    ours = email.compose(reply(list(first.references)), SUPPORT)["Message-ID"]
    headers = {"Message_ID": "<m2@example.org>", "In_Reply_To": ours}
    if kept == "references":
        headers["References"] = f"<m1@example.org> {ours}"
    assert read(mail(**headers)).thread_key == first.thread_key


def test_another_domains_id_that_looks_like_ours_is_a_root_like_any_other() -> None:
    root = f"<x.thread-{'0' * 32}@other.example>"
    assert read(mail(In_Reply_To=root)).thread_key == email.thread_of(root)


def test_an_address_that_is_none_is_refused_for_good() -> None:
    message = reply([])
    message.to.address = "not an address"
    with pytest.raises(SendRefused):
        email.compose(message, SUPPORT)


def test_a_mail_we_write_can_be_read_back() -> None:
    sent = email.compose(reply(["<m1@example.org>"]), SUPPORT)
    again = message_from_bytes(bytes(sent), policy=policy.default)
    assert again.get_content().strip() == "On its way"


def test_an_account_without_an_address_gets_no_mail() -> None:
    with pytest.raises(BadSignature):
        email.verify(raw(headers={email.RCPT_TO: "x@y.z"}), ChannelAccount(), "")


TRUSTING = ChannelAccount(
    id="mail", channel="email", team="support", options={"address": SUPPORT, "sender_priority": "true"}
)


@pytest.mark.parametrize(
    ("header", "language", "dropped"),
    [
        ("", "", ()),
        ("de", "de", ()),
        ("en-us, de", "en-us", ()),
        ("German (mostly)", "", ("content-language",)),
        ("=?utf-8?q?de?=", "", ("content-language",)),
    ],
)
def test_the_language_is_what_the_header_says(header: str, language: str, dropped: tuple[str, ...]) -> None:
    found = read(mail(Content_Language=header))
    assert (found.labels.language, found.dropped) == (language, dropped)


@pytest.mark.parametrize(
    ("headers", "priority", "dropped"),
    [
        ({}, "", ()),
        ({"X_Priority": "1 (Highest)"}, "high", ()),
        ({"X_Priority": "2"}, "high", ()),
        ({"X_Priority": "3 (Normal)", "Importance": "Normal"}, "", ()),
        ({"X_Priority": "5", "Importance": "high"}, "low", ()),
        ({"Importance": "High"}, "high", ()),
        ({"X_Priority": "urgent", "Importance": "low"}, "low", ("x-priority",)),
        ({"X_Priority": "\u00b2"}, "", ("x-priority",)),
    ],
)
def test_the_importance_is_the_priority_where_the_account_allows_it(
    headers: dict[str, str], priority: str, dropped: tuple[str, ...]
) -> None:
    found = read(mail(**headers), account=TRUSTING)
    assert (found.labels.priority, found.dropped) == (priority, dropped)
    assert read(mail(**headers)).labels.priority == ""


def test_a_priority_that_the_tenant_does_not_have_is_dropped() -> None:
    where = replace(arrival(TRUSTING), priorities={"gold"})
    envelope = {email.MAIL_FROM: "ida@example.org", email.RCPT_TO: SUPPORT}
    (found,) = email.normalise(email.parse(raw(mail(Importance="high").encode(), headers=envelope)), where)
    assert isinstance(found, Message)
    assert (found.labels.priority, found.dropped) == ("", ("importance",))
