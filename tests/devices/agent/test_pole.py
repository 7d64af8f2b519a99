"""A simulated pole: its box lives while it has power, and another life begins when that comes back."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from devices.agent.config import BoxConfig, Layout
from devices.agent.memory.database import Database
from devices.envelope import SigningKey
from devices.link import Address
from devices.simulation.pole import Pole, Tally
from devices.simulation.weather import Fault, Kind
from tests.devices.agent.conftest import Site, running


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


@running
async def test_a_power_cut_ends_a_life_and_the_next_begins_when_power_is_back(tmp_path: Path, site: Site) -> None:
    config = BoxConfig(
        layout=Layout(tmp_path),
        server="http://127.0.0.1:9",
        broker=Address(host="127.0.0.1", port=9),
        pinned=site.pinned,
        key=SigningKey.generate(),
    )
    cut = Fault(kind=Kind.POWER_CUT, begin_s=0, end_s=1, box=site.pinned.box)
    stop = asyncio.Event()
    with Database(tmp_path / "boxes.db") as database:
        pole = Pole(config, database, Tally(), seed=1)
        life = asyncio.create_task(pole.live(stop))
        for _ in range(3):
            await until(lambda: pole.status is not None)
            pole.feel(cut, begins=True)
            await until(lambda: pole.status is None)
            pole.feel(cut, begins=False)
        stop.set()
        async with asyncio.timeout(5):
            await life
