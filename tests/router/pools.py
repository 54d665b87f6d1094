"""Three pools of a tenant in memory: the engines, and what their owners do, without Kafka and PostgreSQL.

A document may give the tenant's account to another pool, drop a pool or bring it back; ingest and the owners learn of
it one after the other.

What a pool's transaction writes is there whole or not at all. What it has to tell is relayed in order, some of it
twice; a pool reads its partition in order, and a record again where it died before COMMIT. What comes from different
sources is read in any order.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trunkline.config.v1 import config_pb2
from trunkline.conversations.v1.conversation_event_pb2 import ConversationEvent
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common.kafka import Outgoing, Record
from trunkline_router import handover, publishing, wire, wire_config, wire_handover
from trunkline_router.engine import SYSTEM, handle
from trunkline_router.facts import CustomerLookup, Presence
from trunkline_router.fold import evolve
from trunkline_router.handed import Place, Sighting
from trunkline_router.inputs import (
    AcceptOffer,
    Body,
    Configure,
    Input,
    Merge,
    Reopen,
    Resolve,
    SetPresence,
    Tick,
    Transfer,
)
from trunkline_router.pool import ENDED, Conversation, Pool, Status
from trunkline_router.refusals import Refusal
from trunkline_router.requests import unknown_places
from trunkline_router.state import Engine

from tests import kit
from tests.router.given import CUSTOMER, DESK, at

NAMES = ("a", "b", "c")
CONVERSATIONS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(6)]


def pool_id(name: str) -> str:
    """A pool by the name of its team and agent."""
    return f"acme/{name}"


def document(version: int, names: list[str], account: str) -> config_pb2.TenantConfig:
    """A version with these pools, each with a team and an agent, and whose the account is."""
    made = config_pb2.TenantConfig(tenant="acme", version=version)
    for name in names:
        made.pools.add(id=name)
        made.teams.add(id=name, pool=name, offer_timeout_s=20, accept_without_agents=True, auto_assign=True)
        made.agents.add(id=f"agent-{name}", name=name, teams=[name], capacity=2)
    made.accounts.add(id="app", channel="app", team=account)
    return made


@dataclass
class Owner:
    """A pool with what is stored of it, its partition of the inbound topic, and how far that is read."""

    name: str
    engine: Engine
    outbox: list[Outgoing] = field(default_factory=list)
    partition: list[Outgoing] = field(default_factory=list)
    position: int = 0
    log: list[bytes] = field(default_factory=list)


class Pools:
    """What may happen, one thing after the other; `check` after each."""

    def __init__(self, seed: int) -> None:
        self.chance, self.seconds = random.Random(seed), 0  # noqa: S311 - the same numbers every time are the point
        #: Event ids that were handled, by whichever pool: one table for all.
        self.inbox: set[str] = set()
        self.documents = [document(1, list(NAMES), "a")]
        self.owners = {name: self._owner(name) for name in NAMES}
        #: The conversations log, copies included, and the messages that customers wrote.
        self.topic: dict[str, list[ConversationEvent]] = defaultdict(list)
        self.written: list[InboundEvent] = []

    def _owner(self, name: str) -> Owner:
        made = Owner(name, Engine(Pool(pool_id(name))))
        self.learn(made)
        return made

    def learn(self, owner: Owner) -> None:
        """Its owner hears of the newest document; its agent comes back."""
        newest = wire_config.to_pool_configured(self.documents[-1], pool_id(owner.name))
        self._decide(owner, Input(Configure(newest), f"config/{newest.version}", SYSTEM))
        for agent in [a for a in owner.engine.pool.agents.values() if a.presence is not Presence.ONLINE]:
            self._decide(owner, Input(SetPresence(agent.config.id, Presence.ONLINE), "presence", DESK))

    @property
    def now(self) -> datetime:
        """The instant."""
        return at(self.seconds)

    # -- what the owner of a pool does

    def _decide(self, owner: Owner, asked: Input) -> None:
        for event in handle(owner.engine, asked, self.now):
            stored = wire.to_pool_event(event, owner.engine.pool.id, 1, event.occurred_at)
            owner.log.append(stored.SerializeToString())
            if event.conversation_id:
                owner.outbox += publishing.records_of(owner.engine, stored.conversation, "")

    def command(self, owner: Owner, body: Body) -> None:
        """Somebody asks something; refused or not."""
        before = deepcopy(owner.engine.pool)
        try:
            self._decide(owner, Input(body, f"request-{self.seconds}", DESK, supervising=True))
        except Refusal:
            assert owner.engine.pool == before

    def read(self, owner: Owner, *, dies: bool = False) -> None:
        """The next record of its partition; an owner that dies before COMMIT leaves everything as it was."""
        if owner.position == len(owner.partition):
            return
        before, inbox = (deepcopy(owner), set(self.inbox)) if dies else (owner, self.inbox)
        self._handle(owner, owner.partition[owner.position])
        owner.position += 1
        if dies:
            before.engine = Engine(before.engine.pool)
            self.owners[owner.name] = before
            self.inbox.intersection_update(inbox)

    def _handle(self, owner: Owner, raw: Outgoing) -> None:
        record = Record("inbound", 0, 0, raw.key, raw.value, {}, 0)
        event = wire.parse_inbound(record)
        if event.event_id in self.inbox:
            return
        self.inbox.add(event.event_id)
        if unknown_places(event, owner.engine.pool):
            self.learn(owner)
        onward = publishing.sent_on(owner.engine, event, self.now, "", self._seen(owner, event.conversation_id))
        if onward is not None:
            owner.outbox.append(onward)
            return
        actor = wire_handover.actor_of(event) if event.HasField("hand_over") else CUSTOMER
        self._decide(owner, Input(wire.to_input(event, CustomerLookup()), event.event_id, actor))

    def _seen(self, owner: Owner, conversation: str) -> Place | None:
        """Where the others have a conversation, by what they have committed."""
        others = [o.engine.pool for o in self.owners.values() if conversation in o.engine.pool.conversations]
        known = [(pool.id, pool.conversations[conversation]) for pool in others]
        seen = (Sighting(pool, c.seq, c.moved_to) for pool, c in known)
        return handover.seen_elsewhere(conversation, pool_id(owner.name), seen)

    def tick(self, owner: Owner) -> None:
        """What a pool that was dropped does next of its own accord."""
        if owner.engine.pool.dropped and owner.engine.next_due() is not None:
            self._decide(owner, Input(Tick(), "timer", SYSTEM))

    def relay(self, owner: Owner, count: int, *, dies: bool = False) -> None:
        """Publish the first rows; an owner that dies before it has deleted them will publish them again."""
        for message in owner.outbox[:count]:
            self._publish(message)
        if not dies:
            del owner.outbox[:count]

    def _publish(self, message: Outgoing) -> None:
        if message.topic == wire_handover.INBOUND:
            name = (message.key or b"").decode().removeprefix("acme/")
            self.owners[name].partition.append(message)
        elif message.topic == wire.CONVERSATIONS:
            event = ConversationEvent.FromString(message.value or b"")
            self.topic[event.conversation_id].append(event)

    # -- what happens

    def step(self) -> None:
        """Something."""
        self.seconds += self.chance.randrange(2)
        owner = self.owners[self.chance.choice(NAMES)]
        often = [self._transfer, self._read, self._relay] * 3
        sometimes = [self._write, self._write_again, self._act, self._end, self.learn, self.tick]
        self.chance.choice([*sometimes, *often])(owner)
        if self.chance.random() < 1 / 30:
            self._reconfigure()

    def _reconfigure(self) -> None:
        """Another document: some pools of three, and whose the account is."""
        names = sorted(self.chance.sample(NAMES, self.chance.choice([1, 2, 2, 3])))
        self.documents.append(document(len(self.documents) + 1, names, self.chance.choice(names)))

    def _write(self, _: Owner) -> None:
        event = kit.inbound("acme", self.chance.choice(CONVERSATIONS), f"message {len(self.written)}", account="app")
        known = self.chance.choice(self.documents[-2:])  # ingest may be late
        event.pool, event.event_id = pool_id(known.accounts[0].team), self._uuid()
        event.message.automatic = self.chance.random() < 0.1
        self.written.append(event)
        self._publish(kit.record(event))

    def _uuid(self) -> str:
        return f"{self.chance.getrandbits(32):08x}-0000-4000-8000-000000000000"

    def _write_again(self, _: Owner) -> None:
        if self.written:
            event = InboundEvent.FromString(self.chance.choice(self.written).SerializeToString())
            event.pool = pool_id(self.documents[-1].accounts[0].team)
            self._publish(kit.record(event))

    def _transfer(self, owner: Owner) -> None:
        to, live = self.chance.choice(NAMES), self._live(owner)
        name = self.chance.choice(live or CONVERSATIONS)
        self.command(owner, Transfer(name, "", to, "moved", self._agent(to)))

    def _live(self, owner: Owner) -> list[str]:
        return [c.id for c in owner.engine.pool.conversations.values() if c.status not in ENDED]

    def _agent(self, name: str) -> str:
        return self.chance.choice(["", "", "", f"agent-{name}"])

    def _act(self, owner: Owner) -> None:
        known = [c.id for c in owner.engine.pool.conversations.values() if c.status is not Status.MOVED]
        name, other = self.chance.choice(known or CONVERSATIONS), self.chance.choice(known or CONVERSATIONS)
        there = owner.engine.pool.conversations.get(name)
        offers = list(there.offers.items()) if there else []
        if offers:
            self.command(owner, AcceptOffer(name, offers[0][0], offers[0][1].agent))
        elif self.chance.random() < 0.2:
            self.command(owner, Merge(name, "", other))

    def _end(self, owner: Owner) -> None:
        """Or begin again, at a desk or by the customer, who does so now and then by machine."""
        known = [c.id for c in owner.engine.pool.conversations.values() if c.status is not Status.MOVED]
        if known:
            self.command(owner, self.chance.choice([Resolve, Resolve, Reopen])(self.chance.choice(known), ""))

    def _read(self, owner: Owner) -> None:
        self.read(owner, dies=self.chance.random() < 0.2)

    def _relay(self, owner: Owner) -> None:
        self.relay(owner, self.chance.randrange(12), dies=self.chance.random() < 0.2)

    def settle(self) -> None:
        """Nobody does anything any more, and everything arrives."""
        for owner in self.owners.values():
            self.learn(owner)
        for _ in range(1000):
            if not any(o.outbox or o.position < len(o.partition) for o in self.owners.values()):
                return
            for owner in list(self.owners.values()):
                self.tick(owner)
                self.relay(owner, len(owner.outbox))
                while owner.position < len(owner.partition):
                    self.read(owner)
        raise AssertionError("something is sent on for ever")

    # -- what must hold

    def check(self) -> None:
        """Every conversation is in exactly one pool's hands, or on its way to one."""
        for name in {c for o in self.owners.values() for c in o.engine.pool.conversations}:
            live = [c for c in self._known(name) if c.status is not Status.MOVED]
            last = max(c.seq for c in self._known(name))
            coming = {seq for seq in self._coming(name) if seq >= last}
            assert len(live) + len(coming) == 1, f"{name}: here {len(live)} times, on its way {len(coming)} times"
            assert sum(bool(c.agent) or bool(c.offers) for c in live) <= 1

    def _known(self, name: str) -> list[Conversation]:
        pools = (o.engine.pool.conversations for o in self.owners.values())
        return [c[name] for c in pools if name in c]

    def _coming(self, name: str) -> list[int]:
        unread = [m for o in self.owners.values() for m in (*o.outbox, *o.partition[o.position :])]
        events = [InboundEvent.FromString(m.value or b"") for m in unread if m.topic == wire_handover.INBOUND]
        return [e.hand_over.state.seq for e in events if e.HasField("hand_over") and e.conversation_id == name]

    def check_end(self) -> None:
        """When all has arrived: nothing is lost, nothing counts twice, no gap, and the logs rebuild the pools."""
        dropped = [o for o in self.owners.values() if o.engine.pool.dropped]
        assert not any(self._live(o) for o in dropped), "something is left in a pool that is gone"
        received: list[str] = []
        for conversation, events in self.topic.items():
            seen: dict[int, ConversationEvent] = {}
            for event in events:
                assert event.seq in seen or event.seq == len(seen) + 1, f"{conversation}: {event.seq} after {len(seen)}"
                assert seen.setdefault(event.seq, event) == event, f"{conversation}: two events have seq {event.seq}"
            received += [e.message_received.message_id for e in seen.values() if e.HasField("message_received")]
            instants = [e.occurred_at.ToDatetime() for e in seen.values()]
            assert instants == sorted(instants)
        assert set(received) == {e.event_id for e in self.written}, "messages lost"
        assert len(received) == len(set(received)), "messages counted twice"
        for owner in self.owners.values():
            again = Engine(Pool(owner.engine.pool.id))
            for stored in owner.log:
                evolve(again, wire.from_pool_event(stored))
            assert again.pool == owner.engine.pool

    def met(self) -> dict[str, Any]:
        """What happened so often."""
        once = {(c, e.seq): e for c, events in self.topic.items() for e in events}
        kinds: list[str] = [e.WhichOneof("payload") or "" for e in once.values()]
        kinds += [e.conversation_transferred.reason for e in once.values() if e.HasField("conversation_transferred")]
        return dict(Counter(kinds))
