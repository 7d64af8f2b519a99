"""``loa box``: enrol a box and run it. Each command imports its own: a small box loads only what it uses."""

import asyncio
import logging
import os
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
    from devices.agent.settings import write_default

    try:
        place = enrol_box(server, code, directory)
    except BoxError as error:
        _refuse(error)
    print(f"box enrolled box={place.box} cluster={place.cluster} dir={directory}")
    try:
        write_default(directory)
    except OSError as error:  # it has its place, and runs as well without
        typer.echo(f"loa box: no box.toml was written ({error.strerror}); without one the defaults hold", err=True)


@app.command()
def run(
    directory: Annotated[Path, _DIRECTORY],
    output: Annotated[
        str | None,
        typer.Option("--output", help="device, device:NAME, wav:PATH or null. Default: as box.toml says."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also print what repeats.")] = False,
) -> None:
    """Run the box until Ctrl-C or SIGTERM; one line an event goes to stdout."""
    from devices.agent.config import BoxError
    from devices.agent.sound.output import OutputError

    logging.basicConfig(
        stream=sys.stdout,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    try:
        asyncio.run(_run(directory, output))
    except (BoxError, OutputError) as error:
        _refuse(error)


async def _run(directory: Path, output: str | None) -> None:
    from devices.agent.cabinet.watchdog import Supervisor
    from devices.agent.run import Surroundings
    from devices.agent.run import run as run_box
    from devices.link import connect

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    surroundings = Surroundings(connect=connect, supervisor=Supervisor.of(os.environ))
    await run_box(directory, output, surroundings=surroundings, stop=stop)


def _refuse(error: Exception) -> NoReturn:
    typer.echo(f"loa box: {error}", err=True)
    raise typer.Exit(2) from error


@app.command("log")
def print_log(directory: Annotated[Path, _DIRECTORY]) -> None:
    """Print the receipts that the box holds, and whether their chain is whole; exit with 1 if it is not."""
    from devices.agent.config import BoxError, load
    from devices.agent.memory.log import lines, reading, verify

    try:
        config = load(directory)
        box = config.pinned.box
        with reading(config.layout.outbox) as database:
            for line in lines(database, box):
                print(line)
            whole, sentence = verify(database, box)
    except BoxError as error:
        _refuse(error)
    print(sentence)
    raise typer.Exit(0 if whole else 1)
