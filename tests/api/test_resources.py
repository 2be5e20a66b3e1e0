"""Every rule of the four kinds, tried on the real API server: what passes, what is refused, and in which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from polecat_api import API_VERSION, GROUP, VERSION
from polecat_api.crd import KINDS, file_name, render
from support.objects import polecat_spec
from support.paths import ROOT

Json = dict[str, Any]
PLURALS = {kind.model.__name__: kind.plural for kind in KINDS}

TOWN: Json = {"kind": "Town", "metadata": {"name": "main"}, "spec": {}}
RIG: Json = {
    "kind": "Rig",
    "metadata": {"name": "web"},
    "spec": {
        "townRef": {"name": "main"},
        "repository": {"url": "https://git.example/web.git"},
        "model": {"name": "some-model"},
    },
}
BEAD: Json = {
    "kind": "Bead",
    "metadata": {"name": "fix-login"},
    "spec": {"rigRef": {"name": "web"}, "title": "Fix the login", "prompt": "It fails with an empty password."},
}
POLECAT: Json = {
    "kind": "Polecat",
    "metadata": {"name": "web-toast"},
    "spec": polecat_spec(),
}


def changed(base: Json, path: str, value: Any) -> Json:
    """The object with one field set; a value of None takes the field out."""
    made = deepcopy(base)
    *parents, last = path.split(".")
    node = made
    for parent in parents:
        node = node.setdefault(parent, {})
    if value is None:
        del node[last]
    else:
        node[last] = value
    return made


class Server:
    """Create and change objects of our kinds in one namespace; a refusal gives its message."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.custom = client.CustomObjectsApi(api)
        self.namespace = namespace

    def create(self, body: Json) -> Json:
        made = self.custom.create_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURALS[body["kind"]], {"apiVersion": API_VERSION, **body}
        )
        return dict(made)

    def refusal(self, act: Callable[[], Any]) -> str:
        with pytest.raises(ApiException) as caught:
            act()
        assert caught.value.status in (400, 422), caught.value.body
        return str(json.loads(caught.value.body)["message"])

    def patch(self, body: Json, part: Json, *, status: bool = False) -> Json:
        patch = (
            self.custom.patch_namespaced_custom_object_status if status else self.custom.patch_namespaced_custom_object
        )
        made = patch(GROUP, VERSION, self.namespace, PLURALS[body["kind"]], body["metadata"]["name"], part)
        return dict(made)


@pytest.fixture
def server(admin: client.ApiClient, namespace: str) -> Server:
    return Server(admin, namespace)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_committed_crds_are_those_of_the_models(kind: Any) -> None:
    text = (ROOT / "crds" / file_name(kind)).read_text()
    assert text == render(kind), "the CRDs are older than the models: run `make generate`"
    assert len(text) < 256 * 1024


@pytest.mark.parametrize("body", [TOWN, RIG, BEAD, POLECAT], ids=lambda body: body["kind"])
def test_a_plain_object_of_each_kind_is_accepted(server: Server, body: Json) -> None:
    assert server.create(body)["metadata"]["uid"]


def test_defaults_are_filled_in_where_people_see_them(server: Server) -> None:
    bead, rig, town = server.create(BEAD)["spec"], server.create(RIG)["spec"], server.create(TOWN)["spec"]
    assert bead["limits"] == {"attempts": 3, "runSeconds": 14400, "quietSeconds": 1800}
    assert bead["priority"] == "Normal"
    assert rig["polecats"] == {"max": 5}
    assert rig["branchPrefix"] == "polecat"
    assert rig["repository"]["defaultBranch"] == "main"
    assert rig["model"]["provider"] == "kilo"
    assert (town["replicas"], town["slots"]) == (1, 5)


ACCEPTED = [
    changed(BEAD, "spec.title", "t" * 200),
    changed(BEAD, "spec.prompt", "p" * 65536),
    changed(BEAD, "spec.dependsOn", [f"bead-{n}" for n in range(32)]),
    changed(BEAD, "spec.priority", "Critical"),
    changed(BEAD, "spec.baseBranch", "release/1.x"),
    changed(BEAD, "metadata.name", "b" * 63),
    changed(RIG, "metadata.name", "r" * 40),
    changed(RIG, "spec.repository.url", "git@git.example:team/web.git"),
    changed(RIG, "spec.repository.url", "file:///srv/web.git"),
    changed(RIG, "spec.polecats", {"max": 2, "names": ["ada", "grace-2", "n" * 20]}),
    changed(RIG, "spec.model", {"provider": "openai-compatible", "name": "m", "endpoint": "http://127.0.0.1:8000/v1"}),
    changed(RIG, "spec.checks", ["make test"] * 16),
    changed(TOWN, "metadata.name", "t" * 50),
    changed(TOWN, "spec.agentMemory", "2500Mi"),
    changed(TOWN, "spec.nodeSelector", {"kubernetes.io/arch": "amd64", "pool": "agents", "empty": ""}),
    changed(TOWN, "spec.tolerations", [{"key": "agents", "value": "yes", "effect": "NoSchedule"}]),
    changed(TOWN, "spec.tolerations", [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]),
    changed(TOWN, "spec.env", [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}, {"name": "POLECAT_TOWN_NUDGES"}]),
    changed(TOWN, "spec.podAnnotations", {"example.com/team": "web", "plain": "words of any kind: {}"}),
    changed(TOWN, "spec.imagePullSecrets", [{"name": "registry"}]),
]

REFUSED = [
    (changed(BEAD, "spec.title", "t" * 201), "spec.title", "Too long: may not be more than 200"),
    (changed(BEAD, "spec.title", None), "spec.title", "Required value"),
    (changed(BEAD, "spec.prompt", "p" * 65537), "spec.prompt", "Too long: may not be more than 65536"),
    (changed(BEAD, "spec.prompt", ""), "spec.prompt", "at least 1 chars"),
    (changed(BEAD, "spec.dependsOn", [f"bead-{n}" for n in range(33)]), "spec.dependsOn", "must have at most 32 items"),
    (changed(BEAD, "spec.dependsOn", ["a", "a"]), "spec.dependsOn", "Duplicate value"),
    (changed(BEAD, "spec.dependsOn", ["No Name"]), "spec.dependsOn", "should match"),
    (changed(BEAD, "spec.dependsOn", ["fix-login"]), "spec.dependsOn", "a bead can't depend on itself"),
    (
        changed(BEAD, "spec.priority", "Urgent"),
        "spec.priority",
        'supported values: "Low", "Normal", "High", "Critical"',
    ),
    (changed(BEAD, "spec.baseBranch", "a b"), "spec.baseBranch", "should match"),
    (changed(BEAD, "spec.limits.attempts", 0), "spec.limits.attempts", "greater than or equal to 1"),
    (changed(BEAD, "spec.rerun", "r" * 65), "spec.rerun", "may not be more than 64"),
    (changed(BEAD, "metadata.name", "b" * 64), "", "the name of a bead has at most 63 characters"),
    (changed(RIG, "metadata.name", "r" * 41), "", "the name of a rig is a DNS label of at most 40 characters"),
    (changed(RIG, "metadata.name", "a.b"), "", "the name of a rig is a DNS label of at most 40 characters"),
    (
        changed(RIG, "spec.repository.url", "web"),
        "spec.repository.url",
        "url must be an https, http, ssh, git or file URL",
    ),
    (
        changed(RIG, "spec.repository.url", "https://me:secret@git.example/web.git"),
        "spec.repository.url",
        "put them into a Secret and name it in credentialsSecretRef",
    ),
    (changed(RIG, "spec.polecats.names", ["Mayor!"]), "spec.polecats.names[0]", "should match"),
    (changed(RIG, "spec.polecats.names", ["n" * 21]), "spec.polecats.names[0]", "may not be more than 20"),
    (changed(RIG, "spec.polecats.names", ["ada", "ada"]), "spec.polecats.names[1]", "Duplicate value"),
    (changed(RIG, "spec.polecats.max", 0), "spec.polecats.max", "greater than or equal to 1"),
    (changed(RIG, "spec.branchPrefix", "a/b"), "spec.branchPrefix", "should match"),
    (changed(RIG, "spec.model.provider", "openai-compatible"), "spec.model.endpoint", "needs an endpoint, e.g."),
    (changed(RIG, "spec.model.endpoint", "models.example"), "spec.model.endpoint", "should match"),
    (changed(RIG, "spec.checks", ["true"] * 17), "spec.checks", "must have at most 16 items"),
    (changed(TOWN, "metadata.name", "t" * 51), "", "the name of a town is a DNS label of at most 50 characters"),
    (changed(TOWN, "spec.slots", 0), "spec.slots", "greater than or equal to 1"),
    (changed(TOWN, "spec.agentMemory", "lots"), "spec.agentMemory", "should match"),
    (changed(TOWN, "spec.nodeSelector", {"no key": "x"}), "spec.nodeSelector", "labels of nodes, such as"),
    (changed(TOWN, "spec.nodeSelector", {"pool": "no value"}), "spec.nodeSelector.pool", "should match"),
    (changed(TOWN, "spec.nodeSelector", {f"k{n}": "" for n in range(17)}), "spec.nodeSelector", "at most 16 items"),
    (
        changed(TOWN, "spec.tolerations", [{"value": "yes"}]),
        "spec.tolerations",
        "without a key needs the operator Exists",
    ),
    (
        changed(TOWN, "spec.tolerations", [{"key": "a", "operator": "Exists", "value": "b"}]),
        "spec.tolerations",
        "with the operator Exists has no value",
    ),
    (
        changed(TOWN, "spec.tolerations", [{"key": "a", "tolerationSeconds": 5}]),
        "spec.tolerations",
        "needs the effect NoExecute",
    ),
    (changed(TOWN, "spec.tolerations", [{"key": "a", "effect": "Never"}]), "spec.tolerations[0].effect", "NoSchedule"),
    (changed(TOWN, "spec.env", [{"name": "A"}, {"name": "A"}]), "spec.env[1]", "Duplicate value"),
    (changed(TOWN, "spec.env", [{"name": "1A"}]), "spec.env[0].name", "should match"),
    (changed(TOWN, "spec.env", [{"name": "POLECAT_TOWN_POD_UID"}]), "spec.env[0].name", "take it out of env"),
    (changed(TOWN, "spec.podAnnotations", {"a b": ""}), "spec.podAnnotations", "names of annotations, such as"),
    (changed(TOWN, "spec.imagePullSecrets", [{"name": "A_B"}]), "spec.imagePullSecrets[0].name", "should match"),
    (changed(POLECAT, "metadata.name", "web-maple"), "", "apply a Bead instead"),
]


@pytest.mark.parametrize("body", ACCEPTED, ids=lambda body: body["kind"])
def test_accepted(server: Server, body: Json) -> None:
    server.create(body)


@pytest.mark.parametrize(("body", "field", "words"), REFUSED, ids=[f"{b['kind']}-{f}-{w[:20]}" for b, f, w in REFUSED])
def test_refused_with_a_sentence_that_helps(server: Server, body: Json, field: str, words: str) -> None:
    message = server.refusal(lambda: server.create(body))
    assert words in message
    assert field in message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rigRef", {"name": "other"}),
        ("title", "Another"),
        ("prompt", "Something else."),
        ("dependsOn", ["other"]),
        ("baseBranch", "develop"),
        ("model", "another"),
    ],
)
def test_what_a_bead_is_about_can_change_until_it_starts(server: Server, field: str, value: Any) -> None:
    server.create(BEAD)
    server.patch(BEAD, {"spec": {field: value}})
    server.patch(BEAD, {"status": {"startTime": "2026-11-24T06:00:00Z"}}, status=True)
    server.patch(BEAD, {"spec": {field: value}})
    message = server.refusal(lambda: server.patch(BEAD, {"spec": {field: BEAD["spec"].get(field)}}))
    assert f"{field} can't change once the bead has started; delete the bead and apply a new one" in message
    assert f"spec.{field}" in message


def test_how_a_bead_is_run_can_always_change(server: Server) -> None:
    server.create(BEAD)
    server.patch(BEAD, {"status": {"startTime": "2026-11-24T06:00:00Z"}}, status=True)
    part = {"suspend": True, "priority": "High", "rerun": "again", "limits": {"attempts": 5}}
    assert server.patch(BEAD, {"spec": part})["spec"]["limits"]["attempts"] == 5


def test_the_spec_of_a_polecat_never_changes(server: Server) -> None:
    server.create(POLECAT)
    message = server.refusal(lambda: server.patch(POLECAT, {"spec": {"attempt": 2}}))
    assert "suspend or delete its Bead" in message


def test_a_claim_is_made_once(server: Server) -> None:
    server.create(POLECAT)
    claim = {"pod": "main-0", "podUID": "a", "time": "2026-11-24T06:00:00Z"}
    server.patch(POLECAT, {"status": {"claim": claim}}, status=True)
    server.patch(POLECAT, {"status": {"activity": "bash: npm test"}}, status=True)
    message = server.refusal(lambda: server.patch(POLECAT, {"status": {"claim": {"podUID": "b"}}}, status=True))
    assert "a claim is made once" in message


def test_towns_are_scaled_like_any_workload(server: Server, kubectl: Callable[..., str]) -> None:
    server.create(TOWN)
    kubectl("scale", "town/main", "--replicas=3", "-n", server.namespace)
    assert kubectl("get", "town", "main", "-n", server.namespace, "-o", "jsonpath={.spec.replicas}") == "3"


def test_columns_of_kubectl_get(server: Server, kubectl: Callable[..., str]) -> None:
    server.create(POLECAT)
    header = kubectl("get", "polecats", "-n", server.namespace).splitlines()[0].split()
    assert header == ["NAME", "READY", "STATE", "BEAD", "BRANCH", "HEARTBEAT", "AGE"]
    wide = kubectl("get", "pcat", "-n", server.namespace, "-o", "wide").splitlines()[0].split()
    assert set(wide) - set(header) == {"POD", "ATTEMPT", "ACTIVITY", "TOKENS"}
    assert "web-toast" in kubectl("get", "gastown", "-n", server.namespace)


def test_crds_can_be_applied_by_plain_kubectl(kubectl: Callable[..., str]) -> None:
    for kind in KINDS:
        assert (
            "configured" in (said := kubectl("apply", "-f", str(ROOT / "crds" / file_name(kind))))
            or "unchanged" in said
        )
