"""A conversation as the service keeps it, without the service: told event by event, looked at by timers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AlwaysOpen, from_dict
from trunkline_sla.conversation import Conversation, Versions, follow, strip
from trunkline_sla.evaluation import fire
from trunkline_sla.evaluation_facts import Fact
from trunkline_sla.evaluation_model import Clock, Metric, Policy, Rule
from trunkline_sla.explain import Story
from trunkline_sla.journal import Entry, Known, What
from trunkline_sla.promises import Offer, Promises

#: A Monday morning.
MONDAY = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
WEEK = {day: [["09:00", "12:00"], ["13:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
CALENDARS = {
    "": Calendar(AlwaysOpen(), MONDAY),
    "office": Calendar(from_dict({"tz": "Europe/Berlin", "weekly": WEEK}), MONDAY),
}
ALL = Policy({metric: Rule(3600 * (n + 1)) for n, metric in enumerate(Metric)}, repeat_s=1800, max_repeats=2)
SOME = Policy({Metric.FIRST_RESPONSE: Rule(1800), Metric.RESOLUTION: Rule(900)})


def versions(every: Policy, some: Policy = SOME) -> Versions:
    """Version 1 promises everything on office hours; version 2 counts all hours but billing's, and less to some."""
    offers = Offer("some", some, priorities=frozenset({"high"})), Offer("all", every)
    made = {
        0: Promises("t", 0, MONDAY, (), CALENDARS),
        1: Promises("t", 1, MONDAY - timedelta(days=1), (Offer("all", every, calendar="office"),), CALENDARS),
        2: Promises("t", 2, MONDAY + timedelta(hours=30), offers, CALENDARS, {"billing": "office"}),
    }
    return made.__getitem__


NOISY = versions(ALL)


@dataclass
class Live:
    """The conversation as the service keeps it: settled after every event, its timers fired whenever it looks."""

    versions: Versions = NOISY
    found: Conversation = field(default_factory=lambda: Conversation("t", "c"))
    history: list[Entry] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    ended: dict[tuple[Metric, int], Clock] = field(default_factory=dict)

    def tell(self, entry: Entry, number: int = 1) -> None:
        """An event of the log."""
        after = follow(self.found, entry, number, self.versions)
        assert after.state is not None
        self.history += after.told
        self.facts += after.state.facts
        for clocks in after.state.past.values():
            self.ended |= {(clock.metric, clock.cycle): clock for clock in clocks}
        self.found = strip(after)

    def look(self, at: datetime) -> None:
        """The timers of every clock."""
        assert self.found.state is not None
        current = {}
        for metric, clock in self.found.state.current.items():
            current[metric], said = fire(clock, at)
            self.facts += said
        self.found = self.found._replace(state=replace(self.found.state, current=current))

    def clocks(self) -> dict[tuple[Metric, int], Clock]:
        """Every promised cycle."""
        assert self.found.state is not None
        every = self.ended | {(clock.metric, clock.cycle): clock for clock in self.found.state.current.values()}
        return {key: clock for key, clock in every.items() if clock.terms.live}

    def again(self) -> Story:
        """Told again."""
        story = Story("t", "c", self.versions)
        for entry in self.history:
            story.tell(entry)
        return story


def begun(team: str = "support") -> list[Entry]:
    """What the router writes of a new conversation."""
    created = Entry(What.CREATED, MONDAY, "e1", 1, 1, channel="app", known=Known())
    return [
        created,
        Entry(What.WROTE, MONDAY, "e2", 2, 1, message_id="m2"),
        Entry(What.KNOWN, MONDAY, "e3", 3, 1, team=team),
    ]


def talk(made: Versions = NOISY) -> Live:
    """Written on Monday before the office opens, pending from ten to eleven, answered on Monday at 15 o'clock UTC."""
    live = Live(made)
    for entry in begun():
        live.tell(entry)
    for n, (hours, what, state) in enumerate(
        [(2, What.STATE, "pending"), (3, What.STATE, "open"), (7, What.REPLIED, "")], 4
    ):
        live.tell(Entry(what, MONDAY + timedelta(hours=hours), f"e{n}", n, 1, state=state, message_id=f"m{n}"))
    return live
