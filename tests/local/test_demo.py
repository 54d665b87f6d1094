"""The demo tenant gets its secrets here, and the lines that are printed are signed with them."""

import hashlib
import hmac
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from deploy.local import examples
from deploy.local.demo_config import account_of, make_secrets

LISTED = {"accounts": [{"id": "15550001", "channel": "whatsapp", "secrets": {"app_secret": "wa-app"}}]}
MAPPED = {"accounts": {"15550001": {"channel": "whatsapp", "secrets": {"app_secret": "wa-app"}}}}


@pytest.mark.parametrize("document", [LISTED, MAPPED])
def test_secrets_are_made_once(tmp_path: Path, document: dict[str, Any]) -> None:
    (file,) = make_secrets(document, tmp_path)
    made = file.read_text()
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert make_secrets(document, tmp_path) == [tmp_path / "secrets" / "demo" / "wa-app"]
    assert file.read_text() == made


@pytest.mark.parametrize("document", [LISTED, MAPPED])
def test_the_curl_line_is_signed_as_whatsapp_signs(tmp_path: Path, document: dict[str, Any]) -> None:
    make_secrets(document, tmp_path)
    line = examples.whatsapp_curl({"INGEST_HTTP": "http://127.0.0.1:1"}, document, tmp_path)
    assert line
    words = shlex.split(line)
    body = words[words.index("--data-binary") + 1].encode()
    wanted = hmac.new((tmp_path / "secrets" / "demo" / "wa-app").read_bytes(), body, hashlib.sha256).hexdigest()
    assert f"x-hub-signature-256: sha256={wanted}" in words
    assert "http://127.0.0.1:1/webhooks/whatsapp/demo/15550001" in words


def test_metas_published_vector() -> None:
    wanted = "sha256=0329a06b62cd16b33eb6792be8c60b158d89a2ee3a876fce9a881ebb488c0914"
    assert examples.signature(b"secret", b"test") == wanted


def test_a_tenant_without_whatsapp_has_no_such_line(tmp_path: Path) -> None:
    assert account_of({}, "whatsapp") is None
    assert examples.whatsapp_curl({}, {"accounts": []}, tmp_path) is None
