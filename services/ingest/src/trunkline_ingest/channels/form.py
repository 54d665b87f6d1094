"""Web form (our own): JSON or urlencoded in; the answer goes to the visitor by e-mail.

A form has no signature: its account may list the origins it is shown on (option `origins`, comma separated).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
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
    violations,
)
from trunkline_ingest.model import Fact, Message

SAME_SUBMISSION_SECONDS = 300
MAX_FIELDS = 50


class Form(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, str_strip_whitespace=True)

    name: str = Field("", max_length=200)
    email: str = Field(max_length=254, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+$")
    subject: str = Field("", max_length=500)
    message: str = Field(min_length=1, max_length=65536)
    form_id: str = Field("", max_length=200)
    #: One per rendered form: the same on a double submit.
    nonce: str = Field("", max_length=200)

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
    """One message; each submission is a conversation of its own."""
    submission = _submission(payload, arrival.received.timestamp())
    return [
        Message(
            provider_message_id=submission,
            thread_key=f"{payload.email}|{submission}",
            address=payload.email,
            display_name=payload.name,
            subject=payload.subject,
            text=payload.message,
        )
    ]


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
