"""The version table agrees with what is built from it."""

import re

import pytest

from polecat_local import versions
from polecat_local.providers import gosource
from polecat_local.providers.found import judge_version


def required_modules() -> dict[str, str]:
    text = (gosource.MODULE_DIR / "go.mod").read_text()
    return dict(re.findall(r"^\s+(\S+) v(\S+)$", text, flags=re.MULTILINE))


def test_go_module_has_the_versions_of_the_table() -> None:
    modules = required_modules()
    assert modules["k8s.io/kubernetes"] == versions.KUBERNETES
    assert modules["go.etcd.io/etcd/server/v3"] == versions.ETCD


def test_build_stamps_the_version_that_kubectl_tells() -> None:
    flags = " ".join(gosource.build_flags())
    assert f"gitVersion=v{versions.KUBERNETES}" in flags
    assert f"gitMajor=1 -X k8s.io/component-base/version.gitMinor={versions.KUBERNETES.split('.')[1]}" in flags


def test_kilo_packages_are_locked_by_sha512() -> None:
    for package in versions.KILO_PACKAGES.values():
        assert package.version == versions.KILO
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package.integrity)


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("1.26.0", "1.26.0", True),
        ("1.26.8", "1.26.0", True),
        ("go1.27", "1.26.0", True),
        ("1.25.9", "1.26.0", False),
        ("1.26rc1", "1.26.0", False),
        ("1.9.9", "1.26.0", False),
        ("nonsense", "1.26.0", False),
    ],
)
def test_at_least(version: str, wanted: str, expected: bool) -> None:
    assert versions.at_least(version, wanted) is expected


@pytest.mark.parametrize(
    ("program", "output", "reason"),
    [
        ("kube-apiserver", "Kubernetes v1.36.3", None),
        ("kube-apiserver", "Kubernetes v1.36.0", None),
        ("kubectl", "Client Version: v1.32.4-dispatcher", "kubectl is 1.32.4, and 1.36 is needed"),
        ("etcd", "etcd Version: 3.6.8\nGit SHA: abc", None),
        ("etcd", "etcd Version: 3.5.1", "etcd is 3.5.1, and 3.6 is needed"),
        ("etcd", "Segmentation fault", "etcd does not tell its version"),
    ],
)
def test_found_programs_must_be_of_the_same_minor_version(program: str, output: str, reason: str | None) -> None:
    assert judge_version(program, output) == reason
