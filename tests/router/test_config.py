"""A tenant's document is taken whole or refused whole, with the path of every error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf import json_format
from trunkline_common.errors import Refused
from trunkline_router import config

SMALLEST = "teams: [{id: support}]"
FULL = """
pools: [{id: default}, {id: sales}]
teams:
  - {id: support, pool: default, offer_timeout_s: 45}
  - {id: deals, pool: sales}
agents:
  - {id: ana, name: Ana, teams: [support], capacity: 4}
accounts:
  - id: shop-mail
    channel: email
    team: support
    secrets: {access_token: mail-token}
    options: {address: help@shop.example}
sla_policies:
  - {id: standard, team: support, first_response_s: 300, next_response_s: 600, warnings_percent: [50]}
sources:
  - {source: "https://app.example/orders", accounts: [shop-mail]}
"""


def paths(document: str) -> set[str]:
    """Where a document is wrong."""
    with pytest.raises(Refused) as refused:
        config.parse(document, "acme")
    assert (refused.value.code, refused.value.reason) == ("INVALID_ARGUMENT", "INVALID_CONFIG")
    return {violation.field for violation in refused.value.violations}


def test_the_smallest_document_has_defaults() -> None:
    """One pool, 20 s per offer."""
    found = config.parse(SMALLEST, "acme")
    assert json_format.MessageToDict(found) == {
        "tenant": "acme",
        "pools": [{"id": "default"}],
        "teams": [{"id": "support", "pool": "default", "offerTimeoutS": 20}],
    }


def test_a_full_document_arrives_whole() -> None:
    """Every field has its place in the contract; the version is not the author's to give."""
    assert json_format.MessageToDict(config.parse(FULL, "acme")) == {
        "tenant": "acme",
        "pools": [{"id": "default"}, {"id": "sales"}],
        "teams": [
            {"id": "support", "pool": "default", "offerTimeoutS": 45},
            {"id": "deals", "pool": "sales", "offerTimeoutS": 20},
        ],
        "agents": [{"id": "ana", "name": "Ana", "teams": ["support"], "capacity": 4}],
        "accounts": [
            {
                "id": "shop-mail",
                "channel": "email",
                "team": "support",
                "secrets": {"access_token": "mail-token"},
                "options": {"address": "help@shop.example"},
            }
        ],
        "slaPolicies": [
            {
                "id": "standard",
                "team": "support",
                "firstResponseS": 300,
                "nextResponseS": 600,
                "warningsPercent": [50],
            }
        ],
        "sources": [{"source": "https://app.example/orders", "accounts": ["shop-mail"]}],
    }


def test_the_demo_documents_are_good() -> None:
    """What we ship passes."""
    assert config.parse(Path("deploy/local/demo_tenant.yaml").read_text(), "demo").teams


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ("", {"document"}),
        ("[1]", {"document"}),
        ("teams: [{id: support", {"yaml"}),
        ("teams: !!python/object/apply:os.system [ls]", {"yaml"}),
        ("teams: []", {"teams"}),
        ("agents: [{id: ana, teams: [support]}]", {"teams"}),
        (f"{SMALLEST}\nteam: []", {"team"}),
        ("teams: [{id: support, offer_timeout: 5}]", {"teams[0].offer_timeout"}),
        ("teams: [{id: Support Team}]", {"teams[0].id"}),
        ("teams: [{id: support, offer_timeout_s: 0}]", {"teams[0].offer_timeout_s"}),
        (f"{SMALLEST}\nagents: [{{id: ana, teams: [support], capacity: many}}]", {"agents[0].capacity"}),
        (f"{SMALLEST}\nagents: [{{id: ana, teams: []}}]", {"agents[0].teams"}),
        ("teams: [{id: a}, {id: a}]", {"teams[1].id"}),
        ("teams: [{id: a, pool: nowhere}]", {"teams[0].pool", "pools"}),
        (f"{SMALLEST}\nagents: [{{id: ana, teams: [support, sales]}}]", {"agents[0].teams[1]"}),
        (f"{SMALLEST}\naccounts: [{{id: a, channel: sms, team: sales}}]", {"accounts[0].team"}),
        (f"{SMALLEST}\nsla_policies: [{{id: a, team: sales}}]", {"sla_policies[0].team"}),
        (f"{SMALLEST}\nsla_policies: [{{id: a, warnings_percent: [100]}}]", {"sla_policies[0].warnings_percent[0]"}),
        (f"{SMALLEST}\nsources: [{{source: s, accounts: [a]}}]", {"sources[0].accounts[0]"}),
        (f"{SMALLEST}\npools: [{{id: default}}, {{id: empty}}]", {"pools"}),
        (FULL.replace("teams: [support], capacity", "teams: [support, deals], capacity"), {"agents[0].teams"}),
    ],
)
def test_what_is_wrong_is_named_by_its_path(document: str, where: set[str]) -> None:
    """A misspelt field, a wrong type, a reference to nothing."""
    assert paths(document) == where


def test_all_errors_are_told_at_once() -> None:
    """Nobody mends one to hear of the next."""
    bad = "teams: [{id: a}, {id: a}]\nagents: [{id: x, teams: [b]}]\naccounts: [{id: m, channel: sms, team: c}]"
    assert paths(bad) == {"teams[1].id", "agents[0].teams[0]", "accounts[0].team"}


def test_a_document_has_a_limit() -> None:
    """A version must fit one record."""
    assert paths(SMALLEST + "\n#" + "x" * config.MAX_BYTES) == {"yaml"}


def test_the_command_line_checks_and_prints_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 where the document is good, 1 where it is not."""
    document = tmp_path / "tenant.yaml"
    for text, code in ((FULL, 0), ("teams: []", 1)):
        document.write_text(text)
        monkeypatch.setattr("sys.argv", ["config", str(document)])
        assert config.main() == code
    assert "teams" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["config", "--schema"])
    assert config.main() == 0
    assert "teams" in json.loads(capsys.readouterr().out)["required"]
