"""Who is served first, and by whom."""

from __future__ import annotations

from dataclasses import replace

from trunkline_router.events import ConversationAssigned, OfferTimedOut
from trunkline_router.facts import Presence
from trunkline_router.index import SLACK
from trunkline_router.inputs import (
    AcceptOffer,
    Assign,
    Configure,
    DeclineOffer,
    PutAgent,
    Resolve,
    SetPresence,
    Tick,
    Transfer,
)
from trunkline_router.pool import Status
from trunkline_router.pool_events import AgentConfigured, AgentLost
from trunkline_router.routing import ChannelClass

from tests.router.given import ANA, BEN, BILLING, RETURNS, Step, after, ask, at, configured, message, offer, offer_id

O1 = offer_id("c1", 4)
BEN_ONLINE = (Step(0, Configure(configured())), Step(0, SetPresence("ben", Presence.ONLINE)))
ONLINE = (Step(0, Configure(configured())), Step(0, SetPresence("ana", Presence.ONLINE)))
OFFERED = (*ONLINE, Step(1, message("c1")))


def test_time_never_runs_backwards_in_the_log() -> None:
    """A clock that was set back does not put an event before its predecessor."""
    engine, _ = after(*ONLINE, Step(10, message("c1")))
    assert [e.occurred_at for e in ask(engine, Step(4, AcceptOffer("c1", O1, "ana")))] == [at(10)]


def test_who_waits_longest_is_served_first_and_a_failed_offer_keeps_its_place() -> None:
    """Order is by when a conversation entered, not by when it came back."""
    engine, _ = after(*OFFERED, Step(5, message("c2")), Step(6, DeclineOffer("c1", O1, "ana", "")))
    found = ask(engine, Step(7, SetPresence("ben", Presence.ONLINE)))
    assert [(e.conversation_id, e.payload) for e in found][1:] == [offer("c1", 7, "ben", 27)]


def test_the_longest_idle_agent_is_asked_first_and_ties_end_at_the_id() -> None:
    """Never assigned comes before assigned; then by id."""
    dora, emil = replace(ANA, id="dora"), replace(ANA, id="emil")
    engine, _ = after(
        Step(0, Configure(configured(agents=[emil, dora, replace(ANA, capacity=2)]))),
        *(Step(0, SetPresence(a, Presence.ONLINE)) for a in ("emil", "dora", "ana")),
        Step(1, message("c1")),
        Step(2, AcceptOffer("c1", O1, "ana")),
    )
    asked = [ask(engine, Step(3, message(c)))[-1].payload for c in ("c2", "c3", "c4")]
    assert asked == [offer(c, 4, a, 23)[1] for c, a in (("c2", "dora"), ("c3", "emil"), ("c4", "ana"))]


def test_an_agent_beyond_capacity_gets_nothing_until_below_it() -> None:
    """A smaller capacity counts from now on."""
    engine, _ = after(*BEN_ONLINE, *(Step(1, message(c)) for c in ("c1", "c2", "c3")))
    ask(engine, Step(2, AcceptOffer("c1", offer_id("c1", 4), "ben")))
    ask(engine, Step(2, AcceptOffer("c2", offer_id("c2", 4), "ben")))
    ask(engine, Step(3, Configure(configured(2, teams=[BILLING, RETURNS], agents=[replace(BEN, capacity=1)]))))
    assert [e.conversation_id for e in ask(engine, Step(4, Resolve("c1", "ben")))] == ["c1"]
    assert [e.conversation_id for e in ask(engine, Step(5, Resolve("c2", "ben")))] == ["c2", "c3"]


def test_offers_that_end_in_one_tick_end_in_the_order_of_their_ends() -> None:
    """Whatever timers were set before: c2 has an older one, of an offer that was declined."""
    agents = [replace(ANA, id=name) for name in ("ana", "ben", "carla")]
    engine, _ = after(
        Step(0, Configure(configured(agents=agents))),
        *(Step(0, SetPresence(agent.id, Presence.ONLINE)) for agent in agents),
        Step(0, message("c2")),
        Step(1, message("c1")),
        Step(5, DeclineOffer("c2", offer_id("c2", 4), "ana", "")),
        Step(5, SetPresence("ana", Presence.OFFLINE)),
    )
    ended = [e.conversation_id for e in ask(engine, Step(30, Tick())) if isinstance(e.payload, OfferTimedOut)]
    assert ended == ["c1", "c2"]


def test_a_rate_window_that_passes_is_a_reason_to_look_again() -> None:
    """In a quiet pool nothing else would: the worker sleeps until the engine says it should look (routing 4.5)."""
    limited = replace(BILLING, rate_max=1, rate_window_s=60)
    engine, _ = after(
        Step(0, Configure(configured(teams=[limited, RETURNS], agents=[replace(ANA, capacity=3)]))),
        Step(0, SetPresence("ana", Presence.ONLINE)),
        Step(0, message("c1")),
        Step(1, AcceptOffer("c1", O1, "ana")),
        Step(2, message("c2")),
    )
    assert engine.next_due() == at(20)  # stale: the offer of c1 has ended
    assert ask(engine, Step(20, Tick())) == []
    assert engine.next_due() == at(61)
    assert [e.conversation_id for e in ask(engine, Step(61, Tick()))] == ["c2"]


def test_what_a_lost_agent_wraps_up_stays_with_who_has_it_now() -> None:
    """Ana's contact is over, Ben has the conversation, and Ana goes: nothing is taken from him."""
    chat = ChannelClass("chat", ("app",), wrap_s=600, requeue_when_lost=True)
    config = replace(configured(agents=[ANA, replace(BEN, teams=("billing",))]), channel_classes=(chat,))
    engine, _ = after(
        Step(0, Configure(config)),
        Step(1, SetPresence("ana", Presence.ONLINE)),
        Step(2, message("c1")),
        Step(3, AcceptOffer("c1", O1, "ana")),
        Step(4, Resolve("c1", "ana")),
        Step(5, SetPresence("ben", Presence.ONLINE)),
        Step(6, message("c1", "one more thing")),
        Step(7, Assign("c1", "", "ben"), supervising=True),
        Step(8, SetPresence("ana", Presence.OFFLINE)),
    )
    assert "c1" in engine.pool.agents["ana"].wraps
    assert [e.payload for e in ask(engine, Step(60, Tick()))] == [AgentLost("ana")]
    assert (engine.pool.conversations["c1"].status, engine.pool.conversations["c1"].agent) == (Status.ASSIGNED, "ben")


def test_heaps_keep_no_more_than_a_few_times_what_lives() -> None:
    """An agent of two teams, all of whose work is of one: nobody ever looks for the first of the other."""
    agent = replace(BEN, capacity=9)
    team = replace(BILLING, rate_max=1000, rate_window_s=86_400)
    engine, _ = after(
        Step(0, Configure(replace(configured(teams=(team, RETURNS), agents=[agent]), accounts=(("app", "returns"),)))),
        Step(1, message("first")),
        Step(2, SetPresence("ben", Presence.ONLINE)),
        Step(3, Transfer("first", "", "billing", "theirs"), supervising=True),
    )
    for number in range(400):
        ask(engine, Step(4 + number, message(f"c{number}")))
        ask(engine, Step(4 + number, Resolve(f"c{number}", "", waive_reason="spam"), supervising=True))
    for profile in engine.index.profiles.values():
        assert len(profile.heaps) == 2
        assert all(len(heap.entries) <= 2 * len(heap.live) + SLACK for heap in profile.heaps.values())
    assert len(engine.rates) <= 1


def test_a_new_name_takes_nothing_back() -> None:
    """What an agent may be asked is what it was."""
    engine, _ = after(
        Step(0, Configure(configured(agents=[ANA]))),
        Step(1, SetPresence("ana", Presence.ONLINE)),
        Step(2, message("c1")),
    )
    renamed = replace(ANA, name="Ana B.")
    assert [e.payload for e in ask(engine, Step(3, PutAgent(renamed)))] == [AgentConfigured(renamed)]
    assert engine.pool.conversations["c1"].status is Status.OFFERED


def test_work_of_a_team_that_is_gone_can_be_given_to_who_is_left() -> None:
    """It is of the team then that its account is of."""
    engine, _ = after(
        Step(0, Configure(configured(agents=[ANA, BEN]))),
        Step(1, SetPresence("ana", Presence.ONLINE)),
        Step(2, message("c1")),
        Step(3, AcceptOffer("c1", O1, "ana")),
        Step(
            4,
            Configure(
                configured(2, teams=[RETURNS], agents=[replace(ANA, teams=("returns",)), BEN], account="returns")
            ),
        ),
    )
    given = ask(engine, Step(5, Assign("c1", "", "ben"), supervising=True))
    assert [e.payload for e in given][-1] == ConversationAssigned("ben", "returns", "", by_hand=True)
