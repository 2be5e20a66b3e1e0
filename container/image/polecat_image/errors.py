"""What keeps an image from being built; each text says what to do."""

from polecat_local.errors import LocalError


class NoBuilderError(LocalError):
    """This machine lacks what any build needs: a program that builds images, or Debian's packages for the base."""


class BuildFailedError(LocalError):
    """The builder ended with an error; carries the end of what it wrote."""
