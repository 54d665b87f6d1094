"""What holds after any inputs in any order: the promises of the engine (routing 3.6, 4.6, 2.6)."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from trunkline_router import policies, timers, wire
from trunkline_router.events import (
    ConversationAssigned,
    ConversationPayload,
    ConversationWoken,
    Event,
    OfferMade,
)
from trunkline_router.facts import Content, CustomerLookup, DeliveryStatus, DuePreview, Presence
from trunkline_router.fold import evolve
from trunkline_router.handed import TakeOver
from trunkline_router.handover import state_of
from trunkline_router.inputs import (
    AcceptOffer,
    AddNote,
    Assign,
    Body,
    ChangeAttributes,
    ClearNotResponding,
    Configure,
    DeclineOffer,
    DeleteAgent,
    EndWrapUp,
    Merge,
    PutAgent,
    RecordReceipt,
    Release,
    Reopen,
    Resolve,
    ScheduleCallback,
    SendReply,
    SetAccepting,
    SetPresence,
    Snooze,
    Split,
    StartConversation,
    Tick,
    Transfer,
    Wake,
)
from trunkline_router.pool import Agent, Conversation, Pool, Status
from trunkline_router.pool_events import AgentConfigured, PoolConfigured, PoolPayload
from trunkline_router.refusals import Refusal
from trunkline_router.routing import (
    ANY_CHANNEL,
    AgentConfig,
    AutoText,
    ChannelClass,
    Limits,
    Mode,
    Order,
    PolicyConfig,
    Promise,
    StepConfig,
    Strategy,
    TextKind,
)
from trunkline_router.state import Engine
from trunkline_router.tools import PLAIN, Facts, Tools

from tests.router.given import (
    ANA,
    BEN,
    BILLING,
    CONTACT,
    POOL,
    RETURNS,
    START,
    Step,
    after,
    ask,
    at,
    configured,
    message,
)

CARLA = replace(BEN, id="carla", capacity=3, skills=(("de", 3), ("tax", 1)), caps=(("calls", 1),))
DORA = AgentConfig("dora", "Dora", ("billing",), 2, skills=(("de", 5), ("tax", 2)))
ROBOT = AgentConfig("robot", "Robot", ("returns",), 9, bot=True)
GINA = AgentConfig("gina", "Gina", ("returns",), 3)
ALL = [replace(ANA, capacity=2), BEN, CARLA, DORA, ROBOT, GINA]
CALLS = ChannelClass("calls", ("calls",), weight=2, mode=Mode.AUTO_ASSIGN, wrap_s=7, requeue_when_lost=True)
CHAT = ChannelClass("chat", ("chat",), broadcast=2)
MAIL = ChannelClass("mail", ("mail",), interruptible=True)
STEPS = (
    StepConfig("billing", (("de", 3), ("tax", 1)), preferred=("previous", "dora"), sticky_wait_s=40, wait_s=60),
    StepConfig("billing", (("de", 3),), wait_s=7, skip_if="always", priority_boost_s=60),
    StepConfig("returns", strategy=Strategy.LEAST_LOADED),
)
POLICIES = (
    PolicyConfig("vip", "vip", STEPS, tier=0),
    PolicyConfig("short", "short", (StepConfig("billing", (("de", 5),), wait_s=7),), overflow_team="returns"),
    PolicyConfig("rest", "", (StepConfig("billing"),)),
)
INVITING = (*POLICIES[:2], replace(POLICIES[2], invite_private=True))
FULL = replace(
    configured(teams=(BILLING, replace(RETURNS, rate_max=1, rate_window_s=30)), agents=ALL),
    policies=POLICIES,
    channel_classes=(CALLS, CHAT, MAIL),
    limits=Limits(2, "returns", 20, 20),
    elsewhere=(("far", "acme/far"),),
)
LIMITED = replace(BILLING, strategy=Strategy.BEST_SKILL, rate_max=2, rate_window_s=60, never_auto_assign="vip")
TURNS = replace(RETURNS, strategy=Strategy.ROTATION, assign_bots=True, away_is_available=True)
TEXTS = tuple(AutoText(kind, str(kind)) for kind in TextKind)
PROMISES = (
    Promise("vip", tags=("vip",), last_word=True, bot_reply_counts=True),
    Promise("returns", "returns", last_word=True),
    Promise("rest", bot_reply_counts=True),
)
CONFIGURATIONS = [
    configured(agents=[ANA, BEN, CARLA]),
    configured(agents=[BEN, replace(CARLA, capacity=0)]),
    configured(teams=[RETURNS], agents=[BEN, CARLA], account="returns"),
    replace(FULL, teams=(LIMITED, TURNS), texts=TEXTS, promises=PROMISES, policies=INVITING),
    configured(teams=[replace(BILLING, accept_without_agents=False), RETURNS], agents=[]),
    FULL,
    replace(FULL, teams=(replace(BILLING, order=Order.EDF, accept_without_agents=False), RETURNS), promises=PROMISES),
    replace(FULL, teams=(replace(BILLING, order=Order.STRICT, strategy=Strategy.LEAST_ASSIGNED), RETURNS)),
    replace(FULL, teams=(replace(BILLING, strategy=Strategy.MANUAL), TURNS)),
    replace(FULL, teams=(replace(LIMITED, rate_window_s=20), replace(RETURNS, rate_max=2, rate_window_s=45))),
    replace(
        FULL,
        limits=Limits(2, "returns", 90, 0, reopen_within_s=40),
        channel_classes=(replace(CALLS, snoozed_counts=True, wrap_s=30), MAIL),
    ),
    replace(FULL, limits=Limits(0, "", 5, 7), policies=(replace(POLICIES[0], when=""),)),
]
CONVERSATIONS = [f"c{n}" for n in range(8)]
AGENTS = ["ana", "ben", "carla", "dora", "robot", "gina", "eve", "nobody"]
KINDS = ["message", "accept", "presence"] * 4 + ["decline", "reply", "resolve", "transfer", "reopen", "tick"] * 2
KINDS += ["receipt", "note", "wrong offer", "accepting", "responds", "put agent", "delete agent", "end wrap-up"]
KINDS += [
    "configure",
    "assign",
    "pull",
    "release",
    "snooze",
    "wake",
    "attributes",
    "merge",
    "split",
    "callback",
    "start",
    "hand over",
    "take over",
]


def tool(text: str) -> Callable[[Facts], bool]:
    """Conditions of these tests: always, or an attribute or tag of that name."""
    return lambda facts: text == "always" or text in facts["tags"] or text in facts["attributes"]


def reads(_text: str) -> frozenset[str]:
    """What they read."""
    return frozenset({"tags", "attributes"})


TOOLS = Tools(tool, reads, lambda text: lambda facts: f"{text} {facts['conversation.id']}", PLAIN.hours)

#: Without the explanation of a failure, which takes minutes.
PHASES = [p for p in Phase if p is not Phase.explain]
#: (kind, conversation, agent, choice, seconds since the last, supervising)
Draw = tuple[str, int, int, int, int, bool]
DRAWS = st.tuples(
    st.sampled_from(KINDS),
    st.integers(0, len(CONVERSATIONS) - 1),
    st.integers(0, len(AGENTS) - 1),
    st.integers(0, 9),
    st.sampled_from([0, 0, 1, 7, 20, 60]),
    st.booleans(),
)


def pick(pool: Pool, status: Status, place: int) -> tuple[str, str, str]:
    """A conversation of that status where there is one, else any: its id, an offer of it, who has it or is asked."""
    found = [c for c in pool.conversations.values() if c.status is status] or list(pool.conversations.values())
    if not found:
        return CONVERSATIONS[place], "", AGENTS[0]
    chosen = found[place % len(found)]
    offers = [(o, offer.agent) for o, offer in chosen.offers.items()] or [("", chosen.agent)]
    offer_id, agent = offers[place % len(offers)]
    return chosen.id, offer_id, agent or AGENTS[place % len(AGENTS)]


def body_of(draw: Draw, pool: Pool, seconds: float) -> Body:
    """An input that means something in this state more often than chance would have it."""
    kind, c, a, choice, _, _ = draw
    conversation, agent = CONVERSATIONS[c], AGENTS[a]
    team = ["billing", "returns", "nowhere"][choice % 3]
    offered, offer_id, asked = pick(pool, Status.OFFERED, c)
    assigned, _, holder = pick(pool, Status.ASSIGNED, c)
    waiting, _, _ = pick(pool, Status.QUEUED, c)
    gone = pick(pool, Status.MOVED, c)[0]
    channel = ["app", "calls", "chat", "mail"][choice % 4]
    known = pool.conversations.get(conversation)
    said = replace(
        message(conversation, str(choice)),
        channel=known.channel if known else channel,
        tags=("vip",) * (choice == 7) + ("short",) * (choice == 8) + ("public",) * (choice in (2, 6)),
        automatic=choice == 9,
        customer=CustomerLookup("customer-1", "dora", 1),
        due=DuePreview(*2 * ((("billing", at(seconds + choice * 60)),),)) if choice % 2 else DuePreview(fallback="off"),
    )
    eve = AgentConfig("eve", "Eve", ("billing",), 1 + choice, skills=(("de", 5),), by_api=True)
    bodies: dict[str, Callable[[], Body]] = {
        "message": lambda: said,
        "tick": Tick,
        "presence": lambda: SetPresence(agent, list(Presence)[choice] if choice < 3 else Presence.ONLINE),
        "accepting": lambda: SetAccepting(agent, choice > 2),
        "responds": lambda: ClearNotResponding(agent),
        "put agent": lambda: PutAgent(eve if choice % 3 else replace(eve, teams=(team,))),
        "delete agent": lambda: DeleteAgent("eve" if choice % 2 else agent),
        "end wrap-up": lambda: EndWrapUp(agent),
        "accept": lambda: AcceptOffer(offered, offer_id, asked),
        "wrong offer": lambda: AcceptOffer(conversation, "another", agent),
        "decline": lambda: DeclineOffer(offered, offer_id, asked, "busy"),
        "resolve": lambda: Resolve(
            assigned,
            holder,
            "m2",
            Content("goodbye") if choice in (1, 2) else None,
            closing_text=choice == 3,
            waive_reason="spam" if choice > 5 else "",
        ),
        "transfer": lambda: Transfer(assigned, holder, team, "moved", agent if choice > 6 else ""),
        "reopen": lambda: Reopen(conversation, agent),
        "configure": lambda: Configure(
            replace(CONFIGURATIONS[choice % len(CONFIGURATIONS)], version=pool.config_version + choice % 3)
        ),
        "receipt": lambda: RecordReceipt("r", conversation, "m", DeliveryStatus.READ, ""),
        "reply": lambda: SendReply(assigned, holder, "m", Content("hi"), max(0, choice - 4)),
        "note": lambda: AddNote(conversation, agent, "n", "note"),
        "assign": lambda: Assign(conversation, agent, AGENTS[choice % len(AGENTS)]),
        "pull": lambda: Assign(waiting, agent, agent),
        "release": lambda: Release(assigned, holder, "later"),
        "snooze": lambda: Snooze(assigned, holder, at(seconds + choice * 5)),
        "wake": lambda: Wake(conversation, agent),
        "attributes": lambda: ChangeAttributes(
            conversation if choice % 2 else waiting,
            agent,
            add_tags=("vip", "short")[choice % 2 : choice % 2 + 1],
            remove_tags=("vip",) if choice > 5 else (),
            priority=["low", "high", "urgent", "77", None][choice % 5],
            allowed_agents=[None, (), ("ana", "dora")][choice % 3],
        ),
        "merge": lambda: Merge(conversation, agent, CONVERSATIONS[choice % len(CONVERSATIONS)]),
        "split": lambda: Split(conversation, agent, f"{conversation}-{choice}", team, with_unanswered=choice % 2 > 0),
        "callback": lambda: ScheduleCallback(assigned, holder, at(seconds + choice), at(seconds + choice + 5), team),
        "start": lambda: StartConversation(
            f"s{choice}", agent if choice % 2 else "", channel, "app", said.contact, "m1", Content("hello")
        ),
        "hand over": lambda: Transfer(assigned, holder, "far", "moved", agent if choice > 6 else ""),
        "take over": lambda: coming(pool, gone if choice % 2 else f"t{c}", team, agent if choice > 6 else "", seconds),
    }
    return bodies[kind]()


def coming(pool: Pool, name: str, team: str, agent: str, seconds: float) -> TakeOver:
    """A conversation comes, or comes back, from a pool in which nothing happened to it."""
    known = pool.conversations.get(name) or Conversation(name, 0, "chat", "far", CONTACT, "Parcel")
    return TakeOver(name, "acme/far", team, agent, at(seconds), state_of(known, known.seq, known.transfers))


def could_take(engine: Engine, agent: Agent, c: Conversation) -> bool:
    """Whether the conversation may be given to the agent by itself now: routing 2.3, 3.12 and 4, written out anew."""
    team, config = engine.pool.teams[c.team], agent.config
    if (c.strategy or team.strategy) is Strategy.MANUAL or not team.auto_assign or c.by_hand:
        return False
    there = agent.presence is Presence.ONLINE or (agent.presence is Presence.AWAY and team.away_is_available)
    if not there or not agent.accepting or agent.not_responding or (config.bot and not team.assign_bots):
        return False
    if team.id not in config.teams or config.id in c.excluded:
        return False
    if any(dict(config.skills).get(skill, 0) < level for skill, level in c.skills):
        return False
    if c.attributes.allowed_agents and config.id not in c.attributes.allowed_agents:
        return False
    if c.preferred_until is not None and config.id not in c.preferred:
        return False
    recent = [one for one in agent.recent if one > engine.index.now - timedelta(seconds=team.rate_window_s)]
    running = sum(o.agent == config.id for one in engine.pool.conversations.values() for o in one.offers.values())
    if team.rate_max and len(recent) + running >= team.rate_max:
        return False
    return has_room(agent, {"calls": CALLS, "chat": CHAT, "mail": MAIL}.get(c.channel, ANY_CHANNEL))


def has_room(agent: Agent, wanted: ChannelClass) -> bool:
    """Routing 4.1 and 4.2: what counts is all load for interruptible work, else only what is not."""
    counted = sum(h.units for h in agent.holds.values() if wanted.interruptible or not h.interruptible)
    in_class = sum(h.units for h in agent.holds.values() if h.channel_class == wanted.id)
    cap = dict(agent.config.caps).get(wanted.id, 99)
    return counted + wanted.weight <= agent.config.capacity and in_class + wanted.weight <= cap


class Run:
    """A pool that is asked one thing after the other; what follows is checked after each."""

    def __init__(self) -> None:
        self.engine, self.log, self.seconds = Engine(Pool(POOL), TOOLS), list[Event](), 0.0
        self.ask(Configure(FULL), supervising=True)

    def ask(self, body: Body, *, supervising: bool) -> list[Event]:
        """Handle an input now."""
        events = ask(self.engine, Step(self.seconds, body, supervising))
        self.log += events
        return events

    def step(self, draw: Draw) -> None:
        """Handle an input; then what is due, as the worker does after each batch."""
        self.seconds += draw[4]
        before, body = deepcopy(self.engine.pool), body_of(draw, self.engine.pool, self.seconds)
        try:
            events = self.ask(body, supervising=draw[5])
        except Refusal:
            events = []
            assert self.engine.pool == before
        events += self.ask(Tick(), supervising=False)
        self._stays_within_capacity(events)
        self._asks_only_who_may_be_asked()
        self._check()

    def _stays_within_capacity(self, events: list[Event]) -> None:
        """P3: an agent who is given something automatically is there, and has room for it."""
        agents = self.engine.pool.agents
        by_hand = {
            e.payload.agent_id for e in events if isinstance(e.payload, ConversationAssigned) and e.payload.by_hand
        }
        by_hand |= {e.payload.agent_id for e in events if isinstance(e.payload, ConversationWoken)}
        overflow = {p.overflow_agent for p in self.engine.pool.config.policies}
        for agent in {e.payload.agent_id for e in events if isinstance(e.payload, OfferMade)} & set(agents) - by_hand:
            found = agents[agent]
            assert found.presence is not Presence.OFFLINE or not found.offered
            if agent not in overflow and found.offered:
                primary = sum(h.units for h in found.holds.values() if not h.interruptible)
                assert primary <= found.config.capacity or found.offered == 0

    def _asks_only_who_may_be_asked(self) -> None:
        """Who is asked is able and allowed, and has not said no in this visit; no more often than the team's limit."""
        pool, now = self.engine.pool, self.engine.index.now
        for c in (one for one in pool.conversations.values() if one.status is Status.OFFERED):
            team = pool.teams.get(c.team)
            for agent in (pool.agents[o.agent] for o in c.offers.values()):
                assert agent.config.id not in c.excluded
                assert not c.attributes.allowed_agents or agent.config.id in c.attributes.allowed_agents
                assert all(dict(agent.config.skills).get(s, 0) >= level for s, level in c.skills)
                # An agent of two teams may be over one's limit by the other's work.
                alone = len(agent.config.teams) == 1 and not self._helped_themselves(agent.config.id)
                if team and team.rate_max and alone:
                    recent = [one for one in agent.recent if one > now - timedelta(seconds=team.rate_window_s)]
                    assert len(recent) + agent.offered <= team.rate_max

    def _helped_themselves(self, agent: str) -> bool:
        """By hand anything may be taken, and another configuration may have had other limits."""
        payloads = [e.payload for e in self.log]
        by_hand = any(isinstance(p, ConversationAssigned) and p.agent_id == agent and p.by_hand for p in payloads)
        return by_hand or sum(isinstance(p, PoolConfigured | AgentConfigured) for p in payloads) > 1

    def _check(self) -> None:
        """The invariants of a pool at rest."""
        pool = self.engine.pool
        for agent in pool.agents.values():
            self._load_is_what_is_held(agent)
        for c in pool.conversations.values():
            holders = [a.config.id for a in pool.agents.values() if c.id in a.holds and c.id not in a.wraps]
            held = [c.agent] if c.status is Status.ASSIGNED else [o.agent for o in c.offers.values()]
            asleep = [c.agent] if c.status is Status.SNOOZED else []  # by the class as it was then
            assert sorted(holders) in (sorted(held), asleep), c
            assert bool(c.offers) == (c.status is Status.OFFERED)
            assert bool(c.agent) == (c.status in (Status.ASSIGNED, Status.SNOOZED))
            waits = [p[-1] for t in ("billing", "returns") for p in self.engine.waiting.of(t)].count(c.id)
            assert waits == (c.status is Status.QUEUED)
            assert c.unanswered_since == min((one.at for one in c.unanswered), default=None)
            assert c.unanswered or not c.dues
            if c.status is Status.QUEUED:
                self._waits_for_something(c)
        self._nobody_waits_who_could_be_served()
        self._nothing_that_is_due_is_forgotten()

    def _load_is_what_is_held(self, agent: Agent) -> None:
        """P2: units in use are those of what is assigned, offered and wrapped up."""
        conversations = self.engine.pool.conversations
        assert set(agent.wraps) <= set(agent.holds)
        assert agent.offered == sum(
            o.agent == agent.config.id for c in conversations.values() for o in c.offers.values()
        )
        assert agent.load == sum(h.units for h in agent.holds.values())

    def _waits_for_something(self, c: Conversation) -> None:
        """Its place is no older than it is; a further step has its time (3.2); who it is kept for is there (3.3)."""
        pool = self.engine.pool
        policy = pool.policy(c.policy)
        assert c.entered_at >= START, c
        assert c.step_ends_at is not None or policy is None or c.step + 1 == len(policy.steps), c
        assert c.preferred_until is None or policies.anybody_there(self.engine, c), c

    def _nothing_that_is_due_is_forgotten(self) -> None:
        """Whatever is due some time has a timer, and what was due has been decided."""
        engine, timed = self.engine, set(self.engine.timers)
        for name in (*engine.pool.conversations, *engine.pool.agents):
            missing = [due for due in timers.dues(engine, name) if (due, name) not in timed]
            assert all(due <= engine.index.now for due in missing), name
            assert not missing or not timers.decide(engine, name, engine.index.now), name

    def _nobody_waits_who_could_be_served(self) -> None:
        """P1, by looking at everybody (routing 3.6)."""
        for c in self.engine.pool.conversations.values():
            if c.status is Status.QUEUED:
                assert not [a.config.id for a in self.engine.pool.agents.values() if could_take(self.engine, a, c)], c

    def replayed(self) -> Engine:
        """The pool as a new owner rebuilds it: from the stored bytes of the log."""
        made = Engine(Pool(POOL), TOOLS)
        for event in self.log:
            stored = wire.to_pool_event(event, POOL, epoch=1, recorded_at=event.occurred_at)
            evolve(made, wire.from_pool_event(stored.SerializeToString()))
        return Engine(made.pool, TOOLS)

    def restored(self) -> Engine:
        """The pool as a new owner reads it from a snapshot."""
        return Engine(wire.load_pool(wire.dump_pool(self.engine.pool)), TOOLS)


@settings(max_examples=150, deadline=None, phases=PHASES)
@given(st.lists(DRAWS, min_size=10, max_size=80))
def test_invariants_hold_after_every_input_and_the_log_rebuilds_the_pool(draws: list[Draw]) -> None:
    """One holder, room for every offer, nobody waits in vain, seq without gaps, replay and snapshot are equal."""
    run = Run()
    for draw in draws:
        run.step(draw)
    assert [e.pool_seq for e in run.log] == list(range(1, len(run.log) + 1))
    assert [e.occurred_at for e in run.log] == sorted(e.occurred_at for e in run.log)
    for conversation in run.engine.pool.conversations:
        seqs = [e.seq for e in run.log if e.conversation_id == conversation]
        assert seqs == list(range(1, len(seqs) + 1))
    again = run.replayed()
    assert again.pool == run.engine.pool
    restored = run.restored()
    assert restored.pool == run.engine.pool
    for team in ("billing", "returns"):
        assert again.waiting.of(team) == restored.waiting.of(team) == run.engine.waiting.of(team)


#: Commands that say what shall be so. The others make something each time; their request_id keeps them single.
ABOUT_A_STATE = (SetPresence, SetAccepting, ClearNotResponding, PutAgent, DeleteAgent, EndWrapUp, AcceptOffer,
                 DeclineOffer, Resolve, Reopen, Configure, Assign, ChangeAttributes, Merge, Wake, TakeOver)  # fmt: skip


@settings(max_examples=80, deadline=None, phases=PHASES)
@given(st.lists(DRAWS, min_size=10, max_size=60))
def test_the_same_command_again_changes_nothing(draws: list[Draw]) -> None:
    """It is already so, or it is refused; [] means already so."""
    run = Run()
    for draw in draws:
        body = body_of(draw, run.engine.pool, run.seconds + draw[4])
        run.step(draw)
        if not isinstance(body, ABOUT_A_STATE):
            continue
        with suppress(Refusal):
            run.ask(body, supervising=draw[5])
        before = deepcopy(run.engine.pool)
        with suppress(Refusal):
            assert run.ask(body, supervising=draw[5]) == []
        assert run.engine.pool == before


@settings(max_examples=100, deadline=None, phases=PHASES)
@given(st.lists(DRAWS, min_size=10, max_size=60), st.integers(1, 39), st.booleans())
def test_a_pool_that_is_loaded_anew_in_between_decides_the_same(draws: list[Draw], cut: int, from_log: bool) -> None:
    """What is derived (order, timers, teams to look at) is rebuilt from what is stored."""
    whole, halves = Run(), Run()
    for number, draw in enumerate(draws):
        if number == cut:
            halves.engine = halves.replayed() if from_log else halves.restored()
        whole.step(draw)
        halves.step(draw)
    assert whole.log == halves.log


def drawn(chance: random.Random) -> Draw:
    """An input that a seeded generator chose."""
    numbers = chance.randrange(8), chance.randrange(8), chance.randrange(10), chance.choice([0, 0, 0, 1, 7, 20])
    return (chance.choice(KINDS), *numbers, chance.random() < 0.5)


@pytest.mark.parametrize("seed", [5, 7])
def test_a_long_life_loaded_anew_again_and_again_decides_the_same(seed: int) -> None:
    """Nothing that a living pool remembers is missing from what is stored, however old it is."""
    chance, whole, again = random.Random(seed), Run(), Run()  # noqa: S311 - the same numbers every time are the point
    for number in range(300):
        draw = drawn(chance)
        whole.step(draw)
        again.step(draw)
        if number % 40 == 39:
            again.engine = again.restored()
    assert whole.log == again.log


def fingerprint() -> str:
    """A digest of what follows from many inputs that are the same every time."""
    chance, run = random.Random(7), Run()  # noqa: S311 - the same numbers every time are the point
    for _ in range(1500):
        run.step(drawn(chance))
    alone = replace(ANA, capacity=30)
    _, log = after(
        Step(0, Configure(configured(agents=[alone]))),
        Step(1, SetPresence("ana", Presence.ONLINE)),
        *(Step(2, message(f"c{n}")) for n in range(30)),
        Step(3, SetPresence("ana", Presence.OFFLINE)),
    )
    return hashlib.sha256("\n".join(map(repr, run.log + log)).encode()).hexdigest()


def test_decisions_do_not_depend_on_the_process() -> None:
    """No order of a set or of a hash decides: processes with other hash seeds decide the same."""
    code = "from tests.router.test_engine_properties import fingerprint; print(fingerprint())"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {fingerprint()}


def test_the_sequences_meet_every_kind_of_event() -> None:
    """What is never drawn is never checked."""
    run, chance = Run(), random.Random(5)  # noqa: S311 - the same numbers every time are the point
    for _ in range(1500):
        run.step(drawn(chance))
    met = {type(e.payload) for e in run.log}
    assert met == {*ConversationPayload.__args__, *PoolPayload.__args__}
