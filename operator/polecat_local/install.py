"""Puts CRDs, RBAC rules, admission policies and service accounts into a cluster, and makes tokens for the accounts."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from polecat_kube.api import KubeApi
from polecat_kube.connection import Connection
from polecat_kube.errors import NotFoundError
from polecat_local.commands import run
from polecat_local.errors import LocalError, NotReadyError
from polecat_local.paths import write_private

FIELD_MANAGER = "polecat-up"
SERVED_SECONDS = 30.0
POLL_SECONDS = 0.05
SYSTEM_NAMESPACE = "polecat-system"
OPERATOR_ACCOUNT = "polecat-operator"
OPERATOR_TOWNS_ROLE = f"{OPERATOR_ACCOUNT}-towns"
TOWN_ACCOUNT = "polecat-town"
TOWN_REVIEWS_ROLE = f"{TOWN_ACCOUNT}-reviews"
DASHBOARD_ACCOUNT = "polecat-dashboard"
USER_ROLE = "polecat-admin"
USER_ACCOUNT = "polecat-user"
"""As whom the user of this machine looks at the dashboard; may work with all of Polecat's kinds, and nothing else."""
TOKEN_HOURS = 8760
"""Life of a service account's token; every start makes new ones, so a cluster may run a year at a time."""

_ACCOUNT = """\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {account}, namespace: {namespace}}}
"""
_IN_NAMESPACE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {account}, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {account}}}
subjects:
  - {{kind: ServiceAccount, name: {account}, namespace: {namespace}}}
"""
_EVERYWHERE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {binding}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}
subjects:
  - {{kind: ServiceAccount, name: {account}, namespace: {namespace}}}
"""

_SHIPPED = ("namespace.yaml", "rbac-*.yaml", "admission-*.yaml")
"""What an embedded cluster takes from the base, in this order; the rest of it runs in pods, which it has none of."""
_APPLY = ["--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}"]


def shipped_manifests() -> list[Path]:
    """Namespace, RBAC rules, admission policies and CRDs. Raises LocalError if this installation lacks them."""
    crds, base = _shipped("crds"), _shipped("manifests/base")
    return [
        *(file for pattern in _SHIPPED for file in sorted(base.glob(pattern))),
        *sorted(crds.glob("polecat.dev_*.yaml")),
    ]


def _shipped(name: str) -> Path:
    here = Path(__file__).resolve().parent
    # In an installed package they lie beside the code, in a checkout at its top.
    for candidate in (here / "shipped" / name, here.parents[1] / name):
        if candidate.is_dir():
            return candidate
    raise LocalError(f"this installation lacks its {name} directory: install polecat again")


async def apply_manifests(kubectl: Path, kubeconfig: Path, connection: Connection, manifests: Sequence[Path]) -> None:
    """Applies the files in their order and waits until the kinds that they define are served."""
    if not manifests:
        return
    files = [argument for manifest in manifests for argument in ("-f", str(manifest))]
    await kubectl_run(kubectl, kubeconfig, ["apply", *_APPLY, *files])
    await _wait_served(connection, _defined_kinds(manifests))


async def grant_town(kubectl: Path, kubeconfig: Path, namespace: str, scratch: Path) -> None:
    """Makes the service account of towns in `namespace` and binds it to the shipped ClusterRoles.

    `scratch` is a file that may be written for it.
    """
    binding = f"{TOWN_ACCOUNT}-{namespace}"
    parts = "---\n".join((_ACCOUNT, _IN_NAMESPACE, _EVERYWHERE))
    given = {"account": TOWN_ACCOUNT, "namespace": namespace, "binding": binding, "role": TOWN_REVIEWS_ROLE}
    write_private(scratch, parts.format(**given))
    await kubectl_run(kubectl, kubeconfig, ["apply", *_APPLY, "-f", str(scratch)])


async def grant_user(kubectl: Path, kubeconfig: Path, scratch: Path) -> None:
    """Makes the account that the user of this machine has at the dashboard. `scratch` may be written for it."""
    parts = "---\n".join((_ACCOUNT, _EVERYWHERE))
    given = {"account": USER_ACCOUNT, "namespace": SYSTEM_NAMESPACE, "binding": USER_ROLE, "role": USER_ROLE}
    write_private(scratch, parts.format(**given))
    await kubectl_run(kubectl, kubeconfig, ["apply", *_APPLY, "-f", str(scratch)])


async def service_account_token(
    kubectl: Path, kubeconfig: Path, namespace: str, account: str, *, hours: int = TOKEN_HOURS
) -> str:
    """A new token for a service account."""
    arguments = ["create", "token", account, f"--namespace={namespace}", f"--duration={hours}h"]
    return (await kubectl_run(kubectl, kubeconfig, arguments)).strip()


async def kubectl_run(kubectl: Path, kubeconfig: Path, arguments: Sequence[str]) -> str:
    """Runs kubectl as administrator; gives its output, raises LocalError with it when it fails."""
    env = {
        "KUBECONFIG": str(kubeconfig),
        "KUBECACHEDIR": str(kubeconfig.parent / "kubectl-cache"),
        "HOME": str(kubeconfig.parent),
        "PATH": os.defpath,
    }
    lines: list[str] = []
    outcome = await run([str(kubectl), *arguments], env=env, on_line=lines.append)
    if outcome.code != 0:
        raise LocalError(f"kubectl {arguments[0]} failed: {outcome.tail}")
    return "\n".join(lines)


def _defined_kinds(manifests: Sequence[Path]) -> dict[str, set[str]]:
    """Plural names by `group/version` of the CRDs among the files."""
    kinds: dict[str, set[str]] = {}
    for manifest in manifests:
        for document in yaml.safe_load_all(manifest.read_text()):
            if document and document.get("kind") == "CustomResourceDefinition":
                spec = document["spec"]
                for version in spec["versions"]:
                    group_version = f"{spec['group']}/{version['name']}"
                    kinds.setdefault(group_version, set()).add(spec["names"]["plural"])
    return kinds


async def _wait_served(connection: Connection, kinds: dict[str, set[str]]) -> None:
    missing: list[str] = []
    try:
        async with asyncio.timeout(SERVED_SECONDS), KubeApi(connection, manager=FIELD_MANAGER) as api:
            while missing := await _unserved(api, kinds):  # noqa: ASYNC110 - nothing tells us
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise NotReadyError(f"the API server does not serve {', '.join(missing)}") from None


async def _unserved(api: KubeApi, kinds: dict[str, set[str]]) -> list[str]:
    missing: list[str] = []
    for group_version, plurals in kinds.items():
        try:
            resources = json.loads(await api.raw(f"/apis/{group_version}"))["resources"]
        except NotFoundError:
            resources = []
        missing += sorted(plurals - {resource["name"] for resource in resources})
    return missing
