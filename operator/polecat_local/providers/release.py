"""The official release downloads of Kubernetes and etcd, each verified by the checksum published with it."""

import asyncio
import hashlib
import os
import socket
import tarfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from polecat_local import versions
from polecat_local.binaries import PROGRAMS, Binaries, Declined
from polecat_local.cache import Cache
from polecat_local.errors import LocalError
from polecat_local.platforms import release_arch
from polecat_local.progress import Progress

KIND = "controlplane"
KUBERNETES_RELEASES = "https://dl.k8s.io/release"
ETCD_RELEASES = "https://github.com/etcd-io/etcd/releases/download"
CONNECT_SECONDS = 2.5
"""How long a closed network may cost before the next provider is asked."""
READ_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20


class ReleaseProvider:
    """Some 250 MB; needs a network that lets the release servers through."""

    name = "official release download"

    def __init__(self, cache: Cache, environ: Mapping[str, str] = os.environ) -> None:
        self._cache = cache
        self._environ = environ

    async def provide(self, progress: Progress) -> Binaries | Declined:
        """Downloads all four, or none."""
        for url in (KUBERNETES_RELEASES, ETCD_RELEASES):
            if not await reachable(url, CONNECT_SECONDS):
                return Declined(f"{urllib.parse.urlsplit(url).hostname} cannot be reached")
        try:
            entry = await self._cache.make(KIND, cache_key(), lambda d: self._download(d, progress), progress)
        except (aiohttp.ClientError, TimeoutError, _BadDownloadError, tarfile.TarError) as error:
            return Declined(str(error) or type(error).__name__)
        return Binaries.in_directory(entry, f"official release, {entry.name}")

    async def _download(self, draft: Path, progress: Progress) -> None:
        arch = release_arch()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True, raise_for_status=True) as session:
            for program in PROGRAMS:
                if program == "etcd":
                    continue
                url = f"{KUBERNETES_RELEASES}/v{versions.KUBERNETES}/bin/linux/{arch}/{program}"
                async with progress.stage(f"control plane: downloading {program}"):
                    checksum = (await _text(session, f"{url}.sha256")).split()[0]
                    await _fetch(session, url, draft / program, checksum, progress)
            await self._download_etcd(session, draft, arch, progress)
        for program in PROGRAMS:
            (draft / program).chmod(0o755)

    async def _download_etcd(self, session: aiohttp.ClientSession, draft: Path, arch: str, progress: Progress) -> None:
        base = f"{ETCD_RELEASES}/v{versions.ETCD}"
        stem = f"etcd-v{versions.ETCD}-linux-{arch}"
        archive = draft / "etcd.tar.gz"
        async with progress.stage("control plane: downloading etcd"):
            checksum = checksum_in(await _text(session, f"{base}/SHA256SUMS"), f"{stem}.tar.gz")
            await _fetch(session, f"{base}/{stem}.tar.gz", archive, checksum, progress)
            await asyncio.to_thread(_extract, archive, f"{stem}/etcd", draft / "etcd")
        archive.unlink()


class _BadDownloadError(LocalError):
    """What came is not what was published."""


def cache_key() -> str:
    """The cache entry of this version table's downloads."""
    return f"release-{versions.KUBERNETES}-{versions.ETCD}"


def checksum_in(listing: str, name: str) -> str:
    """The checksum of file `name` in the output format of sha256sum; raises LocalError if it isn't listed."""
    for line in listing.splitlines():
        match line.split():
            case [checksum, listed] if listed.lstrip("*") == name:
                return checksum
    raise _BadDownloadError(f"no checksum is published for {name}")


async def reachable(url: str, seconds: float) -> bool:
    """Whether the server of `url` (or the proxy set for it) takes a connection in time.

    In a thread that nobody waits for: a name look-up on a closed network can hang for much longer, and
    asyncio's own resolver would hold up the end of the program.
    """
    target = urllib.parse.urlsplit(url)
    host, port = target.hostname or "", target.port or 443
    if not urllib.request.proxy_bypass(host) and (proxy := urllib.request.getproxies().get("https")):
        via = urllib.parse.urlsplit(proxy)
        host, port = via.hostname or "", via.port or 80
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def settle(result: bool) -> None:
        if not answer.done():
            answer.set_result(result)

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            result = True
        except OSError:
            result = False
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            return  # The loop has ended meanwhile: nobody wants to know any more.

    threading.Thread(target=connect, daemon=True, name="reachable").start()
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        return False


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        return await response.text()


async def _fetch(session: aiohttp.ClientSession, url: str, path: Path, checksum: str, progress: Progress) -> None:
    digest = hashlib.sha256()
    size = 0
    async with session.get(url) as response:
        with path.open("wb") as file:
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                progress.detail(f"{size >> 20} MB")
    if digest.hexdigest() != checksum:
        raise _BadDownloadError(f"{url} came with a wrong checksum")


def _extract(archive: Path, member: str, target: Path) -> None:
    with tarfile.open(archive) as tar:
        source = tar.extractfile(member)
        if source is None:
            raise _BadDownloadError(f"{archive.name} has no {member}")
        with target.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                file.write(chunk)
