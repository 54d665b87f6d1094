"""The last word, what nobody has answered, and when an answer is due: the facts that scenario files do not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from trunkline_router import wire
from trunkline_router.events import (
    ConversationAbsorbed,
    ConversationQueued,
    ConversationResolved,
    Event,
    MessageSent,
)
from trunkline_router.facts import Content, DeliveryStatus, DuePreview, Presence, Unanswered
from trunkline_router.inputs import (
    AcceptOffer,
    Body,
    Configure,
    Merge,
    ReceiveMessage,
    RecordReceipt,
    Release,
    Reopen,
    Resolve,
    SendReply,
    SetPresence,
    Split,
    StartConversation,
    Transfer,
)
from trunkline_router.pool import Conversation
from trunkline_router.refusals import Refusal
from trunkline_router.replay import groups, replay
from trunkline_router.routing import AutoText, Order, Promise, TextKind
from trunkline_router.state import Engine
from trunkline_router.tools import PLAIN

from tests.router.given import ANA, BEN, BILLING, CONTACT, RETURNS, Step, after, ask, at, configured, message, offer_id

ALL = Promise("all", last_word=True)
PROMISED = replace(configured(agents=[replace(ANA, capacity=9), BEN]), promises=(ALL,))
ONLINE = (Step(0, Configure(PROMISED)), Step(0, SetPresence("ana", Presence.ONLINE)))
ASSIGNED = (*ONLINE, Step(1, message("c1")), Step(2, AcceptOffer("c1", offer_id("c1", 4), "ana")))
REPLY = SendReply("c1", "ana", "m1", Content("hi"))
EDF = configured(teams=(replace(BILLING, order=Order.EDF), replace(RETURNS, order=Order.EDF)))


def refused(engine: Engine, step: Step) -> Refusal:
    """Why a step is refused."""
    with pytest.raises(Refusal) as refusal:
        ask(engine, step)
    return refusal.value


def queued(events: Sequence[Event]) -> ConversationQueued:
    """The last entry into a queue."""
    return [e.payload for e in events if isinstance(e.payload, ConversationQueued)][-1]


def c1(engine: Engine) -> Conversation:
    """The conversation of that name."""
    return engine.pool.conversations["c1"]


# -- the last word


def test_a_refusal_says_which_message_waits_and_since_when() -> None:
    """The oldest that nobody has answered; the caller need not look for it."""
    engine, _ = after(*ASSIGNED, Step(3, REPLY), Step(4, message("c1", "one")), Step(5, message("c1", "two")))
    found = refused(engine, Step(9, Resolve("c1", "ana")))
    assert (found.code, found.reason) == ("FAILED_PRECONDITION", "UNANSWERED_MESSAGE")
    assert found.facts == {"conversation_id": "c1", "unanswered_since": "2026-03-02T09:00:04Z", "seq": "7"}


def test_an_agent_may_not_say_that_there_is_no_answer() -> None:
    """Not even where none is owed: what is not allowed does not depend on the conversation."""
    engine, _ = after(*ASSIGNED, Step(3, REPLY))
    found = refused(engine, Step(4, Resolve("c1", "ana", waive_reason="spam")))
    assert (found.code, found.reason, found.facts["role"]) == ("PERMISSION_DENIED", "ROLE_FORBIDDEN", "agent")


def test_the_last_word_and_the_end_are_one_decision() -> None:
    """The message has the id it was asked for, and the conversation is over."""
    engine, _ = after(*ASSIGNED)
    events = ask(engine, Step(3, Resolve("c1", "ana", "m1", Content("Goodbye."))))
    assert [e.payload for e in events] == [
        MessageSent("m1", "ana", Content("Goodbye."), "app", "app"),
        ConversationResolved("ana", "billing"),
    ]
    assert ask(engine, Step(4, Resolve("c1", "ana", "m1", Content("Goodbye.")))) == []


def test_a_closing_text_that_there_is_not_is_refused() -> None:
    """Nobody is left with an empty message."""
    engine, _ = after(*ASSIGNED)
    found = refused(engine, Step(3, Resolve("c1", "ana", "m1", closing_text=True)))
    assert (found.code, found.facts) == ("INVALID_ARGUMENT", {"field": "closing_text"})


def test_the_closing_text_may_be_said_again_by_an_agent() -> None:
    """Automatic texts are sent once a cycle; what an agent says is theirs to repeat."""
    config = replace(PROMISED, texts=(AutoText(TextKind.CLOSING, "Bye."),), promises=())
    engine, _ = after(Step(0, Configure(config)), Step(1, message("c1")))
    engine.tools = replace(PLAIN, template=lambda text: lambda _facts: text)
    c1(engine).told.add(TextKind.CLOSING)
    events = ask(engine, Step(3, Resolve("c1", "", "m1", closing_text=True), supervising=True))
    assert [e.payload.content for e in events if isinstance(e.payload, MessageSent)] == [Content("Bye.")]


def test_who_writes_first_owes_nobody_an_answer() -> None:
    """The customer has not written (sla 7.15)."""
    begun = StartConversation("s1", "ana", "app", "app", CONTACT, "m1", Content("hello"))
    engine, _ = after(*ONLINE, Step(1, begun))
    assert isinstance(ask(engine, Step(2, Resolve("s1", "ana")))[-1].payload, ConversationResolved)


@pytest.mark.parametrize("through", [-1, 6])
def test_a_reply_cannot_answer_what_there_is_not(through: int) -> None:
    """From 0, which is everything, to the conversation's last seq."""
    engine, _ = after(*ASSIGNED)
    found = refused(engine, Step(3, replace(REPLY, answers_through_seq=through)))
    assert (found.code, found.facts) == ("INVALID_ARGUMENT", {"field": "answers_through_seq"})
    assert ask(engine, Step(3, replace(REPLY, answers_through_seq=5)))


def test_a_reply_through_a_message_leaves_the_later_ones() -> None:
    """And the conversation waits since the first of those."""
    engine, _ = after(*ASSIGNED, Step(3, message("c1", "one")), Step(4, message("c1", "two")))
    assert [one.seq for one in c1(engine).unanswered] == [2, 6, 7]
    ask(engine, Step(5, replace(REPLY, answers_through_seq=6)))
    assert (c1(engine).unanswered, c1(engine).unanswered_since) == ((Unanswered(7, at(4)),), at(4))


def test_a_bots_message_says_so() -> None:
    """Whether it is a reply, an answer to a command or the first message."""
    bot = replace(ANA, id="bot", bot=True)
    config = replace(PROMISED, agents=(bot,), teams=(replace(BILLING, assign_bots=True),), promises=())
    given = (Step(0, Configure(config)), Step(0, SetPresence("bot", Presence.ONLINE)), Step(1, message("c1")))
    engine, _ = after(*given, Step(2, AcceptOffer("c1", offer_id("c1", 4), "bot")))
    begun = StartConversation("s1", "bot", "app", "app", CONTACT, "m3", Content("hello"))
    bodies: tuple[Body, ...] = (replace(REPLY, agent_id="bot"), Resolve("c1", "bot", "m2", Content("Bye.")), begun)
    said = [event for number, body in enumerate(bodies) for event in ask(engine, Step(3 + number, body))]
    assert [e.payload.bot for e in said if isinstance(e.payload, MessageSent)] == [True, True, True]


def test_a_new_version_of_the_promises_holds_at_once() -> None:
    """What is owed is what is promised now, as for the clocks (sla 7.14)."""
    engine, _ = after(*ASSIGNED)
    assert refused(engine, Step(3, Resolve("c1", "ana"))).reason == "UNANSWERED_MESSAGE"
    ask(engine, Step(4, Configure(replace(PROMISED, version=2, promises=()))))
    assert ask(engine, Step(5, Resolve("c1", "ana")))


def test_what_was_waived_is_not_asked_for_again() -> None:
    """Neither when it is opened again nor when it ends without a word once more."""
    engine, _ = after(*ASSIGNED, Step(3, Resolve("c1", "ana", waive_reason="spam"), supervising=True))
    assert (c1(engine).unanswered, c1(engine).unanswered_since) == ((), None)
    ask(engine, Step(4, Reopen("c1", "ana")))
    assert ask(engine, Step(5, Resolve("c1", "", ""), supervising=True))


def receipt(message_id: str, status: DeliveryStatus = DeliveryStatus.FAILED) -> RecordReceipt:
    """What a provider says of a message of c1."""
    return RecordReceipt("r1", "c1", message_id, status, "")


def test_a_reply_that_never_arrived_answered_nothing() -> None:
    """Its customer waits as before, and so does the conversation for its end."""
    engine, _ = after(*ASSIGNED, Step(3, REPLY), Step(4, message("c1", "hello?")))
    ask(engine, Step(5, receipt("m1", DeliveryStatus.DELIVERED)))
    assert [one.seq for one in c1(engine).unanswered] == [7]
    ask(engine, Step(6, receipt("m1")))
    assert ([one.seq for one in c1(engine).unanswered], c1(engine).unanswered_since) == ([2, 7], at(1))
    assert ask(engine, Step(6, receipt("m1")))
    assert [one.seq for one in c1(engine).unanswered] == [2, 7]


def test_a_later_reply_answered_what_an_earlier_one_did_not_bring() -> None:
    """Everything before it, however often it was said."""
    more = message("c1", "hello?")
    engine, _ = after(*ASSIGNED, Step(3, REPLY), Step(4, more), Step(4, replace(REPLY, message_id="m2")))
    ask(engine, Step(5, receipt("m1")))
    assert ask(engine, Step(6, Resolve("c1", "ana")))


# -- merge


def test_the_earliest_beginning_goes_through_every_merge() -> None:
    """Of what ends in another; a third one knows it too."""
    engine, _ = after(*ONLINE, Step(1, message("c1")), Step(5, message("c2")), Step(9, message("c3")))
    ask(engine, Step(10, Merge("c1", "ana", "c2"), supervising=True))
    events = ask(engine, Step(11, Merge("c2", "ana", "c3"), supervising=True))
    absorbed = [e.payload for e in events if isinstance(e.payload, ConversationAbsorbed)]
    assert absorbed == [ConversationAbsorbed("c2", at(1), at(1), at(1))]
    assert engine.pool.conversations["c3"].unanswered_since == at(1)


def test_what_was_over_when_it_was_merged_began_nothing() -> None:
    """Its clocks had ended: an old beginning would be a missed promise of the other one."""
    engine, _ = after(*ASSIGNED, Step(3, REPLY), Step(4, Resolve("c1", "ana")), Step(9, message("c2")))
    events = ask(engine, Step(10, Merge("c1", "ana", "c2"), supervising=True))
    absorbed = [e.payload for e in events if isinstance(e.payload, ConversationAbsorbed)]
    assert absorbed == [ConversationAbsorbed("c1", at(9))]


# -- due times


def asked(conversation: str, text: str = "hello", **due: float) -> ReceiveMessage:
    """A message, with when an answer would be due: first_billing=60."""
    found: dict[str, list[tuple[str, datetime]]] = {"first": [], "next": []}
    for name, seconds in due.items():
        metric, _, team = name.partition("_")
        found[metric].append((team, at(seconds)))
    preview = DuePreview(tuple(found["first"]), tuple(found["next"]))
    return replace(message(conversation, text), due=preview)


def due_after(*steps: Step) -> ConversationQueued:
    """The last entry into a queue after these."""
    return queued(after(Step(0, Configure(EDF)), Step(0, SetPresence("ana", Presence.ONLINE)), *steps)[1])


def test_the_first_answer_is_due_by_its_own_promise_and_later_ones_by_theirs() -> None:
    """Which of the two applies is known to the engine: whether anybody has ever answered."""
    first = Step(1, asked("c1", first_billing=60, next_billing=30))
    assert due_after(first).due_at == at(60)
    over = (Step(2, AcceptOffer("c1", offer_id("c1", 4), "ana")), Step(3, REPLY), Step(4, Resolve("c1", "ana")))
    again = Step(5, asked("c1", "more", first_billing=90, next_billing=70))
    assert due_after(first, *over, again).due_at == at(70)


def test_a_due_time_is_of_the_team_it_was_asked_for() -> None:
    """Another team's is not known; back in the first one it is the old one."""
    given = (
        Step(1, asked("c1", first_billing=60, first_returns=90)),
        Step(2, AcceptOffer("c1", offer_id("c1", 4), "ana")),
    )
    moved = Step(3, Transfer("c1", "ana", "returns", "a return"))
    back = Step(4, Transfer("c1", "", "billing", "no return"), supervising=True)
    assert due_after(*given, moved).due_at is None
    assert due_after(*given, moved, back).due_at == at(60)
    assert due_after(*given, Step(3, Release("c1", "ana"))).due_at == at(60)


def test_why_there_is_no_due_time_is_recorded() -> None:
    """As a lookup's fallback is; a team in another order asks for none."""
    off = replace(message("c1"), due=DuePreview(fallback="deadline"))
    assert due_after(Step(1, off)).due_fallback == "deadline"
    assert queued(after(Step(0, Configure(configured())), Step(1, off))[1]).due_fallback == ""


def test_a_message_after_one_that_nobody_answered_has_no_due_time_of_its_own() -> None:
    """The older one is due first, and the preview says nothing of it."""
    nobody = replace(EDF, teams=(replace(EDF.teams[0], accept_without_agents=False),), agents=())
    given = (Step(0, Configure(nobody)), Step(1, message("c1")))
    waits = replace(nobody, version=2, teams=(EDF.teams[0],))
    _, log = after(*given, Step(2, Configure(waits)), Step(3, asked("c1", "more", first_billing=99)))
    assert (queued(log).due_at, queued(log).due_fallback) == (None, "")


def test_decisions_with_promises_are_decided_again_as_they_were() -> None:
    """From their stored events alone: the last word, the reason, the due time, the part with its question."""
    steps = (
        Step(1, asked("c1", first_billing=60)),
        Step(2, AcceptOffer("c1", offer_id("c1", 4), "ana")),
        Step(3, replace(REPLY, answers_through_seq=2)),
        Step(4, Resolve("c1", "ana", "m1", Content("Goodbye."))),
        Step(5, asked("c1", "more", next_billing=80)),
        Step(6, Split("c1", "ana", "c2", "returns", with_unanswered=True)),
        Step(7, message("c1", "again")),
        Step(8, Resolve("c1", "", waive_reason="spam"), supervising=True),
    )
    config = replace(EDF, promises=(ALL,))
    before, _ = after(Step(0, Configure(config)), Step(0, SetPresence("ana", Presence.ONLINE)))
    engine, log = after(Step(0, Configure(config)), Step(0, SetPresence("ana", Presence.ONLINE)))
    for step in steps:
        log = ask(engine, step)
        kept = [wire.from_pool_event(wire.to_pool_event(e, "acme/default", 1, e.occurred_at).SerializeToString())
                for e in log]  # fmt: skip
        for group in groups(kept):
            assert replay(before, group) is None, step
    assert before.pool == engine.pool


# -- a new configuration


def test_what_waits_for_a_preferred_agent_goes_on_waiting_when_its_team_gives_out_otherwise() -> None:
    """Only whether it is given out by itself is another."""
    engine, _ = after(Step(0, Configure(configured())), Step(1, message("c1")))
    c1(engine).preferred, c1(engine).preferred_until = ("ana",), at(99)
    by_hand = configured(2, teams=(replace(BILLING, auto_assign=False), RETURNS))
    found = queued(ask(engine, Step(5, Configure(by_hand))))
    assert (found.assigned_by_hand, found.preferred, found.preferred_until) == (True, ("ana",), at(99))
    assert (found.entered_at, found.reason) == (at(1), "CHANGED")


def test_a_version_that_changes_nothing_for_the_queue_moves_nobody() -> None:
    """Only what is given out otherwise is queued anew."""
    engine, _ = after(Step(0, Configure(configured())), Step(1, message("c1")))
    events = ask(engine, Step(5, Configure(configured(2, agents=[ANA]))))
    assert [e.conversation_id for e in events] == [""]
