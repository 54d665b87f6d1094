"""A tenant, an integrator's message, and the record that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from trunkline.common.v1.common_pb2 import Contact, Content
from trunkline.config.v1.config_pb2 import ChannelAccount, EventSource, Pool, Team, TenantConfig
from trunkline.ingest.v1.ingress_event_pb2 import IngressMessage
from trunkline_common.kafka import Record
from trunkline_common.tenants import Tenants

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SOURCE = "crm/tickets"
TYPE = "trunkline.ingest.v1.IngressMessage"
PROTOBUF = "application/protobuf"


def config(tenant: str = "acme") -> TenantConfig:
    """Two accounts; the source may speak for one of them."""
    return TenantConfig(
        tenant=tenant,
        version=1,
        pools=[Pool(id="main")],
        teams=[Team(id="support", pool="main")],
        accounts=[
            ChannelAccount(id="tickets", channel="crm", team="support"),
            ChannelAccount(id="other", channel="crm", team="support"),
        ],
        sources=[EventSource(source=SOURCE, accounts=["tickets"])],
    )


def tenants(*configs: TenantConfig) -> Tenants:
    """The configuration as if it had been read from the topic."""
    found = Tenants("unused:1")
    for one in configs or (config(),):
        found._take("", one.SerializeToString())
    return found


def message(**changes: Any) -> IngressMessage:
    """A good message."""
    good: dict[str, Any] = {
        "tenant": "acme",
        "account": "tickets",
        "message_id": "m-1",
        "thread_key": "ticket-7",
        "contact": Contact(address="kim@example.com", display_name="Kim"),
        "content": Content(text="Where is my order?"),
    }
    return IngressMessage(**{**good, **changes})


def as_json(found: IngressMessage) -> dict[str, Any]:
    """Its JSON form."""
    return dict(MessageToDict(found))


@dataclass(frozen=True)
class Sample:
    """A record's value and headers."""

    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)

    def record(self, offset: int = 0) -> Record:
        """As if it had been read from the topic."""
        return Record("trunkline.ingress.v1", 0, offset, b"any", self.value, self.headers, 0)


def binary(value: bytes | None, content_type: str = PROTOBUF, **attributes: str | None) -> Sample:
    """A binary-mode event; None leaves an attribute out."""
    found = {"specversion": "1.0", "id": "e-1", "source": SOURCE, "type": TYPE, **attributes}
    headers = {f"ce_{name}": text.encode() for name, text in found.items() if text is not None}
    if content_type:
        headers["content-type"] = content_type.encode()
    return Sample(value, headers)


def envelope(**changes: Any) -> dict[str, Any]:
    """A structured-mode event; None leaves a member out."""
    good: dict[str, Any] = {"specversion": "1.0", "id": "e-1", "source": SOURCE, "type": TYPE}
    return {name: value for name, value in {**good, "data": as_json(message()), **changes}.items() if value is not None}
