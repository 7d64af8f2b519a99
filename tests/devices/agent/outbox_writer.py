"""A process that uses an outbox until it is killed: ``python -m tests.devices.agent.outbox_writer FILE KIND COUNT``."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devices.agent.memory.database import Database
from devices.agent.memory.ledger import Entry, Event, State
from devices.agent.memory.outbox import Outbox
from devices.messages import Outcome
from tests.fakes.clock import START

BOX = "box-1"


async def write(outbox: Outbox, n: int) -> None:
    """Say two things about slot ``n`` and write down that it is over."""
    said = [Event(outcome=each, at=START, slot=str(n)) for each in (Outcome.STARTED, Outcome.FINISHED)]
    await outbox.commit(said, {str(n): Entry(state=State.FINISHED, ends=START, shift_s=float(n))})


async def main(path: Path, kind: str, count: int) -> None:
    # strace counts the calls of each thread: all of the outbox's are to be one thread's.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    database = Database(path)
    async with Outbox(database, BOX, most_held=6 if kind == "full" else 10_000) as outbox:
        print("open", flush=True)
        first = len(outbox.ledger)
        for n in range(first, first + count):
            await write(outbox, n)
            print(n, flush=True)
            if kind == "acknowledged" and n % 2:
                sent = (await outbox.batch(0)).receipts
                await outbox.acknowledge(sent[-1].sequence - 1)
    await asyncio.to_thread(database.close)
    print("closed", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
