"""Which examples there must be: one per event type and per topic message, found from the descriptors.

An example is never changed. Where a type gets fields later, another one with them stands beside it: name_2.
"""

from __future__ import annotations

import re
from pathlib import Path

from google.protobuf.message import Message
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline.ingest.v1.ingress_event_pb2 import IngressMessage
from trunkline.insights.v1.queue_pb2 import QueuePartial, QueueSnapshot
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage, TypingIndicator
from trunkline.router.v1.pool_event_pb2 import PoolEvent
from trunkline.sla.v1.sla_event_pb2 import SlaEvent

FOLDER = Path("proto/examples")

#: Messages with a oneof payload have an example for each member, named after it.
FAMILIES: dict[type[Message], str] = {
    ConversationEvent: "{}",
    InboundEvent: "inbound_{}",
    SlaEvent: "sla_{}",
    PoolEvent: "pool_event_{}",
}
SINGLE: dict[str, type[Message]] = {
    "ingress_message": IngressMessage,
    "outbound_message": OutboundMessage,
    "typing_indicator": TypingIndicator,
    "queue_snapshot": QueueSnapshot,
    "queue_partial": QueuePartial,
    "tenant_config": TenantConfig,
}


def expected() -> dict[str, type[Message]]:
    """The message of every example there must be, by the example's name."""
    members = {
        name.format(field.name): message
        for message, name in FAMILIES.items()
        for field in message.DESCRIPTOR.oneofs_by_name["payload"].fields
    }
    return {**members, **SINGLE}


def base(name: str) -> str:
    """The example's type: conversation_queued of conversation_queued_2."""
    return re.sub(r"_\d+$", "", name)


def newest(name: str) -> str:
    """The name of the latest example of a type; it has every field."""
    stored = [path.stem for path in FOLDER.glob(f"{name}_*.json") if base(path.stem) == name]
    return max(stored, key=lambda stem: int(stem.rpartition("_")[2]), default=name)
