"""Names in paths: checked before they become part of a request to the API server."""

from __future__ import annotations

import re

from polecat_dashboard.web.answers import not_found


def require(name: str, pattern: str) -> str:
    """The name, if it has the form of one; else there is no such thing (RefusedError 404)."""
    if len(name) > 253 or re.fullmatch(pattern, name) is None:
        raise not_found()
    return name
