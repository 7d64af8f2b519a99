"""Runs a command of ``box.toml``: bounded in time and in what it may say, and never left behind."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

LIMIT_S: Final = 5.0
"""A command that takes longer is killed, with every process that it started."""
_DEATH_S: Final = 1.0
MOST_BYTES: Final = 4096
"""What it prints beyond this is not read."""


class CommandError(Exception):
    """A command of ``box.toml`` did not do its work; the message says which and how."""


class Run(Protocol):
    """How a command is run."""

    async def __call__(self, command: Sequence[str]) -> str:
        """Run ``command`` and return what it printed.

        Raises:
            CommandError: it cannot be started, failed, or took too long.
        """
        ...


async def run(command: Sequence[str], *, limit_s: float = LIMIT_S) -> str:
    """Run ``command`` without a shell and return the beginning of what it printed.

    What it leaves running when it ends by itself stays: some hold a relay that way. Cancelling kills it.

    Raises:
        CommandError: it is missing, ended with a status other than 0, or took longer than ``limit_s``.
    """
    try:
        read, write = os.pipe()
    except OSError as error:  # too many open files
        raise CommandError(f"{command[0]} cannot be started: {error}") from error
    try:
        try:
            process = await _start(command, write)
        finally:
            os.close(write)
        try:
            async with asyncio.timeout(limit_s):
                status = await process.wait()
        except TimeoutError as error:
            raise CommandError(f"{command[0]} took longer than {limit_s:g} s and was killed") from error
        finally:
            await _end(process)
        if status:
            raise CommandError(f"{command[0]} ended with status {status}")
        os.set_blocking(read, False)
        with suppress(BlockingIOError):  # it said nothing, and what it left running may still say something
            return os.read(read, MOST_BYTES).decode(errors="replace")
        return ""
    finally:
        os.close(read)


async def _start(command: Sequence[str], out: int) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            # Our own pipe, never read while it runs: asyncio's readers do not see the end of a process that prints
            # faster than they read. One that prints more than a pipe holds (64 KiB) stops there and is killed.
            stdout=out,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # what it starts can be killed with it
        )
    except (OSError, ValueError) as error:  # a program that is not there; an argument with a zero byte
        raise CommandError(f"{command[0]} cannot be started: {error}") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(TimeoutError):  # hardware that hangs keeps even a killed process
            async with asyncio.timeout(_DEATH_S):
                await process.wait()
