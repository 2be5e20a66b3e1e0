"""What of the user's environment the programs we start get to see."""

from collections.abc import Mapping

_KEPT = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "TMPDIR",
        "TZ",
        "USER",
        "LOGNAME",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    }
)


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """Only what is needed to run programs, find files and get through a proxy; never keys and tokens."""
    return {name: value for name, value in environ.items() if name.upper() in _KEPT or name.startswith("LC_")}
