"""The bodies of WhatsApp Cloud API webhooks, as far as they are read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    # Lists come from a factory: pydantic copies a mutable default deeply each time.
    # Meta adds fields without notice; errors must not quote what customers wrote.
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, populate_by_name=True)


class Change(_Model):
    field: str
    value: dict[str, Any]


class Entry(_Model):
    changes: list[dict[str, Any]]


class Webhook(_Model):
    object: str
    entry: list[Entry]


class Metadata(_Model):
    phone_number_id: str


class Profile(_Model):
    name: str = ""
    username: str = ""


class Person(_Model):
    wa_id: str = ""
    user_id: str = ""
    profile: Profile = Field(default_factory=Profile)


class Value(_Model):
    metadata: Metadata
    contacts: list[dict[str, Any]] = Field(default_factory=list)
    messages: list[dict[str, Any]] = Field(default_factory=list)
    statuses: list[dict[str, Any]] = Field(default_factory=list)
    errors: list[dict[str, Any]] = Field(default_factory=list)


class MessagesChange(_Model):
    value: Value


class Text(_Model):
    body: str = ""


class Media(_Model):
    id: str
    mime_type: str = ""
    sha256: str = ""
    filename: str = ""
    caption: str = ""


class Location(_Model):
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class Button(_Model):
    text: str


class Choice(_Model):
    title: str = ""
    body: str = ""


class Interactive(_Model):
    button_reply: Choice | None = None
    list_reply: Choice | None = None
    nfm_reply: Choice | None = None


class Incoming(_Model):
    id: str = Field(min_length=1)
    type: str
    sender: str = Field("", alias="from")
    from_user_id: str = ""
    group_id: str = ""
    timestamp: str | int = ""
    text: Text | None = None
    image: Media | None = None
    video: Media | None = None
    audio: Media | None = None
    voice: Media | None = None
    document: Media | None = None
    sticker: Media | None = None
    location: Location | None = None
    button: Button | None = None
    interactive: Interactive | None = None


class Failure(_Model):
    code: int = 0
    title: str = ""


class Delivery(_Model):
    id: str = Field(min_length=1)
    status: str
    timestamp: str | int = ""
    biz_opaque_callback_data: str = ""
    errors: list[Failure] = Field(default_factory=list)
