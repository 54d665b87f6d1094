"""A transfer to a team of another pool: what each of the two engines decides."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from trunkline_router.events import ConversationAssigned, ConversationTransferred, OfferRescinded, Payload
from trunkline_router.facts import (
    Attributes,
    Content,
    CustomerLookup,
    Presence,
    QueueReason,
    RescindReason,
    Unanswered,
)
from trunkline_router.handed import ConversationHandedOver, ConversationState, ConversationTakenOver, TakeOver
from trunkline_router.handover import forwarded_id, place_of, state_of, whereabouts
from trunkline_router.inputs import (
    AcceptOffer,
    AddNote,
    Assign,
    Configure,
    Merge,
    Reopen,
    Resolve,
    ScheduleCallback,
    SendReply,
    SetPresence,
    Snooze,
    Split,
    Tick,
    Transfer,
)
from trunkline_router.pool import Conversation, Status
from trunkline_router.refusals import Refusal
from trunkline_router.requests import unknown_names
from trunkline_router.routing import Limits
from trunkline_router.state import Engine

from tests.router.given import (
    ANA,
    CONTACT,
    DESK,
    RETURNS,
    Step,
    after,
    ask,
    at,
    configured,
    message,
    offer,
    offer_id,
    waits,
)

FAR = "acme/far"
#: The pool that gives away, and the one that gets.
NEAR_CONFIG = replace(configured(), elsewhere=(("far", FAR),))
FAR_TEAM = replace(RETURNS, id="far")
EVA = replace(ANA, id="eva", teams=("far",))
FAR_CONFIG = replace(
    configured(teams=[replace(FAR_TEAM, id="a first"), FAR_TEAM], agents=[EVA]),
    accounts=(),
    elsewhere=(("billing", "acme/default"),),
)
ONLINE = (Step(0, Configure(NEAR_CONFIG)), Step(0, SetPresence("ana", Presence.ONLINE)))
OFFERED = (*ONLINE, Step(1, message("c1")))
ASSIGNED = (*OFFERED, Step(2, AcceptOffer("c1", offer_id("c1", 4), "ana")))
AWAY = Transfer("c1", "ana", "far", "theirs")
MOVED = (*ASSIGNED, Step(5, AWAY))
HERE = (Step(0, Configure(FAR_CONFIG)),)
CARRIED = ConversationState(
    seq=7,
    channel="app",
    account="app",
    contact=CONTACT,
    subject="Parcel",
    customer=CustomerLookup("customer-1"),
    attributes=Attributes(),
    tier=1,
    entered_at=at(1),
    cycle=1,
    cycle_began_at=at(1),
    transfers=1,
    last_agent="ana",
    unanswered_since=at(1),
    told=(),
    reply_address="",
    references=(),
    last_text="hello",
    started_at=at(1),
    replied=False,
    unanswered=(Unanswered(2, at(1)),),
    last_message="p1",
    last_reply="",
    answered=(),
    messages=1,
)
COMING = TakeOver("c1", "acme/default", "far", "", at(5), CARRIED)
TAKEN = ConversationTakenOver("acme/default", "far", "", CARRIED)


def payloads(engine: Engine, step: Step) -> list[tuple[str, Payload]]:
    """What follows from a step."""
    return [(e.conversation_id, e.payload) for e in ask(engine, step)]


# -- the pool that gives it away


def test_a_transfer_to_another_pools_team_hands_the_conversation_over() -> None:
    """With all that the other engine must know, and the seq after which it goes on."""
    engine, _ = after(*ASSIGNED)
    assert payloads(engine, Step(5, AWAY)) == [
        ("c1", ConversationTransferred("billing", "ana", "far", "theirs")),
        ("c1", ConversationHandedOver(FAR, "far", "", CARRIED)),
    ]
    gone = engine.pool.conversations["c1"]
    assert (gone.status, gone.moved_to, gone.seq, gone.agent) == (Status.MOVED, FAR, 7, "")
    assert gone.last_text == ""


def test_the_agent_who_gives_it_away_is_asked_at_once_who_waits() -> None:
    """Its units are free."""
    engine, _ = after(*ASSIGNED, Step(3, message("c2")))
    assert payloads(engine, Step(5, AWAY))[-1] == offer("c2", 4, "ana", 25)


def test_a_running_offer_is_taken_back_before_it_goes() -> None:
    """And counts in the seq of the hand-over."""
    engine, _ = after(*OFFERED)
    [taken_back, _, (_, handed)] = payloads(engine, Step(5, AWAY, supervising=True))[:3]
    assert taken_back == ("c1", OfferRescinded(offer_id("c1", 4), "ana", RescindReason.TRANSFERRED))
    assert isinstance(handed, ConversationHandedOver)
    assert handed.state.seq == engine.pool.conversations["c1"].seq == 7


def test_what_was_snoozed_or_to_be_called_is_not_due_here_any_more() -> None:
    """No timer of it is left."""
    for put_aside in (Snooze("c1", "ana", at(50)), ScheduleCallback("c1", "ana", at(50), at(60), "billing")):
        engine, _ = after(*ASSIGNED, Step(3, put_aside))
        ask(engine, Step(5, AWAY, supervising=True))
        assert payloads(engine, Step(100, Tick())) == []


def test_too_many_transfers_end_with_those_who_decide_also_on_the_way_to_another_pool() -> None:
    """The escalation team is of this pool."""
    limited = replace(NEAR_CONFIG, version=2, limits=Limits(1, "returns"))
    back = Step(6, replace(COMING, team="billing", from_pool=FAR, state=replace(CARRIED, seq=12)))
    engine, _ = after(*MOVED, Step(5, Configure(limited)), back, Step(7, Assign("c1", "ana", "ana")))
    moved, queued = [p for _, p in payloads(engine, Step(8, AWAY))][:2]
    assert moved == ConversationTransferred("billing", "ana", "returns", "theirs", "", "far")
    assert queued == waits("returns", QueueReason.ESCALATED, at(8))


@pytest.mark.parametrize(
    "body",
    [
        Transfer("c1", "ana", "returns", "mine"),
        AddNote("c1", "ana", "n", "note"),
        SendReply("c1", "ana", "m", Content("hi")),
        Assign("c1", "ana", "ana"),
        Resolve("c1", "ana"),
        Reopen("c1", "ana"),
        AcceptOffer("c1", offer_id("c1", 4), "ana"),
        message("c1", "and now?"),
    ],
    ids=lambda b: type(b).__name__,
)
def test_what_is_asked_of_a_conversation_on_its_way_may_be_asked_again(body: Transfer) -> None:
    """The answer names the pool that will have it; nothing changes here."""
    engine, _ = after(*MOVED)
    before = engine.pool.seq
    with pytest.raises(Refusal) as refused:
        ask(engine, Step(6, body, supervising=True))
    found = refused.value
    assert (found.code, found.reason, found.facts["pool"]) == ("UNAVAILABLE", "POOL_UNOWNED", FAR)
    assert engine.pool.seq == before


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (Split("c2", "ana", "part", "far"), "TEAM_OF_ANOTHER_POOL"),
        (ScheduleCallback("c2", "ana", at(50), at(60), "far"), "TEAM_OF_ANOTHER_POOL"),
        (Merge("c2", "ana", "c1"), "CANNOT_MERGE"),
        (Transfer("c2", "ana", "nowhere", "lost"), "TEAM_NOT_FOUND"),
    ],
    ids=lambda b: b if isinstance(b, str) else type(b).__name__,
)
def test_only_a_transfer_goes_to_another_pool(body: Split, reason: str) -> None:
    """Everything else is told which pool it is about."""
    engine, _ = after(*MOVED, Step(6, message("c2")))
    with pytest.raises(Refusal) as refused:
        ask(engine, Step(7, body, supervising=True))
    assert refused.value.reason == reason


def test_a_team_of_another_pool_is_a_name_that_is_known() -> None:
    """Nobody need look for a newer configuration."""
    engine, _ = after(*ASSIGNED)
    assert not unknown_names(AWAY, engine.pool)
    assert unknown_names(replace(AWAY, to_team="nowhere"), engine.pool)


def test_what_was_merged_follows_its_survivor() -> None:
    """What a customer writes there is meant for it; receipts of what was sent there stay."""
    merged = Step(3, Merge("c2", "ana", "c1"), supervising=True)
    engine, _ = after(*ASSIGNED, Step(2, message("c2")), merged, Step(5, AWAY))
    found = whereabouts(engine.pool, "c2", merged=True)
    assert found is not None
    assert (found.id, found.moved_to) == ("c1", FAR)
    assert whereabouts(engine.pool, "c2", merged=False) is None


# -- the pool that gets it


def test_it_waits_for_the_team_it_was_transferred_to() -> None:
    """Its seq goes on; what was counted, told and known goes on too."""
    engine, _ = after(*HERE)
    events = ask(engine, Step(6, COMING))
    assert [(e.seq, e.payload) for e in events] == [(8, TAKEN), (9, waits("far", QueueReason.TRANSFERRED, at(6)))]
    assert engine.pool.conversations["c1"].ordinal == events[0].pool_seq
    assert state_of(engine.pool.conversations["c1"], 7, 1) == replace(CARRIED, entered_at=at(6))


def test_it_is_offered_at_once_where_somebody_is_there() -> None:
    """As after any transfer."""
    engine, _ = after(*HERE, Step(0, SetPresence("eva", Presence.ONLINE)))
    assert payloads(engine, Step(6, COMING))[-1] == offer("c1", 10, "eva", 36)


def test_the_same_hand_over_again_changes_nothing() -> None:
    """However often the record comes, and also after the conversation has gone on to somebody else."""
    engine, _ = after(*HERE, Step(6, COMING))
    assert ask(engine, Step(7, COMING)) == []
    ask(engine, Step(8, Transfer("c1", "", "billing", "yours"), supervising=True))
    assert ask(engine, Step(9, COMING)) == []


def test_it_may_be_given_to_an_agent_of_the_other_pool() -> None:
    """By hand, whatever they have in hand; one who is not of the team (any more) is passed over."""
    engine, _ = after(*HERE)
    assert payloads(engine, Step(6, replace(COMING, agent_id="eva")))[1:] == [
        ("c1", ConversationAssigned("eva", "far", "", by_hand=True))
    ]
    engine, _ = after(*HERE)
    assert payloads(engine, Step(6, replace(COMING, agent_id="ana")))[1:] == [
        ("c1", waits("far", QueueReason.TRANSFERRED, at(6)))
    ]


def test_where_the_team_is_gone_meanwhile_it_waits_for_another() -> None:
    """Recorded as for any removed team."""
    engine, _ = after(Step(0, Configure(replace(FAR_CONFIG, teams=(replace(FAR_TEAM, id="late"),), agents=()))))
    assert payloads(engine, Step(6, COMING))[1:] == [("c1", waits("late", QueueReason.TEAM_REMOVED, at(6)))]


def test_no_event_of_a_conversation_is_earlier_than_the_one_before_it() -> None:
    """Whatever the clock of the other pool's owner says."""
    engine, _ = after(*HERE)
    assert {e.occurred_at for e in ask(engine, Step(2, COMING))} == {at(5)}


def test_a_conversation_that_comes_back_goes_on_where_the_other_pool_left_it() -> None:
    """Any number of times; what had come before it was given away changes nothing."""
    engine, _ = after(*MOVED)
    back = replace(COMING, from_pool=FAR, team="returns", state=replace(CARRIED, seq=11, transfers=2))
    assert [e.seq for e in ask(engine, Step(9, back))] == [12, 13]
    again = Transfer("c1", "", "far", "theirs after all")
    events = ask(engine, Step(10, again, supervising=True))
    assert [e.seq for e in events] == [14, 15]
    assert ask(engine, Step(11, back)) == []
    assert whereabouts(engine.pool, "c1", merged=True) is not None


def test_what_nobody_took_comes_back_with_the_seq_it_went_with() -> None:
    """The other pool is gone: it waits here again, for the account's team."""
    engine, _ = after(*MOVED)
    returned = replace(COMING, from_pool=FAR, team="", state=CARRIED)
    events = ask(engine, Step(9, returned))
    assert [e.seq for e in events][:2] == [8, 9]
    assert events[1].payload == waits("billing", QueueReason.TEAM_REMOVED, at(9))


def test_a_conversation_that_is_here_is_not_taken_over() -> None:
    """Two of one id: neither is lost, and somebody is told."""
    engine, _ = after(*HERE, Step(1, replace(COMING, state=replace(CARRIED, seq=2))))
    with pytest.raises(Refusal) as refused:
        ask(engine, Step(2, COMING))
    assert refused.value.reason == "CONVERSATION_EXISTS"


def test_a_reopened_conversation_stays_in_the_pool_that_has_it() -> None:
    """Its account is the other pool's: the team that resolved it is asked again."""
    engine, _ = after(*HERE, Step(1, COMING), Step(2, Resolve("c1", ""), supervising=True))
    assert (
        "c1",
        waits("far", QueueReason.REOPENED, at(9)),
    ) in payloads(engine, Step(9, message("c1", "one more thing")))


# -- what follows it


def test_what_is_sent_on_has_another_id_for_every_hand_over_it_follows() -> None:
    """Otherwise what follows to a pool for the second time would count as a copy."""
    engine, _ = after(*MOVED)
    first = forwarded_id("e1", place_of(engine.pool.conversations["c1"]))
    assert first == forwarded_id("e1", place_of(engine.pool.conversations["c1"]))
    assert first != forwarded_id("e2", place_of(engine.pool.conversations["c1"]))
    ask(engine, Step(9, replace(COMING, from_pool=FAR, team="returns", state=replace(CARRIED, seq=11))))
    ask(engine, Step(10, Transfer("c1", "", "far", "theirs"), supervising=True))
    assert first != forwarded_id("e1", place_of(engine.pool.conversations["c1"]))


#: Of a place in a queue, of somebody's hands, or of the end: not there when a conversation is handed over.
LEFT_BEHIND = {
    *("id", "ordinal", "status", "team", "agent"),
    *(
        "policy",
        "step",
        "skills",
        "boost_s",
        "strategy",
        "step_ends_at",
        "preferred",
        "preferred_until",
        "by_hand",
        "sent",
    ),
    *("offers", "excluded", "reoffer_at"),
    *("resolved_at", "assigned_at", "accepted_offer", "wakes_at", "callback", "merged_into", "moved_to"),
    "dues",  # by team, as promised to those of the other pool
}


def test_everything_else_of_a_conversation_is_carried() -> None:
    """A field that is new is named in one of the two."""
    assert {f.name for f in fields(Conversation)} - LEFT_BEHIND == {f.name for f in fields(ConversationState)}


def test_who_transferred_it_is_who_put_it_into_the_other_queue() -> None:
    """Every change has an actor."""
    engine, _ = after(*HERE)
    assert {e.actor for e in ask(engine, Step(6, COMING))} == {DESK}
