"""Which tokens are accepted: the right one, and nothing else."""

from __future__ import annotations

import base64
import json
import time

import jwt
import pytest

from polecat_kube.reviews import bearer
from polecat_town import metrics
from polecat_town.endpoint.tokens import AgentIdentity, TokenRefusedError, TokenVerifier, parse_keys
from support.town_made import Signer

SIGNER = Signer()
MINE = AgentIdentity("u-1", "b-1", 2)


class Keys:
    """The ConfigMap, as it would be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.reads = 0

    async def read(self) -> str:
        self.reads += 1
        return self.text


def make(keys: Keys | None = None, now: list[float] | None = None) -> TokenVerifier:
    """A verifier for which only `MINE` is current."""
    clock = now if now is not None else [0.0]
    return TokenVerifier((keys or Keys(SIGNER.jwks())).read, lambda identity: identity == MINE, clock=lambda: clock[0])


async def cause_of(token: str | None, verifier: TokenVerifier | None = None) -> str:
    """Why a token is refused."""
    with pytest.raises(TokenRefusedError) as refused:
        await (verifier or make()).identify(token)
    if token:
        assert token not in str(refused.value)
    return refused.value.cause


async def test_the_right_token_is_accepted() -> None:
    assert await make().identify(SIGNER.token("u-1", "b-1", 2)) == MINE


async def test_refused_and_counted_by_cause() -> None:
    def count(cause: str) -> float:
        return metrics.REFUSED_TOKENS.labels(cause)._value.get()

    before = count("audience")
    assert await cause_of(SIGNER.token("u-1", "b-1", 2, aud="polecat-streams")) == "audience"
    assert count("audience") == before + 1


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        (None, "missing"),
        ("", "missing"),
        ("no.token", "malformed"),
        (SIGNER.token("u-2", "b-1", 2), "not-current"),
        (SIGNER.token("u-1", "b-2", 2), "not-current"),
        (SIGNER.token("u-1", "b-1", 1), "not-current"),
        (SIGNER.token("u-1", "b-1", 2, exp=1_000_000), "expired"),
        (SIGNER.token("u-1", "b-1", 2, iss="somebody"), "claims"),
        (SIGNER.token("u-1", "b-1", 2, nbf=9_999_999_999), "claims"),
        (Signer("k1").token("u-1", "b-1", 2), "signature"),
        (Signer("k9").token("u-1", "b-1", 2), "unknown-key"),
        (jwt.encode({"sub": "u-1"}, None, algorithm="none", headers={"kid": "k1"}), "algorithm"),
        (jwt.encode({"sub": "u-1"}, "x" * 32, algorithm="HS256", headers={"kid": "k1"}), "algorithm"),
    ],
)
async def test_refused(token: str | None, cause: str) -> None:
    assert await cause_of(token) == cause


async def test_a_public_key_is_no_secret_key() -> None:
    """A token signed with HMAC, with the public key as its key."""
    public = base64.urlsafe_b64decode(json.loads(SIGNER.jwks())["keys"][0]["x"] + "=")
    token = jwt.encode({"sub": "u-1"}, public, algorithm="HS256", headers={"kid": "k1"})
    assert await cause_of(token) == "algorithm"


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
async def test_a_clock_that_is_set_makes_no_token_invalid(jump: float) -> None:
    """Neither one of before, nor one that is made with the same clock afterwards; what ran out stays refused."""
    wall, steady = [time.time()], [0.0]
    verifier = TokenVerifier(
        Keys(SIGNER.jwks()).read,
        lambda identity: identity == MINE,
        clock=lambda: steady[0],
        wall_clock=lambda: wall[0],
    )
    start = int(wall[0])
    before = SIGNER.token("u-1", "b-1", 2, nbf=start, exp=start + 600)
    after = SIGNER.token("u-1", "b-1", 2, nbf=start + int(jump), exp=start + int(jump) + 600)
    wall[0] += jump
    assert await verifier.identify(before) == await verifier.identify(after) == MINE
    wall[0], steady[0] = wall[0] + 1000, 1000.0
    for token in (before, after):
        assert await cause_of(token, verifier) in ("expired", "claims")


async def test_new_keys_are_found_but_not_at_any_price() -> None:
    keys, now = Keys(Signer("old").jwks()), [0.0]
    verifier = make(keys, now)
    token = SIGNER.token("u-1", "b-1", 2)
    assert await cause_of(token, verifier) == "unknown-key"
    keys.text = SIGNER.jwks()
    assert await cause_of(token, verifier) == "unknown-key"
    assert keys.reads == 1
    now[0] = 6.0
    assert await verifier.identify(token) == MINE
    await verifier.identify(token)
    assert keys.reads == 2


def test_keys_that_are_none_are_left_out() -> None:
    assert parse_keys("nonsense") == {}
    assert parse_keys("[]") == {}
    assert parse_keys('{"keys": [{"kty": "RSA"}, 7, {"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "?"}]}') == {}


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("Bearer", None), ("", None), (None, None)],
)
def test_bearer(header: str | None, token: str | None) -> None:
    assert bearer(header) == token
