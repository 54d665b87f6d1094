"""What a request must keep to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from trunkline.common.v1.common_pb2 import Attachment, Content
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.errors import Refused
from trunkline_ingest import ids
from trunkline_ingest.channels import email
from trunkline_router import refusals, threads
from trunkline_router.directory import as_refused
from trunkline_router.pool import Conversation
from trunkline_router.refusals import Refusal
from trunkline_router.routing import AgentConfig
from trunkline_router.server import POLICY
from trunkline_router.server_checks import agent_of, content_of, instant, later, must_be_priority, names, presence

from tests.router.given import CONTACT

STATE = [name for name, allow in POLICY.items() if {"request_id", "conversation_id"} <= set(allow.required)]


@pytest.mark.parametrize("name", STATE)
def test_every_command_on_a_conversation_may_expect_a_seq(name: str) -> None:
    """And is answered with the conversation."""
    method = api.DESCRIPTOR.services_by_name["RouterService"].methods_by_name[name]
    assert "expected_seq" in method.input_type.fields_by_name
    answered: Any = method.output_type.fields_by_name["conversation"].message_type
    assert answered.name == "Conversation"


def put(**more: object) -> asks.PutAgentRequest:
    """A request for an agent zoe."""
    fields: dict[str, object] = {"agent_id": "zoe", "teams": ["billing"]}
    return asks.PutAgentRequest(**{**fields, **more})  # type: ignore[arg-type] # whatever the test says


def test_an_agent_made_by_a_command_has_the_documents_defaults() -> None:
    """The name is the id, the capacity 3."""
    assert agent_of(put()) == AgentConfig("zoe", "zoe", ("billing",), 3, by_api=True)


def test_an_agent_is_made_as_asked() -> None:
    """A capacity of 0 is one."""
    made = agent_of(put(name="Zoe", capacity=0, skills={"sv": 4, "de": 5}, caps={"chat": 2}, bot=True))
    expected = AgentConfig("zoe", "Zoe", ("billing",), 0, (("de", 5), ("sv", 4)), (("chat", 2),), bot=True, by_api=True)
    assert made == expected


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"agent_id": "Zoe!"}, "agent_id"),
        ({"agent_id": "manager"}, "agent_id"),
        ({"agent_id": "previous"}, "agent_id"),
        ({"teams": ["billing", "Not a team"]}, "teams[1]"),
        ({"skills": {"not a skill": 2}}, "skills.not a skill"),
        ({"teams": []}, "teams"),
        ({"capacity": -1}, "capacity"),
        ({"skills": {"de": 6}}, "skills.de"),
        ({"name": "x" * 101}, "name"),
    ],
)
def test_what_a_document_may_not_say_a_command_may_not_either(more: dict[str, object], field: str) -> None:
    """The same rules, each violation with its path."""
    with pytest.raises(Refused) as refused:
        agent_of(put(**more))
    assert [v.field for v in refused.value.violations] == [field]


@pytest.mark.parametrize("found", [[""], ["x" * 101], [str(i) for i in range(101)]])
def test_names_are_bounded(found: list[str]) -> None:
    """They are in every event that changes one of them."""
    with pytest.raises(Refused):
        names("add_tags", found)


@pytest.mark.parametrize(
    ("attachments", "fields"),
    [
        ([Attachment(ref="f")] * 51, ["content.attachments"]),
        (
            [Attachment(ref="f"), Attachment(ref=" ", size_bytes=-5)],
            ["content.attachments[1].ref", "content.attachments[1].size_bytes"],
        ),
    ],
)
def test_a_reply_has_few_attachments_each_of_them_somewhere(attachments: list[Attachment], fields: list[str]) -> None:
    """As many as a customer may send."""
    with pytest.raises(Refused) as refused:
        content_of(api.SendReplyRequest(content=Content(text="here", attachments=attachments)))
    assert [v.field for v in refused.value.violations] == fields
    content_of(api.SendReplyRequest(content=Content(attachments=[Attachment(ref="f")] * 50)))


@pytest.mark.parametrize(
    ("refusal", "field", "says"),
    [
        (refusals.wrong_time("until", "must be in the future"), "until", "must be in the future"),
        (refusals.no_closing_text("sms", "de"), "closing_text", "names a text of kind closing, and there is none"),
        (
            refusals.wrong_seq("answers_through_seq", Conversation("c", 1, "app", "app", CONTACT, "")),
            "answers_through_seq",
            "must be",
        ),
    ],
)
def test_a_field_that_the_engine_refuses_is_named_like_any_other(refusal: Refusal, field: str, says: str) -> None:
    """As a BadRequest has it, and in the metadata."""
    refused = as_refused(refusal)
    assert ([v.field for v in refused.violations], refused.metadata) == ([field], {"field": field})
    assert refused.violations[0].description.startswith(says)


@pytest.mark.parametrize("number", [-1, 4, 99])
def test_a_presence_that_nobody_knows_is_refused(number: int) -> None:
    """Any number can be sent as an enum."""
    request = api.SetAgentPresenceRequest(presence=number)  # type: ignore[arg-type] # as a newer client might
    with pytest.raises(Refused) as refused:
        presence(request)
    assert [v.field for v in refused.value.violations] == ["presence"]


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(0, -1), (0, 2_000_000_000), (-62_135_596_801, 0), (253_402_300_800, 0), (2**63 - 1, 0), (-(2**63), 0)],
)
def test_an_instant_that_no_calendar_has_is_refused(seconds: int, nanos: int) -> None:
    """Years 1 to 9999, whole nanoseconds."""
    with pytest.raises(Refused) as refused:
        instant("until", Timestamp(seconds=seconds, nanos=nanos))
    assert [v.field for v in refused.value.violations] == ["until"]


def test_what_would_end_after_the_last_year_is_refused() -> None:
    """A callback at its very end, for example."""
    with pytest.raises(Refused) as refused:
        later("begins_at", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), timedelta(minutes=30))
    assert [v.field for v in refused.value.violations] == ["begins_at"]


@pytest.mark.parametrize("given", ["high", "0", "-300", "007", "1000000000", "-1000000000"])
def test_a_priority_is_a_name_or_a_number_of_seconds(given: str) -> None:
    """Any integer that the engine can count with."""
    must_be_priority(given, ["normal", "high"])


@pytest.mark.parametrize("given", ["", "soon", "1.5", "+5", "--5", "-", " 5", "5\n", "\u0665", "1000000001", "9" * 100])
def test_any_other_priority_is_refused_with_what_it_may_be(given: str) -> None:
    """Other digits than ours, and numbers that no field holds, too."""
    with pytest.raises(Refused, match="priority: must be one of normal, high, or whole seconds from -1000000000"):
        must_be_priority(given, ["normal", "high"])


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "app"])
def test_a_conversation_we_begin_is_the_one_its_answer_comes_to(channel: str) -> None:
    """The id is ingest's."""
    key = threads.thread_key(channel, "+15550100", "message-1")
    expected = ids.conversation_id("acme", channel, "main", "+15550100")
    assert threads.conversation_id("acme", channel, "main", key) == expected


def test_an_e_mail_we_begin_is_the_thread_that_its_message_id_names() -> None:
    """A client that keeps only our Message-ID still answers into it."""
    assert threads.thread_key("email", "a@customer.example", "message-1") == email.thread_of("message-1")
