"""`polecat demo`: five agents at once on a sample repository, and what they have brought."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from polecat_cli.demo_keep import report, run_outside
from polecat_cli.demo_report import PLAIN_WIDTH, Ending, print_report
from polecat_cli.demo_timeline import APPLIED, CREATED, SUCCEEDED, read_journal
from polecat_cli.running import Stop, run_command
from polecat_cli.table import follow
from polecat_cli.views import BeadView, read_bead
from polecat_cli.watching import Watch
from polecat_local.dashboard import make_link
from polecat_local.demo.repository import read_branch
from polecat_local.demo.stage import Keep, RealModel, Stage, clear, make_data_dir
from polecat_local.errors import LocalError
from polecat_local.progress import Progress

FAILED = 1


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running, and print how to look at it and how to end it.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="A new or empty directory to run in.  [default: a temporary one]",
)
@click.option("--model-endpoint", metavar="URL", help="An OpenAI-compatible endpoint instead of the scripted model.")
@click.option("--model", "model_name", metavar="NAME", help="The model's name there.")
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the endpoint's API key.",
)
@click.option("--report-to", type=int, hidden=True)
def demo(
    keep: bool,
    data_dir: Path | None,
    model_endpoint: str | None,
    model_name: str | None,
    api_key_file: Path | None,
    report_to: int | None,
) -> None:
    """See five agents work at once on a sample repository; needs no cluster and no model key.

    A control plane, the operator and a town are started for it on this machine, and ended afterwards. The agents
    are real Kilo CLIs; the model that tells them what to do is played by a script, unless you give a real one.

    Exit code: 0 if the work of all five has arrived in the repository, else 1.
    """
    if (model_endpoint is None) != (model_name is None):
        raise click.UsageError("--model-endpoint and --model go together")
    if api_key_file is not None and model_endpoint is None:
        raise click.UsageError("--api-key-file needs --model-endpoint")
    if model_endpoint is not None and not model_endpoint.startswith(("http://", "https://")):
        raise click.UsageError("--model-endpoint must be an http or https URL")
    real = None
    if model_endpoint is not None and model_name is not None:
        key = api_key_file.read_text().strip() if api_key_file is not None else None
        real = RealModel(model_endpoint, model_name, key)

    async def work(stop: Stop) -> int:
        if not keep:
            return await _host(make_data_dir(data_dir), real, stop, None)
        if report_to is not None and data_dir is not None:
            return await _host(data_dir, real, stop, report_to)
        arguments = ["demo", "--keep", "--data-dir", str(make_data_dir(data_dir))]
        if real is not None:
            arguments += ["--model-endpoint", real.endpoint, "--model", real.name]
        if api_key_file is not None:
            arguments += ["--api-key-file", str(api_key_file.absolute())]
        return await run_outside(arguments, stop)

    run_command(work)


async def _host(data_dir: Path, real: RealModel | None, stop: Stop, report_to: int | None) -> int:
    """Builds the stage, plays, and takes everything down again; with `report_to` it stays up until told to end."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    stage: Stage | None = None
    keep = Keep.NOTHING
    code = FAILED
    try:
        stage = await Stage.prepare(data_dir, real, Progress(), say)
        keep = Keep.LOGS
        await stage.start()
        say(await _where_to_watch(stage))
        code = await _play(stage, console)
        if report_to is not None:
            keep = Keep.ALL
            say(_kept(stage))
            report(report_to, code, stage.logs / "demo.log")
            # Until somebody ends it by a signal, as `polecat down` does.
            await asyncio.Event().wait()
        if code == 0:
            keep = Keep.NOTHING
    except asyncio.CancelledError:
        if keep is not Keep.ALL:
            keep = Keep.NOTHING
            say("ending …")
            raise
    finally:
        if keep is Keep.LOGS and stage is not None:
            say(f"The logs are in {stage.logs}")
        if stage is not None:
            await stage.stop(stop.hurry, keep)
        else:
            await asyncio.to_thread(clear, data_dir, keep)
    return code


async def _play(stage: Stage, console: Console) -> int:
    """Applies the beads, shows them until they have ended, and reports; the exit code."""
    names = [play.name for play in stage.plays]
    async with stage.cluster.api() as api, Watch(api, stage.namespace, names, made=False) as watch:
        applied = await stage.apply_beads(api)
        console.print(f"\n{len(names)} beads applied\n")
        with suppress(TimeoutError):
            async with asyncio.timeout(stage.deadline_seconds):
                await follow(watch, names, console)
        endings = []
        for name in names:
            bead = watch.beads.get(name) or read_bead({"metadata": {"name": name}})
            known = {APPLIED: applied[name], CREATED: watch.created.get(bead.uid), SUCCEEDED: _success(watch, bead)}
            journal = await asyncio.to_thread(read_journal, stage.streams, bead.uid)
            timeline = {**journal, **{step: when for step, when in known.items() if when is not None}}
            arrived = await read_branch(stage.repository, bead.branch) if bead.branch else None
            endings.append(Ending(bead, arrived, timeline))
    print_report(console, endings, str(stage.repository))
    return 0 if all(ending.well for ending in endings) else FAILED


async def _where_to_watch(stage: Stage) -> str:
    try:
        link = await make_link(stage.cluster.data)
    except LocalError as error:
        return f"The dashboard can't be shown: {error}"
    another = f"polecat dashboard --data-dir {stage.data_dir}"
    return f"\nWatch them work: {link}\n(once, within a minute; another one: {another})"


def _success(watch: Watch, bead: BeadView) -> datetime | None:
    return watch.ended.get(bead.uid) if bead.succeeded else None


def _kept(stage: Stage) -> str:
    return (
        f"\nEverything is still running:\n  export KUBECONFIG={stage.cluster.kubeconfig}\n"
        f"  kubectl get beads,polecats\n  polecat dashboard --data-dir {stage.data_dir}\n"
        f"  git -C {stage.repository} log --oneline --all --graph\n"
        f"End it with:\n  polecat down --data-dir {stage.data_dir}"
    )
