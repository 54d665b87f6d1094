"""Fairness figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkline_router.fairness import Served, jain, overtakes, per_online_hour, percentile, utilisation

SHARES = st.lists(st.floats(0, 1e6), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("shares", "index"),
    [
        pytest.param([5, 5, 5, 5], 1.0, id="equal"),
        pytest.param([1, 0, 0, 0], 0.25, id="one has all"),
        pytest.param([1, 3], 16 / 20, id="by hand"),
        pytest.param([7], 1.0, id="alone"),
        pytest.param([0, 0], 1.0, id="nothing was shared out"),
        pytest.param([], 1.0, id="nobody"),
    ],
)
def test_the_index_is_that_of_jain(shares: list[float], index: float) -> None:
    """(sum x)^2 / (n * sum x^2)."""
    assert jain(shares) == pytest.approx(index)


@given(SHARES)
def test_the_index_lies_between_one_of_n_and_one(shares: list[float]) -> None:
    """Whatever the shares are."""
    assert 1 / len(shares) - 1e-9 <= jain(shares) <= 1 + 1e-9


@pytest.mark.parametrize(("percent", "value"), [(0, 15), (5, 15), (30, 20), (40, 20), (50, 35), (90, 50), (100, 50)])
def test_a_percentile_is_a_value_that_occurred(percent: float, value: float) -> None:
    """The nearest rank; the example is Wikipedia's, "Percentile"."""
    assert percentile([35, 20, 15, 50, 40], percent) == value


def test_there_is_no_percentile_of_nothing() -> None:
    """NaN rather than a 0 that looks like a measured one."""
    assert math.isnan(percentile([], 50))


def test_an_agent_who_was_never_online_is_not_compared() -> None:
    """One who was online and got nothing is."""
    online = {"ana": 7200.0, "bo": 1800.0, "cy": 0.0}
    assert per_online_hour({"ana": 8, "cy": 1}, online) == {"ana": 4.0, "bo": 0.0}
    assert utilisation({"ana": 3600, "cy": 5}, online) == {"ana": 0.5, "bo": 0.0}


@pytest.mark.parametrize(
    ("served", "pairs"),
    [
        pytest.param([Served(0, 0, 10), Served(1, 0, 11)], 0, id="in order"),
        pytest.param([Served(0, 0, 11), Served(1, 0, 10)], 1, id="the younger first"),
        pytest.param([Served(0, 0, 11), Served(50, 60, 55)], 0, id="served before it came"),
        pytest.param([Served(0, 0, 90), Served(50, 60, 55)], 0, id="younger by less than its boost"),
        pytest.param([Served(0, 0, 90), Served(61, 60, 65)], 1, id="younger by more than its boost"),
        pytest.param([Served(0, 60, 90), Served(1, 60, 65)], 1, id="both have the boost"),
        pytest.param([Served(0, 0, math.inf), Served(1, 0, 65)], 1, id="one still waits"),
        pytest.param([Served(0, 0, 9), Served(1, 0, 9)], 0, id="at the same instant"),
        pytest.param([Served(0, 0, 9), Served(9, 99, 20)], 0, id="the preferred one came as it was assigned"),
        pytest.param([Served(0, 0, 20), Served(9, 0, 9)], 1, id="assigned on arrival past one that waits"),
        pytest.param([Served(0, 0, 20), Served(1, 0, 20), Served(2, 0, 5)], 2, id="past two"),
        pytest.param([], 0, id="nobody waited"),
    ],
)
def test_an_overtake_is_more_than_the_boost_allows(served: list[Served], pairs: int) -> None:
    """Counted in pairs."""
    assert overtakes(served) == pairs


def naive(served: Sequence[Served]) -> int:
    """The definition, pair by pair."""
    return sum(
        b.assigned_at < a.assigned_at and a.entered_at < b.assigned_at and a.key < b.key for a in served for b in served
    )


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(0, 9) | st.just(math.inf)), max_size=12))
def test_the_count_is_that_of_the_definition(rows: list[tuple[int, int, float]]) -> None:
    """Ties in every field included."""
    served = [Served(entered, boost, entered + wait) for entered, boost, wait in rows]
    assert overtakes(served) == naive(served)


def test_serving_by_key_overtakes_nobody() -> None:
    """The order of routing 3.4 is what is measured, and a day's work is measured at once."""
    random = Random(7)  # noqa: S311  test data
    waiting = sorted((random.uniform(0, 1000), random.choice([0, 60, 300])) for _ in range(20_000))
    by_key = sorted(waiting, key=lambda w: w[0] - w[1])
    assert overtakes(Served(entered, boost, 2000 + i) for i, (entered, boost) in enumerate(by_key)) == 0
    assert overtakes(Served(entered, boost, 2000 + i) for i, (entered, boost) in enumerate(waiting)) > 0
