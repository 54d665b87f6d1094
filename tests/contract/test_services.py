"""Every rpc of every service, found from the descriptors: who may call it, retries, pages; and every error reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from trunkline.common.v1.error_reason_pb2 import ErrorReason
from trunkline_common.auth import Caller, Role
from trunkline_common.errors import Refused
from trunkline_common.rpc import Allow, authorize
from trunkline_ingest.server import POLICY as INGEST
from trunkline_insights.server import POLICY as INSIGHTS
from trunkline_router.config_server import POLICY as CONFIG
from trunkline_router.explain_server import POLICY as EXPLAIN
from trunkline_router.server import POLICY as ROUTER
from trunkline_sla.server import POLICY as SLA
from trunkline_timeline.server import POLICY as TIMELINE

ROLES: tuple[Role, ...] = get_args(Role)
POLICIES: dict[str, Mapping[str, Allow]] = {
    "trunkline.config.v1.ConfigService": CONFIG,
    "trunkline.ingest.v1.IngestService": INGEST,
    "trunkline.insights.v1.InsightsService": INSIGHTS,
    "trunkline.router.v1.ExplainService": EXPLAIN,
    "trunkline.router.v1.RouterService": ROUTER,
    "trunkline.sla.v1.SlaService": SLA,
    "trunkline.timeline.v1.TimelineService": TIMELINE,
}
READS = ("Get", "List", "Watch", "Lookup", "Explain", "Replay", "Evaluate", "Preview")
#: Commands whose retries are safe by another field; who is said to type twice, types, and what is cancelled twice is.
OTHER_KEY = {
    "PublishMessage": "message.message_id",
    "SetTyping": "conversation_id",
    "CancelSimulation": "simulation_id",
}


def _methods() -> dict[str, MethodDescriptor]:
    found: dict[str, MethodDescriptor] = {}
    for file in sorted(Path("proto/trunkline").rglob("*_service.proto")):
        module = import_module(".".join(file.relative_to("proto").with_suffix("").parts) + "_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            found |= {f"{service.full_name}/{method.name}": method for method in service.methods}
    return found


METHODS = _methods()
LISTS = [name for name in METHODS if name.rpartition("/")[2].startswith("List")]
COMMANDS = [name for name in METHODS if not name.rpartition("/")[2].startswith(READS)]


def request_of(method: MethodDescriptor) -> Message:
    """An empty request."""
    return message_factory.GetMessageClass(method.input_type)()


def test_every_rpc_has_a_policy_and_every_policy_an_rpc() -> None:
    """What has no entry is denied to all: a forgotten one would be a method that nobody can call."""
    assert {f"{service}/{method}" for service, policy in POLICIES.items() for method in policy} == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_role_that_is_not_allowed_is_refused(name: str) -> None:
    """Every role against every method; nobody is allowed everything by accident of an empty policy."""
    service, _, method = name.partition("/")
    policy = POLICIES[service][method]
    assert policy.roles
    for role in ROLES:
        who = Caller("acme", role, "somebody", "")
        if role in policy.roles:
            authorize(policy, name, who, request_of(METHODS[name]))
        else:
            with pytest.raises(Refused) as refused:
                authorize(policy, name, who, request_of(METHODS[name]))
            assert (refused.value.code, refused.value.reason) == ("PERMISSION_DENIED", "ROLE_FORBIDDEN")


@pytest.mark.parametrize("role", ROLES)
def test_a_method_without_a_policy_is_denied_to_all(role: Role) -> None:
    """Deny by default."""
    with pytest.raises(Refused, match="may not call"):
        authorize(None, "/trunkline.router.v1.RouterService/Unknown", Caller("acme", role, "x", ""), Message())


@pytest.mark.parametrize("name", METHODS)
def test_required_fields_exist(name: str) -> None:
    """A policy names fields of its request."""
    service, _, method = name.partition("/")
    for path in POLICIES[service][method].required:
        kind: Descriptor | None = METHODS[name].input_type
        for part in path.split("."):
            assert kind is not None
            assert part in kind.fields_by_name, f"{kind.full_name} has no {path}"
            kind = kind.fields_by_name[part].message_type


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_can_be_retried(name: str) -> None:
    """It requires a request_id, or another field that means the same."""
    service, _, method = name.partition("/")
    field = OTHER_KEY.get(method, "request_id")
    assert field in POLICIES[service][method].required
    assert field.split(".")[0] in METHODS[name].input_type.fields_by_name


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_pages(name: str) -> None:
    """page_size and page_token in; a repeated first field and next_page_token out (AIP-158)."""
    asked, answered = METHODS[name].input_type.fields_by_name, METHODS[name].output_type
    assert asked["page_size"].type == FieldDescriptor.TYPE_INT32
    assert asked["page_token"].type == FieldDescriptor.TYPE_STRING
    assert answered.fields_by_name["next_page_token"].type == FieldDescriptor.TYPE_STRING
    assert answered.fields_by_number[1].is_repeated


@pytest.mark.parametrize("name", METHODS)
def test_no_request_names_its_tenant(name: str) -> None:
    """The tenant is the token's."""
    assert "tenant" not in METHODS[name].input_type.fields_by_name


# -- error reasons


DECLARED = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118 - not a dict
DECLARED -= {"UNSPECIFIED"}
#: Constructors of errors and the position of their reason.
ERRORS = {"Refused": 1, "Refusal": 1}


def _reasons() -> set[str]:
    found: set[str] = set()
    for file in [*Path("services").rglob("*.py"), *Path("libs").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            found |= _reason(node)
    return found


def _reason(node: ast.AST) -> set[str]:
    if not isinstance(node, ast.Call):
        return set()
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    place = ERRORS.get(name)
    if place is None or len(node.args) <= place or _is_http(node.args[0]):
        return set()
    texts = (n.value for n in ast.walk(node.args[place]) if isinstance(n, ast.Constant))
    return {t for t in texts if isinstance(t, str) and re.fullmatch(r"[A-Z][A-Z_]+", t)}


def _is_http(code: ast.expr) -> bool:
    """A webhook's answer has a number for its status."""
    return isinstance(code, ast.Constant) and isinstance(code.value, int)


def test_every_error_reason_is_declared_and_every_declared_one_is_used() -> None:
    """Callers can rely on the enum: nothing else is sent, nothing in it is dead."""
    assert _reasons() == DECLARED


def test_an_undeclared_reason_is_found() -> None:
    """The search can fail."""
    call: Any = ast.parse('raise Refused("INTERNAL", "SOMETHING_NEW", "text")').body[0]
    assert _reason(call.exc) == {"SOMETHING_NEW"}
