"""What goes into a build: the sources, whole and the same everywhere, and how to reach the network."""

import os
import subprocess
from pathlib import Path

import pytest

from polecat_image.inputs import CONTAINERFILE, ROOT, SOURCES, stage
from polecat_image.network import secrets


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with one file for each source."""
    root = tmp_path / "checkout"
    for source in SOURCES:
        path = root / source if (ROOT / source).is_file() else root / source / "file.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return root


def test_the_same_sources_have_the_same_hash_whatever_the_umask_was(checkout: Path, tmp_path: Path) -> None:
    first = stage(_empty(tmp_path, "first"), checkout)
    (checkout / "README.md").chmod(0o600)
    (checkout / "operator").chmod(0o700)
    cache = checkout / "operator/__pycache__"
    cache.mkdir()
    (cache / "file.pyc").write_text("byte code")
    second = _empty(tmp_path, "second")
    umask = os.umask(0o077)
    try:
        assert stage(second, checkout) == first
    finally:
        os.umask(umask)
    assert (second / "README.md").stat().st_mode & 0o777 == 0o644
    assert (second / "operator").stat().st_mode & 0o777 == 0o755
    assert not (second / "operator/__pycache__").exists()


def test_an_edit_changes_the_hash(checkout: Path, tmp_path: Path) -> None:
    first = stage(_empty(tmp_path, "first"), checkout)
    (checkout / "crds/file.py").write_text("edited")
    assert stage(_empty(tmp_path, "second"), checkout) != first


def test_everything_that_the_containerfile_copies_is_staged() -> None:
    words = (ROOT / CONTAINERFILE).read_text().replace("\\\n", " ").splitlines()
    copied = [
        word for line in words if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert copied
    for source in copied:
        assert any(source == known or source.startswith(f"{known}/") for known in SOURCES), source
        assert (ROOT / source).exists(), source


def test_proxies_and_settings_for_packages_are_passed_on_and_nothing_else(tmp_path: Path) -> None:
    pip = tmp_path / "pip.conf"
    pip.write_text("[global]\nindex-url = https://packages.example/simple\n")
    private = _empty(tmp_path, "private")
    environ = {
        "https_proxy": "http://proxy.example:3128/?a='b'",
        "PIP_CONFIG_FILE": str(pip),
        "MODEL_KEY": "secret",
        "HOME": str(tmp_path),
    }
    given = secrets(private, environ)
    assert given["pip"] == pip
    script = f'. {given["environment"]}; printf "%s|%s" "$https_proxy" "${{MODEL_KEY-}}"'
    told = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True, env={}).stdout
    assert told == "http://proxy.example:3128/?a='b'|"


def _empty(parent: Path, name: str) -> Path:
    directory = parent / name
    directory.mkdir()
    return directory
