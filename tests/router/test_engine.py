"""Every input of a pool, given what happened before: the events that follow, compared whole, or the refusal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from trunkline_router.engine import SYSTEM
from trunkline_router.events import (
    ConversationAssigned,
    ConversationReleased,
    ConversationReopened,
    ConversationResolved,
    ConversationTransferred,
    DeliveryUpdated,
    Event,
    ExclusionsCleared,
    MessageSent,
    NoteAdded,
    OfferDeclined,
    OfferRescinded,
    OfferTimedOut,
    Payload,
)
from trunkline_router.facts import Content, DeliveryStatus, Presence, QueueReason, ReopenReason, RescindReason
from trunkline_router.inputs import (
    AcceptOffer,
    AddNote,
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
from trunkline_router.pool_events import AgentPresenceChanged, AgentStoppedResponding, ReofferPostponed
from trunkline_router.refusals import Refusal

from tests.router.given import (
    ANA,
    BEN,
    CUSTOMER,
    RETURNS,
    Step,
    after,
    ask,
    at,
    configured,
    message,
    offer,
    offer_id,
    received,
    started,
    waits,
)

O1 = offer_id("c1", 4)
CONFIGURED = (Step(0, Configure(configured())),)
QUEUED = (*CONFIGURED, Step(1, message("c1")))
ONLINE = (*CONFIGURED, Step(0, SetPresence("ana", Presence.ONLINE)))
OFFERED = (*ONLINE, Step(1, message("c1")))
ASSIGNED = (*OFFERED, Step(2, AcceptOffer("c1", O1, "ana")))
RESOLVED = (*ASSIGNED, Step(3, Resolve("c1", "ana")))
TIMED_OUT = (*OFFERED, Step(21, Tick()))
BOTH = (*OFFERED, Step(1, SetPresence("ben", Presence.ONLINE)))
BEN_ONLINE = (*CONFIGURED, Step(0, SetPresence("ben", Presence.ONLINE)))
#: Ana let three offers of c1 pass: at 21, 101 and 181, each made as soon as she may be asked again.
THREE_MISSED = (*TIMED_OUT, Step(81, Tick()), Step(101, Tick()), Step(161, Tick()))
SILENT = (*THREE_MISSED, Step(181, Tick()))
CARLA = replace(ANA, id="carla", capacity=3)
STOPPED: tuple[tuple[str, Payload], ...] = (("", AgentStoppedResponding("carla")),)
THREE_AT_ONCE = (
    Step(0, Configure(configured(agents=[CARLA]))),
    Step(0, SetPresence("carla", Presence.ONLINE)),
    *(Step(1, message(c)) for c in ("c1", "c2", "c3")),
)


def queued(reason: QueueReason, entered: float, team: str = "billing", **more: Any) -> tuple[str, Payload]:
    """c1 waits."""
    return "c1", waits(team, reason, at(entered), **more)


def rescinded(reason: RescindReason) -> tuple[str, Payload]:
    """The offer of c1 to ana is taken back."""
    return "c1", OfferRescinded(O1, "ana", reason)


ENDED = queued(QueueReason.OFFER_ENDED, 1)
REPLY = SendReply("c1", "ana", "m1", Content("hi"))
SENT = ("c1", MessageSent("m1", "ana", Content("hi"), "app", "app"))
TO_RETURNS = Transfer("c1", "ana", "returns", "a return")
TRANSFERRED = [
    ("c1", ConversationTransferred("billing", "ana", "returns", "a return")),
    queued(QueueReason.TRANSFERRED, 5, "returns"),
]
REOPENED_BY_AGENT = [("c1", ConversationReopened(ReopenReason.AGENT)), queued(QueueReason.REOPENED, 5)]
WITHOUT_ANA, WITHOUT_BILLING = configured(2, agents=[BEN]), configured(2, teams=[RETURNS], account="returns")
FEWER = configured(2, agents=[replace(BEN, capacity=0), ANA])


@dataclass(frozen=True)
class Case:
    """A fact: after `given`, `when` leads to `then`."""

    fact: str
    given: tuple[Step, ...]
    when: Step
    then: list[tuple[str, Payload]]


CASES = [
    # configuration
    Case("a configuration is put in force", (), Step(0, Configure(configured())), [("", configured())]),
    Case("a version that is in force changes nothing", CONFIGURED, Step(1, Configure(configured())), []),
    Case("a removed agent's offer is taken back and the work waits in its old place", OFFERED,
         Step(5, Configure(WITHOUT_ANA)),
         [("", WITHOUT_ANA), rescinded(RescindReason.AGENT_REMOVED), ENDED]),
    Case("a removed agent's conversation waits again", ASSIGNED, Step(5, Configure(WITHOUT_ANA)),
         [("", WITHOUT_ANA), ("c1", ConversationReleased("ana", "agent removed")), queued(QueueReason.AGENT_LOST, 1)]),
    Case("a removed team's waiting work goes to the first team that is left", QUEUED,
         Step(5, Configure(WITHOUT_BILLING)),
         [("", WITHOUT_BILLING), queued(QueueReason.TEAM_REMOVED, 1, "returns")]),
    Case("a removed team's running offer is taken back", OFFERED, Step(5, Configure(WITHOUT_BILLING)),
         [("", WITHOUT_BILLING), rescinded(RescindReason.TRANSFERRED), queued(QueueReason.TEAM_REMOVED, 1, "returns")]),
    Case("who has a conversation of a removed team keeps it", ASSIGNED, Step(5, Configure(WITHOUT_BILLING)),
         [("", WITHOUT_BILLING)]),
    Case("less capacity takes nothing away", ASSIGNED, Step(5, Configure(FEWER)), [("", FEWER)]),
    Case("a new agent who is not online gets nothing", QUEUED, Step(5, Configure(configured(2))),
         [("", configured(2))]),
    # presence
    Case("an agent goes online", CONFIGURED, Step(1, SetPresence("ana", Presence.ONLINE)),
         [("", AgentPresenceChanged("ana", Presence.ONLINE))]),
    Case("an agent who is online stays so", ONLINE, Step(1, SetPresence("ana", Presence.ONLINE)), []),
    Case("going online serves who waits", QUEUED, Step(5, SetPresence("ana", Presence.ONLINE)),
         [("", AgentPresenceChanged("ana", Presence.ONLINE)), offer("c1", 4, "ana", 25)]),
    Case("going offline takes the running offer back", OFFERED, Step(5, SetPresence("ana", Presence.OFFLINE)),
         [("", AgentPresenceChanged("ana", Presence.OFFLINE)), rescinded(RescindReason.AGENT_OFFLINE), ENDED]),
    Case("going offline keeps what is assigned", ASSIGNED, Step(5, SetPresence("ana", Presence.OFFLINE)),
         [("", AgentPresenceChanged("ana", Presence.OFFLINE))]),
    Case("going away keeps the running offer", OFFERED, Step(5, SetPresence("ana", Presence.AWAY)),
         [("", AgentPresenceChanged("ana", Presence.AWAY))]),
    Case("what an agent who left was offered goes to the next", BOTH, Step(5, SetPresence("ana", Presence.OFFLINE)),
         [("", AgentPresenceChanged("ana", Presence.OFFLINE)), rescinded(RescindReason.AGENT_OFFLINE), ENDED,
          offer("c1", 7, "ben", 25)]),
    # messages and receipts
    Case("a first message starts a conversation that waits", CONFIGURED, Step(1, message("c1")), started("c1", 1)),
    Case("a first message is offered at once where somebody is free", ONLINE, Step(1, message("c1")),
         [*started("c1", 1), offer("c1", 4, "ana", 21)]),
    Case("no offer goes beyond an agent's capacity", OFFERED, Step(2, message("c2")), started("c2", 2)),
    Case("a second message of a waiting conversation is only received", QUEUED, Step(2, message("c1", "still?")),
         [("c1", received("c1", "still?"))]),
    Case("a second message of an assigned conversation is only received", ASSIGNED, Step(3, message("c1", "thanks")),
         [("c1", received("c1", "thanks"))]),
    Case("a message reopens a resolved conversation, first in the log", RESOLVED, Step(5, message("c1", "again")),
         [("c1", ConversationReopened(ReopenReason.CUSTOMER_MESSAGE)), ("c1", received("c1", "again")),
          queued(QueueReason.REOPENED, 5, preferred=("ana",)), offer("c1", 10, "ana", 25)]),
    Case("a receipt is written down", ASSIGNED, Step(3, RecordReceipt("r1", "c1", "m1", DeliveryStatus.FAILED, "gone")),
         [("c1", DeliveryUpdated("m1", DeliveryStatus.FAILED, "gone"))]),
    Case("a receipt of an unknown conversation is nothing", ONLINE,
         Step(3, RecordReceipt("r1", "c9", "m1", DeliveryStatus.READ, "")), []),
    # offers
    Case("accepting assigns", OFFERED, Step(2, AcceptOffer("c1", O1, "ana")),
         [("c1", ConversationAssigned("ana", "billing", O1))]),
    Case("accepting twice changes nothing", ASSIGNED, Step(3, AcceptOffer("c1", O1, "ana")), []),
    Case("declining puts the work back in its old place", OFFERED, Step(5, DeclineOffer("c1", O1, "ana", "lunch")),
         [("c1", OfferDeclined(O1, "ana", "lunch")), ENDED]),
    Case("declining asks the next", BOTH, Step(5, DeclineOffer("c1", O1, "ana", "")),
         [("c1", OfferDeclined(O1, "ana", "")), ENDED, offer("c1", 7, "ben", 25)]),
    Case("an offer lasts until its end", OFFERED, Step(20.9, Tick()), []),
    Case("an offer ends in time", OFFERED, Step(21, Tick()), [("c1", OfferTimedOut(O1, "ana")), ENDED]),
    Case("an ended offer asks the next", BOTH, Step(21, Tick()),
         [("c1", OfferTimedOut(O1, "ana")), ENDED, offer("c1", 7, "ben", 41)]),
    Case("who missed an offer is not asked again at once", TIMED_OUT, Step(80.9, Tick()), []),
    Case("who missed an offer is asked again after a minute", TIMED_OUT, Step(81, Tick()),
         [("c1", ExclusionsCleared()), offer("c1", 8, "ana", 101)]),
    Case("the third miss in a row ends the asking", THREE_MISSED, Step(181, Tick()),
         [("c1", OfferTimedOut(offer_id("c1", 12), "ana")), ("", AgentStoppedResponding("ana")), ENDED]),
    Case("three offers missed at once end the asking, once", THREE_AT_ONCE, Step(21, Tick()),
         [entry for c in ("c1", "c2", "c3") for entry in (
             (c, OfferTimedOut(offer_id(c, 4), "carla")),
             *(STOPPED if c == "c3" else ()),
             (c, waits("billing", QueueReason.OFFER_ENDED, at(1))))]),
    Case("who does not respond is not asked, nor is anybody again before a whole interval has passed", SILENT,
         Step(300, Tick()), [("", ReofferPostponed("c1", at(301)))]),
    Case("who does not respond and says they are online responds again", SILENT,
         Step(300, SetPresence("ana", Presence.ONLINE)), [("", AgentPresenceChanged("ana", Presence.ONLINE))]),
    Case("who responds again is asked again at the next look",
         (*SILENT, Step(300, SetPresence("ana", Presence.ONLINE))), Step(301, Tick()),
         [("c1", ExclusionsCleared()), offer("c1", 16, "ana", 321)]),
    Case("who does not respond and is offline stays so", (*SILENT, Step(200, SetPresence("ana", Presence.OFFLINE))),
         Step(300, SetPresence("ana", Presence.OFFLINE)), []),
    # what the desk does
    Case("the assigned agent replies", ASSIGNED, Step(5, REPLY), [SENT]),
    Case("a supervisor replies for another", ASSIGNED, Step(5, replace(REPLY, agent_id="ben"), supervising=True),
         [("c1", MessageSent("m1", "ben", Content("hi"), "app", "app"))]),
    Case("a note is added by anyone, whatever the status", RESOLVED, Step(5, AddNote("c1", "ben", "n1", "called")),
         [("c1", NoteAdded("n1", "ben", "called"))]),
    Case("a transfer gives the conversation to the other team's queue", ASSIGNED, Step(5, TO_RETURNS), TRANSFERRED),
    Case("a transfer is offered at once where somebody is free",
         (*ASSIGNED, Step(2, SetPresence("ben", Presence.ONLINE))), Step(5, TO_RETURNS),
         [*TRANSFERRED, offer("c1", 8, "ben", 35)]),
    Case("a supervisor's transfer takes the running offer back", OFFERED, Step(5, TO_RETURNS, supervising=True),
         [rescinded(RescindReason.TRANSFERRED), ("c1", ConversationTransferred("billing", "", "returns", "a return")),
          queued(QueueReason.TRANSFERRED, 5, "returns")]),
    Case("the assigned agent resolves", ASSIGNED, Step(5, Resolve("c1", "ana")),
         [("c1", ConversationResolved("ana", "billing"))]),
    Case("resolving twice changes nothing", RESOLVED, Step(5, Resolve("c1", "ana")), []),
    Case("resolving frees room for who waits", (*ASSIGNED, Step(3, message("c2"))), Step(5, Resolve("c1", "ana")),
         [("c1", ConversationResolved("ana", "billing")), offer("c2", 4, "ana", 25)]),
    Case("resolving takes the running offer back", OFFERED, Step(5, Resolve("c1", "ana"), supervising=True),
         [rescinded(RescindReason.RESOLVED), ("c1", ConversationResolved("ana", "billing"))]),
    Case("an agent reopens", (*RESOLVED, Step(4, SetPresence("ana", Presence.OFFLINE))), Step(5, Reopen("c1", "ben")),
         REOPENED_BY_AGENT),
    Case("reopening an open conversation changes nothing", ASSIGNED, Step(5, Reopen("c1", "ana")), []),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fact)
def test_what_follows(case: Case) -> None:
    """The fact is in the case."""
    engine, _ = after(*case.given)
    assert [(e.conversation_id, e.payload) for e in ask(engine, case.when)] == case.then


REFUSED = [
    ("an unknown agent", ONLINE, SetPresence("zoe", Presence.ONLINE), "AGENT_NOT_FOUND", {"agent_id": "zoe"}),
    ("an unknown conversation", ONLINE, Resolve("c9", "ana"), "CONVERSATION_NOT_FOUND", {"conversation_id": "c9"}),
    ("an unknown team", ASSIGNED, Transfer("c1", "ana", "nobody", "x"), "TEAM_NOT_FOUND", {"team": "nobody"}),
    ("accepting too late", TIMED_OUT, AcceptOffer("c1", O1, "ana"), "OFFER_ENDED",
     {"offer_id": O1, "status": "QUEUED", "assigned_agent": ""}),
    ("accepting what another has", (*BOTH, Step(2, DeclineOffer("c1", O1, "ana", "")),
                                    Step(3, AcceptOffer("c1", offer_id("c1", 7), "ben"))),
     AcceptOffer("c1", O1, "ana"), "OFFER_ENDED", {"offer_id": O1, "status": "ASSIGNED", "assigned_agent": "ben"}),
    ("accepting another's offer", OFFERED, AcceptOffer("c1", O1, "ben"), "OFFER_OF_ANOTHER", {"offer_id": O1}),
    ("declining another's offer", OFFERED, DeclineOffer("c1", O1, "ben", ""), "OFFER_OF_ANOTHER", {"offer_id": O1}),
    ("declining twice", (*OFFERED, Step(2, DeclineOffer("c1", O1, "ana", ""))), DeclineOffer("c1", O1, "ana", ""),
     "OFFER_ENDED", {"offer_id": O1, "status": "QUEUED", "assigned_agent": ""}),
    ("replying before accepting", OFFERED, REPLY, "CONVERSATION_STATUS",
     {"conversation_id": "c1", "status": "OFFERED", "assigned_agent": ""}),
    ("replying for another", ASSIGNED, replace(REPLY, agent_id="ben"), "NOT_ASSIGNED",
     {"conversation_id": "c1", "assigned_agent": "ana"}),
    ("transferring another's conversation", ASSIGNED, replace(TO_RETURNS, agent_id="ben"), "NOT_ASSIGNED",
     {"conversation_id": "c1", "assigned_agent": "ana"}),
    ("transferring what is resolved", RESOLVED, TO_RETURNS, "CONVERSATION_STATUS",
     {"conversation_id": "c1", "status": "RESOLVED", "assigned_agent": ""}),
    ("resolving another's conversation", ASSIGNED, Resolve("c1", "ben"), "NOT_ASSIGNED",
     {"conversation_id": "c1", "assigned_agent": "ana"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "given", "body", "reason", "facts"), REFUSED, ids=lambda v: v if " " in str(v) else ""
)
def test_what_is_refused_changes_nothing_and_says_why(
    fact: str, given: tuple[Step, ...], body: object, reason: str, facts: dict[str, str]
) -> None:
    """The reason and every fact the caller lacked."""
    engine, _ = after(*given)
    before, _ = after(*given)
    with pytest.raises(Refusal, match=r"\w") as refusal:
        ask(engine, Step(200, body))  # type: ignore[arg-type] # the table holds commands
    assert (fact, refusal.value.reason, refusal.value.facts) == (fact, reason, facts)
    assert engine.pool == before.pool


def test_events_carry_order_cause_actor_and_configuration() -> None:
    """The whole of each event, for one input that leads to an offer."""
    engine, _ = after(*ONLINE)
    begun, said, waits = (payload for _, payload in started("c1", 1))
    made = offer("c1", 4, "ana", 21)[1]
    assert ask(engine, Step(1, message("c1"))) == [
        Event(3, "c1", 1, at(1), "cause", CUSTOMER, 1, begun),
        Event(4, "c1", 2, at(1), "cause", CUSTOMER, 1, said),
        Event(5, "c1", 3, at(1), "cause", CUSTOMER, 1, waits),
        Event(6, "c1", 4, at(1), "cause", SYSTEM, 1, made),
    ]
