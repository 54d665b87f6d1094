"""Watchers: what they are told of each event, and what they missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.auth import Caller, set_caller
from trunkline_common.errors import Refused
from trunkline_common.pages import PageTokens
from trunkline_router import inputs, wire
from trunkline_router.engine import handle
from trunkline_router.events import Event
from trunkline_router.facts import Presence
from trunkline_router.fold import evolve
from trunkline_router.gap import Gap
from trunkline_router.inputs import Body, Configure, Input, Tick
from trunkline_router.pool import Pool
from trunkline_router.requests import Watch
from trunkline_router.routing import AgentConfig
from trunkline_router.server_watch import WatchCalls
from trunkline_router.standing import NOWHERE, after, standing
from trunkline_router.state import Engine
from trunkline_router.subjects import Change, Subject, WatchedAgent, WatchedQueue, WatchedTeam
from trunkline_router.watch import BUFFER, LONGEST, QUIET, Watcher, Watchers

from tests.router.given import ANA, BEN, BILLING, DESK, POOL, START, at, configured, message, offer_id

ONLINE, OFFLINE = Presence.ONLINE, Presence.OFFLINE


class Scene:
    """An engine whose log is kept, and whoever watches it."""

    def __init__(self) -> None:
        self.engine, self.watchers = Engine(Pool(POOL)), Watchers()
        self.log: list[Event] = []
        self.told: list[tuple[Watcher, Change | Refused]] = []
        self.do(0, Configure(configured()))

    def do(self, seconds: float, *bodies: Body, supervising: bool = True) -> None:
        """Ask one thing after the other."""
        for body in bodies:
            events = handle(self.engine, Input(body, "test", DESK, supervising), at(seconds))
            self.log += events
            self.told += self.watchers.changes(self.engine, events)

    def watch(self, subject: Subject) -> Watcher:
        """A watcher from now on."""
        watcher = Watcher(POOL, subject)
        self.watchers.add(watcher, self.engine)
        return watcher

    def heard(self, watcher: Watcher) -> list[Any]:
        """What the watcher was told."""
        return [change for who, change in self.told if who is watcher]


def a_busy_day(scene: Scene) -> None:
    """Nearly everything that can happen to conversations and agents."""
    scene.do(1, inputs.SetPresence("ana", ONLINE), message("a"), message("b"))
    scene.do(2, inputs.AcceptOffer("a", offer_id("a", 4), "ana"), message("c"), message("a", "more"))
    scene.do(3, inputs.SetPresence("ben", ONLINE), inputs.Release("a", "ana"))
    scene.do(30, Tick())
    scene.do(31, inputs.Assign("b", "ben", "ben"), inputs.Snooze("b", "ben", at(60)))
    scene.do(32, inputs.Transfer("c", "ana", "returns", "theirs"), inputs.ChangeAttributes("c", "ana", add_tags=("x",)))
    scene.do(61, Tick())
    scene.do(62, inputs.ScheduleCallback("a", "ana", at(90), at(100), "billing"), inputs.Resolve("b", "ben"))
    scene.do(63, inputs.SetPresence("ben", OFFLINE), inputs.Split("c", "ana", "d", "billing"))
    scene.do(64, inputs.PutAgent(AgentConfig("zoe", "Zoe", ("billing",), 2, by_api=True)))
    scene.do(65, inputs.SetPresence("zoe", ONLINE), inputs.Reopen("b", "ana"), Tick())
    scene.do(91, Tick(), inputs.Merge("d", "ana", "b"), inputs.EndWrapUp("ana"))
    scene.do(200, Tick(), inputs.SetAccepting("ana", accepting=False))


def its_end(scene: Scene) -> None:
    """Agents go."""
    scene.do(300, inputs.DeleteAgent("zoe"))
    scene.do(301, Configure(configured(2, agents=(ANA,))))


def test_where_a_conversation_stands_by_its_log_is_where_it_stands() -> None:
    """After every single event of a day."""
    scene = Scene()
    a_busy_day(scene)
    its_end(scene)
    again, stands = Engine(Pool(POOL)), dict.fromkeys("abcd", NOWHERE)
    for event in scene.log:
        evolve(again, event)
        if event.conversation_id:
            stands[event.conversation_id] = after(stands[event.conversation_id], event.payload)
        for name, conversation in again.pool.conversations.items():
            assert stands[name] == standing(conversation), event
    assert len({type(e.payload) for e in scene.log}) > 18


def test_a_queues_watcher_hears_who_comes_what_changes_and_who_leaves() -> None:
    """Each change with the conversation as it is then."""
    scene = Scene()
    watcher = scene.watch(WatchedQueue("billing"))
    scene.do(1, message("a"), message("a", "hurry"))
    scene.do(2, inputs.Transfer("a", "ana", "returns", "theirs"), message("b"))
    scene.do(3, inputs.SetPresence("ana", ONLINE))
    heard = [(c.WhichOneof("change"), getattr(c, c.WhichOneof("change")).conversation_id) for c in scene.heard(watcher)]
    assert heard == [("entered", "a"), ("changed", "a"), ("left", "a"), ("entered", "b"), ("left", "b")]
    assert [c.pool_seq for c in scene.heard(watcher)] == sorted({c.pool_seq for c in scene.heard(watcher)})
    assert scene.heard(watcher)[-1].left.offered_agent_id == "ana"


def test_a_teams_pulse_shows_who_is_there_with_what_and_how_many_wait() -> None:
    """And says nothing of other teams."""
    scene = Scene()
    (pulse,) = WatchedTeam("billing").snapshot(scene.engine)
    assert [a.agent_id for a in pulse.snapshot.agents] == ["ana", "ben"]  # type: ignore[union-attr] # a team's
    watcher, other = scene.watch(WatchedTeam("billing")), scene.watch(WatchedTeam("returns"))
    scene.do(1, message("a"), message("b"))
    assert [c.pulse.queue.waiting for c in scene.heard(watcher)] == [1, 2]
    scene.do(2, inputs.SetPresence("ana", ONLINE))
    last = scene.heard(watcher)[-1].pulse
    assert [(a.agent_id, a.load, list(a.conversation_ids)) for a in last.agents] == [("ana", 1, ["a"])]
    assert (last.queue.waiting, last.queue.first_entered_at.ToDatetime()) == (1, START.replace(tzinfo=None, second=1))
    assert scene.heard(other) == []
    scene.do(3, message("a", "a message moves no work"))
    assert scene.heard(watcher)[-1].pulse == last


def test_the_token_of_a_watch_that_nothing_concerns_stays_valid() -> None:
    """In a pool that goes on; who hears something anyway is told nothing more."""
    scene = Scene()
    scene.do(1, message("a"))
    subjects: list[Subject] = [WatchedQueue("returns"), WatchedTeam("returns"), WatchedAgent("ben")]
    quiet, busy = [scene.watch(s) for s in subjects], scene.watch(WatchedQueue("billing"))
    begun = scene.engine.pool.seq
    for number in range(LONGEST + QUIET):
        scene.do(2, inputs.AddNote("a", "ana", f"n{number}", "still looking"))
        if number % 100 == 0:
            for watcher in quiet:
                last = scene.heard(watcher)[-1].pool_seq if scene.heard(watcher) else begun
                assert scene.engine.pool.seq - last < 2 * QUIET
    for watcher in quiet:
        changes = scene.heard(watcher)
        assert [c.pool_seq - begun for c in changes] == list(range(QUIET, LONGEST + QUIET + 1, QUIET))
        assert {c.WhichOneof("change") for c in changes} == {None}
    assert {c.WhichOneof("change") for c in scene.heard(busy)} == {"changed"}


@pytest.mark.parametrize(("events", "told"), [(QUIET - 1, []), (QUIET, [QUIET])])
def test_a_watch_that_goes_on_and_missed_nothing_of_its_own_gets_a_newer_token(events: int, told: list[int]) -> None:
    """Otherwise it would begin with one that is about to expire."""
    scene = Scene()
    scene.do(1, message("a"))
    since = scene.engine.pool.seq
    for number in range(events):
        scene.do(2, inputs.AddNote("a", "ana", f"n{number}", "still looking"))
    missed = Gap(POOL, since, scene.log[since:]).changes(scene.engine, WatchedQueue("returns"))
    assert [c.pool_seq - since for c in missed if not isinstance(c, Refused)] == told


def test_an_agent_who_is_made_moved_or_removed_is_seen_by_their_team() -> None:
    """They come, and they are gone."""
    scene = Scene()
    watcher, zoe = scene.watch(WatchedTeam("billing")), AgentConfig("zoe", "Zoe", ("billing",), 2, by_api=True)
    scene.do(1, inputs.PutAgent(zoe))
    watching_zoe = scene.watch(WatchedAgent("zoe"))
    scene.do(2, inputs.DeleteAgent("zoe"))
    came, gone = (c.pulse for c in scene.heard(watcher))
    assert ([a.agent_id for a in came.agents], list(gone.gone_agent_ids)) == (["zoe"], ["zoe"])
    assert [c.reason for c in scene.heard(watching_zoe)] == ["AGENT_NOT_FOUND"]


def test_a_new_configuration_shows_the_whole_again_or_ends_the_watch() -> None:
    """A team that is gone cannot be watched."""
    scene = Scene()
    billing, returns = scene.watch(WatchedTeam("billing")), scene.watch(WatchedQueue("returns"))
    scene.do(1, Configure(configured(2, teams=(BILLING,), agents=(ANA,))))
    assert [a.agent_id for a in scene.heard(billing)[0].snapshot.agents] == ["ana"]
    assert [c.reason for c in scene.heard(returns)] == ["TEAM_NOT_FOUND"]


class Log:
    """The pool's log as PostgreSQL would answer for it."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = list(events)

    async def fetch(self, sql: str, *values: Any) -> list[dict[str, bytes]]:
        """The two questions of a gap."""
        if "any($1)" in sql:
            names, _, until = values
            found = [e for e in self._events if e.conversation_id in names and e.pool_seq <= until]
        else:
            _, since, most = values
            found = [e for e in self._events if e.pool_seq > since][:most]
        return [{"event": wire.to_pool_event(e, POOL, 1, START).SerializeToString()} for e in found]


def missed(scene: Scene, subject: Subject, since: int, split: int) -> list[Any]:
    """What a watcher is told that heard the last of `since`; the log is read in two goes, its end is not in it yet."""
    gap, written = Gap(POOL, since), len(scene.log) - 4
    unwritten = [wire.to_pool_event(e, POOL, 1, START).SerializeToString() for e in scene.log[max(since, written) :]]

    async def read() -> None:
        await gap.read_on(Log(scene.log[:split]))  # type: ignore[arg-type] # it answers fetch
        await gap.read_on(Log(scene.log[:written]), unwritten)  # type: ignore[arg-type] # it answers fetch

    asyncio.run(read())
    return gap.changes(scene.engine, subject)


SUBJECTS = [*(WatchedAgent(a) for a in ("ana", "ben", "zoe")), WatchedQueue("billing"), WatchedTeam("returns")]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: f"{s.method}-{s.name}")
def test_who_was_cut_off_is_told_what_the_others_were_told(subject: Subject) -> None:
    """From wherever in the day: the same changes, each once, in order."""
    scene = Scene()
    watcher = scene.watch(subject)
    a_busy_day(scene)
    heard = [(c.pool_seq, c.WhichOneof("change")) for c in scene.heard(watcher)]
    assert len(heard) > 4
    for since in range(1, len(scene.log) - 4, 3):
        again = missed(scene, subject, since, (since + len(scene.log)) // 2 - 3)
        assert [(c.pool_seq, c.WhichOneof("change")) for c in again] == [h for h in heard if h[0] > since]


def test_who_comes_back_after_a_new_configuration_is_shown_the_whole() -> None:
    """What was before it may concern agents and teams that are gone; a watch of one of those ends."""
    scene = Scene()
    a_busy_day(scene)
    its_end(scene)
    whole = [c for c in missed(scene, WatchedTeam("billing"), 5, 20) if c.HasField("snapshot")]
    assert [a.agent_id for a in whole[-1].snapshot.agents] == ["ana"]
    assert isinstance(missed(scene, WatchedAgent("zoe"), 5, 20)[-1], Refused)


def test_a_log_that_does_not_reach_back_is_said_to() -> None:
    """Rather than a hole."""
    scene = Scene()
    a_busy_day(scene)
    whole, scene.log = scene.log, scene.log[10:]
    with pytest.raises(Refused) as refused:
        missed(scene, WatchedQueue("billing"), 5, 20)
    assert (refused.value.code, refused.value.reason) == ("OUT_OF_RANGE", "WATCH_EXPIRED")
    scene.log = whole
    with pytest.raises(Refused, match="watch again"):
        missed(scene, WatchedQueue("billing"), len(whole) + 5, 20)


async def test_a_watcher_that_does_not_read_is_cut_off_and_one_whose_owner_changes_too() -> None:
    """UNAVAILABLE: watch again with the last token."""
    slow, watchers, scene = Watcher(POOL, WatchedAgent("ana")), Watchers(), Scene()
    watchers.add(slow, scene.engine)
    for _ in range(BUFFER + 5):
        slow.tell(api.WatchAgentResponse())
    for _ in range(BUFFER):
        await slow.next()
    with pytest.raises(Refused) as refused:
        await slow.next()
    assert refused.value.code == "UNAVAILABLE"
    other = Watcher(POOL, WatchedAgent("ben"))
    watchers.add(other, scene.engine)
    watchers.end()
    with pytest.raises(Refused, match="owner"):
        await other.next()
    watchers.remove(other)


def test_nothing_is_kept_of_a_pool_that_nobody_watches() -> None:
    """Neither watchers nor where its conversations stand."""
    scene = Scene()
    watcher = scene.watch(WatchedAgent(BEN.id))
    scene.do(1, message("a"))
    scene.watchers.remove(watcher)
    scene.do(2, inputs.SetPresence("ben", ONLINE))
    assert scene.heard(watcher) == []
    assert scene.watchers.changes(scene.engine, scene.log) == []


class Owner:
    """Answers as the pool's owner does: the watch begins inside a transaction, the answer comes after COMMIT."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.taken, self.begins, self.commits = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def owns(self, _key: str) -> bool:
        """All."""
        return True

    def forwarding(self, *_args: Any) -> None:
        """Nowhere."""

    async def ask(self, _key: str, content: Watch, *_args: Any) -> Any:
        """As a worker: whoever asked may go away, the transaction goes on."""
        return await asyncio.shield(asyncio.create_task(self._transaction(content)))

    async def _transaction(self, content: Watch) -> Any:
        self.taken.set()
        await self.begins.wait()
        answer = content.subscribe(self._scene.engine, self._scene.watchers)
        await self.commits.wait()
        return answer


@pytest.mark.parametrize("begun", [False, True])
async def test_nothing_is_kept_of_who_goes_away_before_their_watch_is_committed(begun: bool) -> None:
    """Neither where the watch had begun, nor where it begins only afterwards."""
    set_caller(Caller("acme", "supervisor", "sam", ""))
    scene = Scene()
    owner = Owner(scene)
    calls: Any = WatchCalls(owner, None, PageTokens(bytes(32)), None)  # type: ignore[arg-type] # no log, no directory
    stream = calls._stream(asks.WatchQueueRequest(team="billing"), None, POOL, WatchedQueue("billing"))
    asking = asyncio.create_task(anext(stream))
    await owner.taken.wait()
    if begun:
        owner.begins.set()
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    owner.begins.set()
    owner.commits.set()
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    scene.do(1, message("a"))
    assert scene.told == []


async def test_a_large_teams_snapshot_comes_in_parts_and_only_the_last_has_a_token() -> None:
    """Each fits into an answer; who is cut off in between begins again."""
    set_caller(Caller("acme", "supervisor", "sam", ""))
    many = [AgentConfig(f"a{n:04}", "x" * 1000, ("billing",), 1) for n in range(2500)]
    scene = Scene()
    scene.do(0, Configure(configured(2, agents=many)))
    owner = Owner(scene)
    owner.begins.set()
    owner.commits.set()
    calls: Any = WatchCalls(owner, None, PageTokens(bytes(32)), None)  # type: ignore[arg-type] # no log, no directory
    stream = calls._stream(asks.WatchTeamRequest(team="billing"), None, POOL, WatchedTeam("billing"))
    parts = [await anext(stream) for _ in range(3)]
    await stream.aclose()
    assert [(p.WhichOneof("change"), p.continues, bool(p.resume_token)) for p in parts] == [
        ("snapshot", True, False),
        ("pulse", True, False),
        ("pulse", False, True),
    ]
    assert max(p.ByteSize() for p in parts) < 1_010_000
    shown = [*parts[0].snapshot.agents, *(a for p in parts[1:] for a in p.pulse.agents)]
    assert [a.agent_id for a in shown] == [a.id for a in many]
    assert {p.pool_seq for p in parts} == {scene.engine.pool.seq}


def test_a_queues_snapshot_ends_early_where_conversations_are_large() -> None:
    """It says how many wait all the same."""
    scene = Scene()
    values = tuple((f"v{n}", "x" * 1000) for n in range(100))
    for n in range(15):
        scene.do(n, message(f"c{n:02}"), inputs.ChangeAttributes(f"c{n:02}", "ana", set_values=values))
    (found,) = WatchedQueue("billing").snapshot(scene.engine)
    assert found.ByteSize() < 1_010_000
    assert len(found.snapshot.conversations) < found.snapshot.waiting == 15  # type: ignore[union-attr] # a queue's
