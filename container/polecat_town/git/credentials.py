"""Signing in at the remote without a secret in an argument, an environment, a URL or Git's configuration."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from polecat_api.conditions import Reason
from polecat_town.errors import RepositoryError, StoreError
from polecat_town.git.command import Access
from polecat_town.git.types import Credentials, Remote

ACCESS_FOLDER = ".access"
"""Below the rig's directory, where no domain reaches; a dot can't begin a polecat's name."""
DEFAULT_USERNAME = "git"
"""With a token as password, hosts take any name."""


@contextmanager
def signed_in(rig_dir: Path, remote: Remote) -> Iterator[Access]:
    """What a Git command needs to sign in, for as long as the block lasts.

    Raises RepositoryError (CREDENTIALS_MISSING) when the credentials can't be used with this URL.
    """
    credentials = remote.credentials
    if credentials is None:
        yield Access()
    elif urlsplit(remote.url).scheme in ("http", "https"):
        with _password(remote.url, credentials) as access:
            yield access
    elif remote.url.startswith(("file:", "git:")):
        yield Access()
    else:
        with _key(rig_dir, credentials) as access:
            yield access


@contextmanager
def _password(url: str, credentials: Credentials) -> Iterator[Access]:
    """User name and password in an unnamed file in memory, for the origin (scheme and host) of the URL only."""
    username = credentials.username.strip() or DEFAULT_USERNAME
    password = credentials.password.strip()
    if not password:
        raise RepositoryError(Reason.CREDENTIALS_MISSING, "an HTTP repository needs `password` in its Secret")
    if any(character in username + password for character in "\r\n\0"):
        raise RepositoryError(Reason.CREDENTIALS_MISSING, "`username` or `password` in the Secret holds a line break")
    parts = urlsplit(url)
    descriptor = os.memfd_create("credentials")
    try:
        os.write(descriptor, f"username={username}\npassword={password}\n".encode())
        helper = f'!f() {{ test "$1" = get && cat /proc/self/fd/{descriptor}; }}; f'
        yield Access(
            settings=(f"credential.{parts.scheme}://{parts.netloc}.helper={helper}",), descriptors=(descriptor,)
        )
    finally:
        os.close(descriptor)


@contextmanager
def _key(rig_dir: Path, credentials: Credentials) -> Iterator[Access]:
    """The private key in a file for our user only, as ssh can't read one from a descriptor."""
    if not credentials.ssh_key.strip():
        raise RepositoryError(Reason.CREDENTIALS_MISSING, "an SSH repository needs `ssh-privatekey` in its Secret")
    base = rig_dir / ACCESS_FOLDER
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(dir=base))
    except OSError as error:
        raise StoreError(f"the town's data volume can't be written: {error.strerror}") from error
    try:
        key = _private_file(folder / "key", credentials.ssh_key)
        if credentials.known_hosts.strip():
            hosts, strict = _private_file(folder / "known_hosts", credentials.known_hosts), "yes"
        else:
            hosts, strict = base / "known_hosts", "accept-new"
        words = ["ssh", "-F", os.devnull, "-i", str(key)]
        for option in (
            "IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "ConnectTimeout=15",
            "ServerAliveInterval=15", "ServerAliveCountMax=4",
            f"UserKnownHostsFile={hosts}", f"StrictHostKeyChecking={strict}",
        ):  # fmt: skip
            words += ["-o", option]
        yield Access(env={"GIT_SSH_COMMAND": shlex.join(words)})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _private_file(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text.replace("\r\n", "\n").strip() + "\n")
    return path
