"""Where the control plane's programs come from, and what is said when they come from nowhere."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from polecat_local.binaries import PROGRAMS, Binaries, Declined, first_that_serves, link_kubectl
from polecat_local.cache import Cache
from polecat_local.errors import LocalError, NoBinariesError
from polecat_local.progress import Progress
from polecat_local.providers import gosource, release
from polecat_local.providers.cached import KIND, CachedProvider
from polecat_local.providers.found import FoundProvider

QUIET = Progress(io.StringIO())


@dataclass
class Place:
    """A provider that does as it is told."""

    name: str
    answer: Binaries | Declined
    asked: list[str] = field(default_factory=list)

    async def provide(self, progress: Progress) -> Binaries | Declined:
        self.asked.append(self.name)
        return self.answer


def some(directory: str) -> Binaries:
    return Binaries.in_directory(Path(directory), directory)


async def test_first_that_serves_is_taken_and_the_rest_not_asked() -> None:
    places = [Place("a", Declined("empty")), Place("b", some("/b")), Place("c", some("/c"))]
    assert await first_that_serves(places, QUIET) == some("/b")
    assert [place.asked for place in places] == [["a"], ["b"], []]


async def test_when_none_serves_each_says_why() -> None:
    places = [Place("cache", Declined("nothing there")), Place("download", Declined("no network"))]
    with pytest.raises(NoBinariesError) as error:
        await first_that_serves(places, QUIET)
    assert "cache: nothing there" in str(error.value)
    assert "download: no network" in str(error.value)


async def test_found_says_what_is_missing(tmp_path: Path) -> None:
    answer = await FoundProvider({"PATH": str(tmp_path)}).provide(QUIET)
    assert answer == Declined("no etcd there")


async def test_found_takes_programs_of_the_right_version(tmp_path: Path) -> None:
    for program in PROGRAMS:
        said = "etcd Version: 3.6.1" if program == "etcd" else "Kubernetes v1.36.1"
        (tmp_path / program).write_text(f"#!/bin/sh\necho '{said}'\n")
        (tmp_path / program).chmod(0o755)
    answer = await FoundProvider({"KUBEBUILDER_ASSETS": str(tmp_path), "PATH": ""}).provide(QUIET)
    assert isinstance(answer, Binaries)
    assert answer.etcd == tmp_path / "etcd"


async def test_cache_serves_a_download_and_a_build_of_any_go(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    provider = CachedProvider(cache)
    assert isinstance(await provider.provide(QUIET), Declined)
    for entry in (f"{gosource.source_key()}-go1.99.0", release.cache_key()):
        (cache.directory(KIND) / entry).mkdir()
        answer = await provider.provide(QUIET)
        assert isinstance(answer, Binaries)
        assert answer.etcd.parent.name == entry


def test_checksum_is_taken_from_the_line_of_the_file() -> None:
    listing = "aa  etcd-v3.6.8-linux-arm64.tar.gz\nbb *etcd-v3.6.8-linux-amd64.tar.gz\n"
    assert release.checksum_in(listing, "etcd-v3.6.8-linux-amd64.tar.gz") == "bb"
    with pytest.raises(LocalError, match="no checksum is published"):
        release.checksum_in(listing, "other.tar.gz")


async def test_a_server_that_cannot_be_reached_is_no_error() -> None:
    # Port 9 of loopback: nobody listens there.
    assert not await release.reachable("https://127.0.0.1:9/", 1.0)


def test_kubectl_link_is_renewed_and_a_real_file_is_left_alone(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    link_kubectl(old, tmp_path)
    assert link_kubectl(new, tmp_path).readlink() == new
    (tmp_path / "kubectl").unlink()
    (tmp_path / "kubectl").write_text("the user's own")
    assert link_kubectl(new, tmp_path).read_text() == "the user's own"
