"""``loa``: the command line. Each command imports its own: a box needs no server package, and none starts slowly."""

import asyncio
import logging
import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from devices.agent.cli import app as box

if TYPE_CHECKING:
    from broadcaster.config import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Smart public-address broadcast scheduling.",
)
official = typer.Typer(no_args_is_help=True, help="The people who may speak.")
app.add_typer(box, name="box")
app.add_typer(official, name="official")

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Settings file; default: config.toml here, if it is there.")
]


@app.command()
def serve(config: ConfigFile = None) -> None:
    """Run the server: API, scheduler, publisher and, unless told otherwise, the MQTT broker."""
    settings = _settings(config)
    _log_to_stderr(settings.log.level)
    from broadcaster.app import serve as run
    from broadcaster.errors import CannotStart
    from broadcaster.store.port import StoreError

    try:
        asyncio.run(run(settings))
    except (CannotStart, StoreError) as error:
        _refuse(error)
    except BaseExceptionGroup as group:
        _refuse(_first(group))


@app.command()
def demo(config: ConfigFile = None) -> None:
    """Run a demo commune: a server, three boxes as processes, and an announcement that is heard within a minute."""
    settings = _settings(config)
    from broadcaster.children import ChildError
    from broadcaster.demo import run as run_demo
    from broadcaster.errors import CannotStart
    from broadcaster.remote import RemoteError
    from broadcaster.store.port import StoreError

    try:
        run_demo(settings, config)
    except (CannotStart, StoreError, ChildError, RemoteError) as error:
        _refuse(error)


@app.command()
def simulate(
    boxes: Annotated[int, typer.Option("--boxes", min=1, max=20_000, help="How many.")] = 100,
    server: Annotated[
        str | None, typer.Option("--server", metavar="URL", help="A server that runs; default: one of its own.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="The admin to sign in as, at --server.")] = "admin",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the admin's password from standard input instead of asking.")
    ] = False,
    zone: Annotated[str, typer.Option("--zone", help="Where clusters are added for the boxes.")] = "simulation",
    directory: Annotated[Path, typer.Option("--dir", help="Keeps the boxes for the next time.")] = Path(
        "data/simulation"
    ),
    weather: Annotated[str, typer.Option("--weather", metavar="calm|rough|storm", help="What goes wrong.")] = "calm",
    seed: Annotated[int, typer.Option("--seed", help="The same weather again.")] = 1,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.1, help="Default: until Ctrl-C.")] = None,
) -> None:
    """Run many boxes in one process: the real agent, silent, in weather that can be chosen."""
    from broadcaster import simulate as simulation
    from broadcaster.children import ChildError
    from broadcaster.remote import RemoteError
    from devices.agent.config import BoxError

    if weather not in simulation.HASTE:
        _refuse(ValueError(f"there is no weather {weather!r}; take {', '.join(simulation.HASTE)}"))
    password = ""
    if server is not None:
        password = sys.stdin.readline().rstrip("\n") if password_stdin else typer.prompt("Password", hide_input=True)
    logging.basicConfig(level="ERROR", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asked = simulation.Asked(
        boxes=boxes,
        directory=directory.absolute(),
        server=server,
        name=name,
        password=password,
        zone=zone,
        weather=weather,
        seed=seed,
        minutes=minutes,
    )
    try:
        simulation.run(asked)
    except (simulation.CannotSimulate, ChildError, RemoteError, BoxError) as error:
        _refuse(error)


@app.command()
def timeline(
    context: typer.Context,
    cluster: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A cluster; may be repeated. Default: all.")
    ] = None,
    zone: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A zone with all below it; may be repeated.")
    ] = None,
    tonight: Annotated[bool, typer.Option("--tonight", help="From 18:00, or now if it is later, to 06:00.")] = False,
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Local: 2026-12-24T17:00, 2026-12-24 or 17:00. Default: now."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Default: a day after --from.")] = None,
    programme: Annotated[
        str | None,
        typer.Option("--with", metavar="FILE", help="A programme to try, as for POST /programmes; -: standard input."),
    ] = None,
    language: Annotated[str | None, typer.Option(metavar="vi|en", help="Default: as the locale says.")] = None,
    config: ConfigFile = None,
) -> None:
    """Show what clusters will say when, and why not otherwise; or what one programme more would change.

    Reads the data directory, whether the server runs or not; changes nothing.

    Exit status: 2, something asked for cannot be; 3, the programme to try would not be heard even once.
    """
    settings = _settings(config)
    from broadcaster.listings.answering import listing
    from broadcaster.listings.asking import CannotShow, Question, language_of
    from broadcaster.store.port import StoreError

    if language not in (None, "vi", "en"):
        _refuse(ValueError(f"there is no language {language!r} here; take vi or en"))
    question = Question(
        clusters=tuple(cluster or ()),
        zones=tuple(zone or ()),
        tonight=tonight,
        begin=begin,
        end=end,
        source=programme,
        language=language or language_of(os.environ),
    )
    clock = context.obj or (lambda: datetime.now(UTC))  # whoever calls this as a function may pass one
    try:
        found = listing(question, settings, stdin=getattr(sys.stdin, "buffer", None), now=clock())
    except (CannotShow, StoreError) as error:
        _refuse(error)
    typer.echo("\n".join(found.lines))
    if found.all_stopped:
        raise typer.Exit(3)


@app.command("config")
def show_config(config: ConfigFile = None) -> None:
    """Print every setting that is in force; exit with 2 and all mistakes if the configuration has any."""
    for section, values in _settings(config).model_dump(mode="json").items():
        print(f"[{section}]")
        for key, value in values.items():
            print(f"{key} = {value!r}" if isinstance(value, str) else f"{key} = {value}")


@official.command("add")
def add_official(
    name: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[str, typer.Option("--role", help="admin or official.")] = "official",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Add an official to the data directory; the server may be running or not."""
    settings = _settings(config)
    from broadcaster.flow import sign_in
    from broadcaster.store.directory import usable
    from broadcaster.store.port import StoreError
    from broadcaster.store.records import Role
    from broadcaster.store.tiny import TinyDefinitions
    from schedules.errors import DomainError

    if role not in list(Role):
        _refuse(ValueError(f"there is no role {role!r}; take {' or '.join(Role)}"))
    password = sys.stdin.readline().rstrip("\n") if password_stdin else typer.prompt("Password", hide_input=True)
    try:
        with closing(TinyDefinitions(usable(settings.data.dir.absolute()))) as definitions:
            sign_in.add_official(
                name, role=Role(role), password=password, definitions=definitions, now=datetime.now(UTC)
            )
    except (DomainError, StoreError) as error:
        _refuse(error)
    print(f"official added name={name} role={role}")


def _settings(path: Path | None) -> "Settings":
    try:
        from broadcaster.config import ConfigError, load
    except ModuleNotFoundError as error:
        _refuse(RuntimeError(f"the package {error.name} is missing; install the server: pip install 'loa[server]'"))
    try:
        return load(path)
    except ConfigError as error:
        _refuse(error)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("apscheduler", "uvicorn", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first cause in a group of errors, as deep as it lies."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


def _refuse(error: BaseException) -> NoReturn:
    from broadcaster.errors import CannotStart

    known = isinstance(error, ValueError | RuntimeError) or hasattr(error, "code") or isinstance(error, CannotStart)
    if not known:
        raise error
    typer.echo(f"loa: {error}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
