"""Out of the public: who is asked to go on in private, and that the public reply is owed until somebody gives it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trunkline_router import wire, wire_api
from trunkline_router.engine import SYSTEM
from trunkline_router.events import (
    AttributesChanged,
    ConversationQueued,
    ConversationRejected,
    ConversationStarted,
    Event,
    MessageReceived,
    MessageSent,
)
from trunkline_router.facts import Content, DeliveryStatus, Presence
from trunkline_router.handover import state_of
from trunkline_router.inputs import (
    AcceptOffer,
    Body,
    ChangeAttributes,
    Configure,
    Merge,
    ReceiveMessage,
    RecordReceipt,
    Resolve,
    SendReply,
    SetPresence,
)
from trunkline_router.pool import Conversation, Pool
from trunkline_router.replay import replay
from trunkline_router.routing import AutoText, Limits, PolicyConfig, PublicAddress, StepConfig, TextKind
from trunkline_router.state import Engine
from trunkline_router.toolbox import TOOLS

from tests.router.given import BILLING, POOL, RETURNS, Step, ask, at, configured, message

PERSONAL = "has(attributes.pii)"
CONFIG = replace(
    configured(),
    policies=(
        PolicyConfig("personal", PERSONAL, (StepConfig("returns"),), invite_private=True),
        PolicyConfig("rest", "", (StepConfig("billing"),)),
    ),
    texts=(
        AutoText(TextKind.ACKNOWLEDGEMENT, "Thank you."),
        AutoText(TextKind.PRIVATE, "{{ team.name }}: write to {{ alternative.address }}."),
    ),
    addresses=(PublicAddress("app", "+15550100"), PublicAddress("email", "help@acme.example")),
)
CONFIGURED = (Step(0, Configure(CONFIG)),)


def said(text: str = "hello", *, pii: bool = True, public: bool = True, conversation: str = "c1") -> ReceiveMessage:
    """A customer wrote, in public if nothing else is said, and something personal."""
    attributes = (("pii", "phone"),) * pii
    return replace(message(conversation, text), tags=("public",) * public, attributes=attributes)


FOUND = ChangeAttributes("c1", "", set_values=(("pii", "phone"),))


def given(*steps: Step) -> Engine:
    """A pool in which that has happened, with what production understands a configuration with."""
    engine = Engine(Pool(POOL), TOOLS)
    for step in steps:
        ask(engine, step)
    return engine


def c1(engine: Engine) -> Conversation:
    """The conversation of that name."""
    return engine.pool.conversations["c1"]


def invitations(events: list[Event]) -> list[Event]:
    """What asks a customer to go on in private."""
    return [e for e in events if isinstance(e.payload, MessageSent) and e.payload.automatic is TextKind.PRIVATE]


# -- who is asked


def test_who_is_asked_to_go_on_in_private_has_been_thanked_before() -> None:
    """By the engine, in the team where it waits; each text is one of its own."""
    events = ask(given(*CONFIGURED), Step(1, said()))
    assert [type(e.payload) for e in events] == [
        ConversationStarted,
        MessageReceived,
        MessageSent,
        MessageSent,
        ConversationQueued,
    ]
    thanked, invited = events[2].payload, events[3].payload
    assert isinstance(thanked, MessageSent)
    assert isinstance(invited, MessageSent)
    assert (thanked.automatic, invited.automatic) == (TextKind.ACKNOWLEDGEMENT, TextKind.PRIVATE)
    assert (invited.content, invited.channel, invited.agent_id) == (
        Content("returns: write to help@acme.example."),
        "app",
        "",
    )
    assert (events[3].actor, invited.bot) == (SYSTEM, False)
    assert thanked.message_id != invited.message_id


def test_another_cycle_has_an_invitation_of_its_own() -> None:
    """Under another id: the first one is not sent once more."""
    engine = given(*CONFIGURED)
    first = invitations(ask(engine, Step(1, said())))
    assert invitations(ask(engine, Step(2, said("again")))) == []
    ask(engine, Step(3, Resolve("c1", ""), supervising=True))
    second = invitations(ask(engine, Step(9, said("later"))))
    ids = {e.payload.message_id for e in (*first, *second) if isinstance(e.payload, MessageSent)}
    assert len(ids) == len(first) + len(second) == 2


def test_who_is_not_accepted_is_told_where_to_go_on() -> None:
    """Nobody is there, and it is written in public all the same."""
    teams = (BILLING, replace(RETURNS, accept_without_agents=False))
    engine = given(Step(0, Configure(replace(CONFIG, teams=teams))))
    events = ask(engine, Step(1, said()))
    assert isinstance(events[-1].payload, ConversationRejected)
    assert len(invitations(events)) == 1


def test_without_a_text_for_the_channel_nobody_is_asked() -> None:
    """As for every automatic text."""
    elsewhere = (AutoText(TextKind.PRIVATE, "In private.", channel="reviews"),)
    engine = given(Step(0, Configure(replace(CONFIG, texts=elsewhere))))
    assert invitations(ask(engine, Step(1, said()))) == []
    assert c1(engine).told == set()


@pytest.mark.parametrize("public", [False, True])
def test_what_becomes_public_later_counts_from_then_on(public: bool) -> None:
    """The tag says it, whoever adds it."""
    engine = given(*CONFIGURED, Step(1, said(public=False)))
    found = ask(engine, Step(2, ChangeAttributes("c1", "", add_tags=("public" if public else "vip",)), True))
    assert len(invitations(found)) == public


def test_what_has_ended_asks_nobody() -> None:
    """Not accepted is over: what is found out then is kept, and nothing is said."""
    closed = (replace(BILLING, accept_without_agents=False), RETURNS)
    engine = given(Step(0, Configure(replace(CONFIG, teams=closed))), Step(1, said(pii=False)))
    assert c1(engine).unanswered
    found = ask(engine, Step(2, FOUND, supervising=True))
    assert [type(e.payload) for e in found] == [AttributesChanged]


def test_another_pool_knows_that_one_was_asked() -> None:
    """What goes along with a conversation says what its customer has been told in this cycle."""
    engine = given(*CONFIGURED, Step(1, said()))
    assert state_of(c1(engine), 9, 1).told == ("ACKNOWLEDGEMENT", "PRIVATE")


# -- how long it goes on


LONG = (PolicyConfig("long", "messages >= 3", (StepConfig("returns"),), invite_private=True), CONFIG.policies[1])
BY_LENGTH = (Step(0, Configure(replace(CONFIG, policies=LONG))), *(Step(n, said(str(n))) for n in (1, 2)))


def test_a_cycle_counts_what_its_customer_wrote_from_the_first_message_on() -> None:
    """The message that is decided about counts; a machine's does not; another cycle begins at one."""
    engine = given(*BY_LENGTH, Step(3, replace(said("out of office"), automatic=True)))
    assert (c1(engine).messages, c1(engine).policy) == (2, "rest")
    assert len(invitations(ask(engine, Step(4, said("4"))))) == 1
    assert c1(engine).messages == state_of(c1(engine), 9, 1).messages == 3
    ask(engine, Step(5, Resolve("c1", ""), supervising=True))
    ask(engine, Step(6, said("6")))
    assert (c1(engine).messages, c1(engine).policy) == (1, "rest")


@pytest.mark.parametrize("automatic", [False, True])
def test_the_first_message_is_counted_when_it_is_decided_about(automatic: bool) -> None:
    """Where a person wrote it."""
    first = (replace(LONG[0], when="messages == 1"), LONG[1])
    engine = given(Step(0, Configure(replace(CONFIG, policies=first))), Step(1, replace(said(), automatic=automatic)))
    assert c1(engine).policy == ("rest" if automatic else "long")


def test_what_goes_on_within_its_time_is_counted_on() -> None:
    """It is the same cycle."""
    config = replace(CONFIG, policies=LONG, limits=Limits(reopen_within_s=60))
    engine = given(Step(0, Configure(config)), Step(1, said("1")), Step(2, said("2")))
    ask(engine, Step(3, Resolve("c1", ""), supervising=True))
    assert len(invitations(ask(engine, Step(9, said("3"))))) == 1
    assert c1(engine).policy == "long"


# -- the same again


ONLINE = Step(0, SetPresence("ben", Presence.ONLINE))
IN_HAND = (*CONFIGURED, ONLINE, Step(1, said(pii=False)))
REOPENED = (*CONFIGURED, Step(1, said()), Step(2, Resolve("c1", ""), supervising=True))


@pytest.mark.parametrize(
    ("before", "then"),
    [
        (CONFIGURED, said()),
        (REOPENED, said("later")),
        (BY_LENGTH, said("3")),
        ((*CONFIGURED, Step(1, said(pii=False))), said("more")),
        ((*CONFIGURED, Step(1, said(pii=False))), FOUND),
        (IN_HAND, said("more")),
        (IN_HAND, FOUND),
    ],
    ids=["first", "reopened", "third", "waiting", "waiting, found", "in hand", "in hand, found"],
)
def test_an_invitation_is_decided_again_as_it_was(before: tuple[Step, ...], then: Body) -> None:
    """From its stored events, on the pool as a new owner reads it from a snapshot."""
    engine = given(*before)
    for c in engine.pool.conversations.values():
        for offer_id, offer in list(c.offers.items()):
            ask(engine, Step(2, AcceptOffer(c.id, offer_id, offer.agent)))
    restored = Engine(wire.load_pool(wire.dump_pool(engine.pool)), TOOLS)
    events = ask(engine, Step(5, then, supervising=True))
    assert len(invitations(events)) == 1
    stored = (wire.to_pool_event(e, POOL, 1, e.occurred_at).SerializeToString() for e in events)
    assert replay(restored, [wire.from_pool_event(one) for one in stored]) is None


# -- the public reply


REPLY = SendReply("c1", "ben", "m1", Content("We have written to you."))


def owed(engine: Engine) -> float | None:
    """Since when a public reply is owed, in seconds from the start, as callers see it."""
    shown = wire_api.view(engine, "c1")
    if not shown.HasField("public_reply_owed_since"):
        return None
    return shown.public_reply_owed_since.ToDatetime(at(0).tzinfo).timestamp() - at(0).timestamp()


def answering() -> Engine:
    """ben has what was written in public twice, and an invitation was sent."""
    engine = given(*CONFIGURED, ONLINE, Step(1, said()), Step(2, said("and this")))
    (offer_id,) = c1(engine).offers
    ask(engine, Step(3, AcceptOffer("c1", offer_id, "ben")))
    return engine


def test_a_public_reply_is_owed_from_the_first_message_until_an_agent_gives_it() -> None:
    """The invitation is none; neither is an answer to the first message alone."""
    engine = answering()
    assert owed(engine) == 1
    ask(engine, Step(4, replace(REPLY, answers_through_seq=2)))
    assert owed(engine) == 2
    ask(engine, Step(5, replace(REPLY, message_id="m2")))
    assert owed(engine) is None


def test_a_public_reply_that_is_not_delivered_is_still_owed() -> None:
    """Nobody can read it."""
    engine = answering()
    ask(engine, Step(4, REPLY))
    ask(engine, Step(5, RecordReceipt("r", "c1", "m1", DeliveryStatus.FAILED, "gone")))
    assert owed(engine) == 1


def test_no_public_reply_is_owed_where_nobody_else_reads() -> None:
    """Who waits in private waits as ever; without the tag it is no longer public."""
    engine = given(*CONFIGURED, Step(1, said(public=False)))
    assert owed(engine) is None
    assert c1(engine).unanswered_since == at(1)
    engine = answering()
    ask(engine, Step(4, ChangeAttributes("c1", "", remove_tags=("public",)), True))
    assert owed(engine) is None


def test_what_ends_in_a_public_conversation_is_owed_there() -> None:
    """A merge brings the other one's message along."""
    engine = given(*CONFIGURED, Step(1, message("c2")), Step(2, said()), Step(3, Merge("c2", "", "c1"), True))
    assert owed(engine) == 1
