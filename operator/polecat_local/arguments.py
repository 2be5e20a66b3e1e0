"""The command lines of the control plane's programs."""

from collections.abc import Sequence
from pathlib import Path

from polecat_local.credentials import Credentials
from polecat_local.paths import write_private
from polecat_local.ports import HOST, Ports

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "validatingadmissionpolicy-status-controller",
)
"""Those without which ownership, namespaces and a Town's StatefulSet would not be real; no nodes, no pods."""

NODE_CONTROLLERS = (
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "node-lifecycle-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "taint-eviction-controller",
)
"""What is needed besides where nodes run pods."""

_ISSUER = "https://kubernetes.default.svc.cluster.local"

_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
    userGroups: [system:masters, system:serviceaccounts:kube-system]
  - level: None
    verbs: [get, list, watch]
    users: [system:kube-controller-manager]
  - level: Metadata
    verbs: [get, list, watch]
  - level: Metadata
    resources:
      - group: ""
        resources: [secrets, serviceaccounts/token]
  - level: RequestResponse
    resources:
      - group: polecat.dev
  - level: Metadata
"""


def command_line(
    program: str,
    *,
    data_dir: Path,
    ports: Ports,
    credentials: Credentials,
    unsafe_no_fsync: bool,
    audit_log: bool,
    nodes_at: str | None,
) -> list[str]:
    """Arguments (without the program itself) of etcd, kube-apiserver or kube-controller-manager.

    `nodes_at`: see `ControlPlaneOptions`.
    """
    match program:
        case "etcd":
            flags = _etcd(data_dir, ports, credentials)
            return [*flags, "--unsafe-no-fsync"] if unsafe_no_fsync else flags
        case "kube-apiserver":
            flags = [*_api_server(ports, credentials), *_where(nodes_at)]
            return [*flags, *_audit(data_dir)] if audit_log else flags
        case "kube-controller-manager":
            controllers = CONTROLLERS if nodes_at is None else (*CONTROLLERS, *NODE_CONTROLLERS)
            return _controller_manager(data_dir, credentials, controllers)
        case _:
            raise ValueError(program)


def write_audit_policy(data_dir: Path) -> None:
    """Writes the policy file that `audit_log` needs: writes by anybody, reads by operators, towns and other
    accounts of their own; of writes to our kinds also what was stored, of Secrets never what is in them.
    """
    write_private(data_dir / "audit-policy.yaml", _AUDIT_POLICY)


def _etcd(data_dir: Path, ports: Ports, credentials: Credentials) -> list[str]:
    client, peer = f"https://{HOST}:{ports.etcd_client}", f"https://{HOST}:{ports.etcd_peer}"
    flags = [
        "--name=polecat",
        f"--data-dir={data_dir / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=polecat={peer}",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        "--log-level=warn",
    ]
    for prefix in ("", "peer-"):
        flags += [
            f"--{prefix}cert-file={credentials.file('etcd.crt')}",
            f"--{prefix}key-file={credentials.file('etcd.key')}",
            f"--{prefix}trusted-ca-file={credentials.file('ca.crt')}",
            f"--{prefix}client-cert-auth",
        ]
    return flags


def _api_server(ports: Ports, credentials: Credentials) -> list[str]:
    return [
        f"--etcd-servers=https://{HOST}:{ports.etcd_client}",
        f"--etcd-cafile={credentials.file('ca.crt')}",
        f"--etcd-certfile={credentials.file('etcd.crt')}",
        f"--etcd-keyfile={credentials.file('etcd.key')}",
        f"--secure-port={ports.api}",
        f"--tls-cert-file={credentials.file('apiserver.crt')}",
        f"--tls-private-key-file={credentials.file('apiserver.key')}",
        f"--token-auth-file={credentials.file('tokens.csv')}",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-key-file={credentials.file('service-account.pub')}",
        f"--service-account-signing-key-file={credentials.file('service-account.key')}",
        "--authorization-mode=RBAC",
        "--anonymous-auth=false",
        "--service-cluster-ip-range=10.0.0.0/24",
    ]


def _where(nodes_at: str | None) -> list[str]:
    if nodes_at is None:
        # Endpoints of the service `kubernetes` may not be loopback, and nobody here looks for them.
        return [f"--bind-address={HOST}", "--endpoint-reconciler-type=none"]
    return [
        "--bind-address=0.0.0.0",
        f"--advertise-address={nodes_at}",
        # For logs and exec: a name says which of a node's addresses its kubelet listens at.
        "--kubelet-preferred-address-types=Hostname",
    ]


def _audit(data_dir: Path) -> list[str]:
    return [
        f"--audit-policy-file={data_dir / 'audit-policy.yaml'}",
        f"--audit-log-path={data_dir / 'logs' / 'audit.log'}",
        # In MiB: three files at most.
        "--audit-log-maxsize=200",
        "--audit-log-maxbackup=2",
    ]


def _controller_manager(data_dir: Path, credentials: Credentials, controllers: Sequence[str]) -> list[str]:
    return [
        f"--kubeconfig={data_dir / 'kubeconfig'}",
        f"--controllers={','.join(controllers)}",
        f"--service-account-private-key-file={credentials.file('service-account.key')}",
        f"--root-ca-file={credentials.file('ca.crt')}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        # No HTTPS port of its own: one port less that could be taken.
        "--secure-port=0",
        # The defaults of 20 and 30 are for clusters with many clients; deleting a namespace takes seconds.
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        "--concurrent-gc-syncs=5",
        "--concurrent-namespace-syncs=5",
    ]
