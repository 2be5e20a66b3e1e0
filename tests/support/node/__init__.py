"""A real node beside the embedded control plane: kubelet, containerd, runc, CNI, kube-proxy and kube-scheduler.

It lives in namespaces of its own (processes, mounts, network), so that the kernel clears it away whole when its
first process ends. Needs root on Linux; `preflight.why_not` says in one sentence what a machine lacks.
"""
