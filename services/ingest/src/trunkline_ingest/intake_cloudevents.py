"""CloudEvents 1.0 in a Kafka record, binary or structured mode (contracts 1.1), down to attributes and data."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from trunkline_common.errors import InvalidMessage

from trunkline_ingest.intake_reasons import Reason

TYPE = "trunkline.ingest.v1.IngressMessage"
STRUCTURED = "application/cloudevents"
BATCH = "application/cloudevents-batch"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its source and id, and its data as bytes of `content_type` or as an object already parsed."""

    source: str
    id: str
    content_type: str
    data: bytes | dict[str, object]


def decode(headers: Mapping[str, bytes], value: bytes | None) -> Event:
    """The event in a record. Raises InvalidMessage with a Reason."""
    if not value:
        raise InvalidMessage(Reason.NO_DATA, "the record has no value: put the event's data (or the event) there")
    names = {name.lower(): found for name, found in headers.items()}
    content_type = media_type(names.get("content-type", b""))
    if content_type.startswith(BATCH):
        raise InvalidMessage(Reason.BATCH_MODE, "Kafka has no batch mode: produce one record per event")
    if content_type.startswith(STRUCTURED):
        return _structured(content_type, value)
    return _binary(names, content_type, value)


def media_type(header: bytes | str) -> str:
    """A content type without its parameters, in lower case. Raises InvalidMessage for a charset other than UTF-8."""
    text = header.decode("utf-8", "replace") if isinstance(header, bytes) else header
    kind, *parameters = (part.strip() for part in text.lower().split(";"))
    for parameter in parameters:
        name, _, charset = parameter.partition("=")
        if name.strip() == "charset" and charset.strip(' "') not in ("utf-8", "utf8", "us-ascii"):
            raise InvalidMessage(Reason.UNSUPPORTED_CONTENT_TYPE, f"charset {charset[:40]}: send UTF-8")
    return kind


def _binary(names: Mapping[str, bytes], content_type: str, value: bytes) -> Event:
    attributes = {name[3:]: _utf8(name, found) for name, found in names.items() if name.startswith("ce_")}
    if not attributes:
        raise InvalidMessage(
            Reason.NOT_A_CLOUDEVENT,
            "binary mode: set the headers ce_specversion, ce_id, ce_source and ce_type; "
            f"structured mode: set content-type to {STRUCTURED}+json",
        )
    return _event(attributes, "header ce_", content_type or JSON, value)


def _utf8(name: str, found: bytes) -> str:
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidMessage(Reason.INVALID_ATTRIBUTE, f"header {name} is not UTF-8") from None


def _structured(content_type: str, value: bytes) -> Event:
    if content_type not in (STRUCTURED, f"{STRUCTURED}+json"):
        raise InvalidMessage(
            Reason.UNSUPPORTED_CONTENT_TYPE, f"{content_type[:80]}: structured mode is read as {STRUCTURED}+json only"
        )
    document = json_object(value, "the event")
    found = document.get("datacontenttype")
    data_type = media_type(found) if isinstance(found, str) else JSON
    attributes = {name: text for name, text in document.items() if name not in ("data", "data_base64")}
    return _event(attributes, "attribute ", data_type, _data_of(document))


def _data_of(document: Mapping[str, object]) -> bytes | dict[str, object]:
    data, encoded = document.get("data"), document.get("data_base64")
    if data is not None and encoded is not None:
        raise InvalidMessage(Reason.BAD_JSON, "data and data_base64 are both set: send one of them")
    if isinstance(data, dict):
        return data
    if data is not None:
        raise InvalidMessage(
            Reason.BAD_JSON, "data is not a JSON object: send the message's JSON form, or protobuf as data_base64"
        )
    if not isinstance(encoded, str) or not encoded:
        raise InvalidMessage(Reason.NO_DATA, "the event has neither data nor data_base64")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidMessage(Reason.BAD_JSON, "data_base64 is not base64") from None


def _event(attributes: Mapping[str, object], place: str, content_type: str, data: bytes | dict[str, object]) -> Event:
    found = {name: _attribute(attributes, name, place) for name in ("specversion", "id", "source", "type")}
    if found["specversion"] != "1.0":
        raise InvalidMessage(Reason.INVALID_ATTRIBUTE, f"{place}specversion must be 1.0")
    if found["type"] != TYPE:
        raise InvalidMessage(Reason.WRONG_TYPE, f"{place}type must be {TYPE}")
    return Event(found["source"], found["id"], content_type, data)


def _attribute(attributes: Mapping[str, object], name: str, place: str) -> str:
    found = attributes.get(name)
    if found is None or found == "":
        raise InvalidMessage(Reason.MISSING_ATTRIBUTE, f"{place}{name} is missing")
    if not isinstance(found, str):
        raise InvalidMessage(Reason.INVALID_ATTRIBUTE, f"{place}{name} must be a string")
    return found


def json_object(value: bytes, what: str) -> dict[str, object]:
    """A JSON object from UTF-8 bytes. Raises InvalidMessage."""
    try:
        document = json.loads(value.decode("utf-8-sig"))
    except RecursionError:
        raise InvalidMessage(Reason.BAD_JSON, f"{what} is nested too deeply") from None
    except ValueError as error:
        at = f" at line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidMessage(Reason.BAD_JSON, f"{what} is not JSON in UTF-8{at}") from None
    if not isinstance(document, dict):
        raise InvalidMessage(Reason.BAD_JSON, f"{what} must be a JSON object")
    return document
