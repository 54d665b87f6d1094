"""What intake takes and what it refuses, event by event."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, to_binary, to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.common.v1.common_pb2 import Attachment, Contact, Content
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common.errors import InvalidMessage
from trunkline_ingest import ids
from trunkline_ingest.intake_processor import LARGEST_DEAD_LETTER, LARGEST_RECORD, accept, size, within_limits
from trunkline_ingest.intake_reasons import Reason

from tests.ingest.intake_samples import (
    NOW,
    SOURCE,
    TYPE,
    Sample,
    as_json,
    binary,
    config,
    envelope,
    message,
    tenants,
)

README = Path(__file__).parents[2] / "services/ingest/README.md"
GOOD = message().SerializeToString()
JSON = json.dumps(as_json(message())).encode()


def structured(content_type: str = "application/cloudevents+json", **changes: Any) -> Sample:
    return Sample(json.dumps(envelope(**changes)).encode(), {"content-type": content_type.encode()})


def json_of(**changes: Any) -> Sample:
    return binary(json.dumps({**as_json(message()), **changes}).encode(), "application/json")


def taken(sample: Sample) -> InboundEvent:
    return accept(sample.record(), tenants(), NOW)


def from_sdk(found: KafkaMessage) -> Sample:
    return Sample(found.value, found.headers)


def sdk_event(data: Any, **attributes: Any) -> CloudEvent:
    return CloudEvent({"id": "e-1", "source": SOURCE, "type": TYPE, "specversion": "1.0", **attributes}, data)


SPELLINGS = {
    "binary protobuf": binary(GOOD),
    "binary x-protobuf": binary(GOOD, "application/x-protobuf"),
    "binary json": binary(JSON, "application/json"),
    "binary json with charset": binary(JSON, 'Application/JSON; charset="UTF-8"'),
    "binary json without content type": binary(JSON, ""),
    "binary json with a byte order mark": binary(b"\xef\xbb\xbf" + JSON, "application/json"),
    "binary json in snake case": json_of(messageId=None, message_id="m-1", threadKey=None, thread_key="ticket-7"),
    "header names in capitals": Sample(GOOD, {n.upper(): v for n, v in binary(GOOD).headers.items()}),
    "unknown extension attributes": binary(GOOD, partitionkey="7", sequence="1"),
    "structured": structured(),
    "structured in capitals": structured("Application/CloudEvents+JSON; charset=UTF-8"),
    "structured without suffix": structured("application/cloudevents"),
    "structured json named": structured(datacontenttype="application/json"),
    "structured json in base64": structured(
        datacontenttype="application/json", data=None, data_base64=base64.b64encode(JSON).decode()
    ),
    "structured protobuf": structured(
        datacontenttype="application/protobuf", data=None, data_base64=base64.b64encode(GOOD).decode()
    ),
    "cloudevents sdk binary": from_sdk(to_binary_event(sdk_event(as_json(message())))),
    "cloudevents sdk binary, content type": from_sdk(
        to_binary_event(sdk_event(as_json(message()), datacontenttype="application/json"))
    ),
    "cloudevents sdk binary protobuf": from_sdk(
        to_binary(sdk_event(GOOD, datacontenttype="application/protobuf"), JSONFormat())
    ),
    "cloudevents sdk structured": from_sdk(to_structured_event(sdk_event(as_json(message())))),
    "cloudevents sdk structured protobuf": from_sdk(
        to_structured_event(sdk_event(GOOD, datacontenttype="application/protobuf"))
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_mode_and_encoding_gives_the_same_inbound_event(name: str) -> None:
    event = taken(SPELLINGS[name])
    assert event == taken(binary(GOOD))
    assert event.event_id == ids.event_id("acme", "crm", "tickets", "m-1", "message")


def test_the_inbound_event_names_pool_conversation_and_content() -> None:
    sent = Timestamp(seconds=1_700_000_000)
    found = taken(binary(message(sent_at=sent).SerializeToString()))
    assert (found.tenant, found.pool, found.channel, found.account) == ("acme", "acme/main", "crm", "tickets")
    assert found.conversation_id == ids.conversation_id("acme", "crm", "tickets", "ticket-7")
    assert (found.provider_message_id, found.provider_time) == ("m-1", sent)
    assert found.received_time.ToDatetime(NOW.tzinfo) == NOW
    assert found.message.contact == Contact(address="kim@example.com", display_name="Kim")
    assert found.message.content == Content(text="Where is my order?")


def test_the_readmes_kcat_line_is_a_good_event() -> None:
    text = README.read_text()
    value = re.search(r"^echo '(.*)' \|$", text, re.MULTILINE)
    assert value
    headers = dict(re.findall(r"-H (\S+?)=(\S+)", text))
    found = taken(Sample(value[1].encode(), {name: text.encode() for name, text in headers.items()}))
    assert (found.provider_message_id, found.message.content.text) == ("4711", "Where is my order?")


def test_the_readme_lists_every_reason() -> None:
    assert set(re.findall(r"`([A-Z_]+)`", README.read_text())) >= set(Reason)


def test_what_postgresql_cannot_hold_is_cleaned_from_text() -> None:
    dirty = Content(text="a\0b", attachments=[Attachment(ref="f\0", size_bytes=3)])
    found = taken(binary(message(content=dirty).SerializeToString())).message.content
    assert found == Content(text="ab", attachments=[Attachment(ref="f", size_bytes=3)])


DEEP = b'{"content":' + b"[" * 100_000
LONG = Content(text="x" * LARGEST_RECORD)

REFUSED: dict[str, tuple[Sample, Reason, str]] = {
    "empty record": (Sample(b"", binary(GOOD).headers), Reason.NO_DATA, "no value"),
    "tombstone": (binary(None), Reason.NO_DATA, "no value"),
    "plain record": (Sample(b"hello"), Reason.NOT_A_CLOUDEVENT, "ce_specversion"),
    "json without attributes": (
        Sample(JSON, {"content-type": b"application/json"}),
        Reason.NOT_A_CLOUDEVENT,
        "ce_id",
    ),
    "batch": (structured("application/cloudevents-batch+json"), Reason.BATCH_MODE, "one record per event"),
    "structured avro": (structured("application/cloudevents+avro"), Reason.UNSUPPORTED_CONTENT_TYPE, "+json"),
    "structured data type": (structured(datacontenttype="text/xml"), Reason.UNSUPPORTED_CONTENT_TYPE, "json"),
    "binary xml": (binary(b"<a/>", "text/xml"), Reason.UNSUPPORTED_CONTENT_TYPE, "text/xml"),
    "latin 1": (binary(JSON, "application/json; charset=latin1"), Reason.UNSUPPORTED_CONTENT_TYPE, "UTF-8"),
    "no id": (binary(GOOD, id=None), Reason.MISSING_ATTRIBUTE, "ce_id"),
    "empty id": (binary(GOOD, id=""), Reason.MISSING_ATTRIBUTE, "ce_id"),
    "no source": (binary(GOOD, source=None), Reason.MISSING_ATTRIBUTE, "ce_source"),
    "no type": (binary(GOOD, type=None), Reason.MISSING_ATTRIBUTE, "ce_type"),
    "no specversion": (binary(GOOD, specversion=None), Reason.MISSING_ATTRIBUTE, "ce_specversion"),
    "structured no id": (structured(id=None), Reason.MISSING_ATTRIBUTE, "attribute id"),
    "structured id is a number": (structured(id=7), Reason.INVALID_ATTRIBUTE, "attribute id"),
    "specversion 0.3": (binary(GOOD, specversion="0.3"), Reason.INVALID_ATTRIBUTE, "1.0"),
    "attribute is not utf-8": (
        Sample(GOOD, {**binary(GOOD).headers, "ce_id": b"\xff"}),
        Reason.INVALID_ATTRIBUTE,
        "ce_id",
    ),
    "another type": (binary(GOOD, type="com.example.order"), Reason.WRONG_TYPE, TYPE),
    "no data": (structured(data=None), Reason.NO_DATA, "data_base64"),
    "data twice": (structured(data_base64="aGk="), Reason.BAD_JSON, "both"),
    "data is text": (structured(data="hi"), Reason.BAD_JSON, "object"),
    "data is not base64": (structured(data=None, data_base64="%%"), Reason.BAD_JSON, "base64"),
    "structured is not json": (
        Sample(b"{", {"content-type": b"application/cloudevents+json"}),
        Reason.BAD_JSON,
        "line 1",
    ),
    "not json": (binary(b'{"tenant": acme}', "application/json"), Reason.BAD_JSON, "column 12"),
    "json list": (binary(b"[]", "application/json"), Reason.BAD_JSON, "object"),
    "json too deep": (binary(DEEP, "application/json"), Reason.BAD_JSON, "deep"),
    "json in utf-16": (binary(JSON.decode().encode("utf-16"), "application/json"), Reason.BAD_JSON, "UTF-8"),
    "endless number": (binary(b'{"a":' + b"1" * 9000 + b"}", "application/json"), Reason.BAD_JSON, "JSON"),
    "not protobuf": (binary(b"\xff\xff"), Reason.BAD_PROTOBUF, TYPE),
    "protobuf behind a registry id": (binary(b"\0\0\0\0\x07\0" + GOOD), Reason.BAD_PROTOBUF, "registry"),
    "unknown field": (json_of(text="hi"), Reason.UNKNOWN_FIELD, "text: no such field"),
    "unknown nested field": (json_of(contact={"phone": "1"}), Reason.UNKNOWN_FIELD, "contact.phone"),
    "unknown field in a list": (
        json_of(content={"attachments": [{}, {"url": "x"}]}),
        Reason.UNKNOWN_FIELD,
        "content.attachments[1].url",
    ),
    "wrong kind of value": (json_of(contact=7), Reason.INVALID_FIELD, "contact"),
    "no language": (json_of(language="German, mostly"), Reason.INVALID_FIELD, "language must be"),
    "no priority of the tenant": (json_of(priority="gold"), Reason.INVALID_FIELD, "priority must be one of high, low"),
    "a tag with a space": (json_of(tags=["a b"]), Reason.INVALID_FIELD, "tags must be"),
    "a long attribute": (json_of(attributes={"n": "7" * 1001}), Reason.INVALID_FIELD, "attributes.n must be"),
    "an attribute that is no text": (json_of(attributes={"n": {}}), Reason.INVALID_FIELD, "attributes"),
    "not a time": (json_of(sentAt="yesterday"), Reason.INVALID_FIELD, "sentAt"),
    "lone surrogate": (json_of(messageId="\ud800"), Reason.INVALID_FIELD, "messageId"),
    "no tenant": (json_of(tenant=""), Reason.MISSING_FIELD, "tenant"),
    "no account": (json_of(account=""), Reason.MISSING_FIELD, "account"),
    "no message id": (json_of(messageId=""), Reason.MISSING_FIELD, "message_id"),
    "no thread key": (json_of(threadKey=None), Reason.MISSING_FIELD, "thread_key"),
    "no address": (json_of(contact={"displayName": "Kim"}), Reason.MISSING_FIELD, "contact.address"),
    "blank address": (json_of(contact={"address": " "}), Reason.MISSING_FIELD, "contact.address"),
    "long id": (json_of(messageId="x" * 513), Reason.INVALID_FIELD, "message_id is longer"),
    "nul in an id": (json_of(threadKey="a\0"), Reason.INVALID_FIELD, "thread_key"),
    "year 20000": (
        binary(message(sent_at=Timestamp(seconds=600_000_000_000)).SerializeToString()),
        Reason.INVALID_FIELD,
        "sent_at",
    ),
    "51 attachments": (
        json_of(content={"attachments": [{"ref": "x"}] * 51}),
        Reason.INVALID_FIELD,
        "content.attachments",
    ),
    "unknown source": (binary(GOOD, source="evil"), Reason.UNKNOWN_SOURCE, "evil"),
    "unknown tenant": (json_of(tenant="nobody"), Reason.UNKNOWN_SOURCE, "nobody"),
    "unknown account": (json_of(account="nothing"), Reason.UNKNOWN_ACCOUNT, "nothing"),
    "account of another source": (json_of(account="other"), Reason.SOURCE_NOT_ALLOWED, "other"),
    "too large": (binary(message(content=LONG).SerializeToString()), Reason.TOO_LARGE, str(LARGEST_RECORD)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_a_stable_reason_and_says_where(name: str) -> None:
    sample, reason, detail = REFUSED[name]
    with pytest.raises(InvalidMessage) as refused:
        taken(sample)
    assert refused.value.reason == reason
    assert detail in refused.value.detail


def test_every_reason_has_a_case() -> None:
    assert {reason for _, reason, _ in REFUSED.values()} == set(Reason)


def test_a_source_of_one_tenant_does_not_speak_for_another() -> None:
    other = config("other")
    del other.sources[:]
    with pytest.raises(InvalidMessage) as refused:
        accept(json_of(tenant="other").record(), tenants(config(), other), NOW)
    assert refused.value.reason == Reason.UNKNOWN_SOURCE


def test_a_refused_record_is_kept_byte_for_byte() -> None:
    record = Sample(b"x" * (LARGEST_DEAD_LETTER - 100), {"a": b"b"}).record()
    assert within_limits(record) is record


def test_a_record_near_the_brokers_limit_is_cut_so_that_its_dead_letter_can_be_written() -> None:
    kept = within_limits(Sample(b"x" * LARGEST_DEAD_LETTER, {"a": b"b" * 1000}).record())
    assert size(kept) < LARGEST_DEAD_LETTER
    assert kept.value == b"x" * LARGEST_RECORD
    assert kept.headers == {"dlq.cut": str(LARGEST_DEAD_LETTER + 1001 + 3).encode()}


KNOWN: dict[str, Any] = {"language": "pt-br", "tags": ["vip"], "attributes": {"order": "7"}, "priority": "high"}


@pytest.mark.parametrize("sample", [json_of(**KNOWN), binary(message(**KNOWN).SerializeToString())], ids=["json", "pb"])
def test_what_the_integrator_knows_of_the_conversation_goes_with_it(sample: Sample) -> None:
    found = taken(sample).message
    assert (found.language, list(found.tags), dict(found.attributes), found.priority) == (
        "pt-BR",
        ["vip"],
        {"order": "7"},
        "high",
    )
