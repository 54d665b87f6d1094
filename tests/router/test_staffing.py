"""Erlang-C, Erlang-A and the staffing command."""

from __future__ import annotations

import json
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from trunkline_router import staffing
from trunkline_router.erlang import (
    Demand,
    Outcome,
    erlang_b,
    erlang_c,
    halfin_whitt,
    outcome,
    smallest,
    square_root_rule,
)

DEMANDS = st.builds(Demand, st.floats(0.001, 3), st.floats(1, 3000), st.floats(1, 1e5) | st.just(math.inf))


@pytest.mark.parametrize(
    ("positions", "load", "blocked"),
    [
        # The table of Erlang-B in every textbook of teletraffic: 1 % at these loads.
        pytest.param(5, 1.36, 0.01, id="5 trunks"),
        pytest.param(10, 4.46, 0.01, id="10 trunks"),
        pytest.param(20, 12.03, 0.01, id="20 trunks"),
        pytest.param(100, 84.06, 0.01, id="100 trunks"),
    ],
)
def test_the_loss_formula_gives_the_table(positions: int, load: float, blocked: float) -> None:
    """Erlang-B, on which all else stands."""
    assert erlang_b(positions, load) == pytest.approx(blocked, rel=0.01)


@pytest.mark.parametrize(
    ("positions", "load", "waiting"),
    [
        pytest.param(2, 1.0, 1 / 3, id="two servers half busy, by hand"),
        pytest.param(3, 2.0, 4 / 9, id="three servers two thirds busy, by hand"),
        pytest.param(14, 10.0, 0.1741, id="Call Centre Helper, Erlang C formula made simple: 17.4 %"),
        pytest.param(132, 123.0, 0.3211, id="published test values of a Python erlang package"),
        pytest.param(12_421, 12_345.0, 0.3812, id="the same, large"),
    ],
)
def test_the_delay_formula_gives_published_values(positions: int, load: float, waiting: float) -> None:
    """Erlang-C, at any size."""
    assert erlang_c(positions, load) == pytest.approx(waiting, abs=5e-5)


def test_a_published_example_comes_out_whole() -> None:
    """Call Centre Helper, "Erlang C Formula - Made Simple With an Easy Worked Example": 100 calls in half an hour of
    180 s, 80 % in 20 s: 14 agents give 88.8 %, 7.8 s and an occupancy of 71.4 %."""
    found = staffing.needed(Demand(200 / 3600, 180), slots=1, target=0.8, within_s=20)
    assert found is not None
    assert found.agents == 14
    assert found.outcome.within == pytest.approx(0.888, abs=5e-4)
    assert found.outcome.average_wait_s == pytest.approx(7.8, abs=0.05)
    assert found.outcome.occupancy == pytest.approx(0.714, abs=5e-4)


@pytest.mark.parametrize(
    ("patience_s", "abandoned", "wait_s", "occupancy"), [(math.inf, 0.0, 20.8, 0.96), (120.0, 0.031, 3.7, 0.93)]
)
def test_the_published_comparison_of_both_models_comes_out(
    patience_s: float, abandoned: float, wait_s: float, occupancy: float
) -> None:
    """Garnett, Mandelbaum and Reiman, "Designing a call center with impatient customers" (2002): 50 agents, 48 calls a
    minute of 1 minute, patience of 2 minutes."""
    found = outcome(Demand(48 / 60, 60, patience_s), 50, 20)
    assert found.abandoned == pytest.approx(abandoned, abs=5e-4)
    assert found.average_wait_s == pytest.approx(wait_s, abs=0.05)
    assert found.occupancy == pytest.approx(occupancy, abs=5e-3)


def by_states(demand: Demand, positions: int) -> tuple[float, float]:
    """Erlang-A as the sum over the states of the queue: who waits, who gives up."""
    leaving, sum_, term, j = positions / demand.handling_s, 1.0, 1.0, 0
    while term > 1e-17 * sum_:
        j += 1
        term *= demand.per_second / (leaving + j / demand.patience_s)
        sum_ += term
    blocked, ratio = erlang_b(positions, demand.load), demand.load / positions
    if math.isinf(sum_):  # what the integral is for; its limit
        return 1.0, 1 - 1 / ratio
    waiting = sum_ * blocked / (1 + (sum_ - 1) * blocked)
    return waiting, waiting * (1 / (ratio * sum_) + 1 - 1 / ratio)


@pytest.mark.parametrize("positions", [1, 5, 100, 10_000])
@pytest.mark.parametrize("busy", [0.5, 0.95, 1.0, 1.05, 1.5])
@pytest.mark.parametrize("patience_s", [1.0, 60.0, 3000.0])
def test_the_integral_is_the_sum_over_states(positions: int, busy: float, patience_s: float) -> None:
    """Two ways to the same figures, up to 10,000 agents."""
    demand = Demand(positions * busy / 300, 300, patience_s)
    found = outcome(demand, positions, 20)
    assert (found.waiting, found.abandoned) == pytest.approx(by_states(demand, positions), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("positions", [1, 20, 10_000])
def test_endless_patience_is_the_limit(positions: int) -> None:
    """Erlang-A tends to Erlang-C as patience grows."""
    load = positions - 0.5 * math.sqrt(positions)
    patient = outcome(Demand(load / 300, 300), positions, 20)
    gaps = []
    for patience_s in (1e3, 1e5, 1e7, 1e9, 1e11):
        found = outcome(Demand(load / 300, 300, patience_s), positions, 20)
        gaps.append(abs(found.within - patient.within) + abs(found.waiting - patient.waiting))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-7


def test_without_room_and_without_abandonment_the_wait_has_no_end() -> None:
    """Said, not raised: the load reaches the positions."""
    assert outcome(Demand(1, 10), 10, 20) == Outcome(10, False, 1.0, 0.0, math.inf, 0.0, 1.0)
    assert outcome(Demand(1, 10), 11, 20).stable


@pytest.mark.parametrize("patience_s", [0.001, 1.0, 600.0, 1e7])
@pytest.mark.parametrize("per_second", [0.0003, 40.0, 2000.0])
def test_no_size_overflows(per_second: float, patience_s: float) -> None:
    """From an idle agent to 10,000 agents under 60 times their load, in which all but 1/60 must give up."""
    found = outcome(Demand(per_second, 300, patience_s), 10_000, 20)
    shares = (found.waiting, found.within, found.abandoned, found.occupancy)
    assert all(0 <= share <= 1 for share in shares)
    if per_second == 2000.0:
        assert found.abandoned == pytest.approx(1 - 1 / 60, rel=1e-4)


@limits(max_examples=40, deadline=None)
@given(DEMANDS, st.integers(1, 300), st.floats(0, 600))
def test_more_agents_are_never_worse(demand: Demand, positions: int, within_s: float) -> None:
    """Who waits, how long, how many give up, how many are answered in time, how busy all are."""
    few, more = outcome(demand, positions, within_s), outcome(demand, positions + 1, within_s)
    assert more.waiting <= few.waiting + 1e-9
    assert more.average_wait_s <= few.average_wait_s + 1e-9
    assert more.abandoned <= few.abandoned + 1e-9
    assert more.within >= few.within - 1e-9
    assert more.occupancy <= few.occupancy + 1e-9


@limits(max_examples=40, deadline=None)
@given(DEMANDS, st.integers(1, 300), st.floats(0, 600))
def test_what_comes_in_goes_out(demand: Demand, positions: int, within_s: float) -> None:
    """A longer limit helps, who waits is more than who gives up, and agents work on what was not given up."""
    found = outcome(demand, positions, within_s)
    assert outcome(demand, positions, within_s + 10).within >= found.within - 1e-9
    assert 0 <= found.abandoned <= found.waiting + 1e-9
    if found.stable:
        assert found.occupancy * positions == pytest.approx(demand.load * (1 - found.abandoned), rel=1e-6)


@limits(max_examples=25, deadline=None)
@given(DEMANDS, st.floats(0.05, 0.99), st.integers(1, 4))
def test_the_fewest_agents_are_found(demand: Demand, target: float, slots: int) -> None:
    """They reach the target and one fewer does not."""
    found = staffing.needed(demand, slots, target, 20)
    assert found is not None
    assert found.outcome.within >= target
    if found.agents > 1:
        assert staffing.given(demand, found.agents - 1, slots, 20).outcome.within < target


def test_a_search_ends_at_its_limit() -> None:
    """None where even the most is too few."""
    assert smallest(lambda n: n >= 77, 1, 100) == 77
    assert smallest(lambda n: n >= 100, 1, 100) == 100
    assert smallest(lambda n: n >= 101, 1, 100) is None


def test_the_square_root_rule_is_near_the_exact_number() -> None:
    """Halfin and Whitt: within one agent from a load of 1 to 9,000; beta of 0 is where everybody waits."""
    assert halfin_whitt(0) == 1.0
    for load in (1, 5, 10, 100, 1000, 9000):
        for waiting in (0.1, 0.3, 0.5, 0.8):
            exact = smallest(lambda n, load=load, waiting=waiting: erlang_c(n, load) <= waiting, 1, 10_000)  # type: ignore[misc]
            assert exact is not None
            assert abs(exact - square_root_rule(load, waiting)) <= 1


def simulate(demand: Demand, positions: int, within_s: float, customers: int) -> Outcome:
    """First come first served among servers that are free at these times, customer by customer."""
    random = Random(20)  # noqa: S311  a simulation
    free = [0.0] * positions
    now, waited, in_time, left, wait_s, busy_s = 0.0, 0, 0, 0, 0.0, 0.0
    for _ in range(customers):
        now += random.expovariate(demand.per_second)
        handling, patience = random.expovariate(1 / demand.handling_s), random.expovariate(1 / demand.patience_s)
        server = free.index(min(free))
        wait = max(0.0, free[server] - now)
        waited += wait > 0
        wait_s += min(wait, patience)
        if wait > patience:
            left += 1
            continue
        free[server] = now + wait + handling
        busy_s += handling
        in_time += wait <= within_s
    shares = (waited / customers, in_time / customers, wait_s / customers, left / customers)
    return Outcome(positions, True, *shares, busy_s / now / positions)


@pytest.mark.parametrize(("positions", "patience_s"), [(12, 1e9), (12, 120.0), (9, 60.0)])
def test_a_simulation_finds_the_same(positions: int, patience_s: float) -> None:
    """200,000 customers of a seeded generator: spare, tight and overloaded."""
    demand = Demand(10 / 180, 180, patience_s)
    seen, said = simulate(demand, positions, 20, 200_000), outcome(demand, positions, 20)
    assert seen.waiting == pytest.approx(said.waiting, abs=0.02)
    assert seen.within == pytest.approx(said.within, abs=0.02)
    assert seen.abandoned == pytest.approx(said.abandoned, abs=0.01)
    assert seen.occupancy == pytest.approx(said.occupancy, abs=0.02)
    assert seen.average_wait_s == pytest.approx(said.average_wait_s, rel=0.12)


DEMAND = ["--arrivals-per-hour", "200", "--aht-seconds", "180"]


def test_the_command_says_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    """For people."""
    assert staffing.main([*DEMAND, "--target-percent", "80", "--within-seconds", "20"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == ["agents", "14"]
    assert "answered in 20 s     88.8%" in said
    assert "giving up" not in said


def test_the_command_counts_slots_and_patience(capsys: pytest.CaptureFixture[str]) -> None:
    """Three agents of four conversations are twelve positions."""
    assert staffing.main([*DEMAND, "--agents", "3", "--slots", "4", "--patience-seconds", "60", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["agents"], said["slots"], said["positions"], said["stable"]) == (3, 4, 12, True)
    assert said["abandoned"] == pytest.approx(0.076, abs=1e-3)


def test_a_wait_without_end_is_said_in_words_and_as_null(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has no infinity."""
    assert staffing.main([*DEMAND, "--agents", "10"]) == 0
    assert "the queue grows without end" in capsys.readouterr().out
    assert staffing.main([*DEMAND, "--agents", "10", "--json"]) == 0
    said = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (said["stable"], said["average_wait_s"], said["within"]) == (False, None, 0.0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param([*DEMAND], "--agents --target-percent", id="neither"),
        pytest.param([*DEMAND, "--agents", "1", "--target-percent", "80"], "--target-percent", id="both"),
        pytest.param([*DEMAND, "--agents", "0"], "--agents: 0 is not from 1", id="no agents"),
        pytest.param([*DEMAND, "--agents", "1.5"], "--agents: '1.5' is not a whole number", id="half an agent"),
        pytest.param([*DEMAND, "--target-percent", "100"], "--target-percent", id="never all"),
        pytest.param([*DEMAND, "--agents", "9", "--slots", "x"], "--slots: 'x' is not a whole number", id="slots"),
        pytest.param([*DEMAND, "--agents", "9", "--within-seconds", "-1"], "--within-seconds", id="negative limit"),
        pytest.param([*DEMAND, "--agents", "9", "--patience-seconds", "0"], "--patience-seconds", id="no patience"),
        pytest.param(["--arrivals-per-hour", "nan", "--aht-seconds", "9", "--agents", "9"], "--arrivals", id="nan"),
        pytest.param(["--aht-seconds", "9", "--agents", "9"], "--arrivals-per-hour", id="no arrivals"),
        pytest.param(
            ["--arrivals-per-hour", "9", "--aht-seconds", "0", "--agents", "9"], "--aht-seconds", id="no time"
        ),
        pytest.param(["--arrivals-per-hour", "1e7", "--aht-seconds", "1e7", "--agents", "9"], "1000000", id="too much"),
        pytest.param([*DEMAND, "--agents", "1000000", "--slots", "2"], "--agents times --slots", id="too many"),
    ],
)
def test_bad_use_ends_with_2_and_names_the_option(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And prints no figures."""
    with pytest.raises(SystemExit) as ended:
        staffing.main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert named in said.err.splitlines()[-1]
    assert not said.out


def test_help_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option with its meaning."""
    with pytest.raises(SystemExit) as ended:
        staffing.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for option in (
        "--arrivals-per-hour",
        "--aht-seconds",
        "--agents",
        "--target-percent",
        "--within-seconds",
        "--slots",
    ):
        assert option in said
