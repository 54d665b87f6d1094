"""Automatic texts: what is refused when a configuration is applied, and what comes out of those that were accepted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from trunkline_router import changes
from trunkline_router.routing import AutoText, TextKind
from trunkline_router.templates import (
    LIMITS,
    OTHER_LIMIT,
    VARIABLES,
    BadTemplate,
    compile_template,
    must_fit,
)

VALUES: dict[str, Any] = {
    "customer.name": "Ana <Admin> & Söhne",
    "customer.first_name": "Ana",
    "conversation.id": "c-1",
    "conversation.reference": "AB-12",
    "team.name": "Care",
    "agent.name": "Bo",
    "channel": "sms",
    "language": "de",
    "wait.low_minutes": 5,
    "wait.high_minutes": 130,
    "wait.as_of": "2026-11-22 08:00 UTC",
    "opens_at": "Monday 09:00",
    "alternative.channel": "email",
    "alternative.address": "help@acme.example",
    "channels": "email help@acme.example",
    "tenant.name": "Acme",
    "attributes": {"tier": "gold", "order number": "77", "size": "9"},
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        pytest.param("Hello!", "Hello!", id="plain"),
        pytest.param("Hi {{ customer.first_name }}, {{team.name}} here", "Hi Ana, Care here", id="variables"),
        pytest.param("{{ attributes.tier }}/{{ attributes['order number'] }}", "gold/77", id="attributes"),
        pytest.param("{{ attributes.size }}", "9", id="an attribute with a name that means something to Liquid"),
        pytest.param("in {{ wait.low_minutes }} to {{ wait.high_minutes }} min", "in 5 to 130 min", id="numbers"),
        pytest.param("{{ wait.high_minutes | divided_by: 60 }} h", "2 h", id="arithmetic"),
        pytest.param("{{ team.name | upcase | append: '!' }}", "CARE!", id="filters"),
        pytest.param("{% if wait.low_minutes > 3 %}long{% else %}short{% endif %}", "long", id="if"),
        pytest.param("{% unless agent.name %}nobody{% endunless %}", "", id="unless"),
        pytest.param("{% case channel %}{% when 'sms' %}S{% else %}other{% endcase %}", "S", id="case"),
        pytest.param("{% assign who = customer.first_name | default: 'you' %}{{ who }}", "Ana", id="assign"),
        pytest.param("a{% comment %}{{ nothing }}{% endcomment %}{% # note %}b", "ab", id="comments"),
        pytest.param("{% raw %}{{ customer.name }}{% endraw %}", "{{ customer.name }}", id="raw"),
        pytest.param("a {{- ' b ' -}} c", "a b c", id="white space"),
    ],
)
def test_a_template_is_filled_in(text: str, rendered: str) -> None:
    """Everything a template may use."""
    assert compile_template(text).render(VALUES) == rendered


def test_nothing_is_markup() -> None:
    """What a customer is called comes out as it came in, and is not read as a template."""
    template = compile_template("<b>{{ customer.name }}</b> & {{ attributes.tier }}")
    assert template.render(VALUES) == "<b>Ana <Admin> & Söhne</b> & gold"
    assert (
        template.render({"customer.name": "{{ channel }}{% if %}", "channel": "x"}) == "<b>{{ channel }}{% if %}</b> & "
    )


@pytest.mark.parametrize("missing", [{}, {"agent.name": None}, {"agent.name": ""}], ids=["absent", "None", "empty"])
@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        pytest.param("({{ agent.name }})", "()", id="empty in the text"),
        pytest.param("{{ agent.name | default: 'we' }}", "we", id="gives way to default"),
        pytest.param("{% if agent.name %}{{ agent.name }}{% else %}we{% endif %}", "we", id="false in a condition"),
        pytest.param("{{ 'by ' | append: agent.name }}", "by ", id="empty in a filter"),
        pytest.param("{{ attributes.nothing }}{{ attributes.size }}{{ attributes.first }}", "", id="attributes"),
        pytest.param("{% if wait.low_minutes < 9 %}soon{% endif %}", "", id="not less than anything"),
    ],
)
def test_a_variable_without_a_value_is_empty(text: str, rendered: str, missing: dict[str, Any]) -> None:
    """Nothing fails because something is not known yet; None is never written out."""
    assert compile_template(text).render(missing) == rendered


def test_zero_is_a_value() -> None:
    """A wait of 0 minutes is known."""
    template = compile_template("{{ wait.low_minutes | default: 'unknown' }}")
    assert template.render({"wait.low_minutes": 0}) == "0"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param(" \n", "is empty", id="blank"),
        pytest.param("{{ channel", "line 1, character 1: expected '}}'", id="open tag"),
        pytest.param("a\n b {% if channel %}", "endif", id="open block"),
        pytest.param("{{ channel team }}", "character 12", id="two values"),
        pytest.param("{{ }}", "expected a primitive", id="no value"),
        pytest.param(
            "ok\n{{ customer.nme }}", "line 2, character 4: there is no variable customer.nme", id="unknown part"
        ),
        pytest.param("{{ nobody }}", "there is no variable nobody", id="unknown name"),
        pytest.param("{% if false %}{{ nobody }}{% endif %}", "there is no variable nobody", id="never reached"),
        pytest.param("{{ 'a' | append: nobody }}", "there is no variable nobody", id="in a filter"),
        pytest.param("{{ customer }}", "there is no variable customer;", id="a group"),
        pytest.param("{{ attributes }}", "there is no variable attributes;", id="all attributes"),
        pytest.param("{{ channel.size }}", "there is no variable channel.size", id="part of a text"),
        pytest.param("{{ attributes.a.b }}", "there is no variable attributes.a.b", id="part of an attribute"),
        pytest.param("{{ attributes[channel] }}", "attributes[channel]", id="attribute by value"),
        pytest.param("{{ customer['name'].x }}", "there is no variable", id="too long a path"),
        pytest.param("{{ x }}{% assign x = 'a' %}", "there is no variable x", id="used before it is assigned"),
        pytest.param("{% assign x = channel %}{{ x.y }}", "there is no variable x.y", id="part of an assigned value"),
        pytest.param("{% assign channel = 'x' %}", "channel is a variable's name", id="assigned to a variable"),
        pytest.param("{% assign customer = 'x' %}", "customer is a variable's name", id="assigned to a group"),
        pytest.param("{{ channel | shout }}", "there is no filter shout", id="unknown filter"),
        pytest.param(
            "{% if false %}{{ channel | shout }}{% endif %}", "there is no filter shout", id="filter not reached"
        ),
        pytest.param("{{ 'now' | date: '%Y' }}", "there is no filter date", id="clock"),
        pytest.param("{{ channel | strip_html }}", "there is no filter strip_html", id="markup"),
        pytest.param(
            "{{ channel | replace: '', channel }}", "there is no filter replace", id="a filter that multiplies"
        ),
        pytest.param("{{ channel | upcase: 1 }}", "upcase", id="filter with too much"),
        pytest.param("{{ channel | append }}", "append", id="filter with too little"),
        pytest.param("{% include 'secret' %}", "unexpected tag 'include'", id="include"),
        pytest.param("{% render 'secret' %}", "unexpected tag 'render'", id="render"),
        pytest.param("{% for i in (1..3) %}x{% endfor %}", "unexpected tag 'for'", id="loop"),
        pytest.param("{% for i in (1..900000000) reversed %}x{% endfor %}", "unexpected tag 'for'", id="huge loop"),
        pytest.param("{% tablerow i in (1..3) %}x{% endtablerow %}", "unexpected tag", id="table"),
        pytest.param("{% capture x %}y{% endcapture %}", "unexpected tag 'capture'", id="capture"),
        pytest.param("{% cycle 'a', 'b' %}", "unexpected tag 'cycle'", id="state"),
        pytest.param("{% if (1..900000000) contains 'x' %}{% endif %}", "a range", id="range"),
        pytest.param("{{ 'a' if channel else 'b' }}", "ternary", id="ternary"),
        pytest.param("{{ 5 | divided_by: 0 }}", "can't divide by 0", id="division by 0"),
        pytest.param("{{ 5 | divided_by: wait.low_minutes }}", "can't divide by 0", id="division by what may be 0"),
        pytest.param("{% if channel == 'x' %}{{ 5 | divided_by: 0 }}{% endif %}", "divide by 0", id="in a branch"),
        pytest.param("{% if customer.name > 5 %}x{% endif %}", "not supported between", id="text above number"),
        pytest.param(
            "{% if wait.low_minutes contains 'x' %}x{% endif %}", "not supported between", id="text in number"
        ),
        pytest.param("{{ channel | truncate: attributes.n }}", "truncate expected", id="length that may be missing"),
        pytest.param("{{ 2" + " | times: 1000" * 20 + " }}", "too large", id="huge number"),
        pytest.param("x" * 5001, "has 5001 characters", id="long"),
        pytest.param("{{" * 201, "more than 200 tags", id="many tags"),
        pytest.param("{% if " + " and ".join(["channel"] * 60) + " %}x{% endif %}", "nested too deeply", id="deep"),
        pytest.param("{% if channel %}" * 31 + "{% endif %}" * 31, "nesting", id="deep blocks"),
        pytest.param("{% assign x = 'ab' %}" + "{% assign x = x | append: x %}" * 40, "too large", id="doubling"),
    ],
)
def test_a_bad_template_is_refused_with_its_reason(text: str, why: str) -> None:
    """Before anything is sent, whether or not the part would be reached, in one line."""
    with pytest.raises(BadTemplate) as refused:
        compile_template(text)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that is there."""
    (tmp_path / "secret").write_text("secret")
    monkeypatch.chdir(tmp_path)
    for tag in ("include", "render", "extends", "snippet"):
        with pytest.raises(BadTemplate):
            compile_template(f"{{% {tag} 'secret' %}}")


def test_a_wrong_name_of_a_value_is_a_fault_of_the_caller() -> None:
    """Not a text with a hole in it."""
    with pytest.raises(ValueError, match=r"not variables of a template: agent.nmae"):
        compile_template("Hi").render({"agent.nmae": "Bo"})


def test_every_variable_can_be_used_and_given() -> None:
    """The declared names are the names in use."""
    text = " ".join(f"{{{{ {name} }}}}" for name in VARIABLES)
    assert compile_template(text).render(VALUES) == " ".join(str(VALUES[name]) for name in VARIABLES)
    assert VALUES.keys() - {"attributes"} == VARIABLES.keys()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("{{ attributes.a }}", {"attributes": {"a": "x" * 200_000}}, id="a huge value"),
        pytest.param("{{ attributes.a | ceil }}", {"attributes": {"a": "1e999"}}, id="a number without end"),
        pytest.param("{{ attributes.a | append: attributes.a }}", {"attributes": {"a": "x" * 13_000}}, id="doubled"),
    ],
)
def test_a_value_that_is_too_large_is_refused_when_it_is_filled_in(text: str, values: dict[str, Any]) -> None:
    """The one thing that cannot be known before."""
    with pytest.raises(BadTemplate):
        compile_template(text).render(values)


TEMPLATES = [
    "Hi {{ customer.first_name | default: customer.name | default: 'there' }}, {{ team.name | truncate: 9 }}",
    "{% if wait.low_minutes and wait.low_minutes > 1 %}{{ wait.low_minutes | plus: 1 }}{% else %}?{% endif %}",
    "{% if attributes.a contains 'x' or attributes.a == channel %}{{ attributes.a | squish | url_encode }}{% endif %}",
    "{% case channel %}{% when 'a' %}{{ attributes.b | remove: team.name }}{% else %}{{ channel | size }}{% endcase %}",
    "{% assign n = wait.high_minutes | divided_by: 60 | at_least: 1 %}{{ n }} {{ attributes.a | plus: n | round }}",
]
TEXTS = st.text(max_size=8) | st.sampled_from(["1", "-2.5", "1e9", "nan", "inf", "{{ x }}", "a b", "\x00"])


@limits(max_examples=200, deadline=None)
@given(
    st.sampled_from(TEMPLATES),
    st.fixed_dictionaries(
        {},
        optional={name: st.integers(0, 10**6) if kind is int else TEXTS for name, kind in VARIABLES.items()}
        | {"attributes": st.dictionaries(st.sampled_from(["a", "b", "c"]), TEXTS)},
    ),
)
def test_an_accepted_template_renders_for_any_values(text: str, values: dict[str, Any]) -> None:
    """Whatever is known or not; a number that is none is the only other end."""
    try:
        rendered = compile_template(text).render(values)
    except BadTemplate as refused:
        if not re.search("too large|cannot convert float", str(refused)):
            raise
    else:
        assert "None" not in rendered
        assert "Undefined" not in rendered


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["{{", "}}", "{%", "%}", "if", " channel ", "|", "'", "x"])).map("".join)
)
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """Nothing but BadTemplate is ever raised."""
    try:
        compile_template(text)
    except BadTemplate:
        return


# -- which text, and whether it fits


def chosen(names: list[str], channel: str, language: str) -> str:
    """What the text that is chosen of these says: each says what it is for, "any" being any."""
    written = [(name, *name.split()) for name in names]
    texts = [AutoText(TextKind.OFFLINE, t, c.replace("any", ""), lang.replace("any", "")) for t, c, lang in written]
    found = changes._chosen(texts, TextKind.OFFLINE, channel, language)
    return found.text if found else ""


ORDER = ["sms de-AT", "sms de", "sms any", "any de-AT", "any de", "any any"]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_nearest_text_is_chosen(first: int) -> None:
    """The channel's own before any, and the language before its base before any: with the nearer ones gone."""
    others = ["web de-AT", "web any", "sms fr", "any fr"]
    assert chosen([*others, *reversed(ORDER[first:])], "sms", "de-AT") == ORDER[first]


def test_there_may_be_no_text() -> None:
    """None for a channel and language without one; a language that is not known gets the one for any."""
    assert chosen([], "sms", "de") == ""
    assert chosen(["sms fr", "web de"], "sms", "de") == ""
    assert chosen(["any fr", "any any"], "sms", "und") == "any any"


def test_languages_are_compared_without_case() -> None:
    """As BCP 47 says."""
    assert chosen(["any pt-br", "any PT"], "web", "pt-BR") == "any pt-br"


@pytest.mark.parametrize(("channel", "limit"), [*LIMITS.items(), ("forum", OTHER_LIMIT)])
def test_a_text_that_cannot_fit_its_channel_is_refused(channel: str, limit: int) -> None:
    """By its own length; a limit beyond what a template may have is never reached."""
    if limit < 5_000:
        must_fit(compile_template("ü" * limit), channel)
        with pytest.raises(BadTemplate, match=f"{channel} takes {limit}"):
            must_fit(compile_template("ü" * (limit + 1)), channel)
    else:
        must_fit(compile_template("ü" * 5_000), channel)


def test_an_account_may_have_a_limit_of_its_own() -> None:
    """SMS of up to 1,600 characters."""
    must_fit(compile_template("x" * 1_600), "sms", 1_600)
    with pytest.raises(BadTemplate, match="has 321 characters without its values, sms takes 320"):
        must_fit(compile_template("x" * 321), "sms")


def test_a_branch_counts_and_a_variable_does_not() -> None:
    """Branches that are taken when values are known, and those for when they are not."""
    for text in ("{% if agent.name %}{x}{% endif %}", "{% unless agent.name %}{x}{% endunless %}"):
        must_fit(compile_template(text.replace("{x}", "x" * 320)), "sms")
        with pytest.raises(BadTemplate):
            must_fit(compile_template(text.replace("{x}", "x" * 321)), "sms")
    must_fit(compile_template("{{ customer.name }}" * 20), "sms")
