"""What is checked of a request before its handler, and how an error travels."""

from __future__ import annotations

import base64
from urllib.parse import quote

import asyncpg
import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from trunkline.common.v1.common_pb2 import Attachment, Content
from trunkline.ingest.v1.ingest_service_pb2 import PublishMessageRequest
from trunkline.ingest.v1.ingress_event_pb2 import IngressMessage
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.auth import Caller
from trunkline_common.errors import Refused, Violation, invalid_request, unavailable
from trunkline_common.rpc import allow, authorize, must_be_short, validate
from trunkline_common.rpc_errors import DOMAIN, from_rpc, to_refused, to_status

REQUEST_ID = "3f2b1c9a-7a44-4c8a-9d0e-5a1b2c3d4e5f"


def problems(request: Message, *required: str) -> list[tuple[str, str]]:
    """What is wrong with a request."""
    try:
        validate(request, required)
    except Refused as refused:
        return [(v.field, v.description) for v in refused.violations]
    return []


def test_a_bad_request_is_an_invalid_argument() -> None:
    """With a stable reason."""
    with pytest.raises(Refused) as refused:
        validate(api.AddNoteRequest(), ["text"])
    assert (refused.value.code, refused.value.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


def test_every_missing_field_is_named_at_once() -> None:
    """Empty text, an unset message and enum value 0 are missing."""
    found = problems(api.SendReplyRequest(), "request_id", "conversation_id", "content")
    assert found == [(name, "is required") for name in ("request_id", "conversation_id", "content")]
    presence = problems(api.SetAgentPresenceRequest(agent_id="ana"), "agent_id", "presence")
    assert presence == [("presence", "is required")]


def test_a_complete_request_passes() -> None:
    """An empty message that is there counts as there; what it says is the handler's business."""
    request = api.SendReplyRequest(request_id=REQUEST_ID, conversation_id="c", content=Content())
    assert problems(request, "request_id", "conversation_id", "content") == []


def test_a_field_of_a_field_can_be_required() -> None:
    """The path is what the answer names."""
    assert problems(PublishMessageRequest(), "message.message_id") == [("message.message_id", "is required")]
    asked = PublishMessageRequest(message=IngressMessage(account="a"))
    assert problems(asked, "message.message_id") == [("message.message_id", "is required")]
    asked.message.message_id = "m"
    assert problems(asked, "message.message_id") == []


def test_ids_have_a_length_that_ids_have() -> None:
    """Nobody looks for more; other texts have limits of their own."""
    must_be_short(api.AddNoteRequest(conversation_id="c" * 200, text="x" * 201))
    with pytest.raises(Refused) as refused:
        must_be_short(api.AddNoteRequest(conversation_id="c" * 201, agent_id="a" * 20_000))
    assert [v.field for v in refused.value.violations] == ["conversation_id", "agent_id"]


@pytest.mark.parametrize("bad", ["1", "not-a-uuid", REQUEST_ID.replace("-", ""), f"{{{REQUEST_ID}}}", REQUEST_ID + " "])
def test_a_request_id_is_a_uuid(bad: str) -> None:
    """In its usual form, upper or lower case."""
    assert problems(api.AddNoteRequest(request_id=bad)) == [
        ("request_id", "must be a UUID, the same one on every retry")
    ]
    assert problems(api.AddNoteRequest(request_id=REQUEST_ID.upper())) == []


def test_a_request_id_in_upper_case_is_the_same_one() -> None:
    """Whoever sees the request behind the checks sees it in lower case."""
    request = api.AddNoteRequest(request_id=REQUEST_ID.upper(), text="Hello")
    validate(request, ())
    assert (request.request_id, request.text) == (REQUEST_ID, "Hello")


def test_no_text_of_a_request_holds_a_nul() -> None:
    """PostgreSQL could not keep it: named by its path, however deep it lies, in names of a map too."""
    what = "must not hold a NUL character"
    reply = api.SendReplyRequest(conversation_id="c", content=Content(text="a\0b", attachments=[Attachment(ref="r")]))
    reply.content.attachments.add(name="\0")
    assert problems(reply) == [("content.text", what), ("content.attachments[1].name", what)]
    change = asks.ChangeAttributesRequest(add_tags=["vip", "a\0b"], set_values={"city": "\0", "or\0der": "7", "n": "8"})
    assert sorted(problems(change)) == sorted(
        [("set_values[city]", what), ("set_values[or\ufffdder]", what), ("add_tags[1]", what)]
    )
    agent = asks.PutAgentRequest(agent_id="a\0", skills={"german": 0})
    assert problems(agent) == [("agent_id", what)]


def test_a_number_may_have_a_zero_byte_in_it() -> None:
    """Only text is text; and what cleans it itself is given any."""
    zeros = asks.PutAgentRequest(agent_id="ana", skills={"german": 0}, capacity=0)
    assert b"\0" in zeros.SerializeToString()
    assert problems(zeros) == []
    validate(api.AddNoteRequest(text="a\0b"), (), any_text=True)


def test_an_agent_speaks_for_itself_only() -> None:
    """A supervisor may name anyone; a request that names nobody is for the handler."""
    policy, ana = allow("agent", "supervisor"), Caller("acme", "agent", "ana", "")
    authorize(policy, "/m", ana, api.AddNoteRequest(agent_id="ana"))
    authorize(policy, "/m", ana, api.AddNoteRequest())
    authorize(policy, "/m", Caller("acme", "supervisor", "sam", ""), api.AddNoteRequest(agent_id="ana"))
    with pytest.raises(Refused) as refused:
        authorize(policy, "/m", ana, api.AddNoteRequest(agent_id="ben"))
    assert (refused.value.code, refused.value.metadata) == ("PERMISSION_DENIED", {"method": "/m", "role": "agent"})


class Failed(grpc.aio.AioRpcError):
    """What a client sees of a refusal."""

    def __init__(self, refused: Refused) -> None:
        status = rpc_status.to_status(to_status(refused))
        trailing = grpc.aio.Metadata(*status.trailing_metadata)
        super().__init__(status.code, grpc.aio.Metadata(), trailing, details=status.details)


REFUSALS = [
    Refused("FAILED_PRECONDITION", "OFFER_ENDED", "too late", metadata={"offer_id": "o1", "assigned_agent": "ben"}),
    invalid_request(Violation("a.b", "is required"), Violation("c", "must not be negative")),
    unavailable("owner", retry_after=2.5),
    Refused("INTERNAL", "INTERNAL", "an internal error"),
]


@pytest.mark.parametrize("refused", REFUSALS, ids=lambda refused: refused.reason)
def test_an_error_comes_out_of_a_call_as_it_went_in(refused: Refused) -> None:
    """Code, reason, message, facts, violations and delay survive forwarding."""
    again = from_rpc(Failed(refused))
    for name in ("code", "reason", "message", "metadata", "violations", "retry_after"):
        assert getattr(again, name) == getattr(refused, name)


def sent_bytes(error: grpc.aio.AioRpcError) -> int:
    """What the error takes on its way: details in base64, the message percent-encoded."""
    raw = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    assert isinstance(raw, bytes)
    return len(base64.b64encode(raw)) + len(quote(error.details() or ""))


LONG = [
    Refused("NOT_FOUND", "AGENT_NOT_FOUND", f"no agent {'x' * 20_000}", metadata={"agent_id": "x" * 20_000}),
    Refused("NOT_FOUND", "AGENT_NOT_FOUND", "\u00e5" * 20_000, metadata={"agent_id": "\U0001f980" * 20_000}),
    invalid_request(Violation("filter", f"not {'x' * 20_000}")),
    invalid_request(*(Violation(f"teams[{i}].id", "is there twice: one team of an id") for i in range(300))),
    invalid_request(*(Violation("a." * 5000, "\U0001f980" * 5000) for _ in range(300))),
]


@pytest.mark.parametrize("refused", LONG, ids=range(len(LONG)))
def test_an_error_is_small_enough_to_arrive(refused: Refused) -> None:
    """Clients drop a call with more than 8 kB of metadata, and 16,384 bytes are the most any takes."""
    sent = Failed(refused)
    assert sent_bytes(sent) < 7_000
    again = from_rpc(sent)
    assert (again.code, again.reason, bool(again.violations)) == (
        refused.code,
        refused.reason,
        bool(refused.violations),
    )
    assert from_rpc(Failed(again)).violations == again.violations  # and passing it on cuts no more


def test_an_error_says_how_many_wrong_fields_did_not_fit() -> None:
    """The first ones are listed whole."""
    refused = from_rpc(Failed(LONG[3]))
    listed = len(refused.violations)
    assert listed > 50
    assert refused.violations == LONG[3].violations[:listed]
    assert refused.metadata["violations_left_out"] == str(300 - listed)
    assert refused.message.endswith(f"({300 - listed} wrong fields are not listed)")


def test_an_error_has_error_info_and_what_applies() -> None:
    """AIP-193: at most one of each; RetryInfo with UNAVAILABLE."""
    status = to_status(unavailable("postgresql"))
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    details: list[AnyMessage] = list(status.details)
    assert [d.TypeName() for d in details] == ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"]
    assert details[0].Unpack(info)
    assert details[1].Unpack(retry)
    assert (info.domain, info.reason, dict(info.metadata)) == (
        DOMAIN,
        "DEPENDENCY_UNAVAILABLE",
        {"dependency": "postgresql"},
    )
    assert retry.retry_delay.seconds == 1


def test_an_unavailable_stranger_asks_for_a_retry_too() -> None:
    """A connection that breaks has no details; the caller may still try again."""
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details="gone")
    refused = from_rpc(error)
    assert (refused.code, refused.reason, refused.retry_after) == ("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", 1.0)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (Refused("NOT_FOUND", "AGENT_NOT_FOUND", "no agent"), "NOT_FOUND", "AGENT_NOT_FOUND"),
        (TimeoutError(), "DEADLINE_EXCEEDED", "DEPENDENCY_UNAVAILABLE"),
        (OSError("refused"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE"),
        (asyncpg.CannotConnectNowError("starting"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE"),
        (KeyError("a defect"), "INTERNAL", "INTERNAL"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_exception_becomes_an_error_of_ours(error: Exception, code: str, reason: str) -> None:
    """A defect tells callers nothing but that there is one."""
    refused = to_refused(error, "/m")
    assert (refused.code, refused.reason) == (code, reason)
    assert "a defect" not in refused.message
