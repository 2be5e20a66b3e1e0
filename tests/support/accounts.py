"""Clients of the API server with the accounts that Polecat's programs have."""

from __future__ import annotations

from dataclasses import replace

from polecat_kube.api import KubeApi
from polecat_local.install import OPERATOR_ACCOUNT, SYSTEM_NAMESPACE, TOWN_ACCOUNT
from support.control_plane import Kubectl

BINDING = """\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: polecat-town}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: polecat-town}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: polecat-town}}
subjects:
  - {{kind: ServiceAccount, name: polecat-town, namespace: {namespace}}}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  serviceAccountName: polecat-town
  containers: [{{name: town, image: polecat}}]
"""


def make_town_account(kubectl: Kubectl) -> None:
    """The account of towns in the test's namespace, with its rights there."""
    kubectl("apply", "-f", "-", stdin=BINDING.format(namespace=kubectl.namespace))


def town_pod_api(kubectl: Kubectl, pod: str) -> KubeApi:
    """A client with the token that a kubelet would give to this pod of the account, which is made for it."""
    kubectl("apply", "-f", "-", stdin=POD.format(name=pod))
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}")
    return _api(kubectl, kubectl("create", "token", TOWN_ACCOUNT, *bound), f"polecat-town-{pod}")


def town_api(kubectl: Kubectl) -> KubeApi:
    """A client with the account of towns, outside of any pod."""
    return _api(kubectl, kubectl("create", "token", TOWN_ACCOUNT), "polecat-town-main-0")


def operator_api(kubectl: Kubectl) -> KubeApi:
    """A client with the operator's account."""
    token = kubectl("create", "token", OPERATOR_ACCOUNT, f"--namespace={SYSTEM_NAMESPACE}")
    return _api(kubectl, token, "polecat-operator")


def _api(kubectl: Kubectl, token: str, manager: str) -> KubeApi:
    return KubeApi(replace(kubectl.plane.connection, token=token.strip()), manager=manager)
