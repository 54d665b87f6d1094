"""What the tests of ingest begin with: a tenant's configuration, secrets made at run time, a publisher in memory."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trunkline.config.v1.config_pb2 import ChannelAccount, Pool, Team, TenantConfig
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common.kafka import Outgoing
from trunkline_ingest.accounts import Directory
from trunkline_ingest.channels.adapter import Arrival, Raw
from trunkline_ingest.publisher import KafkaDown

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
NUMBER_ID = "100200300"

WHATSAPP = ChannelAccount(
    id="wa",
    channel="whatsapp",
    team="support",
    secrets={"app_secret": "wa-app", "verify_token": "wa-verify"},
    options={"phone_number_id": NUMBER_ID},
)
SMS = ChannelAccount(
    id="sms",
    channel="sms",
    team="support",
    secrets={"auth_token": "sms-auth"},
    options={"number": "+15550100", "account_sid": "AC1"},
)
MAIL = ChannelAccount(id="mail", channel="email", team="support", options={"address": "support@shop.example"})
FORM = ChannelAccount(id="web", channel="form", team="support")
APP = ChannelAccount(id="own-app", channel="app", team="support")


def config(tenant: str = "acme", version: int = 1, accounts: Sequence[ChannelAccount] = ()) -> TenantConfig:
    """A tenant with one account of each channel."""
    return TenantConfig(
        tenant=tenant,
        version=version,
        pools=[Pool(id="default")],
        teams=[Team(id="support", pool="default")],
        accounts=accounts or [WHATSAPP, SMS, MAIL, FORM, APP],
    )


def directory(*configs: TenantConfig) -> Directory:
    """The accounts of these tenants, of one where none is given."""
    found = Directory()
    for one in configs or (config(),):
        found.take(one)
    return found


def arrival(account: ChannelAccount, tenant: str = "acme") -> Arrival:
    """A delivery for an account, now."""
    return Arrival(tenant, f"{tenant}/default", account, NOW)


def raw(body: bytes = b"", *, target: str = "/", headers: Mapping[str, str] | None = None) -> Raw:
    """A POST as it came."""
    return Raw("POST", "https://hooks.example", target, dict(headers or {}), body)


def write_secrets(folder: Path, tenant: str = "acme") -> dict[str, str]:
    """The files that the accounts above name, with random content."""
    (folder / tenant).mkdir(parents=True, exist_ok=True)
    found = {name: secrets.token_hex(16) for name in ("wa-app", "wa-verify", "sms-auth")}
    for name, value in found.items():
        (folder / tenant / name).write_text(value + "\n")
    return found


def hub_signature(secret: str, body: bytes) -> dict[str, str]:
    """Meta's header over a body."""
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def meta(*changes: dict[str, Any]) -> bytes:
    """One POST of Meta with these changes."""
    return json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": list(changes)}]}
    ).encode()


def change(*, number_id: str = NUMBER_ID, name: str = "messages", **value: Any) -> dict[str, Any]:
    """A change with the messages, statuses and contacts given."""
    metadata = {"display_phone_number": "15550100", "phone_number_id": number_id}
    return {"field": name, "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}


def wa_text(wamid: str, body: str, sender: str = "15550111", **more: Any) -> dict[str, Any]:
    """A text message as Meta sends it."""
    return {"from": sender, "id": wamid, "timestamp": "1763630000", "type": "text", "text": {"body": body}, **more}


@dataclass
class FakePublisher:
    """Keeps what is published; `down` refuses like Kafka that does not answer."""

    down: bool = False
    messages: list[Outgoing] = field(default_factory=list)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Take all or nothing."""
        if self.down:
            raise KafkaDown
        self.messages += messages

    @property
    def events(self) -> list[InboundEvent]:
        """The inbound events, in order."""
        return [InboundEvent.FromString(m.value or b"") for m in self.messages if m.topic == "trunkline.inbound.v1"]

    @property
    def letters(self) -> list[tuple[str, bytes]]:
        """(reason, bytes) of the dead letters."""
        found = [m for m in self.messages if m.topic == "trunkline.inbound.dlq.v1"]
        return [(m.headers["dlq.reason"].decode(), m.value or b"") for m in found]
