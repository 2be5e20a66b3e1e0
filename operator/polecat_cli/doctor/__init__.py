"""`polecat doctor`: `gather*` look, `checks_*` are pure and decide, `command` prints."""

from polecat_cli.doctor.command import doctor

__all__ = ["doctor"]
