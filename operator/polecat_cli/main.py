"""The `polecat` command: each subcommand lives in a module of its own, which is read only when it is called."""

import importlib
import sys
from importlib.metadata import version

import click

COMMANDS = {
    "dashboard": "Open the dashboard of the running cluster in a browser, already signed in.",
    "demo": "See five agents work at once on a sample repository; needs no cluster and no model key.",
    "doctor": "Look once for what is wrong, and say what to do about it.",
    "down": "End what `polecat up` has started.",
    "setup": "Download or build all that is needed, so that later starts are quick.",
    "sling": "Make beads from titles, a Markdown list or YAML, and follow them if wanted.",
    "status": "Show processes, towns, rigs, beads and polecats.",
    "up": "Run control plane, operator and one town on this machine.",
}
"""Help by name; `polecat_cli.<name>` has a click command of that name. Here, so that help reads no module."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"polecat_cli.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"polecat_cli.{cmd_name}.{cmd_name} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("polecat"), prog_name="polecat")
def main() -> None:
    """Run many named Kilo coding agents at once on one Git repository, driven by Kubernetes resources."""


def kubectl_sling() -> None:
    """Entry point of `kubectl-sling`, so that `kubectl sling` works."""
    from polecat_cli.sling import kubectl_sling as entry  # late, as all subcommands are

    sys.exit(entry())
