"""Q1 to Q6 of sla.md 10.8: laws of the arithmetic, and a count minute by minute that knows nothing of intervals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from trunkline_common import calendar_rules as written
from trunkline_common.calendar import Calendar
from trunkline_common.calendar_rules import AllOf, Closure, HolidayScope, Hours, Override, Window
from trunkline_common.calendar_zones import zone

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
DAY_MINUTES = 24 * 60
#: A zone and a date near one of its changes, or none: whole hours, half hours, at midnight, in the south, never.
CHANGES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "America/Santiago": (date(2026, 4, 5), date(2026, 9, 6)),
    "America/Havana": (date(2025, 3, 9), date(2025, 11, 2)),
    "Africa/Cairo": (date(2025, 4, 25), date(2025, 10, 31)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "Asia/Kolkata": (date(2026, 2, 28),),
    "Pacific/Kiritimati": (date(2026, 12, 31),),
}


# -- any calendar


def windows(step: int) -> st.SearchStrategy[tuple[Window, ...]]:
    """Up to three windows of any shape, to so many minutes."""
    night = st.integers(0, 4 * 60 // step)  # when clocks change
    start = (night | st.integers(0, DAY_MINUTES // step - 1)).map(lambda n: n * step * 60)
    end = (night | st.integers(0, DAY_MINUTES // step)).map(lambda n: n * step * 60)
    return st.lists(st.builds(Window, start, end), max_size=3).map(tuple)


@st.composite
def hours(draw: st.DrawFn) -> tuple[Hours, date]:
    """Rules with something of everything on the dates around a change of their zone, and that date."""
    name = draw(st.sampled_from(sorted(CHANGES)))
    middle = draw(st.sampled_from(CHANGES[name]))
    step = draw(st.sampled_from([1, 15, 30]))
    near = st.integers(-2, 2).map(lambda n: middle + timedelta(days=n))
    weekly = draw(st.lists(windows(step), min_size=7, max_size=7).filter(any))
    overrides = draw(st.lists(st.builds(Override, near, windows(step)), max_size=2, unique_by=lambda o: o.date))
    holidays, annual = draw(st.lists(near, max_size=2)), draw(st.lists(near, max_size=1))
    window = windows(step).filter(bool).map(lambda w: w[0])
    closures = draw(st.lists(st.builds(Closure, near, window), max_size=2))
    rules = Hours(
        name,
        tuple(weekly),
        tuple(holidays),
        tuple((day.month, day.day) for day in annual),
        tuple(overrides),
        tuple(closures),
        draw(st.sampled_from(HolidayScope)),
    )
    return rules, middle


def sunday(start: str, end: str) -> Hours:
    """One window a week, on the day the clocks change."""
    window = Window(written.seconds_of(start), written.seconds_of(end))
    return Hours("Europe/Berlin", ((), (), (), (), (), (), (window,)))


# -- Q6: minute by minute


class Minutes:
    """Whether a minute is open, read off the wall clock and the rules as they are written."""

    def __init__(self, rules: Hours) -> None:
        self.rules, self.zone = rules, zone(rules.zone)
        self.overrides = {o.date: o.hours for o in rules.overrides}

    def count(self, start: datetime, end: datetime) -> int:
        """Open minutes in [start, end)."""
        return sum(self.open(start + MINUTE * n) for n in range(int((end - start) / MINUTE)))

    def open(self, at: datetime) -> bool:
        """The second pass of a repeated hour is open if the wall clock's last minute before it moves on is."""
        local = at.astimezone(self.zone)
        while local.fold:
            at += MINUTE
            if not at.astimezone(self.zone).fold:
                break
            local = at.astimezone(self.zone)
        return self._wall(local.date(), local.hour * 60 + local.minute)

    def _wall(self, day: date, minute: int) -> bool:
        yesterday = day - timedelta(days=1)
        own = any(w.start // 60 <= minute < w.until // 60 for w in self._begun(day))
        tail = any(minute + DAY_MINUTES < w.until // 60 for w in self._begun(yesterday, of_tail=True))
        if self._clock and self._holiday(day):
            tail = False
        return (own or tail) and not self._closed(day, minute)

    @property
    def _clock(self) -> bool:
        return self.rules.holiday_scope is HolidayScope.CLOCK

    def _begun(self, day: date, *, of_tail: bool = False) -> tuple[Window, ...]:
        """By the clock a holiday takes its own date from what begins on it, not the morning after."""
        if day in self.overrides:
            return self.overrides[day]
        gone = self._holiday(day) and not (of_tail and self._clock)
        return () if gone else self.rules.weekly[day.weekday()]

    def _holiday(self, day: date) -> bool:
        return day in self.rules.holidays or (day.month, day.day) in self.rules.annual_holidays

    def _closed(self, day: date, minute: int) -> bool:
        since = [(minute + (day - c.date).days * DAY_MINUTES, c.window) for c in self.rules.closures]
        return any(w.start // 60 <= passed < w.until // 60 for passed, w in since)


@settings(max_examples=120, deadline=None)
@given(hours(), st.integers(0, DAY_MINUTES))
@example((sunday("02:30", "05:00"), date(2026, 10, 25)), 0)
@example((sunday("00:00", "02:30"), date(2026, 10, 25)), 0)
@example((sunday("02:30", "05:00"), date(2026, 3, 29)), 0)
@example((sunday("00:00", "02:30"), date(2026, 3, 29)), 0)
def test_q6_a_count_minute_by_minute_agrees(drawn: tuple[Hours, date], shift: int) -> None:
    """Three days around a change of the clocks, from any minute; is_open agrees on the way."""
    rules, middle = drawn
    start = datetime(middle.year, middle.month, middle.day, tzinfo=UTC) - timedelta(days=2) + MINUTE * shift
    calendar, minutes = Calendar(rules, start), Minutes(rules)
    assert calendar.between(start, start + timedelta(days=3)) == 60 * minutes.count(start, start + timedelta(days=3))
    for n in range(0, 3 * DAY_MINUTES, 97):
        assert calendar.is_open(start + MINUTE * n) == minutes.open(start + MINUTE * n)


@settings(max_examples=25, deadline=None)
@given(hours(), hours())
def test_all_of_is_open_where_all_are(first: tuple[Hours, date], second: tuple[Hours, date]) -> None:
    """Instant by instant."""
    start = datetime(first[1].year, first[1].month, first[1].day, tzinfo=UTC) - timedelta(days=2)
    both = Calendar(AllOf((first[0], second[0])), start)
    parts = [Calendar(rules, start) for rules, _ in (first, second)]
    for n in range(0, 5 * DAY_MINUTES, 61):
        asked = start + MINUTE * n
        assert both.is_open(asked) == all(part.is_open(asked) for part in parts)


# -- Q1 to Q5: laws, on calendars with something of everything

ANCHOR = datetime(2026, 6, 1, tzinfo=UTC)
OFFICE = {day: [["09:00", "12:00"], ["13:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
NIGHTS = {day: [["22:00", "06:00"]] for day in written.WEEKDAYS}
CALENDARS = [
    Calendar(written.from_dict(document), ANCHOR)
    for document in (
        {"tz": "Europe/Berlin", "weekly": OFFICE, "annual_holidays": ["12-25", "01-01"]},
        {"tz": "America/New_York", "weekly": NIGHTS, "holidays": ["2026-03-08", "2026-11-01"]},
        {"tz": "Australia/Lord_Howe", "weekly": NIGHTS, "holiday_scope": "shift", "annual_holidays": ["04-05"]},
        {"tz": "Asia/Kolkata", "weekly": {"wed": [["09:00", "09:00"]], "sun": [["00:00:01", "00:00:02"]]}},
        {"all_of": [{"tz": "Europe/Berlin", "weekly": OFFICE}, {"tz": "Asia/Kolkata", "weekly": OFFICE}]},
        {"always_open": True},
    )
]
calendars = st.sampled_from(CALENDARS)
instants = st.integers(-2 * 366 * 86_400, 2 * 366 * 86_400).map(lambda n: ANCHOR + SECOND * n)
#: To the hour as well, so that edges are met.
instants |= st.integers(-2 * 366 * 24, 2 * 366 * 24).map(lambda n: ANCHOR + timedelta(hours=n))
spans = st.integers(0, 400_000) | st.integers(0, 100).map(lambda n: n * 3600)


def same_position(calendar: Calendar, a: datetime, b: datetime) -> bool:
    """No open second lies between the two."""
    return calendar.between(a, b) == 0


@settings(deadline=None)
@given(calendars, instants, instants)
def test_q1_add_undoes_between(calendar: Calendar, a: datetime, b: datetime) -> None:
    """add(t, between(t, b)) has the position of b; backwards with subtract."""
    counted = calendar.between(a, b)
    move = calendar.add if counted >= 0 else calendar.subtract
    assert same_position(calendar, move(a, abs(counted)), b)


@settings(deadline=None)
@given(calendars, instants, instants, instants)
def test_q2_between_is_additive(calendar: Calendar, a: datetime, b: datetime, c: datetime) -> None:
    """In any order of the three."""
    assert calendar.between(a, c) == calendar.between(a, b) + calendar.between(b, c)
    assert calendar.between(a, b) == -calendar.between(b, a)


@settings(deadline=None)
@given(calendars, instants, spans, spans)
def test_q3_add_is_additive(calendar: Calendar, a: datetime, first: int, second: int) -> None:
    """In one step or in two, also backwards."""
    assume(first > 0)
    assume(second > 0)
    assert calendar.add(calendar.add(a, first), second) == calendar.add(a, first + second)
    assert calendar.subtract(calendar.subtract(a, first), second) == calendar.subtract(a, first + second)


@settings(deadline=None)
@given(calendars, instants, spans)
def test_q4_subtract_undoes_add(calendar: Calendar, a: datetime, span: int) -> None:
    """To the position, since several closed instants share one."""
    assert same_position(calendar, calendar.subtract(calendar.add(a, span), span), a)
    assert same_position(calendar, calendar.add(calendar.subtract(a, span), span), a)
    assert calendar.between(a, calendar.add(a, span)) == span


@settings(deadline=None)
@given(calendars, instants, spans)
def test_q5_add_ends_on_open_time_or_its_closing_edge(calendar: Calendar, a: datetime, span: int) -> None:
    """And subtract on open time: an opening edge is inside."""
    assume(span > 0)
    end, start = calendar.add(a, span), calendar.subtract(a, span)
    assert calendar.is_open(end - SECOND)
    assert calendar.is_open(start)


@settings(deadline=None)
@given(calendars, instants)
def test_the_next_open_instant_is_open_and_nothing_is_before_it(calendar: Calendar, a: datetime) -> None:
    """It is what adding nothing gives, and where the next period begins."""
    opening = calendar.next_open(a)
    assert calendar.is_open(opening)
    assert same_position(calendar, a, opening)
    assert calendar.add(a, 0) == opening == calendar.periods(a, 1)[0][0]


@settings(deadline=None)
@given(calendars, instants, st.integers(1, 20))
def test_periods_are_what_between_counts(calendar: Calendar, a: datetime, count: int) -> None:
    """Disjoint, in order, and nothing open is left out."""
    periods = [(start, end) for start, end in calendar.periods(a, count) if end is not None]
    assume(periods)
    edges = [a, *(edge for period in periods for edge in period)]
    assert edges == sorted(edges)
    total = sum((end - start) // SECOND for start, end in periods)
    assert calendar.between(a, periods[-1][1]) == total
