"""The image gets the part of the lock that its programs need, and nothing else."""

import ast
import importlib.util
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest

from support.paths import ROOT

IN_THE_IMAGE = (
    "crds/polecat_api",
    "operator/polecat_kube",
    "operator/polecat_http",
    "operator/polecat_operator",
    "operator/polecat_dashboard",
    "operator/polecat_sling",
    "container/polecat_town",
)
LOCK = """\
a==1 \\
    --hash=sha256:01
    # via polecat (pyproject.toml)
a-part==2 ; sys_platform == 'linux' \\
    --hash=sha256:02 \\
    --hash=sha256:03
    # via
    #   A
    #   tool
tool==3 \\
    --hash=sha256:04
    # via polecat (pyproject.toml:dev)
"""


@pytest.fixture(scope="module")
def select_lock() -> ModuleType:
    """The script as the build runs it."""
    path = ROOT / "container/image/inside/select_lock.py"
    spec = importlib.util.spec_from_file_location("select_lock", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_package_comes_with_what_it_needs_and_with_all_hashes(select_lock: ModuleType) -> None:
    chosen = select_lock.select(select_lock.parse(LOCK), ["a"])
    assert [package.name for package in chosen] == ["a", "a-part"]
    assert chosen[1].lines == (
        "a-part==2 ; sys_platform == 'linux' \\",
        "    --hash=sha256:02 \\",
        "    --hash=sha256:03",
    )


def test_what_is_not_locked_is_refused(select_lock: ModuleType) -> None:
    with pytest.raises(ValueError, match="not in the lock: other"):
        select_lock.select(select_lock.parse(LOCK), ["other"])
    with pytest.raises(ValueError, match="not a line of a lock"):
        select_lock.parse("a==1\n???\n")


def test_all_that_the_programs_import_is_in_the_image(select_lock: ModuleType) -> None:
    locked = select_lock.parse((ROOT / "requirements.lock").read_text())
    chosen = {p.name for p in select_lock.select(locked, select_lock.runtime_roots(_pyproject()))}
    providers = packages_distributions()
    imported = {
        select_lock.normalised(distribution)
        for package in IN_THE_IMAGE
        for file in (ROOT / package).rglob("*.py")
        for module in _imports(file)
        for distribution in providers.get(module, [])
    }
    assert imported - chosen - {"polecat"} - set(select_lock.NOT_IN_THE_IMAGE) == set()


def test_tools_for_development_stay_out_of_the_image(select_lock: ModuleType) -> None:
    locked = select_lock.parse((ROOT / "requirements.lock").read_text())
    chosen = {p.name for p in select_lock.select(locked, select_lock.runtime_roots(_pyproject()))}
    assert chosen.isdisjoint({"pytest", "mypy", "ruff", "playwright", "uv", *select_lock.NOT_IN_THE_IMAGE})


def _pyproject() -> str:
    return (ROOT / "pyproject.toml").read_text()


def _imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found
