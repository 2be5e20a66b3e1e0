"""`polecat sling`, also `kubectl sling`: several beads in one call."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from polecat_api.bead import Priority
from polecat_cli.running import Stop, run_command
from polecat_kube.api import KubeApi
from polecat_kube.connection import connect
from polecat_sling.draft import Draft, InputError, Order, make_order
from polecat_sling.reading import read_text
from polecat_sling.send import Refused, check, rig_is_missing, send, without_doubles

USAGE = 2
FAILED = 1


@click.command()
@click.argument("rig")
@click.argument("titles", nargs=-1, metavar="[TITLE]...")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="A Markdown list with a prompt under each item, or YAML; - reads standard input.",
)
@click.option(
    "--priority",
    type=click.Choice([p.value for p in Priority], case_sensitive=False),
    help="Of all beads that do not say their own.  [default: Normal]",
)
@click.option(
    "--depends-on", multiple=True, metavar="BEAD", help="Start after this bead has succeeded; may be repeated."
)
@click.option("--wait", is_flag=True, help="Follow the beads until all have ended; exit code 1 if one failed.")
@click.option("-n", "--namespace", help="Namespace of rig and beads.  [default: that of the kubeconfig]")
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Instead of KUBECONFIG."
)
def sling(
    rig: str,
    titles: tuple[str, ...],
    files: tuple[str, ...],
    priority: str | None,
    depends_on: tuple[str, ...],
    wait: bool,
    namespace: str | None,
    kubeconfig: Path | None,
) -> None:
    """Make beads for RIG from titles, a Markdown list or YAML.

    All of them are checked first, and none is made if one can't be. A bead's name follows from what it says, so
    that the same call again makes no doubles. A title alone is the prompt as well.

    \b
    polecat sling web "Mend the date parser" "Add a --json flag" --wait
    polecat sling web -f plan.md --priority High

    Exit code: 0 all there (with --wait: all succeeded), 1 some failed, 2 the input can't be used.
    """
    try:
        drafts = read_drafts(rig, titles, files)
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(USAGE)
    chosen = Priority(priority) if priority else None
    orders = [make_order(draft, rig, chosen, depends_on) for draft in drafts]

    async def work(stop: Stop) -> int:
        connection = connect(kubeconfig)
        where = namespace or connection.namespace
        async with KubeApi(connection, manager="polecat-sling") as api:
            names, code = await _make(api, where, rig, orders)
            return await _follow(api, where, names, code, stop) if wait and names else code

    run_command(work)


def kubectl_sling() -> int:
    """The same as a kubectl plugin; the exit code is in the SystemExit that click raises."""
    sling.main(prog_name="kubectl sling")
    return 0


def read_drafts(rig: str, titles: Sequence[str], files: Sequence[str]) -> list[Draft]:
    """All beads that the command line asks for; raises InputError when there is none or one can't be read."""
    drafts = [Draft(f"title {n}", title.strip(), title.strip()) for n, title in enumerate(titles, start=1)]
    for file in files:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} can't be read: {error}") from error
        drafts += read_text(rig, text, "standard input" if file == "-" else file, file)
    if not drafts:
        raise InputError("nothing to sling: give titles, or -f with a file")
    return drafts


async def _make(api: KubeApi, namespace: str, rig: str, orders: Sequence[Order]) -> tuple[list[str], int]:
    """Names of the beads that are there now, and the exit code so far."""
    unique, refused = without_doubles(orders)
    refused += await check(api, namespace, unique)
    if refused:
        _tell(refused)
        click.echo(f"error: {len(refused)} of {len(orders)} can't be made; nothing was made", err=True)
        return [], USAGE
    if await rig_is_missing(api, namespace, rig):
        click.echo(f"warning: there is no rig {rig} in namespace {namespace} yet; the beads wait for it", err=True)
    sent, failed = await send(api, namespace, unique)
    for one in sent:
        click.echo(f"bead.polecat.dev/{one.order.name} {one.outcome}")
        if one.note:
            click.echo(f"note: {one.order.name}: {one.note}", err=True)
    if failed:
        _tell(failed)
        click.echo(f"error: {len(failed)} of {len(unique)} were not made; the same call again makes them", err=True)
    return [one.order.name for one in sent], FAILED if failed else 0


async def _follow(api: KubeApi, namespace: str, names: list[str], code: int, stop: Stop) -> int:
    from rich.console import Console  # late: only --wait draws

    from polecat_cli.table import follow
    from polecat_cli.watching import Watch

    try:
        async with Watch(api, namespace, names) as watch:
            await follow(watch, names, Console())
    finally:
        if stop.asked:
            click.echo("the beads go on without being watched; delete them to cancel them", err=True)
    return code if watch.succeeded() else FAILED


def _tell(refused: Sequence[Refused]) -> None:
    for one in refused:
        click.echo(f"error: {one.order.source} ({one.order.name}): {one.why}", err=True)
