"""A real node beside the embedded control plane: kubelet, containerd, runc, CNI, kube-proxy and kube-scheduler.

It lives in namespaces of its own (processes, mounts, network), so that the kernel clears it away whole when its
first process ends. Needs root on Linux; `preflight.why_not` says in one sentence what a machine lacks.
"""

import pytest

MARKS = [
    pytest.mark.asyncio(loop_scope="session"),
    # All on one worker, so that there is one cluster.
    # What it takes to start the cluster, or to build it, is not the first test's time.
    pytest.mark.timeout(300, func_only=True),
]
"""For `pytestmark` of each module of tests on a node."""
