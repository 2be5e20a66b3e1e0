"""The admission policies: what an account may not do although its RBAC rules would let it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from polecat_kube.api import KubeApi
from polecat_kube.errors import ForbiddenError
from polecat_kube.resources import CONFIG_MAP, LEASE, POLECAT, RIG, SECRET, STATEFUL_SET, TOWN, ResourceType
from support.accounts import make_town_account, operator_api, town_api, town_pod_api
from support.control_plane import Kubectl
from support.objects import polecat_spec

Json = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
SERVICE = ResourceType("", "v1", "services", "Service")
SERVICE_ACCOUNT = ResourceType("", "v1", "serviceaccounts", "ServiceAccount")
ROLE_BINDING = ResourceType(RBAC, "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLE_BINDING = ResourceType(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
POLICY = ResourceType("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "", namespaced=False)
DEADLINE_SECONDS = 30.0
SEEN = "2026-01-01T00:00:00.000000Z"


@pytest.fixture
async def town(kube_api: KubeApi, kubectl: Kubectl, namespace: str) -> Json:
    """The Town `main` with its rig `web`, and the account of towns."""
    make_town_account(kubectl)
    model = {"name": "some-model"}
    rig = {"townRef": {"name": "main"}, "repository": {"url": "https://git.example/web.git"}, "model": model}
    await kube_api.create(RIG, namespace, {"metadata": {"name": "web"}, "spec": rig})
    return await kube_api.create(TOWN, namespace, {"metadata": {"name": "main"}, "spec": {}})


@pytest.fixture
async def pod(kubectl: Kubectl, town: Json) -> AsyncIterator[KubeApi]:
    """As the pod main-0."""
    async with town_pod_api(kubectl, "main-0") as api:
        await enforced(api, LEASE, kubectl.namespace)
        yield api


@pytest.fixture
async def operator(kubectl: Kubectl) -> AsyncIterator[KubeApi]:
    """As the operator."""
    async with operator_api(kubectl) as api:
        await enforced(api, CONFIG_MAP, kubectl.namespace)
        yield api


async def enforced(api: KubeApi, resource: ResourceType, namespace: str) -> None:
    """Until the account may not make an object of some name: the server takes policies up a moment after they came."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            try:
                await api.create(resource, namespace, {"metadata": {"name": "not-ours"}}, dry_run=True)
            except ForbiddenError:
                return
            await asyncio.sleep(0.1)


def condition(type_: str) -> Json:
    return {"type": type_, "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": SEEN}


def entry(pod: str, **changes: Any) -> Json:
    return {"name": pod, "uid": "1", "seenTime": SEEN, **changes}


def owned(kind: str, name: str = "x", uid: str = "1") -> list[Json]:
    return [{"apiVersion": "polecat.dev/v1alpha1", "kind": kind, "name": name, "uid": uid, "controller": True}]


async def make_polecat(api: KubeApi, namespace: str, pod: str) -> str:
    agent = "toast" if pod == "main-0" else "maple"
    meta = {"name": f"web-{agent}", "finalizers": ["polecat.dev/worktree"]}
    await api.create(POLECAT, namespace, {"metadata": meta, "spec": polecat_spec(pod=pod, name=agent)})
    return f"web-{agent}"


@pytest.mark.parametrize("policy", ["polecat-operator", "polecat-polecats", "polecat-town"])
async def test_the_server_finds_nothing_wrong_with_a_policy(kube_api: KubeApi, policy: str) -> None:
    status: Json = {}
    async with asyncio.timeout(DEADLINE_SECONDS):
        while "typeChecking" not in status:
            status = (await kube_api.get(POLICY, None, policy) or {}).get("status", {})
            await asyncio.sleep(0.1)
    assert "expressionWarnings" not in status["typeChecking"], json.dumps(status)


async def test_only_the_operator_makes_polecats(
    kube_api: KubeApi, kubectl: Kubectl, operator: KubeApi, namespace: str
) -> None:
    kubectl("create", "rolebinding", "ada", "--clusterrole=cluster-admin", "--user=ada")
    body = {"apiVersion": "polecat.dev/v1alpha1", "kind": "Polecat", "metadata": {"name": "web-toast"}}
    create = ("create", "--as=ada", "-f", "-")
    manifest = json.dumps({**body, "spec": polecat_spec()})
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (tried := kubectl.run(*create, "--dry-run=server", stdin=manifest)).returncode:
            await asyncio.sleep(0.1)
    assert "polecats are made by the operator; apply a Bead" in tried.stderr
    assert "polecats are made by the operator" in kubectl.refused(*create, stdin=manifest)
    await operator.create(POLECAT, namespace, {"metadata": {"name": "web-toast"}, "spec": polecat_spec()})


async def test_a_pod_writes_to_its_own_polecats(kube_api: KubeApi, pod: KubeApi, namespace: str) -> None:
    own, other = [await make_polecat(kube_api, namespace, name) for name in ("main-0", "main-1")]
    claim = [{"op": "add", "path": "/status", "value": {"activity": "at work"}}]
    await pod.patch_json(POLECAT, namespace, own, claim, "status")
    with pytest.raises(ForbiddenError, match="pod main-0 may write to its own polecats only, not to one of main-1"):
        await pod.patch_json(POLECAT, namespace, other, claim, "status")

    release = [{"op": "remove", "path": "/metadata/finalizers/0"}]
    with pytest.raises(ForbiddenError, match="its own polecats only"):
        await pod.patch_json(POLECAT, namespace, other, release)
    for more in (
        {"op": "add", "path": "/metadata/labels", "value": {"polecat.dev/pod": "main-1"}},
        {"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}},
        {"op": "add", "path": "/metadata/ownerReferences", "value": owned("Bead")},
        {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/keep"]},
    ):
        with pytest.raises(ForbiddenError, match=r"takes its finalizer .* off a polecat, and changes nothing else"):
            await pod.patch_json(POLECAT, namespace, own, [*release, more])
    await pod.patch_json(POLECAT, namespace, own, release)


async def test_a_pod_writes_its_own_entry_of_its_town(kube_api: KubeApi, pod: KubeApi, namespace: str) -> None:
    async def write(pods: list[Json], name: str = "main", **status: Any) -> None:
        await pod.apply(TOWN, namespace, name, {"status": {"pods": pods, **status}}, "status")

    there = {"status": {"pods": [entry("main-1")], "conditions": [condition("Ready")]}}
    await kube_api.apply(TOWN, namespace, "main", there, "status", manager="others")
    await write([entry("main-0")])
    await write([entry("main-0", ready=True)])
    with pytest.raises(ForbiddenError, match=r"pod main-0 may write its own entry of status\.pods only"):
        await write([entry("main-0"), entry("main-1", ready=True)])
    with pytest.raises(ForbiddenError, match="its own entry"):
        await write([entry("main-0"), entry("main-2")])
    with pytest.raises(ForbiddenError, match="its own entry"):
        await pod.patch_json(TOWN, namespace, "main", [{"op": "remove", "path": "/status/pods/0"}], "status")
    with pytest.raises(ForbiddenError, match=r"writes status.pods of its Town .* the rest is the operator's"):
        await write([entry("main-0")], polecats=3)
    with pytest.raises(ForbiddenError, match="the rest is the operator's"):
        await pod.patch_json(TOWN, namespace, "main", [{"op": "remove", "path": "/status/conditions"}], "status")

    for name in ("other", "main-b"):
        await kube_api.create(TOWN, namespace, {"metadata": {"name": name}, "spec": {}})
        with pytest.raises(ForbiddenError, match="status of its own town"):
            await write([entry("main-0")], name)


async def test_a_pod_writes_one_condition_of_its_towns_rigs(kube_api: KubeApi, pod: KubeApi, namespace: str) -> None:
    async def write(rig: str, *types: str, **status: Any) -> None:
        conditions = [condition(each) for each in types]
        await pod.apply(RIG, namespace, rig, {"status": {"conditions": conditions, **status}}, "status")

    there = {"status": {"polecats": 1, "conditions": [condition("Ready")]}}
    await kube_api.apply(RIG, namespace, "web", there, "status", manager="others")
    await write("web", "RepositoryReady")
    with pytest.raises(ForbiddenError, match="the condition RepositoryReady of its rigs, and no other"):
        await write("web", "RepositoryReady", "Stalled")
    with pytest.raises(ForbiddenError, match="the rest is the operator's"):
        await write("web", "RepositoryReady", queued=7)
    rig = await kube_api.get(RIG, namespace, "web")
    assert rig is not None
    elsewhere = {"metadata": {"name": "api"}, "spec": {**rig["spec"], "townRef": {"name": "other"}}}
    await kube_api.create(RIG, namespace, elsewhere)
    with pytest.raises(ForbiddenError, match="its own town, and of that town's rigs"):
        await write("api", "RepositoryReady")


async def test_a_pod_has_its_own_lease(pod: KubeApi, namespace: str) -> None:
    def lease(name: str) -> Json:
        return {"metadata": {"name": name}, "spec": {"holderIdentity": "1"}}

    made = await pod.create(LEASE, namespace, lease("polecat-town-main-0"))
    await pod.update(LEASE, namespace, "polecat-town-main-0", made)
    for name in ("polecat-town-main-1", "leader-of-something"):
        with pytest.raises(ForbiddenError, match="a town pod may write its own Lease only"):
            await pod.create(LEASE, namespace, lease(name))


async def test_a_town_outside_of_a_pod_is_held_to_the_fields_of_towns(
    kube_api: KubeApi, kubectl: Kubectl, town: Json, namespace: str
) -> None:
    """`polecat up` has one town process, whose token names no pod."""
    name = await make_polecat(kube_api, namespace, "main-0")
    async with town_api(kubectl) as api:
        await enforced(api, LEASE, namespace)
        await api.patch_json(POLECAT, namespace, name, [{"op": "add", "path": "/status", "value": {}}], "status")
        await api.apply(TOWN, namespace, "main", {"status": {"pods": [entry("main-0")]}}, "status")
        await api.create(LEASE, namespace, {"metadata": {"name": "polecat-town-main-0"}, "spec": {}})
        with pytest.raises(ForbiddenError, match="the rest is the operator's"):
            await api.apply(TOWN, namespace, "main", {"status": {"polecats": 1}}, "status")
        with pytest.raises(ForbiddenError, match="its own Lease"):
            await api.create(LEASE, namespace, {"metadata": {"name": "leader-of-something"}, "spec": {}})


async def test_the_operator_writes_secrets_of_polecats_only(operator: KubeApi, namespace: str) -> None:
    own = {"metadata": {"name": "token", "ownerReferences": owned("Polecat")}, "type": "Opaque"}
    await operator.create(SECRET, namespace, own)
    account = {"kubernetes.io/service-account.name": "default"}
    for body in (
        {"metadata": {"name": "loose"}},
        {"metadata": {"name": "polecat-signing-key"}},
        {"metadata": {"name": "of-a-town", "ownerReferences": owned("Town")}},
        {
            "metadata": {"name": "stolen", "annotations": account, "ownerReferences": owned("Polecat")},
            "type": "kubernetes.io/service-account-token",
        },
    ):
        with pytest.raises(ForbiddenError, match="writes Secrets for polecats, and its own signing key"):
            await operator.create(SECRET, namespace, body)


async def test_the_operator_writes_one_config_map_and_one_account(operator: KubeApi, namespace: str) -> None:
    await operator.apply(CONFIG_MAP, namespace, "polecat-jwks", {"data": {"jwks.json": "{}"}})
    with pytest.raises(ForbiddenError, match="writes the ConfigMap polecat-jwks, and no other"):
        await operator.apply(CONFIG_MAP, namespace, "kube-root-ca.crt", {"data": {"ca.crt": ""}})
    await operator.apply(SERVICE_ACCOUNT, namespace, "polecat-town", {})
    with pytest.raises(ForbiddenError, match="writes the ServiceAccount polecat-town, and no other"):
        await operator.create(SERVICE_ACCOUNT, namespace, {"metadata": {"name": "mine"}})


def binding(role: str, account: str, namespace: str) -> Json:
    return {
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


async def test_the_operator_gives_towns_their_roles_and_nobody_else(
    kube_api: KubeApi, operator: KubeApi, namespace: str
) -> None:
    await operator.apply(ROLE_BINDING, namespace, "polecat-town", binding("polecat-town", "polecat-town", namespace))
    await kube_api.delete(ROLE_BINDING, namespace, "polecat-town")
    for name, body in (
        ("mine", binding("polecat-town", "polecat-town", namespace)),
        ("polecat-town", binding("polecat-town", "default", namespace)),
        ("polecat-town", binding("polecat-town", "polecat-town", "default")),
    ):
        with pytest.raises(ForbiddenError, match="to the account polecat-town of the same namespace only"):
            await operator.create(ROLE_BINDING, namespace, {"metadata": {"name": name}, **body})
    with pytest.raises(ForbiddenError, match="attempting to grant RBAC permissions not currently held"):
        body = binding("cluster-admin", "polecat-town", namespace)
        await operator.create(ROLE_BINDING, namespace, {"metadata": {"name": "polecat-town"}, **body})

    name, reviews = f"polecat-town-reviews-{namespace}", "polecat-town-reviews"
    try:
        await operator.apply(CLUSTER_ROLE_BINDING, None, name, binding(reviews, "polecat-town", namespace))
        for other, body in (
            (f"{name}-2", binding(reviews, "polecat-town", namespace)),
            (name, binding(reviews, "default", namespace)),
            (name, binding(reviews, "polecat-town", "default")),
        ):
            with pytest.raises(ForbiddenError, match="of the namespace that the binding is named after"):
                await operator.apply(CLUSTER_ROLE_BINDING, None, other, body)
        with pytest.raises(ForbiddenError, match="of the namespace that the binding is named after"):
            everywhere = binding("polecat-town", "polecat-town", namespace)
            await operator.create(CLUSTER_ROLE_BINDING, None, {"metadata": {"name": f"{name}-3"}, **everywhere})
    finally:
        await kube_api.delete(CLUSTER_ROLE_BINDING, None, name)


def stateful_set(owners: list[Json], container: Json | None = None, **pod: Any) -> Json:
    secure = {"name": "town", "image": "polecat", "securityContext": {"allowPrivilegeEscalation": False}}
    labels = {"matchLabels": {"a": "b"}}
    spec = {
        "serviceAccountName": "polecat-town",
        "securityContext": {"runAsNonRoot": True},
        "containers": [{**secure, **(container or {})}],
        **pod,
    }
    return {
        "metadata": {"ownerReferences": owners},
        "spec": {
            "replicas": 0,
            "serviceName": "x",
            "selector": labels,
            "template": {"metadata": {"labels": labels["matchLabels"]}, "spec": spec},
        },
    }


async def test_the_operator_makes_pods_of_towns_and_no_others(
    kube_api: KubeApi, operator: KubeApi, namespace: str, town: Json
) -> None:
    owners = owned("Town", "main", town["metadata"]["uid"])
    await kube_api.apply(STATEFUL_SET, namespace, "foreign", stateful_set([]))
    with pytest.raises(ForbiddenError, match="writes workloads of its towns, and no others"):
        await operator.apply(STATEFUL_SET, namespace, "foreign", stateful_set(owners))
    with pytest.raises(ForbiddenError, match="writes workloads of its towns, and no others"):
        await operator.delete(STATEFUL_SET, namespace, "foreign")
    await operator.apply(STATEFUL_SET, namespace, "main", stateful_set(owners))
    port = {"clusterIP": "None", "ports": [{"port": 7400}]}
    await operator.apply(SERVICE, namespace, "main", {"metadata": {"ownerReferences": owners}, "spec": port})
    with pytest.raises(ForbiddenError, match="writes workloads of its towns, and no others"):
        await operator.apply(STATEFUL_SET, namespace, "loose", stateful_set([]))
    with pytest.raises(ForbiddenError, match="writes workloads of its towns, and no others"):
        await operator.apply(SERVICE, namespace, "loose", {"spec": port})
    for body in (
        stateful_set(owners, serviceAccountName="default"),
        stateful_set(owners, hostNetwork=True),
        stateful_set(owners, hostPID=True),
        stateful_set(owners, securityContext={}),
        stateful_set(owners, volumes=[{"name": "node", "hostPath": {"path": "/"}}]),
        stateful_set(owners, {"securityContext": {"allowPrivilegeEscalation": True}}),
        stateful_set(owners, {"securityContext": {}}),
    ):
        with pytest.raises(ForbiddenError, match="run as the account polecat-town, not as root, and with nothing of"):
            await operator.apply(STATEFUL_SET, namespace, "main", body)
    assert await operator.delete(STATEFUL_SET, namespace, "main")
