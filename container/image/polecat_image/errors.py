"""What keeps an image from being built; each text says what to do."""

from polecat_local.errors import LocalError


class NoBuilderError(LocalError):
    """No program that builds images was found, or none that works."""


class BuildFailedError(LocalError):
    """The builder, or what makes the base, ended with an error; carries the end of what it wrote."""
