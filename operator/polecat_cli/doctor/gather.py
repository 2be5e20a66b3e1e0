"""Looks at the API server: everything that the checks need, in a few requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import yaml

from polecat_api import GROUP
from polecat_api.protocol import OPERATOR_LEASE
from polecat_api.untrusted import Json
from polecat_cli.doctor.facts import Access, Clocks, Facts, at
from polecat_cli.doctor.gather_local import gather_local
from polecat_cli.doctor.rights import Right, rights
from polecat_kube.api import KubeApi
from polecat_kube.errors import ForbiddenError, NotFoundError
from polecat_kube.resources import BEAD, LEASE, POLECAT, RIG, TOWN, ResourceType
from polecat_local.datadir import DataDir
from polecat_local.install import SYSTEM_NAMESPACE, shipped_manifests

CRD = ResourceType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
ACCESS_REVIEW = ResourceType(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)


async def gather(api: KubeApi, namespace: str | None, data: DataDir | None) -> Facts:
    """All facts; objects of one namespace, or of all. `data` is the running embedded cluster's directory.

    Raises ApiError when the server can't be reached, or does not let this user see the objects.
    """
    clocks = await _clocks(api)
    version = _version(await api.raw("/version"))
    unknown: list[str] = []
    crds = await _crds(api, unknown)
    polecats = await _objects(api, POLECAT, namespace)
    towns, rigs, beads = [await _objects(api, each, namespace) for each in (TOWN, RIG, BEAD)]
    # Once more, after the beads: one that was made and given a polecat meanwhile must not look as if it had none.
    polecats = list(
        {each["metadata"]["uid"]: each for each in (*polecats, *await _objects(api, POLECAT, namespace))}.values()
    )
    lease, lease_known = await _lease(api, unknown)
    return Facts(
        clocks=clocks,
        version=version,
        crds=crds,
        access=tuple(await _access(api, {town["metadata"]["namespace"] for town in towns}, unknown)),
        operator_lease=lease,
        operator_lease_known=lease_known,
        towns=tuple(towns),
        rigs=tuple(rigs),
        beads=tuple(beads),
        polecats=tuple(polecats),
        local=None if data is None else await gather_local(api, data, unknown),
        unknown=tuple(unknown),
    )


def _version(text: str) -> str:
    try:
        return str(at(json.loads(text), "gitVersion") or "")
    except json.JSONDecodeError:
        return text  # not a Kubernetes API server; told as it is


async def _clocks(api: KubeApi) -> Clocks:
    before = datetime.now(UTC)
    server = await api.server_time()
    after = datetime.now(UTC)
    return Clocks(here=after, server=server, round_trip=after - before)


async def _crds(api: KubeApi, unknown: list[str]) -> dict[str, Json] | None:
    try:
        items, _ = await api.list(CRD)
    except ForbiddenError:
        unknown.append("the installed CRDs: this user may not list them")
        return None
    return {each["metadata"]["name"]: each for each in items if each["spec"]["group"] == GROUP}


async def _objects(api: KubeApi, resource: ResourceType, namespace: str | None) -> list[Json]:
    try:
        items, _ = await api.list(resource, namespace)
    except NotFoundError:
        return []  # its CRD is missing, which is told
    return items


async def _lease(api: KubeApi, unknown: list[str]) -> tuple[Json | None, bool]:
    try:
        return await api.get(LEASE, SYSTEM_NAMESPACE, OPERATOR_LEASE), True
    except ForbiddenError:
        unknown.append(f"the operator's Lease: this user may not read it in {SYSTEM_NAMESPACE}")
        return None, False


async def _access(api: KubeApi, town_namespaces: set[str], unknown: list[str]) -> list[Access]:
    wanted = rights(_shipped_roles(), town_namespaces)
    try:
        answers = await asyncio.gather(*(api.create(ACCESS_REVIEW, None, right.review()) for right in wanted))
    except ForbiddenError:
        unknown.append("the rights of operator and town: this user may not create SubjectAccessReviews")
        return []
    return [_answer(right, answer) for right, answer in zip(wanted, answers, strict=True)]


def _answer(right: Right, answer: Json) -> Access:
    return Access(
        account=f"{right.account_namespace}/{right.account}",
        namespace=right.namespace,
        verb=right.verb,
        resource=right.shown,
        wanted=right.wanted,
        allowed=bool(answer["status"].get("allowed")),
    )


def _shipped_roles() -> Sequence[Json]:
    found: list[Any] = []
    for file in shipped_manifests():
        if file.name.startswith("rbac-"):
            found += yaml.safe_load_all(file.read_text())
    return found
