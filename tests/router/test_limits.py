"""Nothing is accepted that could not be published."""

from __future__ import annotations

import pytest
from trunkline.common.v1.common_pb2 import Content
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.errors import Refused
from trunkline_router.server_checks import MAX_COMMAND_BYTES, must_fit


def reply(length: int) -> api.SendReplyRequest:
    """A reply of that many bytes in all."""
    request = api.SendReplyRequest(content=Content(text="x" * length))
    return api.SendReplyRequest(content=Content(text="x" * (2 * length - request.ByteSize())))


def test_a_command_of_the_largest_size_is_taken() -> None:
    """As much as a customer may write."""
    assert reply(MAX_COMMAND_BYTES).ByteSize() == MAX_COMMAND_BYTES
    must_fit(reply(MAX_COMMAND_BYTES))


def test_a_larger_command_is_refused_with_the_limit() -> None:
    """Before it is decided: the broker would refuse its record for ever and hold up the partition."""
    with pytest.raises(Refused) as refused:
        must_fit(reply(MAX_COMMAND_BYTES + 1))
    assert (refused.value.code, refused.value.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    (violation,) = refused.value.violations
    assert f"send at most {MAX_COMMAND_BYTES}" in violation.description
