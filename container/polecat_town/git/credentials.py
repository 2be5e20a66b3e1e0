"""Reaching the remote and signing in there without a secret in an argument, an environment, a URL or a file.

What Git and ssh need to read lies in unnamed files in memory, for as long as one command runs. Only processes that
may look into that command's descriptors can read them, and a process in a domain can't.
"""

from __future__ import annotations

import os
import shlex
import shutil
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from polecat_api.conditions import Reason
from polecat_town.errors import RepositoryError
from polecat_town.git.command import Access
from polecat_town.git.types import Credentials, Remote

DEFAULT_USERNAME = "git"
"""With a token as password, most hosts take any name."""
TRUSTED_HOSTS = Path("/etc/ssh/ssh_known_hosts")
"""Where an administrator lists host keys for the whole machine; ssh reads it beside the Secret's."""


@contextmanager
def signed_in(remote: Remote) -> Iterator[Access]:
    """What a Git command needs to reach the remote and sign in, for as long as the block lasts.

    Raises RepositoryError when that can't work: a value is missing, ssh is, or the URL is none.
    """
    transport = transport_of(remote.url)
    try:
        _ = urlsplit(remote.url).port
    except ValueError as error:
        raise RepositoryError(Reason.REPOSITORY_UNREACHABLE, f"{remote.url} is no URL: {error}") from error
    if transport == "ssh" and shutil.which("ssh") is None:
        raise RepositoryError(
            Reason.SSH_CLIENT_MISSING,
            "the town has no ssh program; install an OpenSSH client where the town runs, or use the https URL",
        )
    with ExitStack() as stack:
        if remote.credentials is None or transport == "other":
            yield Access()
        elif transport == "http":
            yield _http(stack, remote.url, remote.credentials)
        else:
            yield _ssh(stack, remote.credentials)


def transport_of(url: str) -> Literal["http", "ssh", "other"]:
    """How Git reaches a URL."""
    scheme, found, _ = url.partition("://")
    if scheme in ("http", "https") and found:
        return "http"
    return "other" if found and scheme in ("file", "git") else "ssh"


def proxy_in_use(remote: Remote) -> str:
    """URL of the proxy that Git goes through to this remote, the Secret's or the town's own; empty if none."""
    if transport_of(remote.url) != "http":
        return ""
    if remote.credentials is not None and remote.credentials.proxy:
        return remote.credentials.proxy
    parts, known = urlsplit(remote.url), getproxies()
    if proxy_bypass(parts.hostname or ""):
        return ""
    return known.get(parts.scheme) or known.get("all", "")


def _http(stack: ExitStack, url: str, credentials: Credentials) -> Access:
    settings: list[str] = []
    env: dict[str, str] = {}
    descriptors: list[int] = []

    def in_memory(name: str, text: str) -> str:
        descriptors.append(_memory_file(stack, name, text))
        return f"/proc/self/fd/{descriptors[-1]}"

    if not credentials.anonymous:
        if not credentials.password:
            what = "an HTTP repository needs `password` or `token`"
            raise RepositoryError(Reason.CREDENTIALS_MISSING, f"{what} in its Secret {credentials.secret}")
        username = credentials.username or DEFAULT_USERNAME
        answer = in_memory("credentials", f"username={username}\npassword={credentials.password}\n")
        parts = urlsplit(url)  # nobody else's server is ever told, whatever it redirects to
        helper = f'!f() {{ test "$1" = get && cat {answer}; }}; f'
        settings.append(f"credential.{parts.scheme}://{parts.netloc}.helper={helper}")
    if credentials.certificates:
        path = in_memory("certificates", _system_certificates() + credentials.certificates)
        env |= {"GIT_SSL_CAINFO": path, "GIT_PROXY_SSL_CAINFO": path}
    if credentials.proxy:
        quoted = credentials.proxy.replace("\\", "\\\\").replace('"', '\\"')
        settings.append("include.path=" + in_memory("proxy", f'[http]\nproxy = "{quoted}"\n'))
        env |= {"NO_PROXY": "", "no_proxy": ""}  # the town's exceptions are about the town's proxy
    return Access(settings=tuple(settings), env=env, descriptors=tuple(descriptors))


def _ssh(stack: ExitStack, credentials: Credentials) -> Access:
    if not credentials.ssh_key:
        what = "an SSH repository needs `ssh-privatekey`"
        raise RepositoryError(Reason.CREDENTIALS_MISSING, f"{what} in its Secret {credentials.secret}")
    if not credentials.known_hosts and not TRUSTED_HOSTS.exists():
        raise RepositoryError(
            Reason.CREDENTIALS_MISSING,
            f"an SSH repository needs `known_hosts` in its Secret {credentials.secret}: the lines that "
            "`ssh-keyscan HOST` prints, compared with what the host publishes",
        )
    if credentials.proxy:
        what = "`proxy` is for HTTP repositories; SSH ones are reached directly, so take it out of the Secret"
        raise RepositoryError(Reason.CREDENTIALS_MALFORMED, f"{what} {credentials.secret}, or use the https URL")
    key = _memory_file(stack, "key", credentials.ssh_key)
    hosts = _memory_file(stack, "known_hosts", credentials.known_hosts)
    words = ["ssh", "-F", os.devnull]
    for option in (
        "IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "ConnectTimeout=15",
        "ServerAliveInterval=15", "ServerAliveCountMax=4", "StrictHostKeyChecking=yes", "UpdateHostKeys=no",
    ):  # fmt: skip
        words += ["-o", option]
    # ssh closes all descriptors that it inherits, so it reads those of the shell that waits for it
    files = f'-i "/proc/$$/fd/{key}" -o "UserKnownHostsFile=/proc/$$/fd/{hosts}"'
    command = f'f() {{ {shlex.join(words)} {files} "$@"; return $?; }}; f'
    return Access(env={"GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh"}, descriptors=(key, hosts))


def _memory_file(stack: ExitStack, name: str, text: str) -> int:
    """Descriptor of a file for our user only that has no name anywhere, closed with the stack."""
    descriptor = os.memfd_create(name)
    stack.callback(os.close, descriptor)
    os.fchmod(descriptor, 0o600)  # ssh refuses a key that others might read
    left = memoryview(text.encode())
    while left:
        left = left[os.write(descriptor, left) :]
    return descriptor


def _system_certificates() -> str:
    """Authorities that the system trusts, or what the town's SSL_CERT_FILE says."""
    file = ssl.get_default_verify_paths().cafile
    try:
        return Path(file).read_text(errors="replace").strip() + "\n" if file else ""
    except OSError:
        return ""
