"""What the SLA service is measured on: a tenant with promises on a business calendar, and conversations of a day."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any

from trunkline.config.v1.config_pb2 import BusinessCalendar, SlaPolicy, SlaRule, TenantConfig
from trunkline_common.kafka import Outgoing, partition_for

from tests.sla.talk import SYSTEM, Talk

TENANT, PARTITIONS = "bench", 24
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TARGETS = {"first_response": 3 * 3600, "next_response": 4 * 3600, "resolution": 24 * 3600}
#: One day's work of a conversation, as many events as `whole` writes.
PER_TALK = 12


def promises(targets: dict[str, int], hours: Sequence[Sequence[str]], **policy: Any) -> Outgoing:
    """Version 1 of the tenant: those targets on a calendar with the same hours every day."""
    document = {"tz": "Europe/Berlin", "weekly": dict.fromkeys(DAYS, hours)}
    rules = [SlaRule(metric=metric, target_s=seconds) for metric, seconds in targets.items()]
    config = TenantConfig(
        tenant=TENANT,
        version=1,
        sla_policies=[SlaPolicy(id="everyone", rules=rules, calendar="support", **policy)],
        calendars=[BusinessCalendar(id="support", document=json.dumps(document))],
    )
    return Outgoing("trunkline.config.v1", f"{TENANT}/1".encode(), config.SerializeToString())


def whole(at: datetime) -> Talk:
    """Asked, taken, answered, asked again, put off, taken up again, solved: within two hours, every promise kept."""
    talk = Talk(TENANT, at=at).begin().later(60).assigned("ana").later(300).replies("ana").later(600).writes()
    talk.later(300).replies("ana").later(5).add(SYSTEM, conversation_snoozed={"agent_id": "ana"}).later(1800)
    talk.add(SYSTEM, conversation_woken={}).later(60).writes().later(600).replies("ana").later(30)
    return talk.add(SYSTEM, conversation_resolved={"agent_id": "ana"})


def log(count: int) -> Iterator[Outgoing]:
    """So many conversations side by side: the first event of each, then the second of each, and so on."""
    began = datetime.now(UTC) - timedelta(hours=2)
    talks = [whole(began + timedelta(milliseconds=number)).records() for number in range(count)]
    for turn in zip_longest(*talks):
        yield from (record for record in turn if record is not None)


def one_in_each(partitions: int) -> list[Talk]:
    """A conversation that has just begun for every partition, in their order."""
    found: dict[int, Talk] = {}
    while len(found) < partitions:
        talk = Talk(TENANT)
        found.setdefault(partition_for(talk.conversation_id.encode(), partitions), talk)
    return [found[number].begin() for number in range(partitions)]
