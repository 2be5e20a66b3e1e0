"""The configuration files of containerd, CNI, kubelet and kube-proxy."""

from __future__ import annotations

import json

import yaml

from support.node.images import PAUSE
from support.node.plan import BRIDGE, NODE_NAME, POD_CIDR, NodePlan

_CONTAINERD = """\
version = 3
root = "{plan.home}/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.nri.v1.nri",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{plan.socket}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{pause}"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{plan.plugins}"]
    conf_dir = "{plan.home}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "{plan.runc}"
        SystemdCgroup = false
"""


def write_all(plan: NodePlan) -> None:
    """Writes them into the node's directory."""
    (plan.home / "cni").mkdir()
    (plan.home / "containerd.toml").write_text(_CONTAINERD.format(plan=plan, pause=PAUSE))
    (plan.home / "cni" / "10-pods.conflist").write_text(json.dumps(_network()))
    (plan.home / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(plan)))
    (plan.home / "proxy.yaml").write_text(yaml.safe_dump(_proxy(plan)))


def _network() -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_CIDR}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}


def _kubelet(plan: NodePlan) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Only the API server asks it anything, and that one runs beside it.
        "address": "127.0.0.1",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{plan.cgroup}",
        "containerRuntimeEndpoint": f"unix://{plan.socket}",
        "enforceNodeAllocatable": [],
        # However full the machine's disk is, the tests' pods are not evicted for it.
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        "resolvConf": "",
        # Seconds of waiting less where a test waits for the kubelet to look again.
        "syncFrequency": "5s",
        "nodeStatusUpdateFrequency": "3s",
    }


def _proxy(plan: NodePlan) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(plan.plane / "kubeconfig")},
        "mode": "iptables",
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": NODE_NAME,
        # These belong to the machine, not to its network namespaces.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
