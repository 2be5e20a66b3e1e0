"""What a rig's Secret holds for its repository, checked before any program gets to see it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from polecat_api import protocol
from polecat_api.conditions import Reason
from polecat_town.errors import RepositoryError
from polecat_town.git.types import Credentials

PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_PLAIN = frozenset({protocol.USERNAME_SECRET_KEY, protocol.KNOWN_HOSTS_SECRET_KEY, protocol.CA_SECRET_KEY})
"""Keys whose values may be shown."""
_KEYS = (
    protocol.PASSWORD_SECRET_KEY,
    protocol.GIT_TOKEN_SECRET_KEY,
    protocol.SSH_KEY_SECRET_KEY,
    protocol.CA_SECRET_KEY,
    protocol.PROXY_SECRET_KEY,
)
"""Of these a Secret must have one."""


def read_secret(name: str, values: Mapping[str, str] | None) -> Credentials:
    """The credentials in the Secret `name`; `values` are its decoded values, None when it does not exist.

    Raises RepositoryError: CREDENTIALS_MISSING, or CREDENTIALS_MALFORMED with the key that is to be mended.
    """
    if values is None:
        raise RepositoryError(Reason.CREDENTIALS_MISSING, f"the Secret {name} does not exist")
    held = {key: values[key] for key in _KEYS if values.get(key, "").strip()}
    if not held:
        raise RepositoryError(
            Reason.CREDENTIALS_MISSING,
            f"the Secret {name} has none of the keys {', '.join(f'`{key}`' for key in _KEYS)}",
        )
    if protocol.PASSWORD_SECRET_KEY in held and protocol.GIT_TOKEN_SECRET_KEY in held:
        raise _malformed(name, protocol.GIT_TOKEN_SECRET_KEY, "stands beside `password`, and means the same: keep one")
    credentials = Credentials(
        secret=name,
        username=values.get(protocol.USERNAME_SECRET_KEY, "").strip(),
        password=(held.get(protocol.PASSWORD_SECRET_KEY) or held.get(protocol.GIT_TOKEN_SECRET_KEY, "")).strip(),
        ssh_key=_as_file(held.get(protocol.SSH_KEY_SECRET_KEY, "")),
        known_hosts=_as_file(values.get(protocol.KNOWN_HOSTS_SECRET_KEY, "")),
        certificates=_as_file(held.get(protocol.CA_SECRET_KEY, "")),
        proxy=held.get(protocol.PROXY_SECRET_KEY, "").strip(),
    )
    for key, text in (("username", credentials.username), ("password", credentials.password)):
        if any(character in text for character in "\r\n\0"):
            raise _malformed(name, key, "holds a line break")
    if credentials.ssh_key:
        _check_key(credentials)
    if credentials.certificates:
        _check_certificates(credentials)
    if credentials.proxy:
        _check_proxy(credentials)
    return credentials


def hidden_values(values: Mapping[str, str]) -> set[str]:
    """What of any Secret of a rig must never be shown."""
    hidden = {value for key, value in values.items() if key not in _PLAIN and key != protocol.PROXY_SECRET_KEY}
    return hidden | proxy_passwords(values.get(protocol.PROXY_SECRET_KEY, ""))


def proxy_passwords(proxy: str) -> set[str]:
    """The password in a proxy's URL, as it stands there and as it is meant."""
    _, _, place = proxy.strip().partition("://")
    user, at, _ = place.rpartition("@")
    password = user.partition(":")[2]
    return {password, unquote(password)} if at and password else set()


def _as_file(text: str) -> str:
    """With the line ends that ssh wants; empty if there is nothing in it."""
    stripped = text.replace("\r\n", "\n").strip()
    return f"{stripped}\n" if stripped else ""


def _check_key(credentials: Credentials) -> None:
    key, data = protocol.SSH_KEY_SECRET_KEY, credentials.ssh_key.encode()
    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        load(data, password=None)
    except TypeError:
        hint = "has a passphrase, and nobody is there to type it: make one without, by `ssh-keygen -p -N '' -f FILE`"
        raise _malformed(credentials.secret, key, hint) from None
    except UnsupportedAlgorithm:
        return  # ssh may know more kinds of keys
    except ValueError:
        public = credentials.ssh_key.startswith(("ssh-", "ecdsa-", "---- BEGIN SSH2 PUBLIC", "-----BEGIN PUBLIC"))
        what = "is a public key; the private one belongs here" if public else "is no private key in OpenSSH or PEM form"
        raise _malformed(credentials.secret, key, what) from None


def _check_certificates(credentials: Credentials) -> None:
    try:
        x509.load_pem_x509_certificates(credentials.certificates.encode())
    except ValueError:
        raise _malformed(credentials.secret, protocol.CA_SECRET_KEY, "holds no certificate in PEM form") from None


def _check_proxy(credentials: Credentials) -> None:
    try:
        parts = urlsplit(credentials.proxy)
        good = parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(character.isspace() or not character.isprintable() for character in credentials.proxy):
        hint = f"is not a URL like http://[USER:PASSWORD@]HOST:PORT ({', '.join(PROXY_SCHEMES)} are known)"
        raise _malformed(credentials.secret, protocol.PROXY_SECRET_KEY, hint)


def _malformed(name: str, key: str, what: str) -> RepositoryError:
    return RepositoryError(Reason.CREDENTIALS_MALFORMED, f"`{key}` in the Secret {name} {what}")
