"""Why intake refuses an event: `dlq.reason` on trunkline.ingress.dlq.v1. Stable; integrators switch on them."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Each reason with what it means; the detail beside it names the attribute or field and says what to do."""

    #: Neither a structured CloudEvent by its content type nor a binary one by its ce_ headers.
    NOT_A_CLOUDEVENT = "NOT_A_CLOUDEVENT"
    #: Several events in one record: Kafka has no batch mode.
    BATCH_MODE = "BATCH_MODE"
    #: The event format or the data's content type is none of those we read.
    UNSUPPORTED_CONTENT_TYPE = "UNSUPPORTED_CONTENT_TYPE"
    #: The record or the event has no data.
    NO_DATA = "NO_DATA"
    #: A CloudEvents attribute that must be there is not.
    MISSING_ATTRIBUTE = "MISSING_ATTRIBUTE"
    #: A CloudEvents attribute has a value that is not allowed.
    INVALID_ATTRIBUTE = "INVALID_ATTRIBUTE"
    #: The attribute `type` names another event.
    WRONG_TYPE = "WRONG_TYPE"
    #: Not JSON, or not an object where an object belongs.
    BAD_JSON = "BAD_JSON"
    #: Not a protobuf message of the type.
    BAD_PROTOBUF = "BAD_PROTOBUF"
    #: A JSON field that the message does not have.
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    #: A field that must be set is not.
    MISSING_FIELD = "MISSING_FIELD"
    #: A field has a value that is not allowed.
    INVALID_FIELD = "INVALID_FIELD"
    #: The tenant's configuration does not register the event's source (or there is no such tenant).
    UNKNOWN_SOURCE = "UNKNOWN_SOURCE"
    #: The source may not speak for this account.
    SOURCE_NOT_ALLOWED = "SOURCE_NOT_ALLOWED"
    #: The tenant's configuration has no such account.
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    #: The record is larger than allowed.
    TOO_LARGE = "TOO_LARGE"
