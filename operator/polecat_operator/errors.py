"""What ends the operator, or one piece of its work."""

from __future__ import annotations


class LeaseLostError(Exception):
    """This process must not act any more; it ends, so that it never acts on what it used to know."""


class SupersededError(Exception):
    """The object is not what the decision was made from; the present state is in the cache, decide again."""
