"""A 4G line: a TCP proxy that drops connections, at moments of its own or when told."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class FlakyLine:
    """Passes bytes on to ``target``, a port of this machine. The first ``drops`` connections are cut, then it holds."""

    def __init__(self, target: int, *, drops: int = 0, seed: int = 0) -> None:
        self.port = 0
        self.dropped = 0
        self._target = target
        self._lives = [random.Random(seed + number).uniform(0.02, 1.5) for number in range(drops)]
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()

    @contextmanager
    def up(self) -> Iterator["FlakyLine"]:
        thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), name="line")
        thread.start()
        try:
            assert self._ready.wait(5)
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(10)
            self._loop.close()

    def cut(self) -> None:
        """Cut every call at once."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for call in self._calls:
            call.cancel()

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as calls:

            def accept(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
                call = calls.create_task(self._call(near, back))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()
            server.close()
            self._cut()

    async def _call(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        life = self._lives.pop(0) if self._lives else None
        writers, pumps = [back], []
        try:
            with suppress(OSError):  # nobody listens there just now: this call ends at once
                far, forth = await asyncio.open_connection("127.0.0.1", self._target)
                writers.append(forth)
                pumps = [asyncio.create_task(_pump(near, forth)), asyncio.create_task(_pump(far, back))]
                ended, _ = await asyncio.wait(pumps, timeout=life, return_when=asyncio.FIRST_COMPLETED)
                self.dropped += not ended
        finally:
            for pump in pumps:
                pump.cancel()
            for writer in writers:
                writer.transport.abort()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass bytes on until either end closes the line."""
    with suppress(OSError):
        while chunk := await source.read(4096):
            target.write(chunk)
            await target.drain()
