"""All checks, in the order in which their findings are worth reading: causes before consequences."""

from __future__ import annotations

from polecat_cli.doctor.checks_access import check_access
from polecat_cli.doctor.checks_crds import check_crds
from polecat_cli.doctor.checks_local import check_directories, check_lost, check_processes, check_saved
from polecat_cli.doctor.checks_objects import check_beads, check_claims, check_finalizers
from polecat_cli.doctor.checks_server import check_clocks, check_operator, check_version
from polecat_cli.doctor.checks_standing import check_rigs, check_towns
from polecat_cli.doctor.facts import Facts, Finding

CHECKS = (
    check_version,
    check_clocks,
    check_crds,
    check_access,
    check_operator,
    check_towns,
    check_rigs,
    check_claims,
    check_finalizers,
    check_beads,
    check_processes,
    check_directories,
    check_saved,
    check_lost,
)


def find(facts: Facts) -> list[Finding]:
    """Everything that is wrong."""
    return [finding for check in CHECKS for finding in check(facts)]
