"""The container image of this checkout for tests, as `make image` builds it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.node.installing import NoImageBuilderError, build_image


def image_archive() -> Path:
    """The docker-archive, built unless the cache has it, which takes minutes; skips the test where nothing can."""
    if os.geteuid() != 0:
        pytest.skip("looking into the image as a pod does needs root: it mounts, and changes the user")
    try:
        return build_image("--base", "bootstrap")
    except NoImageBuilderError as error:
        pytest.skip(str(error))
