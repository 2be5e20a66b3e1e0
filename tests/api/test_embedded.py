"""The embedded control plane, for real: secrets on disk, ports, life and death of its processes."""
from support.control_plane import Kubectl

def test_x(kubectl: Kubectl) -> None:
    print(kubectl("get","ns"))
def test_y(kubectl: Kubectl) -> None:
    print(kubectl("get","crd"))
