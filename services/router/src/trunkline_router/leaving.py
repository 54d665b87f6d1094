"""A pool that the tenant's document has dropped: what is open there goes on in the pools that are left (routing 3.2).

It takes some at a time, oldest first; what comes meanwhile for one of them takes that one along at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import islice

from trunkline_router import changes, commands, handover, policies, refusals
from trunkline_router.changes import Decision
from trunkline_router.events import ConversationReopened, ConversationTransferred, NoteAdded, Payload
from trunkline_router.facts import ReopenReason, RescindReason
from trunkline_router.handed import ConversationHandedOver, TakeOver
from trunkline_router.inputs import (
    AddNote,
    Body,
    ChangeAttributes,
    ConversationCommand,
    ReceiveMessage,
    Reopen,
    StartConversation,
    Tick,
)
from trunkline_router.pool import ENDED, Conversation, Pool, Status
from trunkline_router.state import Engine

BATCH = 200  # conversations that go in one transaction
REASON = "pool removed"


def destination(pool: Pool, account: str, team: str = "") -> tuple[str, str]:
    """The pool of the account's team, else of its own, else any that is left; its own team where that is there, too."""
    places = dict(pool.config.elsewhere)
    chosen = next(t for t in (pool.accounts.get(account, ""), team, min(places)) if t in places)
    return places[chosen], team if places.get(team) == places[chosen] else chosen


def onward(engine: Engine, body: Body, now: datetime) -> Decision:
    """What goes on elsewhere after an input was decided: what is next in turn, or what the input was about."""
    pool, names = engine.pool, list[str]()
    match body:
        case Tick():
            still = (name for name in engine.leaving if pool.conversations[name].status not in ENDED)
            names = list(islice(still, BATCH))
        case ReceiveMessage() | TakeOver() | Reopen():
            found = pool.surviving(body.conversation_id)
            names = [found.id] if found is not None else []
        case _:
            pass
    going = (pool.conversations[name] for name in names)
    return [(c.id, p) for c in going if _goes(c, body) for p in _away(pool, c, body, now)]


def _goes(c: Conversation, body: Body) -> bool:
    """What begins here, or began again, is to be routed, too."""
    return c.status not in ENDED or (c.status is Status.NEW and not isinstance(body, Tick))


def _away(pool: Pool, c: Conversation, body: Body, now: datetime) -> list[Payload]:
    to_pool, team = destination(pool, c.account, c.team)
    taken_back = changes.rescinds(c, RescindReason.TRANSFERRED)
    moved = ConversationTransferred(c.team, c.agent, team, REASON)
    keeps_place = c.status is not Status.NEW or isinstance(body, TakeOver)
    state = handover.state_of(c, c.seq + len(taken_back) + 2, c.transfers)
    going = replace(state, entered_at=c.entered_at if keeps_place else now)
    return [*taken_back, moved, ConversationHandedOver(to_pool, team, "", going)]


def decide(engine: Engine, command: ConversationCommand, now: datetime) -> Decision:
    """What may be asked here still: of what has ended only what needs no team. Raises Refusal.

    What is open may be asked again: the answer comes from where it goes.
    """
    if isinstance(command, StartConversation):  # asked for as the document was a moment ago
        raise refusals.moved(command.conversation_id, destination(engine.pool, command.account)[0])
    c = commands.known_conversation(engine, command.conversation_id)
    if c.status not in ENDED:
        raise refusals.moved(c.id, destination(engine.pool, c.account, c.team)[0])
    return [(c.id, p) for p in _ended(engine, c, command, now)]


def _ended(engine: Engine, c: Conversation, command: ConversationCommand, now: datetime) -> list[Payload]:
    match command:
        case Reopen():
            ended = c.status is Status.RESOLVED and not c.merged_into
            same = policies.same_cycle(engine, c, now)
            return [ConversationReopened(ReopenReason.AGENT, same_cycle=same)] if ended else []
        case AddNote(_, agent_id, note_id, text):
            return [NoteAdded(note_id, agent_id, text)]
        case ChangeAttributes():
            return changes.attributes(engine, c, command, now)
        case _:
            raise refusals.wrong_status(c, "reopen it first")
