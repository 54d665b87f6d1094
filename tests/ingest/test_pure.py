"""Ids, strings, accounts and records: what they promise."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkline_ingest import callbacks, ids, labels, wire
from trunkline_ingest.labels import Labels
from trunkline_ingest.model import Attachment, Callback, Message, Receipt, Unknown
from trunkline_ingest.text import clean, clean_field

from tests.ingest.given import MAIL, WHATSAPP, arrival, config, directory

MESSAGE = Message("p1", "t1", "a1", "hello")
CALLBACK = Callback("m1", str(uuid.UUID(int=7)), "acme/old-pool")


def test_ids_never_change() -> None:
    """A changed id would deliver everything again and split every conversation."""
    assert ids.event_id("acme", "sms", "main", "SM1", "message") == "5a2d374e-8d07-5f70-9fe6-d72d8b7fd6d8"
    assert ids.conversation_id("acme", "sms", "main", "+15550111") == "57e8a1e8-2b93-5dab-891f-73299e4cb904"


@given(st.lists(st.text(), min_size=5, max_size=5), st.lists(st.text(), min_size=5, max_size=5))
def test_different_facts_have_different_ids(one: list[str], other: list[str]) -> None:
    """Also where the same letters stand in other fields."""
    assert (ids.event_id(*one) == ids.event_id(*other)) == (one == other)


def test_a_lone_surrogate_has_an_id() -> None:
    assert uuid.UUID(ids.conversation_id("acme", "sms", "main", "\ud83d"))


@given(st.lists(st.text(alphabet=st.characters(codec=None)), min_size=4, max_size=4))
def test_an_id_is_the_uuid5_of_its_parts_as_json(parts: list[str]) -> None:
    name = json.dumps(["conversation", *parts])
    assert ids.conversation_id(*parts) == str(uuid.uuid5(ids.NAMESPACE, name))


@given(st.text(alphabet=st.characters(codec=None)), st.integers(0, 50))
def test_clean_text_is_valid_and_short_enough(text: str, limit: int) -> None:
    found = clean(text, limit)
    assert len(found.encode()) <= limit
    assert "\x00" not in found
    assert clean(found, limit) == found


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [("a\x00b", "ab"), ("\ud83d", "\ufffd"), ("\ud83d\udc4b", "👋"), ("e\u0301", "é"), ("a\nb", "a\nb")],
)
def test_clean(given_text: str, expected: str) -> None:
    assert clean(given_text) == expected


def test_a_field_is_one_line() -> None:
    assert clean_field(" a\r\n b\t") == "a b"


def test_the_highest_version_is_in_force_however_it_arrives() -> None:
    found = directory(config(version=2, accounts=[MAIL]), config(version=1, accounts=[WHATSAPP]))
    assert found.find("acme", "mail")
    assert found.find("acme", "wa") is None


def test_an_address_that_left_the_configuration_is_gone() -> None:
    found = directory(config(accounts=[MAIL]), config("other"), config(version=2, accounts=[WHATSAPP]))
    assert [a.tenant for a in found.by_address("support@shop.example")] == ["other"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"m":1,"c":2,"p":3}', '{"m":"m","c":"x","p":"acme/p"}'])
def test_what_is_not_our_callback_is_none(text: str) -> None:
    assert callbacks.from_json(text, "acme") is None


def test_a_receipt_goes_to_the_pool_that_wrote_the_message() -> None:
    event = wire.to_event(Receipt("w1", "read", CALLBACK), arrival(WHATSAPP))
    assert (event.pool, event.conversation_id) == (CALLBACK.pool, CALLBACK.conversation_id)
    assert wire.record(event, "").key == b"acme/old-pool"


def test_each_status_of_a_message_is_an_event_of_its_own() -> None:
    found = {
        wire.to_event(Receipt("w1", "sent", CALLBACK), arrival(WHATSAPP)).event_id,
        wire.to_event(Receipt("w1", "delivered", CALLBACK), arrival(WHATSAPP)).event_id,
        wire.to_event(Message("w1", "t", "a", ""), arrival(WHATSAPP)).event_id,
    }
    assert len(found) == 3


def test_a_time_outside_the_calendar_of_protobuf_is_left_out() -> None:
    kept = Message("p", "t", "a", "", provider_time=datetime(2026, 1, 1, tzinfo=UTC))
    assert wire.to_event(kept, arrival(WHATSAPP)).HasField("provider_time")
    assert not wire.to_event(MESSAGE, arrival(WHATSAPP)).HasField("provider_time")
    before = Message("p", "t", "a", "", provider_time=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))))
    assert not wire.to_event(before, arrival(WHATSAPP)).HasField("provider_time")


@given(st.datetimes(timezones=st.builds(timezone, st.timedeltas(timedelta(hours=-14), timedelta(hours=14)))))
def test_a_time_is_the_instant_it_names(moment: datetime) -> None:
    found = wire._timestamp(moment)
    assert found is None or found.ToDatetime(UTC) == moment


def test_the_largest_message_still_fits_into_a_record() -> None:
    """1 MiB is what the broker takes."""
    huge = "\U0001f600" * 400_000
    attachments = tuple(Attachment(huge, huge, huge, 1, huge) for _ in range(60))
    long = "\U0001f600" * labels.MAX_VALUE
    attributes = tuple((f"{number:{labels.MAX_NAME}}", long) for number in range(labels.MAX_NAMES))
    known = Labels("de", (long[: labels.MAX_NAME],) * labels.MAX_NAMES, attributes, "high")
    event = wire.to_event(
        Message(huge, huge, huge, huge, huge, huge, attachments, references=(huge,) * 200, labels=known),
        arrival(WHATSAPP),
    )
    sent = wire.record(event, "")
    assert len(sent.value or b"") + sum(len(v) for v in sent.headers.values()) < 1_000_000
    assert len(event.message.references) == wire.MAX_REFERENCES


def test_a_dead_letter_is_cut_and_says_how_long_it_was() -> None:
    letter = wire.dead_letter(Unknown("R", "d", b"x" * 2_000_000), arrival(MAIL), "")
    assert len(letter.value or b"") == wire.MAX_DEAD_LETTER
    assert letter.headers["dlq.size"] == b"2000000"


def test_a_traced_record_names_its_parent() -> None:
    parent = f"00-{'1' * 32}-{'2' * 16}-01"
    event = wire.to_event(MESSAGE, arrival(WHATSAPP))
    assert wire.record(event, parent).headers["traceparent"] == parent.encode()
    assert "traceparent" not in wire.record(event, "").headers


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("DE", "de"), ("pt-br", "pt-BR"), ("ZH-hant-tw", "zh-Hant-TW"), ("es-419", "es-419"), ("und", ""), ("", "")],
)
def test_a_language_is_written_in_one_way(tag: str, expected: str) -> None:
    """Whoever sends it: a condition compares letters."""
    event = wire.to_event(Message("p", "t", "a", "", labels=Labels(language=tag)), arrival(WHATSAPP))
    assert event.message.language == expected


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (Labels(), set()),
        (Labels("de-CH", ("vip",), (("order", "7"),), "gold"), set()),
        (Labels(language="German, mostly"), {"language"}),
        (Labels(language="x" * 300), {"language"}),
        (Labels(priority="high"), {"priority"}),
        (Labels(tags=("a b",)), {"tags"}),
        (Labels(tags=("",)), {"tags"}),
        (Labels(tags=("a",) * 51), {"tags"}),
        (Labels(attributes=(("", "7"),)), {"attributes"}),
        (Labels(attributes=(("n" * 101, "7"),)), {"attributes"}),
        (Labels(attributes=(("n", "7"),) * 51), {"attributes"}),
        (Labels(attributes=(("n", "7" * 1001),)), {"attributes.n"}),
        (Labels("?", ("",), (("", ""),), "?"), {"language", "tags", "attributes", "priority"}),
    ],
)
def test_what_a_label_may_be(found: Labels, wrong: set[str]) -> None:
    assert {field for field, _ in labels.problems(found, {"gold"})} == wrong


def test_the_priorities_are_the_configurations() -> None:
    plain, own = config(), config("other")
    own.priorities["gold"] = 600
    found = directory(plain, own)
    assert [set(a.priorities) for a in (found.find("acme", "mail"), found.find("other", "mail")) if a] == [
        {"high", "low", "normal", "urgent"},
        {"gold"},
    ]
