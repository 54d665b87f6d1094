"""A pool that the document has dropped: what is open there goes on in the pools that are left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from trunkline_router import leaving, wire_config
from trunkline_router.engine import SYSTEM
from trunkline_router.events import (
    AttributesChanged,
    ConversationReleased,
    ConversationReopened,
    ConversationTransferred,
    DeliveryUpdated,
    Event,
    MessageReceived,
    NoteAdded,
    OfferRescinded,
    Payload,
)
from trunkline_router.explain import explain_waiting
from trunkline_router.facts import Attributes, DeliveryStatus, Presence, QueueReason, ReopenReason, RescindReason
from trunkline_router.fold import evolve
from trunkline_router.handed import ConversationHandedOver, ConversationTakenOver
from trunkline_router.inputs import (
    AcceptOffer,
    AddNote,
    Assign,
    ChangeAttributes,
    Configure,
    Merge,
    PutAgent,
    RecordReceipt,
    Reopen,
    Resolve,
    ScheduleCallback,
    SendReply,
    SetPresence,
    Snooze,
    Split,
    StartConversation,
    Tick,
    Transfer,
)
from trunkline_router.pool import ENDED, Pool, Status
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.refusals import Refusal
from trunkline_router.replay import groups, replay
from trunkline_router.simulation_record import Reader
from trunkline_router.state import Engine

from tests.router.given import ANA, CONTACT, POOL, Step, after, ask, at, message, offer_id, waits
from tests.router.pools import document
from tests.router.test_handover import (
    ASSIGNED,
    CARRIED,
    COMING,
    FAR,
    FAR_CONFIG,
    HERE,
    MOVED,
    OFFERED,
    ONLINE,
    TAKEN,
    payloads,
)

#: As the owner gets a document without the pool: the account is far's now, and returns went there, too.
GONE = PoolConfigured(2, (), (), (("app", "far"),), elsewhere=(("far", FAR), ("late", "acme/late"), ("returns", FAR)))
DROPPED = (*ASSIGNED, Step(3, Configure(GONE)))
ENDS = (*ASSIGNED, Step(3, Resolve("c1", "ana")), Step(4, Configure(GONE)))


def gone(seq: int, team: str = "far", **state: Any) -> ConversationHandedOver:
    """It has left."""
    return ConversationHandedOver(FAR, team, "", replace(CARRIED, seq=seq, transfers=0, **state))


def leaves(from_team: str, agent: str, to_team: str = "far") -> ConversationTransferred:
    """Why it leaves."""
    return ConversationTransferred(from_team, agent, to_team, "pool removed")


# -- what goes


def test_the_version_alone_is_the_first_thing_that_happens() -> None:
    """Agents are gone, also those made by a command; what they had in hand follows in transactions of its own."""
    made = Step(1, PutAgent(replace(ANA, id="zoe", by_api=True)))
    engine, _ = after(*ASSIGNED, made)
    assert payloads(engine, Step(3, Configure(GONE))) == [("", GONE)]
    assert engine.pool.dropped
    assert engine.pool.agents == {}
    assert engine.next_due() == at(3)


def test_what_an_agent_had_goes_to_the_pool_of_its_account() -> None:
    """With its place, its reason, and as nobody's transfer; nothing is due afterwards."""
    engine, _ = after(*DROPPED)
    events = ask(engine, Step(3, Tick()))
    assert [(e.seq, e.payload) for e in events] == [(6, leaves("billing", "ana")), (7, gone(7))]
    assert {e.actor for e in events} == {SYSTEM}
    assert (engine.pool.conversations["c1"].status, engine.next_due()) == (Status.MOVED, None)
    assert ask(engine, Step(9, Tick())) == []


def test_a_running_offer_is_taken_back() -> None:
    """And counts in the seq of the hand-over."""
    engine, _ = after(*OFFERED, Step(3, Configure(GONE)))
    found = [p for _, p in payloads(engine, Step(3, Tick()))]
    assert found[0] == OfferRescinded(offer_id("c1", 4), "ana", RescindReason.TRANSFERRED)
    assert found[1:] == [leaves("billing", ""), gone(7, last_agent="")]


@pytest.mark.parametrize(
    "before",
    [
        (*ONLINE[:1], Step(1, message("c1"))),
        (*ASSIGNED, Step(2, Snooze("c1", "ana", at(50)))),
        (*ASSIGNED, Step(2, ScheduleCallback("c1", "ana", at(50), at(60), "billing"))),
    ],
    ids=["waits", "snoozed", "to be called"],
)
def test_everything_that_is_open_goes(before: tuple[Step, ...]) -> None:
    """Whatever it waits for."""
    engine, _ = after(*before, Step(3, Configure(GONE)), Step(3, Tick()))
    assert engine.pool.conversations["c1"].status is Status.MOVED
    assert payloads(engine, Step(100, Tick())) == []


@pytest.mark.parametrize(
    ("accounts", "elsewhere", "team", "to"),
    [
        ({"app": "far"}, {"far": FAR, "late": "acme/late"}, "billing", (FAR, "far")),
        ({"app": "far"}, {"far": FAR, "billing": FAR}, "billing", (FAR, "billing")),
        ({"app": "far"}, {"far": FAR, "billing": "acme/late"}, "billing", (FAR, "far")),
        ({}, {"far": FAR, "billing": "acme/late"}, "billing", ("acme/late", "billing")),
        ({}, {"far": FAR, "late": "acme/late"}, "billing", (FAR, "far")),
    ],
    ids=["account", "account, with its team", "account before team", "team", "any"],
)
def test_where_it_goes(accounts: dict[str, str], elsewhere: dict[str, str], team: str, to: tuple[str, str]) -> None:
    """The pool of the account's team, else of its own team, else any; its own team where that is there, too."""
    pool = Pool(POOL)
    pool.config = PoolConfigured(2, (), (), tuple(accounts.items()), elsewhere=tuple(elsewhere.items()))
    pool.accounts = accounts
    assert leaving.destination(pool, "app", team) == to


def test_it_goes_in_batches_oldest_first_wherever_it_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool loaded anew in the middle goes on with the next ones; each goes once."""
    monkeypatch.setattr(leaving, "BATCH", 2)
    engine, log = after(*ONLINE[:1], *(Step(n, message(f"c{n}")) for n in range(5)), Step(7, Configure(GONE)))
    went: list[list[str]] = []
    while engine.next_due() is not None:
        events = ask(engine, Step(8, Tick()))
        went.append([e.conversation_id for e in events if isinstance(e.payload, ConversationHandedOver)])
        log += events
        engine = Engine(folded(log).pool)
    assert went == [["c0", "c1"], ["c2", "c3"], ["c4"]]


def folded(log: list[Event]) -> Engine:
    """The pool by its log."""
    made = Engine(Pool(POOL))
    for event in log:
        evolve(made, event)
    return made


def test_what_went_before_its_turn_does_not_shorten_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool loaded anew would decide otherwise."""
    monkeypatch.setattr(leaving, "BATCH", 2)
    waiting = (Step(n, message(f"c{n}")) for n in range(4))
    engine, _ = after(*ONLINE[:1], *waiting, Step(7, Configure(GONE)), Step(8, message("c1", "and now?")))
    events = ask(engine, Step(9, Tick()))
    assert [e.conversation_id for e in events if isinstance(e.payload, ConversationHandedOver)] == ["c0", "c2"]


def test_a_pool_that_comes_back_keeps_what_has_not_gone_yet() -> None:
    """It waits for a team of it."""
    back = replace(FAR_CONFIG, version=3)
    engine, _ = after(*DROPPED)
    assert payloads(engine, Step(4, Configure(back)))[1:] == [
        ("c1", ConversationReleased("ana", "agent removed")),
        ("c1", waits("a first", QueueReason.TEAM_REMOVED, at(1))),
    ]


# -- what comes meanwhile


def test_what_a_customer_writes_takes_its_conversation_along() -> None:
    """Recorded here, so that it is in the log before the hand-over."""
    engine, _ = after(*DROPPED)
    [said, *rest] = [p for _, p in payloads(engine, Step(4, message("c1", "and now?")))]
    assert isinstance(said, MessageReceived)
    state = engine_state(engine, rest)
    assert (state.seq, state.messages, state.last_text, len(state.unanswered)) == (8, 2, "and now?", 2)
    assert rest[0] == leaves("billing", "ana")


def engine_state(engine: Engine, found: list[Payload]) -> Any:
    """What was handed over last."""
    last = found[-1]
    assert isinstance(last, ConversationHandedOver)
    assert engine.pool.conversations["c1"].status is Status.MOVED
    return last.state


def test_what_has_ended_stays_until_somebody_begins_again() -> None:
    """The customer or the desk; then it waits from that moment on."""
    for body, reason in (
        (message("c1", "one more thing"), ReopenReason.CUSTOMER_MESSAGE),
        (Reopen("c1", "dan"), ReopenReason.AGENT),
    ):
        engine, _ = after(*ENDS)
        assert engine.next_due() is None
        [reopened, *rest] = [p for _, p in payloads(engine, Step(9, body, supervising=True))]
        assert reopened == ConversationReopened(reason)
        assert (engine_state(engine, rest).entered_at, engine_state(engine, rest).cycle) == (at(9), 2)


def test_what_a_machine_wrote_and_receipts_move_nothing_that_has_ended() -> None:
    """They are noted."""
    engine, _ = after(*ENDS)
    note = replace(message("c1", "I am away"), automatic=True)
    assert [type(p) for _, p in payloads(engine, Step(9, note))] == [MessageReceived]
    receipt = RecordReceipt("r", "c1", "m", DeliveryStatus.FAILED, "")
    assert [type(p) for _, p in payloads(engine, Step(9, receipt))] == [DeliveryUpdated]
    assert engine.pool.conversations["c1"].status is Status.RESOLVED


@pytest.mark.parametrize(
    "body",
    [
        Transfer("c1", "ana", "far", "mine"),
        AddNote("c1", "ana", "n", "note"),
        SendReply("c1", "ana", "m", message("c1").content),
        Assign("c1", "ana", "ana"),
        Resolve("c1", "ana"),
        AcceptOffer("c1", offer_id("c1", 4), "ana"),
        Merge("c1", "ana", "c2"),
        Split("c1", "ana", "part", "far"),
        StartConversation("new", "ana", "app", "app", CONTACT, "m", message("c1").content),
    ],
    ids=lambda b: type(b).__name__,
)
def test_what_is_asked_of_an_open_conversation_may_be_asked_again(body: Any) -> None:
    """The answer names the pool that will have it, whoever asks; nothing changes here."""
    engine, _ = after(*DROPPED)
    before = engine.pool.seq
    with pytest.raises(Refusal) as refused:
        ask(engine, Step(6, body))
    found = refused.value
    assert (found.code, found.reason, found.facts["pool"]) == ("UNAVAILABLE", "POOL_UNOWNED", FAR)
    assert engine.pool.seq == before


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (AddNote("c1", "dan", "n", "note"), [NoteAdded("n", "dan", "note")]),
        (ChangeAttributes("c1", "", add_tags=("vip",)), [AttributesChanged(Attributes(tags=("vip",)))]),
        (SendReply("c1", "ana", "m", message("c1").content), "CONVERSATION_STATUS"),
        (Transfer("c1", "ana", "far", "mine"), "CONVERSATION_STATUS"),
        (AddNote("c9", "ana", "n", "note"), "CONVERSATION_NOT_FOUND"),
        (SetPresence("ana", Presence.ONLINE), "AGENT_NOT_FOUND"),
        (PutAgent(ANA), "TEAM_NOT_FOUND"),
    ],
    ids=lambda b: b if isinstance(b, str) else type(b).__name__,
)
def test_what_may_be_asked_of_what_has_ended(body: Any, outcome: Any) -> None:
    """What needs no team; the rest says why not."""
    engine, _ = after(*ENDS)
    if isinstance(outcome, str):
        with pytest.raises(Refusal) as refused:
            ask(engine, Step(9, body, supervising=True))
        assert refused.value.reason == outcome
    else:
        assert [p for _, p in payloads(engine, Step(9, body, supervising=True))] == outcome


def test_what_is_handed_to_a_pool_that_was_dropped_goes_on_at_once() -> None:
    """Also what comes back from one that is not there; it keeps its place."""
    engine, _ = after(*HERE, Step(5, Configure(replace(GONE, elsewhere=(("late", "acme/late"),), accounts=()))))
    [taken, moved, handed] = [p for _, p in payloads(engine, Step(6, COMING))]
    assert (taken, moved) == (TAKEN, leaves("far", "", "late"))
    assert handed == ConversationHandedOver("acme/late", "late", "", replace(CARRIED, seq=10))
    engine, _ = after(*MOVED, Step(6, Configure(GONE)))
    found = payloads(engine, Step(9, replace(COMING, from_pool=FAR, team="", removed=True)))
    assert [type(p) for _, p in found] == [ConversationTakenOver, ConversationTransferred, ConversationHandedOver]


def test_what_it_waits_for_is_asked_where_it_goes() -> None:
    """No team of this pool serves it; of what does not wait there is something to tell."""
    engine, _ = after(*ONLINE[:1], Step(1, message("c1")), Step(3, Configure(GONE)))
    with pytest.raises(Refusal) as refused:
        explain_waiting(engine, engine.pool.conversations["c1"], at(4))
    assert refused.value.facts["pool"] == FAR
    engine, _ = after(*DROPPED)
    assert explain_waiting(engine, engine.pool.conversations["c1"], at(4)).status is Status.ASSIGNED


# -- where it goes


def test_it_keeps_its_place_where_it_comes_to() -> None:
    """As the work of any team that was removed; a transfer goes to the end."""
    removed = replace(COMING, removed=True)
    engine, _ = after(*HERE)
    assert payloads(engine, Step(6, removed))[1] == ("c1", waits("far", QueueReason.TEAM_REMOVED, at(1)))
    engine, _ = after(Step(0, Configure(replace(FAR_CONFIG, teams=FAR_CONFIG.teams[:1], agents=()))))
    assert payloads(engine, Step(6, removed))[1] == ("c1", waits("a first", QueueReason.TEAM_REMOVED, at(1)))


# -- the document and the log


def test_a_pool_that_the_document_does_not_have_gets_what_it_needs_to_leave() -> None:
    """No team, every other pool's teams, and whose each account is; one that it has gets its own accounts alone."""
    config = document(7, ["a", "b"], "b")
    found = wire_config.to_pool_configured(config, "acme/c")
    assert (found.teams, found.agents, found.accounts) == ((), (), (("app", "b"),))
    assert found.elsewhere == (("a", "acme/a"), ("b", "acme/b"))
    assert wire_config.to_pool_configured(config, "acme/a").accounts == ()


@pytest.mark.parametrize(
    "steps",
    [
        (*DROPPED, Step(4, Tick())),
        (*DROPPED, Step(4, message("c1", "and now?"))),
        (*ENDS, Step(9, message("c1", "one more thing"))),
        (*ENDS, Step(9, Reopen("c1", ""), supervising=True)),
        (*HERE, Step(5, Configure(GONE)), Step(6, COMING)),
        (*HERE, Step(6, replace(COMING, removed=True))),
    ],
    ids=["in turn", "with a message", "reopened by a message", "reopened", "passed on", "taken over"],
)
def test_a_replay_of_it_comes_out_the_same(steps: tuple[Step, ...]) -> None:
    """The input is found in the events."""
    engine, log = after(*steps[:-1])
    before = Engine(folded(log).pool)
    last = steps[-1]
    group = [replaced(e, last) for e in ask(engine, last)]
    [found] = list(groups(group))
    assert replay(before, found) is None


def test_a_simulation_knows_what_came_from_a_pool_that_was_dropped() -> None:
    """It is from outside, though nobody asked for it."""
    engine, log = after(*HERE)
    step = Step(6, replace(COMING, removed=True))
    reader = Reader(folded(log).pool, at(0))
    reader.read(group := [replaced(e, step) for e in ask(engine, step)])
    assert reader.record.arrivals == [group]


def replaced(event: Event, step: Step) -> Event:
    """With the cause and the actor as in production: what a system hands over, it does so."""
    cause = "timer" if isinstance(step.body, Tick) else "request-1"
    return replace(event, cause=cause, actor=SYSTEM if getattr(step.body, "removed", False) else event.actor)


def test_nothing_but_what_is_open_is_left_to_do() -> None:
    """Neither timers nor rate limits of before."""
    engine, _ = after(*ENDS, Step(9, message("c2")))
    assert [c.status for c in engine.pool.conversations.values() if c.status not in ENDED] == []
    assert engine.next_due() is None
