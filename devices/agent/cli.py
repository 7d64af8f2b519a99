"""``loa box``: enrol a box and run it. Each command imports its own: a small box loads only what it uses."""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(no_args_is_help=True, help="Enrol and run a speaker box.")

_DIRECTORY = typer.Option("--dir", help="Where the box keeps its key, playlist, renditions and receipts.")


@app.command()
def enrol(
    server: Annotated[str, typer.Option("--server", help="URL of the server, http://host:port.")],
    code: Annotated[str, typer.Option("--code", help="One-time code that an admin was given for the cluster.")],
    directory: Annotated[Path, _DIRECTORY],
) -> None:
    """Enrol this machine as the box of a cluster."""
    from devices.agent.config import BoxError
    from devices.agent.enrolment import enrol as enrol_box

    try:
        settings = enrol_box(server, code, directory)
    except BoxError as error:
        _refuse(error)
    print(f"box enrolled box={settings.box} cluster={settings.cluster} dir={directory}")


@app.command()
def run(
    directory: Annotated[Path, _DIRECTORY],
    output: Annotated[str, typer.Option("--output", help="device, device:NAME, wav:PATH or null.")] = "device",
    verbose: Annotated[bool, typer.Option("--verbose", help="Also print what repeats.")] = False,
) -> None:
    """Run the box until Ctrl-C or SIGTERM; one line an event goes to stdout."""
    from devices.agent.config import BoxError
    from devices.agent.output import OutputError

    logging.basicConfig(
        stream=sys.stdout,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    try:
        asyncio.run(_run(directory, output))
    except (BoxError, OutputError) as error:
        _refuse(error)


async def _run(directory: Path, output: str) -> None:
    from devices.agent.run import Surroundings
    from devices.agent.run import run as run_box
    from devices.link import connect

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await run_box(directory, output, surroundings=Surroundings(connect=connect), stop=stop)


def _refuse(error: Exception) -> NoReturn:
    typer.echo(f"loa box: {error}", err=True)
    raise typer.Exit(2) from error
