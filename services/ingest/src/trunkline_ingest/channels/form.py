"""Web form (our own): JSON or urlencoded in; the answer goes to the visitor by e-mail.

A form has no signature: its account may list the origins it is shown on (option `origins`, comma separated). Of
what a page sends beside the message only what the account names is taken: the fields in option `attributes`, and the
field `priority` where option `sender_priority` is true.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common.errors import Violation

from trunkline_ingest.channels import email
from trunkline_ingest.channels.adapter import (
    Adapter,
    Answer,
    Arrival,
    BadSignature,
    InvalidBody,
    Raw,
    json_body,
    takes_priority,
    violations,
)
from trunkline_ingest.labels import Labels, problems
from trunkline_ingest.model import Fact, Message

SAME_SUBMISSION_SECONDS = 300
MAX_FIELDS = 50


class Form(BaseModel):
    # What else the page sends is read where the account names it.
    model_config = ConfigDict(extra="allow", hide_input_in_errors=True, str_strip_whitespace=True)

    name: str = Field("", max_length=200)
    email: str = Field(max_length=254, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+$")
    subject: str = Field("", max_length=500)
    message: str = Field(min_length=1, max_length=65536)
    form_id: str = Field("", max_length=200)
    #: One per rendered form: the same on a double submit.
    nonce: str = Field("", max_length=200)
    language: str = ""

    @field_validator("email")
    @classmethod
    def _lower(cls, address: str) -> str:
        return address.lower()


def verify(raw: Raw, account: ChannelAccount, _secret: str) -> None:
    """The Origin is one of the account's, where it lists any."""
    origins = [one.strip().rstrip("/") for one in account.options.get("origins", "").split(",") if one.strip()]
    if origins and raw.headers.get("origin", "") not in origins:
        raise BadSignature


def parse(raw: Raw) -> Form:
    """The visitor's fields; every wrong one is named."""
    kind = raw.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return Form.model_validate(json_body(raw))
        if kind == "application/x-www-form-urlencoded":
            return Form.model_validate(dict(parse_qsl(raw.body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS)))
    except ValidationError as error:
        raise InvalidBody(*violations(error)) from None
    except ValueError:
        raise InvalidBody(Violation("body", f"must have at most {MAX_FIELDS} fields")) from None
    raise InvalidBody(Violation("content-type", "must be application/json or application/x-www-form-urlencoded"))


def normalise(payload: Form, arrival: Arrival) -> list[Fact]:
    """One message; each submission is a conversation of its own. Raises InvalidBody."""
    submission = _submission(payload, arrival.received.timestamp())
    return [
        Message(
            provider_message_id=submission,
            thread_key=f"{payload.email}|{submission}",
            address=payload.email,
            display_name=payload.name,
            subject=payload.subject,
            text=payload.message,
            labels=_labels(payload, arrival),
        )
    ]


def _labels(form: Form, arrival: Arrival) -> Labels:
    """Its language, and what the account lets a visitor say beside it: the form is a stranger's."""
    sent = form.model_extra or {}
    named = (one.strip() for one in arrival.account.options.get("attributes", "").split(","))
    attributes = tuple((name, found) for name in named if (found := _text(sent, name)))
    priority = _text(sent, "priority") if takes_priority(arrival.account) else ""
    labels = Labels(form.language, (), attributes, priority)
    if wrong := [Violation(f.removeprefix("attributes."), what) for f, what in problems(labels, arrival.priorities)]:
        raise InvalidBody(*wrong)
    return labels


def _text(sent: Mapping[str, Any], name: str) -> str:
    found = sent.get(name)
    match found:
        case None:
            return ""
        case str():
            return found.strip()
        case bool() | int() | float():
            return json.dumps(found)
        case _:
            raise InvalidBody(Violation(name, "must be text, a number, true or false"))


def _submission(form: Form, received: float) -> str:
    """The same for a double submit: by nonce, else by sender, words and five minutes."""
    once = form.nonce or form.form_id
    window = int(received // SAME_SUBMISSION_SECONDS)
    identity = [form.email, once] if once else [form.email, form.subject, form.message, window]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def accepted(events: Sequence[InboundEvent]) -> Answer:
    """The ids, so that the page can name its case."""
    ids = {"event_id": events[0].event_id, "conversation_id": events[0].conversation_id} if events else {}
    return Answer(202, "application/json", json.dumps(ids))


ADAPTER = Adapter("form", "", verify, parse, normalise, email.send, accepted)
