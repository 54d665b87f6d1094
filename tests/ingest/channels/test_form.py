"""The web form: fields, double submits, origins."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline_ingest.channels import form
from trunkline_ingest.channels.adapter import Arrival, BadSignature, InvalidBody
from trunkline_ingest.labels import Labels
from trunkline_ingest.model import Message

from tests.ingest.given import FORM, NOW, arrival, raw

JSON = {"content-type": "application/json; charset=utf-8"}
URLENCODED = {"content-type": "application/x-www-form-urlencoded"}
GOOD = {"name": "Ida", "email": "Ida@Example.org", "subject": "Order 7", "message": "Where is it?", "nonce": "n1"}


def message(fields: dict[str, str], later: float = 0) -> Message:
    """What a submission says."""
    parsed = form.parse(raw(json.dumps(fields).encode(), headers=JSON))
    (found,) = form.normalise(parsed, Arrival("acme", "acme/default", FORM, NOW + timedelta(seconds=later)))
    assert isinstance(found, Message)
    return found


def test_json_and_urlencoded_say_the_same() -> None:
    by_json = form.parse(raw(json.dumps(GOOD).encode(), headers=JSON))
    by_form = form.parse(raw(urlencode(GOOD).encode(), headers=URLENCODED))
    assert form.normalise(by_json, arrival(FORM)) == form.normalise(by_form, arrival(FORM))


def test_a_submission() -> None:
    found = message(GOOD)
    assert (found.address, found.display_name, found.subject, found.text) == (
        "ida@example.org",
        "Ida",
        "Order 7",
        "Where is it?",
    )


def test_a_double_submit_is_one_message() -> None:
    """By nonce at any time; without one, the same words within five minutes."""
    assert message(GOOD) == message(GOOD, 4000)
    plain = {**GOOD, "nonce": ""}
    assert message(plain).provider_message_id == message(plain, 20).provider_message_id
    assert message(plain).provider_message_id != message(plain, 4000).provider_message_id


def test_one_nonce_of_two_people_is_two_messages() -> None:
    assert message(GOOD).provider_message_id != message({**GOOD, "email": "b@example.org"}).provider_message_id


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, {"email", "message"}),
        ({"email": "ida", "message": "x"}, {"email"}),
        ({"email": "a@b.c, d@e.f", "message": "x"}, {"email"}),
        ({"email": "a@b.c", "message": "  "}, {"message"}),
        ({"email": "a@b.c", "message": "x", "name": "n" * 201}, {"name"}),
        ({"email": "a@b.c", "message": 7}, {"message"}),
    ],
)
def test_every_wrong_field_is_named(fields: dict[str, Any], wrong: set[str]) -> None:
    with pytest.raises(InvalidBody) as refused:
        form.parse(raw(json.dumps(fields).encode(), headers=JSON))
    assert {v.field for v in refused.value.violations} == wrong


@pytest.mark.parametrize(
    ("headers", "body", "field"),
    [({}, b"{}", "content-type"), (JSON, b"{", "body"), (URLENCODED, b"a=1&" * 60, "body")],
)
def test_a_body_that_is_no_form_is_refused(headers: dict[str, str], body: bytes, field: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        form.parse(raw(body, headers=headers))
    assert [v.field for v in refused.value.violations] == [field]


def test_only_the_accounts_origins_where_it_lists_any() -> None:
    account = ChannelAccount(options={"origins": "https://shop.example, https://www.shop.example"})
    form.verify(raw(headers={"origin": "https://www.shop.example"}), account, "")
    form.verify(raw(headers={"origin": "https://evil.example"}), FORM, "")
    for origin in ("https://evil.example", ""):
        with pytest.raises(BadSignature):
            form.verify(raw(headers={"origin": origin}), account, "")


SHOWN = ChannelAccount(
    id="web",
    channel="form",
    team="support",
    options={"attributes": "order, callback, amount, absent", "sender_priority": "true"},
)


def submitted(fields: dict[str, Any], account: ChannelAccount = SHOWN, headers: dict[str, str] = JSON) -> Message:
    """What a submission on this account says."""
    body = json.dumps(fields) if headers is JSON else urlencode(fields)
    (found,) = form.normalise(form.parse(raw(body.encode(), headers=headers)), arrival(account))
    assert isinstance(found, Message)
    return found


def test_the_fields_an_account_names_become_attributes_and_no_others() -> None:
    sent = {**GOOD, "order": " 7 ", "callback": True, "amount": 12.5, "vip": "yes", "tags": ["a"], "language": "de"}
    known = submitted({**sent, "priority": "urgent"}).labels
    assert known.attributes == (("order", "7"), ("callback", "true"), ("amount", "12.5"))
    assert (known.language, known.priority, known.tags) == ("de", "urgent", ())


def test_a_form_that_is_urlencoded_says_the_same() -> None:
    fields = {**GOOD, "order": "7", "priority": "low", "language": "de"}
    assert submitted(fields, headers=URLENCODED) == submitted(fields)


def test_a_visitor_says_nothing_that_the_account_does_not_ask_for() -> None:
    known = submitted({**GOOD, "order": "7", "priority": "urgent", "token": "t" * 5000}, FORM).labels
    assert known == Labels()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"language": "Deutsch bitte"}, {"language"}),
        ({"priority": "at once"}, {"priority"}),
        ({"order": "7" * 1001}, {"order"}),
        ({"order": ["7"]}, {"order"}),
        ({"priority": {"a": 1}}, {"priority"}),
        ({"language": "?", "priority": "?"}, {"language", "priority"}),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(fields: dict[str, Any], wrong: set[str]) -> None:
    with pytest.raises(InvalidBody) as refused:
        submitted({**GOOD, **fields})
    assert {v.field for v in refused.value.violations} == wrong
