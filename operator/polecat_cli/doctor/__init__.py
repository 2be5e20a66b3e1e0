"""`polecat doctor`: `gather*` look, `checks_*` are pure and decide, `command` prints, `watch` has the oracle look."""

from polecat_cli.doctor.command import doctor

__all__ = ["doctor"]
