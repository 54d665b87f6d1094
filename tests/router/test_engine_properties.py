"""What holds after any inputs in any order: the promises of the engine (routing 3.6, 4.6, 2.6)."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from trunkline_router import wire
from trunkline_router.events import (
    Content,
    ConversationPayload,
    DeliveryStatus,
    Event,
    OfferMade,
    PoolPayload,
    Presence,
)
from trunkline_router.fold import Engine, engine, evolve
from trunkline_router.inputs import (
    AcceptOffer,
    AddNote,
    Body,
    Configure,
    DeclineOffer,
    RecordReceipt,
    Reopen,
    Resolve,
    SendReply,
    SetPresence,
    Tick,
    Transfer,
)
from trunkline_router.pool import Pool, Status
from trunkline_router.refusals import Refusal

from tests.router.given import ANA, BEN, BILLING, POOL, RETURNS, Step, after, ask, at, configured, message

CARLA = replace(BEN, id="carla", capacity=3)
CONFIGURATIONS = [
    configured(agents=[ANA, BEN, CARLA]),
    configured(agents=[BEN, replace(CARLA, capacity=0)]),
    configured(teams=[RETURNS], agents=[BEN, CARLA], account="returns"),
    configured(teams=[BILLING], agents=[ANA, replace(BEN, capacity=1)]),
    configured(agents=[]),
]
CONVERSATIONS = [f"c{n}" for n in range(6)]
AGENTS = ["ana", "ben", "carla", "nobody"]
KINDS = ["message", "accept", "presence"] * 4 + ["decline", "reply", "resolve", "transfer", "reopen", "tick"] * 2
KINDS += ["configure", "receipt", "note", "wrong offer"]

#: Without the explanation of a failure, which takes minutes.
PHASES = [p for p in Phase if p is not Phase.explain]
#: (kind, conversation, agent, choice, seconds since the last, supervising)
Draw = tuple[str, int, int, int, int, bool]
DRAWS = st.tuples(
    st.sampled_from(KINDS),
    st.integers(0, len(CONVERSATIONS) - 1),
    st.integers(0, len(AGENTS) - 1),
    st.integers(0, 4),
    st.sampled_from([0, 0, 1, 7, 20, 60]),
    st.booleans(),
)


def pick(pool: Pool, status: Status, place: int) -> tuple[str, str, str]:
    """A conversation of that status where there is one, else any: its id, its offer, who has it or is asked."""
    found = [c for c in pool.conversations.values() if c.status is status] or list(pool.conversations.values())
    if not found:
        return CONVERSATIONS[place], "", AGENTS[0]
    chosen = found[place % len(found)]
    return chosen.id, chosen.offer_id, chosen.offered_to or chosen.agent or AGENTS[place % len(AGENTS)]


def body_of(draw: Draw, pool: Pool) -> Body:
    """An input that means something in this state more often than chance would have it."""
    kind, c, a, choice, _, _ = draw
    conversation, agent = CONVERSATIONS[c], AGENTS[a]
    offered, offer_id, asked = pick(pool, Status.OFFERED, c)
    assigned, _, holder = pick(pool, Status.ASSIGNED, c)
    bodies: dict[str, Body] = {
        "message": message(conversation, str(choice)),
        "tick": Tick(),
        "presence": SetPresence(agent, list(Presence)[min(choice, 2)] if choice < 3 else Presence.ONLINE),
        "accept": AcceptOffer(offered, offer_id, asked),
        "wrong offer": AcceptOffer(conversation, "another", agent),
        "decline": DeclineOffer(offered, offer_id, asked, "busy"),
        "resolve": Resolve(assigned, holder),
        "transfer": Transfer(assigned, holder, ["billing", "returns", "nowhere"][choice % 3], "moved"),
        "reopen": Reopen(conversation, agent),
        "configure": Configure(replace(CONFIGURATIONS[choice], version=pool.config_version + choice % 3)),
        "receipt": RecordReceipt("r", conversation, "m", DeliveryStatus.READ, ""),
        "reply": SendReply(assigned, holder, "m", Content("hi")),
        "note": AddNote(conversation, agent, "n", "note"),
    }
    return bodies[kind]


class Run:
    """A pool that is asked one thing after the other; what follows is checked after each."""

    def __init__(self) -> None:
        self.engine, self.log, self.seconds = Engine(Pool(POOL)), list[Event](), 0.0
        self.ask(Configure(CONFIGURATIONS[0]), supervising=True)

    def ask(self, body: Body, *, supervising: bool) -> list[Event]:
        """Handle an input now."""
        events = ask(self.engine, Step(self.seconds, body, supervising))
        self.log += events
        return events

    def step(self, draw: Draw) -> None:
        """Handle an input; then what is due, as the worker does after each batch."""
        self.seconds += draw[4]
        before, body = deepcopy(self.engine.pool), body_of(draw, self.engine.pool)
        try:
            events = self.ask(body, supervising=draw[5])
        except Refusal:
            events = []
            assert self.engine.pool == before
        events += self.ask(Tick(), supervising=False)
        self._offers_fit(events)
        self._check()

    def _offers_fit(self, events: list[Event]) -> None:
        """An automatic offer goes to an agent who is online and stays within capacity."""
        agents = self.engine.pool.agents
        for agent in {e.payload.agent_id for e in events if isinstance(e.payload, OfferMade)} & set(agents):
            assert agents[agent].presence is Presence.ONLINE
            assert len(agents[agent].holds) <= agents[agent].config.capacity

    def _check(self) -> None:
        """The invariants of a pool at rest."""
        pool = self.engine.pool
        holders: dict[str, list[str]] = {}
        for agent in pool.agents.values():
            for conversation_id in agent.holds:
                holders.setdefault(conversation_id, []).append(agent.config.id)
        for conversation in pool.conversations.values():
            held = [conversation.agent or conversation.offered_to] if conversation.status in HELD else []
            assert holders.get(conversation.id, []) == held
            assert not (conversation.agent and conversation.offered_to)
            assert (conversation.offer_expires_at is not None) == (conversation.status is Status.OFFERED)
            waits = [c for t in ("billing", "returns") for _, _, c in self.engine.waiting.of(t)].count(conversation.id)
            assert waits == (conversation.status is Status.QUEUED)
        self._nobody_waits_who_could_be_served()

    def _nobody_waits_who_could_be_served(self) -> None:
        now, pool = at(self.seconds), self.engine.pool
        for conversation in pool.conversations.values():
            if conversation.status is Status.QUEUED:
                assert conversation.team in pool.teams
                for agent in pool.agents.values():
                    excluded = conversation.excluded.get(agent.config.id, now) > now
                    assert not agent.available or conversation.team not in agent.config.teams or excluded

    def replayed(self) -> Engine:
        """The pool as a new owner rebuilds it: from the stored bytes of the log."""
        made = Engine(Pool(POOL))
        for event in self.log:
            stored = wire.to_pool_event(event, POOL, epoch=1, recorded_at=event.occurred_at)
            evolve(made, wire.from_pool_event(stored.SerializeToString()))
        made.touched.clear()
        return made


HELD = (Status.OFFERED, Status.ASSIGNED)


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
    restored = engine(wire.load_pool(wire.dump_pool(run.engine.pool)))
    assert restored.pool == run.engine.pool
    for team in ("billing", "returns"):
        assert again.waiting.of(team) == restored.waiting.of(team) == run.engine.waiting.of(team)


#: Commands that say what shall be so. The others make something each time; their request_id keeps them single.
ABOUT_A_STATE = (SetPresence, AcceptOffer, DeclineOffer, Resolve, Reopen, Configure)


@settings(max_examples=80, deadline=None, phases=PHASES)
@given(st.lists(DRAWS, min_size=10, max_size=60))
def test_the_same_command_again_changes_nothing(draws: list[Draw]) -> None:
    """It is already so, or it is refused; [] means already so."""
    run = Run()
    for draw in draws:
        body = body_of(draw, run.engine.pool)
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
            halves.engine = (
                halves.replayed() if from_log else engine(wire.load_pool(wire.dump_pool(halves.engine.pool)))
            )
        whole.step(draw)
        halves.step(draw)
    assert whole.log == halves.log


def drawn(chance: random.Random) -> Draw:
    """An input that a seeded generator chose."""
    numbers = chance.randrange(6), chance.randrange(4), chance.randrange(5), chance.choice([0, 0, 0, 1, 7, 20])
    return (chance.choice(KINDS), *numbers, chance.random() < 0.5)


def fingerprint() -> str:
    """A digest of what follows from many inputs that are the same every time."""
    chance, run = random.Random(7), Run()  # noqa: S311 - the same numbers every time are the point
    for _ in range(600):
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
    run, chance = Run(), random.Random(7)  # noqa: S311 - the same numbers every time are the point
    for _ in range(600):
        run.step(drawn(chance))
    met = {type(e.payload) for e in run.log}
    assert met == {*ConversationPayload.__args__, *PoolPayload.__args__}
