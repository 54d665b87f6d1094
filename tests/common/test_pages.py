"""Page tokens are opaque, bound to their listing, and cannot be made by callers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from trunkline_common.errors import Refused
from trunkline_common.pages import PageTokens, fitting, page_size

BOUND = ("acme", "ListQueue", "billing")


@pytest.fixture(name="tokens")
def _tokens() -> PageTokens:
    return PageTokens(os.urandom(32))


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [([], 0), ([400, 400], 2), ([600, 399, 10], 2), ([2000, 1], 1), ([10, 2000], 1)],
)
def test_a_page_has_as_many_as_fit_but_one_at_least(sizes: list[int], fits: int) -> None:
    """Whatever comes after it is not even made."""
    made = list[int]()

    def messages() -> Iterator[BytesValue]:
        for size in sizes:
            made.append(size)
            yield BytesValue(value=bytes(size))

    assert [len(m.value) for m in fitting(messages(), 1010)] == sizes[:fits]
    assert len(made) <= fits + 1


def test_a_token_gives_its_cursor_back(tokens: PageTokens) -> None:
    """For the same listing."""
    assert tokens.open(tokens.seal(["2026-03-02T09:00:00+00:00", 7, "c1"], *BOUND), *BOUND) == [
        "2026-03-02T09:00:00+00:00",
        7,
        "c1",
    ]


def test_no_token_is_the_first_page(tokens: PageTokens) -> None:
    """The cursor is absent."""
    assert tokens.open("", *BOUND) is None


@pytest.mark.parametrize(
    "bound",
    [("other", "ListQueue", "billing"), ("acme", "ListAgents", "billing"), ("acme", "ListQueue", "returns")],
    ids=["tenant", "method", "argument"],
)
def test_a_token_of_another_listing_is_refused(tokens: PageTokens, bound: tuple[str, ...]) -> None:
    """Another tenant, method or argument."""
    with pytest.raises(Refused) as refused:
        tokens.open(tokens.seal([1], *BOUND), *bound)
    assert (refused.value.code, refused.value.reason) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")
    assert [v.field for v in refused.value.violations] == ["page_token"]


def test_a_token_changed_anywhere_is_refused(tokens: PageTokens) -> None:
    """Every single character counts, and so does the end."""
    token = tokens.seal([1, "c1"], *BOUND)
    changed = [token[:i] + ("A" if c != "A" else "B") + token[i + 1 :] for i, c in enumerate(token[:-1])]
    for bad in [*changed, token[:-4], "x", "=", "é", token * 2]:
        with pytest.raises(Refused):
            tokens.open(bad, *BOUND)


def test_a_token_of_another_key_is_refused(tokens: PageTokens) -> None:
    """Nobody outside makes one."""
    with pytest.raises(Refused):
        tokens.open(PageTokens(os.urandom(32)).seal([1], *BOUND), *BOUND)


def test_a_token_shows_nothing_of_its_cursor(tokens: PageTokens) -> None:
    """Sealed, not encoded; and never the same twice."""
    first, second = tokens.seal(["visible"], *BOUND), tokens.seal(["visible"], *BOUND)
    assert first != second
    assert set(first) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (500, 500), (501, 500), (2**31 - 1, 500)])
def test_a_page_size_has_a_default_and_a_limit(asked: int, given: int) -> None:
    """0 means 50, more than 500 is cut."""
    assert page_size(asked) == given


def test_a_negative_page_size_is_refused() -> None:
    """AIP-158."""
    with pytest.raises(Refused, match="page_size"):
        page_size(-1)
