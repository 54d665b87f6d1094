"""CloudEvents 1.0 on Kafka, binary mode (contracts 1.1): what our records carry in their headers.

Every record has ce_specversion, ce_id, ce_type, ce_source, ce_subject, ce_time, content-type, and traceparent when the
fact was traced. ce_id is the event id: the same for the same fact however often it is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

PROTOBUF = "application/protobuf"
TRACEPARENT = "traceparent"


def headers(
    *, event_id: str, message: str, source: str, subject: str, time: datetime, tenant: str, traceparent: str = ""
) -> dict[str, bytes]:
    """The headers of a record whose value is the protobuf `message` (a full name, trunkline.area.v1.Name)."""
    found = {
        "content-type": PROTOBUF,
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_type": message,
        "ce_source": f"trunkline/{source}",
        "ce_subject": subject,
        "ce_time": time.isoformat().replace("+00:00", "Z"),
        "ce_tenant": tenant,
    }
    if traceparent:
        found[TRACEPARENT] = found["ce_traceparent"] = traceparent
    return {name: value.encode() for name, value in found.items()}


def text(found: Mapping[str, bytes], name: str) -> str:
    """A header as text; empty where it is absent or not UTF-8."""
    return found.get(name, b"").decode("utf-8", "replace")
