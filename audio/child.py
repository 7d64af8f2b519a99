"""A program that works for us: bounded in time, memory and processor, listened to, never left behind.

Limits are set from outside with ``prlimit(2)`` just after the start: code between fork and exec is not safe in a
process with threads, and a wrapper program costs its own start. The child leads a process group of its own, so a
Ctrl-C meant for the server does not cut a rendition short. If the server itself is killed, a child that writes to us
ends with the next write to the closed pipe, any other when its work or its processor time is done.
"""

import os
import resource
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Final, Self

from audio.errors import SoundError, failed

__all__ = ["Bounds", "Cancelled", "Child", "listen", "stop_if"]

Cancelled = Callable[[], bool]

_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
_TAIL_BYTES: Final = 8192
_LOOK_S: Final = 0.1
"""How often ``cancelled`` and the time limit are looked at while a child says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a child may use: wall time (and as much processor time), address space, size of any file it writes."""

    seconds: float
    memory_bytes: int
    file_bytes: int = 0


class Child:
    """One running program. Leaving its ``with`` block kills it if it still runs.

    Args:
        command: Program and arguments; no shell sees them.
        stdin: Bytes come from a pipe (``subprocess.PIPE``) or from nowhere.
        keep_open: Descriptors that the child inherits under their own numbers.

    Raises:
        SoundError: ``sound_failed``: the program cannot be started. The installation's fault.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        bounds: Bounds,
        stdin: int = subprocess.DEVNULL,
        keep_open: Sequence[int] = (),
    ) -> None:
        self._bounds = bounds
        try:
            self._process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
                pass_fds=keep_open,
                process_group=0,
                bufsize=0,
            )
        except OSError as error:
            raise failed(f"{command[0]} cannot be started ({error.strerror})") from error
        self._limit()

    def _limit(self) -> None:
        if not hasattr(resource, "prlimit"):  # only Linux has it; elsewhere the time limit is what is left
            return
        limits = {
            resource.RLIMIT_AS: self._bounds.memory_bytes,
            resource.RLIMIT_CPU: int(self._bounds.seconds) + 1,
            resource.RLIMIT_FSIZE: self._bounds.file_bytes,
            resource.RLIMIT_CORE: 0,
        }
        with suppress(ProcessLookupError):  # it has already ended
            for kind, most in limits.items():
                resource.prlimit(self._process.pid, kind, (most, most))

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe to the child."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe from the child."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """What the child complains of."""
        assert self._process.stderr is not None
        return self._process.stderr

    def give(self, words: bytes) -> None:
        """Write all of ``words`` to the child.

        Raises:
            BrokenPipeError: The child reads no more.
        """
        rest = memoryview(words)
        while rest:
            rest = rest[self.stdin.write(rest) :]

    def wait(self) -> int:
        """Return the exit status, negative for a signal, of a child that has closed its pipes."""
        try:
            return self._process.wait(self._bounds.seconds)
        except subprocess.TimeoutExpired:
            raise failed(f"a child process did not end within {self._bounds.seconds:.0f} s") from None

    def kill(self) -> None:
        """End the child now. Nothing happens if it has ended."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def listen(
    streams: Mapping[str, IO[bytes]],
    *,
    seconds: float,
    cancelled: Cancelled,
    heard: Callable[[str, bytes], None] = lambda name, tail: None,
) -> Mapping[str, bytes]:
    """Read every stream to its end and return the last 8 KiB of each.

    ``heard`` is called with a stream's name and its last bytes whenever some have come.

    Raises:
        SoundError: ``cancelled``; ``sound_failed`` when it takes longer than ``seconds``.
    """
    tails = dict.fromkeys(streams, b"")
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for name, stream in streams.items():
            selector.register(stream, selectors.EVENT_READ, name)
        while selector.get_map():
            stop_if(cancelled)
            if time.monotonic() > deadline:
                raise failed(f"the work was not done within {seconds:.0f} s")
            for key, _ in selector.select(_LOOK_S):
                if chunk := os.read(key.fd, 1 << 16):
                    tails[key.data] = (tails[key.data] + chunk)[-_TAIL_BYTES:]
                    heard(key.data, tails[key.data])
                else:
                    selector.unregister(key.fileobj)
    return tails


def stop_if(cancelled: Cancelled) -> None:
    """Raise ``SoundError("cancelled")`` if the work is no longer wanted."""
    if cancelled():
        raise SoundError("cancelled", "The preparation of this sound was cancelled; nothing was kept.")
