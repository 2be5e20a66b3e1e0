"""States and objects for the tests of the supervisor's pure parts."""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polecat_api import protocol
from polecat_api.polecat import Polecat
from polecat_town.life.state import Identity, LifeState, Step
from support.objects import polecat_spec

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
BASE = "a" * 40
HEAD = "b" * 40


def polecat(**status: Any) -> Polecat:
    """A Polecat as the API server gives it."""
    return Polecat.model_validate(
        {
            "metadata": {"name": "web-toast", "namespace": "default", "uid": "u-1", "generation": 1},
            "spec": polecat_spec(
                beadRef={"name": "fix", "uid": "b-1"},
                attempt=2,
                branch="polecat/toast/abcdef",
                title="Fix it",
                model="m",
            ),
            "status": status,
        }
    )


def state(step: Step = Step.CLAIMED, **fields: Any) -> LifeState:
    """A state at a step."""
    return LifeState(identity=Identity.of(polecat()), claim_time=NOW, step=step).but(**fields)


class Signer:
    """The operator's key, and the tokens made with it."""

    def __init__(self, kid: str = "k1") -> None:
        self.kid = kid
        self.key = Ed25519PrivateKey.generate()

    def jwks(self) -> str:
        """The public key as the operator publishes it."""
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": self.kid, "x": x}]})

    def token(self, polecat_uid: str, bead_uid: str, attempt: int, **changes: Any) -> str:
        """A token; `changes` replace its claims."""
        now = int(time.time())
        claims = {
            "iss": protocol.TOKEN_ISSUER,
            "aud": protocol.TOKEN_AUDIENCE_AGENT,
            "sub": polecat_uid,
            protocol.CLAIM_BEAD: bead_uid,
            protocol.CLAIM_ATTEMPT: attempt,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "nbf": now - protocol.TOKEN_LEEWAY_SECONDS,
            "exp": now + 3600,
        }
        return jwt.encode(claims | changes, self.key, algorithm="EdDSA", headers={"kid": self.kid})
