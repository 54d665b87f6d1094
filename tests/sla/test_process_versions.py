"""Clocks that run while the configuration or the zone data changes under them, on real Kafka and PostgreSQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import from_dict
from trunkline_common.calendar_zones import tzdata_version

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.kit import eventually
from tests.sla.service import Client, at, facts, heard, hours, new_tenant, promises, rows, version
from tests.sla.talk import Talk, produce

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
HOUR, DAY = 3600, 86_400
#: A release of the zone data that does not exist.
RELEASE = "2099.1"


def events(found: list[Any], talk: Talk) -> list[Any]:
    """What was published of one conversation."""
    return [e for e, _ in found if e.conversation_id == talk.conversation_id]


def kinds(found: list[Any], talk: Talk) -> list[str]:
    """Of it."""
    return [e.WhichOneof("payload") for e in events(found, talk)]


async def renewed(stack: Stack, number: int, *talks: Talk) -> None:
    """Wait until the talks are under that version and its facts are published."""
    query = """
        select count(*) from conversation where conversation_id = any($1) and config_version = $2
        and (select count(*) from outbox) = 0
        and not exists (select from clock where conversation_id = any($1) and next_at < now() - interval '700 ms')
    """

    async def look() -> bool:
        return await rows(stack, query, [t.conversation_id for t in talks], number) == [(len(talks),)]

    await eventually(look, what=f"version {number} in force")


def these_days() -> list[str]:
    """Yesterday to tomorrow: what is closed then does not open at a different hour in this test than in the next."""
    now = datetime.now(UTC)
    return [(now + timedelta(days=n)).date().isoformat() for n in (-1, 0, 1)]


def policy(team: str, seconds: int, calendar: str = "") -> Any:
    """What a team promises."""
    found = promises(team, first_response=seconds)
    found.team, found.calendar = team, calendar
    return found


async def test_a_new_version_moves_the_clocks_that_run(stack: Stack, running: Services) -> None:
    """Of silent conversations too: calendar and target, once each; a target that is past breaches at the change (7.9).

    What was counted before stays (7.10); what is promised as before is not announced; a fault is mended.
    """
    tenant = new_tenant()
    changed = datetime.now(UTC)
    begun = (changed - timedelta(seconds=100)).replace(microsecond=0)
    calendar, target, lowered, same, faulty = (Talk(tenant, at=begun).begin(team=t) for t in "abcde")
    talks = [calendar, target, lowered, same, faulty]
    closed = hours("00:00", "24:00", holidays=these_days())
    old = [policy("a", HOUR, "house"), policy("b", HOUR), policy("c", HOUR), policy("d", HOUR), policy("e", HOUR, "x")]
    new = [policy("a", HOUR, "house"), policy("b", DAY), policy("c", 60), policy("d", HOUR), policy("e", HOUR, "x")]
    told = [record for one in talks for record in one.records()]
    await produce(stack.bootstrap, [version(tenant, 1, old, {"house": hours("00:00", "24:00")}), *told])
    await heard(stack, tenant, *talks)
    await produce(
        stack.bootstrap, [version(tenant, 2, new, {"house": closed, "x": hours("00:00", "24:00")}, at=changed)]
    )
    await renewed(stack, 2, *talks)
    found = await facts(stack, tenant)
    at_change = changed.replace(microsecond=0)
    moved = {
        calendar.conversation_id: Calendar(from_dict(closed), changed).add(at_change, HOUR - 100),
        target.conversation_id: begun + timedelta(days=1),
        lowered.conversation_id: begun + timedelta(seconds=60),
        faulty.conversation_id: at_change + timedelta(hours=1),
    }
    for event in (e for e, _ in found if e.HasField("clock_rescheduled")):
        assert at(event.due_at) == moved.pop(event.conversation_id)
        assert (at(event.occurred_at), event.gen, event.config_version) == (at_change, 2, 2)
    assert not moved
    assert kinds(found, same) == ["clock_started"]
    assert kinds(found, lowered) == ["clock_started", "clock_rescheduled", "breached"]
    [breach] = (await Client(running, tenant).breaches()).breaches
    assert (breach.conversation_id, at(breach.breached_at)) == (lowered.conversation_id, at_change)
    assert kinds(found, faulty) == ["clock_started", "config_fault", "clock_rescheduled"]


def other_zones(folder: Path) -> Mapping[str, str]:
    """The environment of a process whose zone data are another release, in which Berlin has the hours of Athens."""
    with as_file(files("tzdata")) as own:
        shutil.copytree(own, folder / "tzdata", ignore=shutil.ignore_patterns("__pycache__"))
    zones = folder / "tzdata" / "zoneinfo" / "Europe"
    shutil.copy(zones / "Athens", zones / "Berlin")
    named = folder / f"tzdata-{RELEASE}.dist-info"
    named.mkdir()
    (named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tzdata\nVersion: {RELEASE}\n")
    assert distribution("tzdata").version != RELEASE
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


async def rezoned(stack: Stack, *talks: Talk) -> None:
    """Wait until their deadlines are of that release."""
    query = "select count(*) from conversation where conversation_id = any($1) and tzdata = $2"

    async def look() -> bool:
        found = await rows(stack, query, [t.conversation_id for t in talks], RELEASE)
        return found == [(len(talks),)] and not await rows(stack, "select from outbox limit 1")

    await eventually(look, what="the other zone data")


async def test_who_starts_later_moves_what_changed_meanwhile(stack: Stack, running: Services, tmp_path: Path) -> None:
    """A version that nobody heard of, and other zone data: the deadlines that move are announced again, no others."""
    tenant, other = new_tenant(), new_tenant()
    moved, stays = (Talk(tenant).begin(team=t) for t in "ab")
    target = Talk(other).begin()
    zones = {"berlin": "Europe/Berlin", "utc": "UTC"}
    calendars = {name: hours("09:00", "17:00", zone, holidays=these_days()) for name, zone in zones.items()}
    promised = [policy("a", 80 * HOUR, "berlin"), policy("b", 80 * HOUR, "utc")]
    configs = [version(tenant, 1, promised, calendars), version(other, 1, [policy("", 20 * HOUR)])]
    await produce(stack.bootstrap, [*configs, *moved.records(), *stays.records(), *target.records()])
    await heard(stack, tenant, moved, stays, target)
    await running.stop("sla")
    await produce(stack.bootstrap, [version(other, 2, [policy("", 30 * HOUR)], at=datetime.now(UTC))])
    await running.start("sla", env=other_zones(tmp_path))
    await renewed(stack, 2, target)
    await rezoned(stack, moved, stays)
    found = [*await facts(stack, tenant), *await facts(stack, other)]
    assert kinds(found, stays) == ["clock_started"]
    for one, by in ((moved, -HOUR), (target, 10 * HOUR)):
        first, second = events(found, one)
        assert (first.tzdata, second.tzdata) == (tzdata_version(), RELEASE)
        assert (second.WhichOneof("payload"), second.gen) == ("clock_rescheduled", 2)
        assert at(second.due_at) - at(first.due_at) == timedelta(seconds=by)
    due = await rows(stack, "select due_at, gen from clock where conversation_id = $1", moved.conversation_id)
    assert due == [(at(events(found, moved)[1].due_at), 2)]
