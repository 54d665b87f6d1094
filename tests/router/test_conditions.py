"""Conditions: what is refused when a configuration is applied, and what those that were accepted say."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import cel
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from trunkline_router import pattern_cost
from trunkline_router.condition_check import MAX_COST, check
from trunkline_router.conditions import FACTS, BadCondition, Condition, compile_condition

NOW: dict[str, Any] = {
    "channel": "email",
    "account": "care",
    "team": "first",
    "language": "de",
    "priority": "high",
    "boost_s": -30,
    "tags": ["vip", "refund"],
    "attributes": {"tier": "gold", "amount": "120.50", "a b": "c"},
    "status": "open",
    "age_s": 90,
    "waiting_s": 30,
    "messages": 2,
    "transfers": 1,
    "reopened": False,
    "returning": True,
    "open": True,
    "public": False,
    "previous_agent": "",
    "origin": "message",
    "contact_kind": "customer",
    "text": "Grüße, wo ist mein Geld? Order 123456",
}


def test_every_fact_has_a_sample_here() -> None:
    """So that the tests below see all of them."""
    assert NOW.keys() == FACTS.keys()


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "open",
        "!public && returning",
        "channel == 'email' && language in ['de', 'nl']",
        'channel == "email" ? age_s > 60 : age_s > 600',
        "age_s >= 90 && waiting_s < 31 && boost_s == -30",
        "age_s / 60 == 1 && age_s % 60 == 30 && age_s * 2 - 60 == 120",
        "double(attributes.amount) > 99.9",
        "int('7') + transfers == 8 && string(transfers) == '1'",
        "'vip' in tags && !('spam' in tags)",
        "size(tags) == 2 && tags.size() == 2 && tags[0] == 'vip'",
        "attributes.tier == 'gold' && attributes['a b'] == 'c' && 'tier' in attributes",
        "has(attributes.tier) && !has(attributes.nothing)",
        "!has(attributes.nothing) || attributes.nothing == 'x'",
        "tags.exists(t, t.startsWith('ref')) && tags.all(t, size(t) > 2) && tags.exists_one(t, t == 'vip')",
        "tags.filter(t, t.endsWith('p')).size() == 1 && tags.map(t, t.contains('e')) == [false, true]",
        "attributes.exists(k, attributes[k] == 'gold')",
        "tags.exists(t, attributes.all(k, k != t))",
        "text.contains('Geld') && text.matches(r'(?i)order #?\\d{6}')",
        "size(text) == 37 && text.size() == 37 && tags.all(t, size(t) < size(text)) && 'ü'.size() == 1 // characters",
        "size(string(size(text))) == 2 && size(channel + string(text.size())) == 7",
        "(channel + '/' + language) in ['email/de']",
        "previous_agent == '' && priority < 'i' && text != 'a\\u00e9'",
        "1 < 2 == true && 0x10 == 16 && 1e3 > 2 && .5 < 1",
    ],
)
def test_a_condition_holds(text: str) -> None:
    """Everything a condition may use, on facts for which it is true."""
    assert compile_condition(text).evaluate(NOW) == (True, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "a value is expected", id="empty"),
        pytest.param("channel ==", "a value is expected", id="unfinished"),
        pytest.param("open open", "open is not expected", id="two values"),
        pytest.param("(open", "')' is expected", id="parenthesis"),
        pytest.param("channel = 'x'", "character 9: '='", id="one equals sign"),
        pytest.param("channel == 'x", "is not part", id="open string"),
        pytest.param("channel == 'a\\qb'", "token recognition", id="escape the library refuses"),
        pytest.param("5u == 5u", "a whole number ends", id="unsigned"),
        pytest.param("age_s == 99999999999999999999", "invalid int", id="too large a number"),
        pytest.param("true ? open", "':' is expected", id="half a choice"),
        pytest.param("chanel == 'x'", "chanel is not known", id="unknown name"),
        pytest.param("true || chanel == 'x'", "chanel is not known", id="unknown name that is never reached"),
        pytest.param("tags.exists(t, u == 'x')", "u is not known", id="unknown name in a macro"),
        pytest.param("tags.exists(t, true) && t == 'x'", "t is not known", id="a macro's name outside"),
        pytest.param("age_s", "is of type int", id="a number"),
        pytest.param("tags", "is of type list(string)", id="a list"),
        pytest.param("age_s > 'x'", "character 7: int > string", id="number and text"),
        pytest.param("channel + 1 == 'x'", "string + int", id="text plus number"),
        pytest.param("age_s == 'x'", "int == string", id="equality across types, which the library takes for false"),
        pytest.param("channel == 'a' && age_s > 'x'", "int > string", id="wrong type that is seldom reached"),
        pytest.param("open ? true : 1", "the second choice is of type int", id="a choice of two types"),
        pytest.param("age_s ? true : false", "before ?", id="a choice by number"),
        pytest.param("!age_s", "behind !", id="not a number"),
        pytest.param("-open == 1", "behind -", id="minus a bool"),
        pytest.param("open && age_s", "bool && int", id="and a number"),
        pytest.param("open < public", "bool < bool", id="order of bools"),
        pytest.param("tags > tags", "does not exist", id="order of lists"),
        pytest.param("1 + 1.5 > 2", "int + double", id="sum of two kinds"),
        pytest.param("tags + tags == tags", "does not exist", id="sum of lists"),
        pytest.param("'a' in text", "string in string", id="in a text"),
        pytest.param("1 in tags", "int in list(string)", id="in a list of another type"),
        pytest.param("tags == ['a', 1]", "an entry of this list", id="list of two types"),
        pytest.param("tags == []", "a value is expected", id="empty list"),
        pytest.param("tags['a'] == 'x'", "a place in a list", id="place by text"),
        pytest.param("attributes[1] == 'x'", "a key", id="key by number"),
        pytest.param("channel[0] == 'x'", "has no entries", id="place in a text"),
        pytest.param("channel.x == 'x'", "not map", id="part of a text"),
        pytest.param("tags.exists(t, size(t))", "not bool", id="macro without a bool"),
        pytest.param("channel.exists(t, true)", "has no entries", id="macro over a text"),
        pytest.param("tags.exists(age_s, true)", "a name of its own", id="macro's name is a fact's"),
        pytest.param("tags.exists(in, true)", "mismatched", id="macro's name is a word of the language"),
        pytest.param("tags.exists(t)", "',' is expected", id="macro without a body"),
        pytest.param("age_s.size() > 1", "size of int", id="size of a number"),
        pytest.param("has(channel)", "has(attributes.key)", id="has of a fact"),
        pytest.param("has(open ? attributes.a : attributes.b)", "has()", id="has of a choice"),
        pytest.param("channel.contains(1)", "not string", id="contains a number"),
        pytest.param("int(open) == 1", "what int() is given", id="number of a bool"),
        pytest.param("null == null", "null is not known", id="null"),
        pytest.param("{'a': 1}['a'] == 1", "'{' is not part", id="written map"),
        pytest.param("type(age_s) == int", "no function type", id="types as values"),
        pytest.param("dyn(age_s) == 'x'", "no function dyn", id="types switched off"),
        pytest.param("now() > timestamp('2026-01-01T00:00:00Z')", "no function now", id="clock"),
        pytest.param("timestamp('2026-01-01T00:00:00Z').getHours() > 1", "no function timestamp", id="time"),
        pytest.param("channel.lowerAscii() == 'x'", "no method lowerAscii", id="unknown method"),
        pytest.param("text.matches('(')", "unclosed group", id="no pattern"),
        pytest.param("text.matches(channel)", "a pattern is written out", id="pattern from a fact"),
        pytest.param("text.matches('\\\\d')", "written as r'...'", id="pattern with escapes"),
        pytest.param("text.matches(r'(?x)a # (')", "may not use", id="pattern with comments"),
        pytest.param("text.matches(r'(?P<a>b)')", "may not use", id="pattern with names"),
        pytest.param("text.matches(r'[a[^b]]')", "may not use", id="pattern with a set in a set"),
    ],
)
def test_a_bad_condition_is_refused_with_its_reason(text: str, why: str) -> None:
    """Before it is ever evaluated, whether or not the part would be reached, in one line."""
    with pytest.raises(BadCondition) as refused:
        compile_condition(text)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("open" + " && open" * 300, "has 2404 characters", id="long"),
        pytest.param("(" * 21 + "open" + ")" * 21, "nested more than 20", id="deep parentheses"),
        pytest.param("open ? true : " * 21 + "true", "nested more than 20", id="deep choices"),
        pytest.param("(" * 1990, "nested more than 20", id="parentheses only"),
        pytest.param("age_s in [" + ",".join(["1"] * 101) + "]", "101 entries", id="long list"),
        pytest.param("tags.all(a, tags.all(b, tags.all(c, true)))", "nested at most once", id="three macros deep"),
        pytest.param("tags.all(a, tags.all(b, text.contains(a + b)))", "never in a macro", id="join in a macro"),
        pytest.param("['a'].map(t, t + t).map(t, t + t).size() == 1", "never in a macro", id="doubling a text"),
        pytest.param("tags.map(t, tags.map(u, u)).size() == 1", "what .map is given", id="a list of lists"),
        pytest.param(" + ".join(["text"] * 22) + " == ''", "at most 20", id="many joins"),
        pytest.param("tags.all(a, tags.all(b, text.contains(b)))", "may cost", id="search for every pair"),
        pytest.param("tags.all(t, tags.exists(u, u in tags))", "may cost", id="list for every pair"),
        pytest.param(" && ".join(["tags.filter(t, true) == tags"] * 7), "may cost", id="seven filters"),
        pytest.param(r"text.matches(r'\w{12}')", "may cost", id="repeated class"),
        pytest.param(r"text.matches(r'((a{10}){10}){10}')", "may cost", id="repeated repetition"),
        pytest.param(r"text.matches(r'[^\w]\w\w\w\w\w\w\w\w\w\w\w')", "may cost", id="many classes"),
        pytest.param("text.matches(r'" + "a" * 201 + "')", "201 characters", id="long pattern"),
        pytest.param(r"tags.exists(t, t.matches(r'\d\d\d'))", "may cost", id="pattern in a macro"),
    ],
)
def test_a_costly_condition_is_refused(text: str, why: str) -> None:
    """By its text alone: the same everywhere, however fast the machine is."""
    with pytest.raises(BadCondition, match=r".") as refused:
        compile_condition(text)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("attributes.nothing == 'x'", "attributes have no 'nothing'", id="missing attribute"),
        pytest.param("!(attributes.nothing == 'x')", "attributes have no 'nothing'", id="its negation neither"),
        pytest.param("tags[9] == 'x'", "index out of bounds: 9", id="no such place"),
        pytest.param("age_s / transfers == 1", "division by zero in CEL expression", id="division by 0"),
        pytest.param("int(attributes.tier) > 1", "Function 'int' error", id="no number"),
        pytest.param("age_s + 9223372036854775807 > 0", "Arithmetic overflow", id="overflow"),
    ],
)
def test_what_cannot_be_evaluated_does_not_hold(text: str, error: str) -> None:
    """And says why, for the explanation."""
    condition = compile_condition(text)
    facts = {**NOW, "transfers": 0}
    assert not condition.holds(facts)
    assert (condition.evaluate(facts)[1] or "").startswith(error)


def test_a_missing_attribute_spoils_only_what_depends_on_it() -> None:
    """CEL's || and && take the side that decides."""
    assert compile_condition("attributes.nothing == 'x' || open").holds(NOW)
    assert compile_condition("open || attributes.nothing == 'x'").holds(NOW)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "not given: age_s"),
        ({"age_s": "x"}, "No such overload"),
        ({"age_s": object()}, ""),
        ({"age_s": None}, ""),
        ({"age_s": [1]}, ""),
    ],
)
def test_wrong_facts_do_not_raise(wrong: dict[str, Any], why: str) -> None:
    """A fault of the caller is an error in the answer."""
    held, error = compile_condition("age_s > 5").evaluate(wrong)
    assert not held
    assert error
    assert error.startswith(why)


def test_a_condition_names_the_facts_it_reads() -> None:
    """Wherever they stand; the names of macros are not facts."""
    condition = compile_condition("open || tags.exists(t, has(attributes.x) && size(text) > age_s)")
    assert condition.names == {"open", "tags", "attributes", "text", "age_s"}
    assert compile_condition("true").names == frozenset()


def test_only_the_named_facts_are_needed() -> None:
    """Nothing else is converted for the library."""
    assert compile_condition("age_s > 5").holds({"age_s": 6})


def test_conditions_of_the_same_text_are_equal() -> None:
    """So that a configuration can be compared with its successor; the compiled program is left out."""
    assert compile_condition("open") == compile_condition("open") != compile_condition("open ")
    assert repr(compile_condition("open")) == "Condition(source='open', names=frozenset({'open'}))"


def test_the_librarys_command_line_stays_out_of_the_process() -> None:
    """It takes longer to import than all else."""
    code = "import sys; import trunkline_router.conditions; sys.exit('prompt_toolkit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- what the reader accepts and what the library does are the same language

BOOLS = st.sampled_from(
    ["true", "open", "public", "has(attributes.tier)", "('vip' in tags)", "(channel in ['sms', 'web'])"]
)
INTS = st.sampled_from(
    ["0", "7", "age_s", "boost_s", "size(tags)", "transfers", "size(text)", "size(string(size(text)))"]
)
TEXTS = st.sampled_from(["'a'", "channel", "attributes.tier", 'r"b"', "text", "tags[0]", "string(age_s)", "'ü\\n'"])


def bools(ints: st.SearchStrategy[str], texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Conditions of every form, of such numbers and texts."""
    order = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    compared = st.builds("({} {} {})".format, ints, order, ints) | st.builds("({} {} {})".format, texts, order, texts)
    found = st.builds("{}.{}({})".format, texts, st.sampled_from(["contains", "startsWith", "endsWith"]), texts)
    return st.recursive(
        BOOLS | compared | found,
        lambda inner: st.one_of(
            st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||", "==", "!="]), inner),
            st.builds("!({})".format, inner),
            st.builds("({} ? {} : {})".format, inner, inner, inner),
            st.builds("tags.{}({}, {})".format, st.sampled_from(["exists", "all", "exists_one"]), VARIABLE, inner),
            st.builds("(tags.filter({}, {}) == tags)".format, VARIABLE, inner),
        ),
        max_leaves=6,
    )


VARIABLE = st.sampled_from(["t", "u", "v"])
NUMBERS = st.recursive(
    INTS, lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "%"]), inner)
)
JOINED = st.recursive(TEXTS, lambda inner: st.builds("({} + {})".format, inner, inner), max_leaves=3)
SIGNS = ["(", ")", "[", "]", ".", ",", "?", ":", "!", "-", "+", "*", "/", "==", "<", "&&", "||", "in"]
WORDS = ["open", "age_s", "tags", "attributes", "channel", "t", "1", "2.5", "'a'", "true", "r'a'", "attributes.x"]
CALLS = ["has", "size", "exists", "map", "contains", "matches", "tags.exists(t,", "tags.filter(t,", "text.contains("]
SOUP = st.lists(st.sampled_from([*SIGNS, *WORDS, *CALLS]), max_size=9).map(" ".join)
FACTS_NOW = st.fixed_dictionaries(
    {
        **{name: st.just(value) for name, value in NOW.items()},
        "age_s": st.integers(-(2**63), 2**63 - 1),
        "channel": st.text(max_size=5),
        "text": st.text(max_size=20),
        "tags": st.lists(st.sampled_from(["vip", "a", "ü"]), max_size=3),
        "attributes": st.dictionaries(st.sampled_from(["tier", "x"]), st.text(max_size=3), max_size=2),
        "open": st.booleans(),
    }
)
EXCUSES = ("may cost", "never in a macro", "at most 20", "a name of its own", "nested at most once", "characters, more")
TYPE_ERRORS = ("No such overload", "Unsupported operation", "Undefined", "Unexpected type", "not given", "Conversion")


def never_a_type_error(condition: Condition, facts: dict[str, Any]) -> None:
    """The library finds no wrong type in what was accepted, and reads what the check said."""
    _, error = condition.evaluate(facts)
    assert error is None or not error.startswith(TYPE_ERRORS)
    assert condition.names <= set(cel.compile(condition.source).variables()) <= condition.names | {"t", "u", "v"}


@limits(max_examples=200, deadline=None)
@given(bools(NUMBERS, JOINED), FACTS_NOW)
def test_a_well_typed_condition_is_accepted_and_evaluates(text: str, facts: dict[str, Any]) -> None:
    """Unless it is too costly or long, joins texts in a macro, or nests macros or their names."""
    try:
        condition = compile_condition(text)
    except BadCondition as refused:
        if not any(excuse in str(refused) for excuse in EXCUSES):
            raise
    else:
        never_a_type_error(condition, facts)


@limits(max_examples=300, deadline=None)
@given(SOUP, FACTS_NOW)
def test_whatever_is_accepted_has_no_type_error(text: str, facts: dict[str, Any]) -> None:
    """Words and signs in any order: refused, or without a type error for any facts."""
    try:
        condition = compile_condition(text)
    except BadCondition:
        return
    never_a_type_error(condition, facts)


@limits(max_examples=150, deadline=None)
@given(NUMBERS, JOINED, st.sampled_from(["==", "<", "+", "in", "&&"]))
def test_a_wrong_type_is_refused_however_it_is_hidden(number: str, text: str, sign: str) -> None:
    """Behind a branch that is never taken, where evaluation would not find it."""
    for hidden in (f"{number} {sign} {text} == {number}", f"{text} {sign} {number} == {text}"):
        with pytest.raises(BadCondition, match="does not exist"):
            compile_condition(f"true || ({hidden})")


@given(st.text(max_size=60))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """Nothing but BadCondition is ever raised."""
    try:
        compile_condition(text)
    except BadCondition:
        return


# -- what a pattern may cost


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        (r"\w{10}", 3000),
        (r"(\w[)]){10}", 3000),
        (r"([]\w]){10}", 3000),
        (r"(?i)(a\w){5}{2}", 3000),
        (r"\p{L}{2,10}", 3000),
        (r"a{50,}", 200),
        (r"(((a{2}){2}){2}){2}", 64),
    ],
)
def test_a_pattern_costs_what_it_repeats(pattern: str, least: float) -> None:
    """Wherever brackets stand: an estimate that is too low would let a pattern hold up the engine."""
    assert pattern_cost.estimate(pattern) >= least


def test_ordinary_patterns_are_cheap_enough() -> None:
    """What people write to find a word, a number or an address."""
    for pattern in (
        r"(?i)\b(refund|chargeback|lawyer|cancel)\b",
        r"(?i)(refund|chargeback|lawyer|cancel|complaint|broken|unacceptable|beschwerde|kündigung)",
        r"\b\w+@\w+\.\w+\b",
        r"^\s*(?i)(stop|unsubscribe)\s*$",
        r"[A-Z]{2}-\d{6,10}",
    ):
        condition = compile_condition(f"text.matches(r'{pattern}')")
        assert condition.evaluate(NOW) == (False, None)
        assert check(condition.source, FACTS).cost < MAX_COST / 2
