"""The key pair that signs tokens on this machine, made here and never anywhere else."""

import hashlib
import json
import os
import secrets
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import OKPAlgorithm

ISSUER = "trunkline-local"
AUDIENCE = "trunkline"
Role = Literal["agent", "supervisor", "admin", "integrator", "service"]
ROLES: tuple[Role, ...] = get_args(Role)


class Keys:
    """Made at the first use in a folder, read afterwards."""

    def __init__(self, folder: Path) -> None:
        self.jwks = folder / "keys" / "jwks.json"
        pem = folder / "keys" / "private.pem"
        if not pem.exists():
            write_secret(pem, _new_pem())
        self._private = load_pem_private_key(pem.read_bytes(), None)
        public = _public_jwk(self._private)
        self._kid = public["kid"]
        self.jwks.write_text(json.dumps({"keys": [public]}, indent=2) + "\n")

    def mint(self, role: Role, tenant: str, subject: str, lifetime: timedelta) -> str:
        now = datetime.now(UTC)
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "tenant": tenant, "role": role}
        times = {"iat": now, "exp": now + lifetime}
        return jwt.encode({**claims, **times}, self._private, algorithm="EdDSA", headers={"kid": self._kid})  # type: ignore[arg-type] # Ed25519, by _new_pem


def write_secret(file: Path, content: bytes) -> None:
    """Complete and readable by its owner alone from its first moment."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
    scratch.replace(file)


def ensure_secret(file: Path, content: bytes) -> Path:
    if not file.exists():
        write_secret(file, content)
    return file


def _new_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_jwk(private: Any) -> dict[str, str]:
    jwk = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    thumbprint = json.dumps({name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))  # RFC 7638
    kid = urlsafe_b64encode(hashlib.sha256(thumbprint.encode()).digest()).decode().rstrip("=")
    return {**jwk, "kid": kid, "use": "sig", "alg": "EdDSA"}
