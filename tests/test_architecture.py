"""Who may import what, and how large things may grow (design section 7). Each rule is a function over one module's
source and is tried on a module that breaks it, so that no rule is one that cannot fail."""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_MEDIAN_LINES = 300, 40, 8

#: Decisions without I/O: the standard library and each other, nothing that asks for time, chance or the outside.
PURE = {
    "trunkline_common": {"calendar", "calendar_rules", "calendar_expansion", "calendar_zones"},
    "trunkline_router": {
        *("facts", "routing", "events", "pool_events", "inputs", "refusals", "tools"),
        *(
            "pool",
            "index",
            "waiting",
            "state",
            "fold",
            "fold_agents",
            "engine",
            "policies",
            "matching",
            "timers",
            "estimate",
        ),
        *("closing", "promises", "known", "holds"),
        *("commands", "agents", "messages", "moves", "changes", "handed", "handover", "leaving"),
        *("explain", "explain_agents", "replay", "replay_inputs"),
        *("policy_simulation", "simulation_record", "simulation_services", "simulation_world", "simulation_figures"),
        *("condition_check", "condition_tokens", "pattern_cost", "erlang", "fairness"),
    },
    "trunkline_sla": {
        *("evaluation", "evaluation_answers", "evaluation_clocks", "evaluation_events", "evaluation_facts"),
        *("evaluation_model", "evaluation_replies", "evaluation_rules", "evaluation_timers", "evaluation_work"),
        *("promises", "journal", "conversation", "explain", "preview", "report", "timers"),
    },
    "trunkline_timeline": {"history"},
    "trunkline_ingest": {"ids", "labels", "model", "text", "mime", "autoreply", "delivery_policy", "intake_reasons"},
    "trunkline_insights": {"queues"},
}
IMPURE = {"asyncio", "os", "random", "secrets", "socket", "ssl", "subprocess", "threading", "time"}
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open"}

#: Drivers and the modules that may import them, by package; a package that is not named may not at all.
GRPC_HOME = {"trunkline_common": {"rpc", "rpc_errors"}}
FAUST_HOME = {"trunkline_insights": {"app", "__main__", "__init__"}}
HOMES: dict[str, dict[str, set[str]]] = {
    "aiokafka": {"trunkline_common": {"kafka"}},
    "asyncpg": {"trunkline_common": {"postgres"}},
    "cel": {"trunkline_router": {"conditions"}},
    "grpc": GRPC_HOME,
    "grpc_health": GRPC_HOME,
    "grpc_reflection": GRPC_HOME,
    "grpc_status": GRPC_HOME,
    "faust": FAUST_HOME,
    "holidays": {"trunkline_sla": {"import_holidays"}},
    "icalendar": {"trunkline_sla": {"import_ical"}},
    "liquid": {"trunkline_router": {"templates"}},
    "mode": FAUST_HOME,
    "recurring_ical_events": {"trunkline_sla": {"import_ical"}},
    "aiohttp": {
        "trunkline_ingest": {"webhooks", "delivery", "channels/posting", "channels/sending", "channels/sms"},
    },
    "aiosmtpd": {"trunkline_ingest": {"smtp"}},
    "aiosmtplib": {"trunkline_ingest": {"channels/email"}},
}
#: Beside server modules and composition roots: the clients of other services.
GRPC_CLIENTS = {
    "trunkline_router": {"gate", "lookup"},
    "trunkline_sla": {"import_apply"},
    "trunkline_timeline": {"promises"},
}

#: What an import is called on PyPI where the names differ; the longest prefix counts.
DISTRIBUTIONS = {
    "cel": "common-expression-language",
    "faust": "faust-streaming",
    "google.protobuf": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "grpc_reflection": "grpcio-reflection",
    "grpc_status": "grpcio-status",
    "jwt": "pyjwt",
    "liquid": "python-liquid",
    "mode": "mode-streaming",
    "opentelemetry": "opentelemetry-api",
    "opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "trunkline": "trunkline-proto",
    "yaml": "pyyaml",
}

SQL = re.compile(
    r"^\s*(select\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|with\s+\w+\s+as\b|truncate\s"
    r"|(create|alter|drop)\s+(table|schema|index|role|view)\b)",
    re.IGNORECASE,
)
#: (package, module, name): a schema's name, which no placeholder can stand for and no caller gives.
SQL_NAMES = {("trunkline_common", "postgres", "schema")}


@dataclass(frozen=True)
class Source:
    """One module: its package, its name in it ("channels/sms"), its text and what its package declares."""

    package: str
    name: str
    text: str
    declared: frozenset[str] = frozenset()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> set[str]:
        """Every module imported, `from a import b` as a and a.b."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)}
        return {name for name in found if not name.startswith("__future__")}

    @property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]

    def __str__(self) -> str:
        return f"{self.package}/{self.name}"


def _packages() -> Iterator[Source]:
    for project in sorted([*Path("services").glob("*/pyproject.toml"), Path("libs/common/pyproject.toml")]):
        declared = frozenset(map(_distribution, tomllib.loads(project.read_text())["project"]["dependencies"]))
        for root in project.parent.glob("src/*"):
            for file in sorted(root.rglob("*.py")):
                name = file.relative_to(root).with_suffix("").as_posix()
                yield Source(root.name, name, file.read_text(), declared)


def _distribution(requirement: str) -> str:
    return re.split(r"[\[<>=~! ;]", requirement)[0].lower().replace("_", "-")


SOURCES = list(_packages())
Rule = Callable[[Source], Iterator[str]]


# -- the rules


def pure_modules_import_the_standard_library_and_pure_siblings_only(source: Source) -> Iterator[str]:
    pure = PURE.get(source.package, set())
    if source.name not in pure:
        return
    for name in sorted(source.imports):
        root, _, rest = name.partition(".")
        sibling = root == source.package and (not rest or rest.split(".")[0] in pure)
        shared = root == "trunkline_common" and rest.split(".")[0] in PURE["trunkline_common"]
        if not sibling and not shared and (root not in sys.stdlib_module_names or root in IMPURE):
            yield f"imports {name}"
    called = (n.func for n in ast.walk(source.tree) if isinstance(n, ast.Call))
    names = (f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in called)
    yield from (f"calls {name}" for name in sorted(set(names) & IMPURE_CALLS))


def services_never_import_each_other(source: Source) -> Iterator[str]:
    for name in sorted(source.imports):
        root = name.split(".")[0]
        if root.startswith("trunkline_") and root not in (source.package, "trunkline_common"):
            yield f"imports {name}"


def a_driver_has_one_home(source: Source) -> Iterator[str]:
    for name in sorted(source.imports):
        home = HOMES.get(name.split(".")[0])
        if home is not None and source.name not in home.get(source.package, set()):
            yield f"imports {name}"


def generated_grpc_code_is_for_servers_and_clients(source: Source) -> Iterator[str]:
    server = source.name in ("server", "__main__") or source.name.endswith("_server")
    if server or source.package == "trunkline_common" or source.name in GRPC_CLIENTS.get(source.package, set()):
        return
    yield from (f"imports {name}" for name in sorted(source.imports) if "_pb2_grpc" in name.split(".")[-1])


def every_package_imported_is_declared(source: Source) -> Iterator[str]:
    found: set[str] = set()
    for name in source.imports:
        root = name.split(".")[0]
        if root not in sys.stdlib_module_names and root != source.package:
            known = max((p for p in DISTRIBUTIONS if f"{name}.".startswith(f"{p}.")), key=len, default=root)
            if known in ("opentelemetry", "google") and name == known:
                continue  # a namespace: what is imported from it counts
            found.add(DISTRIBUTIONS.get(known, known.replace("_", "-")))
    yield from (f"does not declare {name}" for name in sorted(found - source.declared))


def modules_and_functions_stay_small(source: Source) -> Iterator[str]:
    if (lines := len(source.text.splitlines())) > MAX_MODULE_LINES:
        yield f"has {lines} lines"
    for function in source.functions:
        if (lines := _lines(function)) > MAX_FUNCTION_LINES:
            yield f"{function.name} has {lines} lines"


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def every_return_is_annotated(source: Source) -> Iterator[str]:
    yield from (f"{f.name} has no return annotation" for f in source.functions if f.returns is None)


def values_reach_sql_as_parameters_only(source: Source) -> Iterator[str]:
    """Only constants, the module's own or imported, and listed names may be part of a statement's text."""
    imported = {a.asname or a.name for n in source.tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assigned = (n for n in source.tree.body if isinstance(n, ast.Assign) and isinstance(n.value, ast.Constant))
    own = {t.id for n in assigned for t in n.targets if isinstance(t, ast.Name)}
    constants = {name for name in imported | own if name.isupper()}
    for node in ast.walk(source.tree):
        for value in _composed(node):
            name = value.id if isinstance(value, ast.Name) else ast.unparse(value)
            if name not in constants and (source.package, source.name, name) not in SQL_NAMES:
                yield f"line {value.lineno} puts {name} into SQL"


def _composed(node: ast.AST) -> list[ast.expr]:
    """What is put into the text of a statement by an f-string, %, + or format."""
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_] as parts) if SQL.match(text):
            return [p.value for p in parts if isinstance(p, ast.FormattedValue)]
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod() | ast.Add(), right=value) if SQL.match(text):
            return [value]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")) if SQL.match(text):
            return [*node.args, *(k.value for k in node.keywords)]
    return []


FAULTS = ("CRASH_AT", "FREEZE_AT", "TRUNKLINE_FAULT_FILE", "TRUNKLINE_SABOTAGE")


def faults_are_read_in_one_place(source: Source) -> Iterator[str]:
    """Sabotage and crash points are known to faultpoints.py alone, which refuses them outside test builds."""
    if source.name == "faultpoints":
        return
    texts = {n.value for n in ast.walk(source.tree) if isinstance(n, ast.Constant)}
    yield from (f"reads {name}" for name in FAULTS if name in texts)


#: Each rule with modules that break it.
BROKEN: dict[Rule, list[Source]] = {
    pure_modules_import_the_standard_library_and_pure_siblings_only: [
        Source("trunkline_router", "engine", "import asyncpg"),
        Source("trunkline_router", "engine", "from trunkline_router import wire"),
        Source("trunkline_router", "engine", "from trunkline_common.clock import utc_now"),
        Source("trunkline_router", "engine", "import random"),
        Source("trunkline_router", "engine", "from datetime import datetime\nat = datetime.now()"),
        Source("trunkline_router", "engine", "from uuid import uuid4\nid = uuid4()"),
    ],
    services_never_import_each_other: [Source("trunkline_sla", "wire", "from trunkline_router import wire")],
    a_driver_has_one_home: [
        Source("trunkline_common", "worker", "from aiokafka.errors import KafkaError"),
        Source("trunkline_common", "outbox", "import asyncpg"),
        Source("trunkline_common", "auth", "import grpc"),
        Source("trunkline_router", "server", "import grpc"),
        Source("trunkline_insights", "queues", "import faust"),
        Source("trunkline_ingest", "mime", "import aiohttp"),
    ],
    generated_grpc_code_is_for_servers_and_clients: [
        Source("trunkline_router", "store", "from trunkline.router.v1 import router_service_pb2_grpc"),
        Source("trunkline_router", "wire", "from trunkline.router.v1.router_service_pb2_grpc import RouterServiceStub"),
    ],
    every_package_imported_is_declared: [
        Source("trunkline_router", "wire", "import yaml", frozenset({"protobuf"})),
        Source("trunkline_router", "wire", "from google.rpc import status_pb2", frozenset({"protobuf"})),
        Source("trunkline_router", "wire", "from opentelemetry.sdk import trace", frozenset({"opentelemetry-api"})),
    ],
    modules_and_functions_stay_small: [
        Source("trunkline_router", "pool", "x = 1\n" * 301),
        Source("trunkline_router", "pool", "def f() -> None:\n" + "    pass\n" * 40),
    ],
    every_return_is_annotated: [Source("trunkline_router", "pool", "def f(): pass")],
    values_reach_sql_as_parameters_only: [
        Source("trunkline_sla", "store", "f'select x from clock where tenant = {tenant}'"),
        Source("trunkline_sla", "store", "'delete from clock where tenant = %s' % tenant"),
        Source("trunkline_sla", "store", "'update clock set gen = ' + gen"),
        Source("trunkline_sla", "store", "'create schema {}'.format(name)"),
        Source("trunkline_sla", "store", "TENANT = read()\nf'select x from clock where tenant = {TENANT}'"),
    ],
    faults_are_read_in_one_place: [Source("trunkline_common", "worker", "import os\nos.environ['TRUNKLINE_SABOTAGE']")],
}


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_rule(rule: Rule) -> None:
    """Every module of every package; the answer names each that does not."""
    problems = [f"{source} {problem}" for source in SOURCES for problem in rule(source)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("rule", "broken"), [(r, b) for r, samples in BROKEN.items() for b in samples], ids=lambda v: getattr(v, "name", "")
)
def test_a_module_that_breaks_the_rule_is_found(rule: Rule, broken: Source) -> None:
    """The rule can fail."""
    assert list(rule(broken))


def test_every_pure_module_exists() -> None:
    """A module that was renamed is not silently exempt."""
    assert {f"{package}/{name}" for package, names in PURE.items() for name in names} <= set(map(str, SOURCES))


def test_functions_are_short_in_the_median(record_property: Callable[[str, object], None]) -> None:
    """The figures go into the report."""
    lines = [_lines(function) for source in SOURCES for function in source.functions]
    median = statistics.median(lines)
    for name, value in (("functions", len(lines)), ("median lines", median), ("longest", max(lines))):
        record_property(name, value)
    assert median <= MAX_MEDIAN_LINES
