"""What is past, answered by a process of its own, so that the engine is not held up: python -m trunkline_router.past.

Reads one request (JSON) from stdin, writes lines of JSON to stdout: how far it is, then the answer or a refusal.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import sys
import time
from asyncio import Runner
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common import postgres
from trunkline_common.errors import Refused, Violation, invalid_request

from trunkline_router import wire_config, wire_explain
from trunkline_router.events import ConversationAssigned, ConversationQueued, Event, OfferMade
from trunkline_router.explain import explain_match
from trunkline_router.fold import evolve
from trunkline_router.history import History, PostgresLog
from trunkline_router.policy_simulation import Progress, simulate
from trunkline_router.replay import replay
from trunkline_router.simulation_world import Period
from trunkline_router.toolbox import TOOLS

SCHEMA = "router"
NICENESS = 19  # only what nobody else wants
AUTOGROUP = Path("/proc/self/autogroup")
TELL_EVERY_S = 0.5
Request = Mapping[str, Any]
Tell = Callable[[Mapping[str, Any]], None]


def explain(history: History, request: Request, _tell: Tell) -> Message:
    """A choice and why, on the state before it; an entry into a queue with its event applied."""
    chosen = _chosen(history, _asked(history, request))
    first = chosen[0]
    if isinstance(first.payload, ConversationAssigned) and first.payload.by_hand:
        return wire_explain.to_decision(chosen, None)
    engine = history.before(first.pool_seq)
    engine.pass_time(first.occurred_at)
    if isinstance(first.payload, ConversationQueued):
        evolve(engine, first)
    found = explain_match(engine, engine.pool.conversations[first.conversation_id])
    return wire_explain.to_decision(chosen, found)


def _asked(history: History, request: Request) -> Event:
    """The event asked for; of an accepted offer the offer, which is when it was chosen."""
    name, seq = request["conversation_id"], request["seq"]
    events = history.conversation(name)
    if seq not in events:
        facts = {"conversation_id": name, "seq": str(seq)}
        raise Refused("NOT_FOUND", "EVENT_NOT_FOUND", f"{name} has no event {seq}", metadata=facts)
    asked = events[seq].payload
    if request["kind"] == "explain" and isinstance(asked, ConversationAssigned) and asked.offer_id:
        made = (e for e in events.values() if isinstance(e.payload, OfferMade) and e.payload.offer_id == asked.offer_id)
        return next(made)
    return events[seq]


def _chosen(history: History, asked: Event) -> Sequence[Event]:
    """The events of the choice: several where several were asked at once."""
    if isinstance(asked.payload, OfferMade):
        return _offers(history.decision(asked), asked)
    if isinstance(asked.payload, ConversationAssigned | ConversationQueued):
        return [asked]
    kind = type(asked.payload).__name__
    raise invalid_request(Violation("seq", f"is {kind}; ask for an entry into a queue, an offer or an assignment"))


def _offers(group: Sequence[Event], asked: Event) -> Sequence[Event]:
    """Those made one after the other, one of which was asked for."""
    at, of = group.index(asked), asked.conversation_id

    def offer(event: Event) -> bool:
        return isinstance(event.payload, OfferMade) and event.conversation_id == of

    before = list(takewhile(offer, reversed(group[:at])))
    return [*reversed(before), *takewhile(offer, group[at:])]


def again(history: History, request: Request, _tell: Tell) -> Message:
    """A decision once more."""
    group = history.decision(_asked(history, request))
    return wire_explain.to_replayed(group, replay(history.before(group[0].pool_seq), group))


def otherwise(history: History, request: Request, tell: Tell) -> Message:
    """A period under another configuration."""
    since, until = (datetime.fromisoformat(request[name]) for name in ("since", "until"))
    config = TenantConfig.FromString(base64.b64decode(request["config"]))
    first = history.first_since(since)
    period = Period(
        before=history.before(first).pool,
        recorded=takewhile(lambda e: e.occurred_at < until, history.after(first - 1)),
        since=since,
        until=until,
        configuration=wire_config.to_pool_configured(config, history.pool),
        tools=TOOLS,
    )
    told, worked = time.monotonic(), time.process_time()
    for found in simulate(period):
        if not isinstance(found, Progress):
            return wire_explain.to_comparison(found)
        time.sleep(rest_s(time.process_time() - worked, request["share"]))
        worked = time.process_time()
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            tell({"progress": found.done})
    raise AssertionError("a simulation ends with its comparison")


def rest_s(worked_s: float, share: float) -> float:
    """After so much work, to take that share of a core; on an idle one, too, it takes caches and memory from others."""
    return worked_s * (1 / share - 1)


KINDS: Mapping[str, Callable[[History, Request, Tell], Message]] = {
    "explain": explain,
    "replay": again,
    "simulate": otherwise,
}


def answer(request: Request, tell: Tell) -> None:
    """Tell the answer, or why there is none."""
    with Runner() as runner:
        stack = AsyncExitStack()
        connecting = postgres.connect(request["database_url"], SCHEMA, size=1, application="trunkline-past")
        db = runner.run(stack.enter_async_context(connecting))
        try:
            history = History(request["pool"], PostgresLog(runner, db, request["pool"]))
            found = KINDS[request["kind"]](history, request, tell)
            tell({"answer": base64.b64encode(found.SerializeToString()).decode()})
        except Refused as refused:
            tell({"refused": _refusal(refused)})
        finally:
            runner.run(stack.aclose())


def _refusal(refused: Refused) -> Mapping[str, Any]:
    named = {name: getattr(refused, name) for name in ("code", "reason", "message", "metadata")}
    return named | {"violations": [asdict(v) for v in refused.violations]}


def _tell(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Answer the request on stdin."""
    request = json.loads(sys.stdin.read())
    give_way(request["kind"])
    gc.disable()  # it lives for one answer, and looking for cycles among millions of values costs more than there are
    answer(request, _tell)


def give_way(kind: str) -> None:
    """To the engine. A simulation, for which nobody waits, runs where a core would be idle, and leaves it at once."""
    os.nice(NICENESS)
    if kind != "simulate" or sys.platform != "linux":
        return
    with suppress(OSError):  # a sandbox may know better
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):  # where Linux groups processes by session, niceness counts within one: be one's own
        os.setsid()
        AUTOGROUP.write_text(str(NICENESS))


if __name__ == "__main__":
    main()
