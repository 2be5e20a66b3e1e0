"""kopf without the client libraries that it would load, if they are installed, to know objects of theirs.

They take ten megabytes, and nothing here makes such objects: the login is our own.
"""

from __future__ import annotations

import sys
from typing import cast

_UNWANTED = ("pykube", "kubernetes", "kubernetes.client")
_modules = cast("dict[str, object]", sys.modules)
_hidden = [name for name in _UNWANTED if name not in _modules]
for _name in _hidden:
    _modules[_name] = None  # an import of it fails as if it were not installed

import kopf  # noqa: E402
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory  # noqa: E402 - types of a public parameter

for _name in _hidden:
    del _modules[_name]

__all__ = ["ResourceMemories", "ResourceMemory", "kopf"]
