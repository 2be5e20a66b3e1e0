"""The kinds that Polecat's programs use, and their paths at the API server."""

from __future__ import annotations

from dataclasses import dataclass

from polecat_api import GROUP, VERSION


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One kind at the API server."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As it stands in `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of the collection, the object or its subresource; all namespaces if `namespace` is None."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


TOWN = ResourceType(GROUP, VERSION, "towns", "Town")
RIG = ResourceType(GROUP, VERSION, "rigs", "Rig")
BEAD = ResourceType(GROUP, VERSION, "beads", "Bead")
POLECAT = ResourceType(GROUP, VERSION, "polecats", "Polecat")
SECRET = ResourceType("", "v1", "secrets", "Secret")
CONFIG_MAP = ResourceType("", "v1", "configmaps", "ConfigMap")
EVENT = ResourceType("", "v1", "events", "Event")
NAMESPACE = ResourceType("", "v1", "namespaces", "Namespace", namespaced=False)
LEASE = ResourceType("coordination.k8s.io", "v1", "leases", "Lease")
STATEFUL_SET = ResourceType("apps", "v1", "statefulsets", "StatefulSet")
POD = ResourceType("", "v1", "pods", "Pod")
PERSISTENT_VOLUME_CLAIM = ResourceType("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SERVICE = ResourceType("", "v1", "services", "Service")
SERVICE_ACCOUNT = ResourceType("", "v1", "serviceaccounts", "ServiceAccount")
POD_DISRUPTION_BUDGET = ResourceType("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
ROLE_BINDING = ResourceType("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLE_BINDING = ResourceType(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
TOKEN_REVIEW = ResourceType("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
SUBJECT_ACCESS_REVIEW = ResourceType(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
