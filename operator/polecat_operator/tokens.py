"""The agents' tokens: the key that signs them, the public keys that check them, one Secret for each polecat."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polecat_api import GROUP, VERSION
from polecat_api.polecat import Polecat
from polecat_api.protocol import (
    CLAIM_ATTEMPT,
    CLAIM_BEAD,
    JWKS_CONFIG_MAP,
    JWKS_KEY,
    TOKEN_ALGORITHM,
    TOKEN_AUDIENCE_AGENT,
    TOKEN_ISSUER,
    TOKEN_KEY,
    TOKEN_LEEWAY_SECONDS,
)
from polecat_api.times import format_time, parse_time
from polecat_kube.api import KubeApi
from polecat_kube.resources import CONFIG_MAP, SECRET
from polecat_operator.clock import Clock

SIGNING_SECRET = "polecat-signing-key"  # noqa: S105 - a name
KEYS_FIELD = "keys.json"
KEYS_KEPT = 2
"""The newest signs; the one before still checks, as tokens signed with it may be in use."""
GRACE_AFTER_RUN = timedelta(hours=1)
"""How much longer than its attempt a token holds: checks, push and save come after the run."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One Ed25519 key."""

    kid: str
    created: datetime
    private_pem: str

    @classmethod
    def generate(cls, now: datetime) -> SigningKey:
        """A new key."""
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(uuid.uuid4().hex[:12], now, pem.decode())

    def load(self) -> Ed25519PrivateKey:
        """The private key. Raises ValueError when the PEM text holds none."""
        key = serialization.load_pem_private_key(self.private_pem.encode(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"key {self.kid} is not an Ed25519 key")
        return key

    def public_jwk(self) -> dict[str, str]:
        """The public key in the form of RFC 8037."""
        raw = self.load().public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": TOKEN_ALGORITHM, "kid": self.kid, "x": x}


def claims(polecat: Polecat, now: datetime, jti: str) -> dict[str, Any]:
    """What the token of a polecat says. It holds for the whole attempt, so that it never needs to be renewed."""
    ends = now + timedelta(seconds=polecat.spec.limits.run_seconds) + GRACE_AFTER_RUN
    return {
        "iss": TOKEN_ISSUER,
        "aud": TOKEN_AUDIENCE_AGENT,
        "sub": polecat.metadata.uid,
        CLAIM_BEAD: polecat.spec.bead_ref.uid,
        CLAIM_ATTEMPT: polecat.spec.attempt,
        "jti": jti,
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()) - TOKEN_LEEWAY_SECONDS,
        "exp": int(ends.timestamp()),
    }


class Keys:
    """The operator's signing keys, kept in a Secret of its own namespace."""

    def __init__(self, api: KubeApi, namespace: str, clock: Clock, rotation_seconds: float) -> None:
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._rotation = timedelta(seconds=rotation_seconds)
        self._keys: list[SigningKey] = []
        self._private: Ed25519PrivateKey | None = None
        self._published: set[str] = set()

    async def load(self) -> None:
        """Reads the keys; makes the first one, or a new one when the newest is old. Raises ApiError."""
        stored = await self._api.get(SECRET, self._namespace, SIGNING_SECRET)
        keys = _decode(stored) if stored is not None else []
        now = self._clock.now()
        if not keys or now - keys[0].created > self._rotation:
            keys = [SigningKey.generate(now), *keys][:KEYS_KEPT]
            await self._store(keys, stored)
        if [key.kid for key in keys] != [key.kid for key in self._keys]:
            self._keys, self._private = keys, keys[0].load()
            self._published.clear()

    async def _store(self, keys: list[SigningKey], stored: dict[str, Any] | None) -> None:
        body: dict[str, Any] = {
            "metadata": {"name": SIGNING_SECRET, "namespace": self._namespace},
            "type": "Opaque",
            "data": {KEYS_FIELD: _encode(keys)},
        }
        if stored is None:
            await self._api.create(SECRET, self._namespace, body)
        else:
            body["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"]
            await self._api.update(SECRET, self._namespace, SIGNING_SECRET, body)

    async def publish(self, namespace: str) -> None:
        """Writes the public keys into a namespace with a town, once for each set of keys. Raises ApiError."""
        if namespace in self._published:
            return
        jwks = json.dumps({"keys": [key.public_jwk() for key in self._keys]}, sort_keys=True)
        await self._api.apply(CONFIG_MAP, namespace, JWKS_CONFIG_MAP, {"data": {JWKS_KEY: jwks}})
        self._published.add(namespace)

    def publish_again(self) -> None:
        """Has the next `publish` of each namespace write, in case somebody has changed or deleted the keys."""
        self._published.clear()

    def sign(self, polecat: Polecat) -> str:
        """The token of a polecat. Raises RuntimeError before `load`."""
        if self._private is None:
            raise RuntimeError("the signing key has not been loaded")
        said = claims(polecat, self._clock.now(), uuid.uuid4().hex)
        return jwt.encode(said, self._private, algorithm=TOKEN_ALGORITHM, headers={"kid": self._keys[0].kid})


def token_secret(polecat: Polecat, token: str) -> dict[str, Any]:
    """The Secret with a polecat's token. It belongs to the Polecat, and goes with it."""
    return {
        "metadata": {
            "name": polecat.spec.token_secret_ref.name,
            "namespace": polecat.metadata.namespace,
            "ownerReferences": [
                {
                    "apiVersion": f"{GROUP}/{VERSION}",
                    "kind": "Polecat",
                    "name": polecat.metadata.name,
                    "uid": polecat.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "type": "Opaque",
        "data": {TOKEN_KEY: base64.b64encode(token.encode()).decode()},
    }


def _encode(keys: list[SigningKey]) -> str:
    plain = [{"kid": key.kid, "created": format_time(key.created), "pem": key.private_pem} for key in keys]
    return base64.b64encode(json.dumps(plain).encode()).decode()


def _decode(secret: dict[str, Any]) -> list[SigningKey]:
    """Keys in a stored Secret; none when somebody has emptied it or written nonsense into it."""
    try:
        plain = json.loads(base64.b64decode(secret.get("data", {}).get(KEYS_FIELD, "")))
        keys = [SigningKey(each["kid"], parse_time(each["created"]), each["pem"]) for each in plain]
        for key in keys:
            key.load()
    except (ValueError, KeyError, TypeError):
        return []
    return keys
