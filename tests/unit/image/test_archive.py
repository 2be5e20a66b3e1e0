"""Images are read and written again as docker-archives."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from polecat_image.archive import inspect, read_file, rewrite, table


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An image of two layers, of which the upper one replaces a file of the lower one; a step between made none."""
    layers = [_tar({"etc/name": b"lower", "opt/kilo/bin/kilo": b"program"}), _tar({"etc/name": b"upper"})]
    config = {
        "config": {"User": "1000:1000", "Hostname": "0123", "Labels": None},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
        "history": [
            {"created_by": "/bin/sh -c #(nop) ADD rootfs.tar in / "},
            {"created_by": "/bin/sh -c #(nop) USER 1000:1000", "empty_layer": True},
            {"created_by": "|1 RECIPE=0 /bin/sh -c echo upper", "comment": "FROM 0123"},
        ],
    }
    manifest = [{"Config": "config.json", "RepoTags": ["made:1"], "Layers": ["one.tar", "two.tar"]}]
    path = tmp_path / "image.tar"
    parts = {
        "one.tar": layers[0],
        "two.tar": layers[1],
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    path.write_bytes(_tar(parts))
    return path


def test_layers_are_told_with_the_steps_that_made_them(archive: Path) -> None:
    lines = [line.split("MB")[1].strip() for line in table(inspect(archive))]
    assert lines == ["ADD rootfs.tar in /", "|1 RECIPE=0 /bin/sh -c echo upper", "in 2 layers"]


def test_a_file_is_that_of_the_upper_layer(archive: Path) -> None:
    assert read_file(archive, "/etc/name") == b"upper"
    assert read_file(archive, "opt/kilo/bin/kilo") == b"program"
    with pytest.raises(KeyError):
        read_file(archive, "/etc/other")


def test_another_name_with_a_label_is_another_image_of_the_same_layers(archive: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    rewrite(archive, first, ["polecat:1", "polecat:latest"])
    rewrite(first, second, ["polecat:2"], {"which": "second"})
    assert json.loads(_member(first, "manifest.json"))[0]["RepoTags"] == ["polecat:1", "polecat:latest"]
    assert inspect(second).layer_names == inspect(first).layer_names
    assert inspect(second).identifier != inspect(first).identifier
    assert inspect(second).config["config"]["Labels"] == {"which": "second"}
    assert inspect(first).config["config"]["User"] == "1000:1000"


def test_the_same_image_is_written_as_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    rewrite(archive, tmp_path / "first.tar", ["polecat:1"])
    rewrite(tmp_path / "first.tar", tmp_path / "second.tar", ["polecat:1"])
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()


def test_what_is_of_one_build_only_is_left_out(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.tar"
    rewrite(archive, target, ["polecat:1"])
    config = inspect(target).config
    assert config["history"][2] == {"created_by": "/bin/sh -c echo upper"}
    assert "Hostname" not in config["config"]


def test_a_file_is_left_out_by_a_layer_that_hides_it(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.tar"
    rewrite(archive, target, ["polecat:none"], without=["/opt/kilo/bin/kilo"])
    image = inspect(target)
    hiding = _member(target, image.layer_names[-1])
    with tarfile.open(fileobj=io.BytesIO(hiding)) as layer:
        assert layer.getnames() == ["opt/kilo/bin/.wh.kilo"]
    assert image.config["rootfs"]["diff_ids"][-1] == f"sha256:{hashlib.sha256(hiding).hexdigest()}"
    assert len(image.config["history"]) == 4


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        content = tar.extractfile(name)
        assert content is not None
        return content.read()


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
