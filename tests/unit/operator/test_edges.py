"""What comes in from outside: objects that can't be read; and what goes out: tokens, workloads."""

from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from polecat_api.polecat import Polecat
from polecat_api.town import Town
from polecat_operator.tokens import SigningKey, claims
from polecat_operator.views import Phase, UnreadableError, parse, view_bead
from polecat_operator.workloads.statefulset import build_statefulset
from support.objects import polecat_spec

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
META: dict[str, Any] = {
    "name": "one",
    "namespace": "default",
    "uid": "u-1",
    "resourceVersion": "1",
    "generation": 1,
    "creationTimestamp": NOW.isoformat(),
}
SPEC = {"rigRef": {"name": "web"}, "title": "one", "prompt": "secret words"}
POLECAT_SPEC = polecat_spec(
    beadRef={"name": "one", "uid": "u-1"},
    attempt=2,
    branch="polecat/toast/aaaaaa",
    title="one",
    model="m",
    limits={"runSeconds": 100},
    tokenSecretRef={"name": "t"},
)


def test_prompt_stays_outside() -> None:
    view = view_bead({"metadata": META, "spec": SPEC})
    assert not any("secret words" in str(getattr(view, name)) for name in view.__slots__)


def test_fields_of_a_status_that_are_nonsense_are_left_out_and_the_rest_is_kept() -> None:
    status = {"attempts": 2, "interruptions": -5, "polecat": "toast", "startTime": "yesterday", "conditions": []}
    view = view_bead({"metadata": META, "spec": SPEC, "status": status})
    assert view.damaged
    assert (view.status.attempts, view.status.interruptions, view.polecat) == (2, 0, "toast")
    assert view.phase is Phase.ACTIVE


def test_spec_that_is_nonsense_names_its_field() -> None:
    view = view_bead({"metadata": META, "spec": {**SPEC, "priority": "Whenever"}})
    assert view.unreadable.startswith("spec.priority")


def test_polecat_with_a_broken_status_is_read_without_it() -> None:
    status = {"claim": {"pod": "p"}, "heartbeatTime": NOW.isoformat()}
    polecat = parse(Polecat, {"metadata": META, "spec": POLECAT_SPEC, "status": {**status, "conditions": []}})
    assert polecat.status.claim is None
    assert polecat.status.heartbeat_time == NOW
    with pytest.raises(UnreadableError, match=r"spec\.attempt"):
        parse(Polecat, {"metadata": META, "spec": {**POLECAT_SPEC, "attempt": "two"}})


def test_token_is_bound_to_one_attempt_of_one_polecat_and_outlives_its_run() -> None:
    polecat = parse(Polecat, {"metadata": META, "spec": POLECAT_SPEC})
    said = claims(polecat, NOW, "j")
    assert (said["sub"], said["bead"], said["attempt"]) == ("u-1", "u-1", 2)
    assert said["exp"] - said["iat"] == 100 + 3600
    key, other = SigningKey.generate(NOW), SigningKey.generate(NOW)
    token = jwt.encode({"sub": "x"}, key.load(), algorithm="EdDSA", headers={"kid": key.kid})
    jwt.decode(token, jwt.PyJWK(key.public_jwk()), algorithms=["EdDSA"])
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, jwt.PyJWK(other.public_jwk()), algorithms=["EdDSA"])
    assert "d" not in key.public_jwk()


def test_town_pods_pass_the_restricted_profile() -> None:
    town = Town.model_validate({"metadata": {**META, "name": "main"}, "spec": {"replicas": 3, "image": "i:1"}})
    body = build_statefulset(town, "default:1")
    pod = body["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert (body["spec"]["replicas"], container["image"]) == (3, "i:1")
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
