"""A pool with much open work and its rows in the router's tables: what a restart has to bring back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common.postgres import Pool as Database
from trunkline_router import store, wire
from trunkline_router.engine import handle
from trunkline_router.events import Event
from trunkline_router.facts import Actor, ActorType, Attributes, Contact, Content, CustomerLookup
from trunkline_router.inputs import AcceptOffer, Body, Input, ReceiveMessage, Resolve, SendReply, Snooze
from trunkline_router.pool import Conversation, Pool, Status
from trunkline_router.protomap import fill
from trunkline_router.state import Engine
from trunkline_router.toolbox import TOOLS

from tests.bench.engine_log import partition
from tests.bench.matching import FREE_TEAMS, START, Floor
from tests.bench.records import TEXT

HELD_PER_AGENT = 2.6  # as Floor gives them out
SERVICE = Actor(ActorType.SERVICE, "bench")


@dataclass(slots=True)
class OpenPool:
    """A tenant's one pool at an instant: waiting work, work in hand, and then a shift that the log alone has."""

    tenant: str
    agents: int
    opened: int
    began: datetime
    offer_timeout_s: int = 3600
    snooze_s: int = 3600

    def floor(self) -> Engine:
        """The pool as its snapshot has it: so many conversations open, each with what a first message leaves."""
        pool = Floor(self.agents, self.opened - int(self.agents * HELD_PER_AGENT)).engine.pool
        pool.id, pool.seq, pool.last_at = f"{self.tenant}/default", 4 * self.opened, self.began
        accounts = tuple((f"app-{n}", f"team-{n}") for n in range(FREE_TEAMS))
        teams = tuple(replace(t, offer_timeout_s=self.offer_timeout_s) for t in pool.config.teams)
        pool.config = replace(pool.config, accounts=accounts, teams=teams)
        pool.accounts, pool.teams = dict(accounts), {t.id: t for t in teams}
        _in_hand(pool)
        for conversation in pool.conversations.values():
            _furnish(conversation, self.began - START)
        for agent in pool.agents.values():
            agent.last_assigned_at += self.began - START
        return Engine(pool, TOOLS)

    def shift(self, engine: Engine, most: int) -> Iterator[Event]:
        """At least so many events: customers write, of two one is offered for long, the other answered and put off."""
        made = number = 0
        while made < most:
            for body in self._cycle(engine, number):
                at = self.began + timedelta(milliseconds=number)
                found = handle(engine, Input(body, f"shift-{number}", SERVICE, supervising=True), at)
                made += len(found)
                yield from found
            number += 1

    def _cycle(self, engine: Engine, number: int) -> Iterator[Body]:
        name = f"shift-{number}"
        yield _message(name, f"app-{number // 2 % FREE_TEAMS}")
        offers = engine.pool.conversations[name].offers
        if number % 2 and offers:
            offer_id, offer = next(iter(offers.items()))
            yield AcceptOffer(name, offer_id, offer.agent)
            yield SendReply(name, offer.agent, f"reply-{number}", Content("it is on its way"))
            until = self.began + timedelta(seconds=self.snooze_s)
            yield Snooze(name, offer.agent, until) if number % 4 == 1 else Resolve(name, offer.agent)

    async def write(self, database: Database, tail: int) -> Engine:
        """Configuration, snapshot and log; the pool as it then stands."""
        engine = self.floor()
        part = partition(self.tenant)
        async with database.acquire() as connection:
            await store.put_config(connection, configuration(engine.pool))
            await store.snapshot(connection, part, engine.pool)
            rows = [
                (engine.pool.id, e.pool_seq, e.conversation_id, _stored(e, engine.pool.id))
                for e in self.shift(engine, tail)
            ]
            await store.record(connection, part, rows, [], self.began)
        return Engine(engine.pool, TOOLS)


def configuration(pool: Pool) -> TenantConfig:
    """The tenant's configuration that the pool has in force."""
    made = TenantConfig(tenant=pool.tenant, version=pool.config.version, priorities=dict(pool.config.priorities))
    made.pools.add(id="default")
    made.limits.SetInParent()
    for team in pool.config.teams:
        fill(made.teams.add(pool="default"), team)
    for agent in pool.config.agents:
        fill(made.agents.add(), agent)
    for account, name in pool.config.accounts:
        made.accounts.add(id=account, channel="app", team=name)
    return made


def _stored(event: Event, pool: str) -> bytes:
    return wire.to_pool_event(event, pool, 1, event.occurred_at).SerializeToString()


def _in_hand(pool: Pool) -> None:
    """The conversations that agents hold."""
    for agent in pool.agents.values():
        for name in agent.holds:
            c = Conversation(name, len(pool.conversations), "app", "app", Contact(name), "", status=Status.ASSIGNED)
            c.agent = c.last_agent = agent.config.id
            c.team, c.entered_at = agent.config.teams[0], START
            pool.conversations[name] = c


def _furnish(c: Conversation, later: timedelta) -> None:
    c.contact, c.subject = Contact(f"contact-{c.id}", "Sample Customer"), "Parcel"
    c.entered_at += later
    c.seq, c.cycle, c.cycle_began_at, c.unanswered_since = 4, 1, c.entered_at, c.entered_at
    c.customer = CustomerLookup(f"customer-{c.id}", "", 2)
    c.attributes = Attributes((("order", c.id), ("origin", "app")), ("parcel",), language="en")
    c.reply_address, c.last_text = f"reply-{c.id}", TEXT


def _message(conversation: str, account: str) -> ReceiveMessage:
    return ReceiveMessage(
        event_id=f"e-{conversation}",
        conversation_id=conversation,
        channel="app",
        account=account,
        contact=Contact(f"contact-{conversation}"),
        content=Content(TEXT),
        provider_message_id=f"m-{conversation}",
        provider_time=None,
        automatic=False,
        reply_address="",
        references=(),
        customer=CustomerLookup(f"customer-{conversation}"),
    )
