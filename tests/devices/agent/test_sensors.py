"""Sensors: what a command prints becomes a value, and what it does not stays unknown. Commands are real ones."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.agent import settings
from devices.agent.cabinet import commands
from devices.agent.cabinet.commands import CommandError
from devices.agent.cabinet.sensors import Readings, Sensors, reading
from devices.messages import Outcome
from tests.devices.agent.conftest import MediaServer, Site, Sound, running, slot, until
from tests.devices.agent.test_run import Street, pass_time
from tests.fakes.clock import START, HandClock


def said(words: str) -> tuple[str, ...]:
    return ("printf", "%s", words)


@pytest.mark.parametrize(
    ("words", "step", "value"),
    [
        ("temp=48.3'C\n", 0.5, 48.5),
        ("48.3", 0.5, 48.5),
        ("-7.26 V", 0.1, -7.3),
        ("12.34 V of 13.8 V", 0.1, 12.3),
        (".5", 0.5, 0.5),
        ("1.2e1", 1.0, 12.0),
        ("-0.01", 0.5, 0.0),
        ("CSQ: -71,99", 1.0, -71.0),
        ("+4\n", 1.0, 4.0),
        ("", 0.5, None),
        ("no sensor", 0.5, None),
        ("nan", 0.5, None),
        ("NaN 5", 0.5, None),
        ("-inf", 0.5, None),
        ("1e300", 0.1, None),
        ("99999999", 0.1, None),
    ],
)
def test_the_first_number_counts_if_it_is_one(words: str, step: float, value: float | None) -> None:
    got = reading(words, step)
    assert got == value
    assert str(got) == str(value), "zero has no minus"


@given(st.text() | st.floats().map(str), st.sampled_from([0.5, 0.1, 1.0]))
def test_whatever_is_printed_is_a_number_or_unknown(words: str, step: float) -> None:
    value = reading(words, step)
    assert value is None or abs(value) <= 1e6


@given(st.floats(-200, 200), st.sampled_from([0.5, 0.1, 1.0]))
def test_a_value_is_off_by_half_a_step_at_most(number: float, step: float) -> None:
    value = reading(f"{number:f}", step)
    assert value is not None
    assert abs(value - number) <= step / 2 + 1e-6


class Cabinet:
    """Commands by name; each answers what the test last said, or fails."""

    def __init__(self) -> None:
        self.answers: dict[str, str | None] = {}
        self.asked: list[str] = []

    async def __call__(self, command: Sequence[str]) -> str:
        self.asked.append(command[0])
        answer = self.answers.get(command[0])
        if answer is None:
            raise CommandError(f"{command[0]} ended with status 1")
        return answer


ASKED = settings.Sensors.model_validate({"temperature": ["heat"], "signal": ["modem"], "every_s": 60})


async def after(sensors: Sensors, clock: HandClock, seconds: float) -> Readings:
    """Return the readings when ``seconds`` have passed."""
    import asyncio

    task = asyncio.create_task(sensors.run())
    try:
        for _ in range(round(seconds)):
            for _ in range(8):
                await asyncio.sleep(0)
            clock.turn(1)
        return sensors.readings
    finally:
        task.cancel()
        await asyncio.wait([task])


@running
async def test_only_what_has_a_command_is_known(clock: HandClock) -> None:
    cabinet = Cabinet()
    cabinet.answers = {"heat": "31.4", "modem": "-85.6 dBm"}
    readings = await after(Sensors(ASKED, clock=clock, run=cabinet), clock, 59)
    assert readings == Readings(temperature_c=31.5, supply_v=None, signal_dbm=-86.0)
    assert cabinet.asked == ["heat", "modem"]


@running
async def test_an_old_reading_is_not_kept_when_the_command_fails(
    clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    cabinet = Cabinet()
    cabinet.answers = {"heat": "31.4", "modem": "-85"}
    sensors = Sensors(ASKED, clock=clock, run=cabinet)
    assert (await after(sensors, clock, 5)).temperature_c == 31.5
    cabinet.answers = {"heat": None, "modem": "no carrier"}
    with caplog.at_level(logging.INFO):
        assert await after(sensors, clock, 200) == Readings()
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"], "told once, not each round"
        cabinet.answers = {"heat": "30", "modem": "-80"}
        assert (await after(sensors, clock, 5)).temperature_c == 30.0
    assert caplog.messages == [
        "sensor temperature_c unknown: heat ended with status 1",
        "sensor signal_dbm unknown: modem printed no number",
        "sensor temperature_c known again",
        "sensor signal_dbm known again",
    ]


@running
async def test_a_real_command_is_read() -> None:
    assert await commands.run(said("temp=48.3'C")) == "temp=48.3'C"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("false",), "false ended with status 1"),
        (("/nowhere/sensor",), "/nowhere/sensor cannot be started: "),
        (("kill-\0",), "cannot be started: "),
        (("sleep", "60"), "sleep took longer than 0.2 s and was killed"),
        (("sh", "-c", "echo 5; exec sleep 60 >&-"), "sh took longer than 0.2 s and was killed"),
        (("sh", "-c", "kill -9 $$"), "sh ended with status -9"),
    ],
)
@running
async def test_a_command_that_does_not_work_is_told(command: tuple[str, ...], expected: str) -> None:
    with pytest.raises(CommandError) as failed:
        await commands.run(command, limit_s=0.2)
    assert expected in str(failed.value)


@running
async def test_a_command_that_is_killed_leaves_no_child_behind(tmp_path: Path) -> None:
    note = tmp_path / "child"
    with pytest.raises(CommandError, match="took longer"):
        await commands.run(("sh", "-c", f"sleep 60 & echo $! > {note}; wait"), limit_s=0.3)
    status = Path(f"/proc/{note.read_text().strip()}/stat")
    await until(lambda: not status.exists() or ") Z " in status.read_text())


@running
async def test_one_that_prints_without_end_is_bounded() -> None:
    with pytest.raises(CommandError, match="took longer"):
        await commands.run(("yes",), limit_s=0.2)
    much = await commands.run(("sh", "-c", "yes 7 | head -c 60000"))
    assert len(much) == commands.MOST_BYTES


@running
async def test_what_a_command_leaves_running_stays_and_is_not_waited_for(tmp_path: Path) -> None:
    note = tmp_path / "child"
    assert await commands.run(("sh", "-c", f"sleep 60 & echo $! > {note}; echo 4")) == "4\n"
    os.kill(int(note.read_text()), signal.SIGKILL)


@running
async def test_a_cancelled_command_is_killed() -> None:
    task = asyncio.create_task(commands.run(("sleep", "60")))
    await asyncio.sleep(0.05)
    task.cancel()
    async with asyncio.timeout(2):
        await asyncio.wait([task])
    assert task.cancelled()


@running
async def test_no_shell_reads_a_command() -> None:
    assert await commands.run(("printf", "%s", "$HOME; echo 5")) == "$HOME; echo 5"


@running
async def test_the_status_of_a_whole_box_tells_what_its_cabinet_is_like(
    site: Site, media: MediaServer, tmp_path: Path, make_sound: Callable[[float, int], Sound], clock: HandClock
) -> None:
    street, sound, relay = Street(site, media, tmp_path / "box"), make_sound(1.5, 5), tmp_path / "relay"
    (tmp_path / "box" / "box.toml").write_text(
        f'[amplifier]\non = ["touch", "{relay}"]\noff = ["rm", "-f", "{relay}"]\n'
        '[sensors]\ntemperature = ["echo", "31.4"]\nsignal = ["false"]\n'
    )
    relay.touch()
    street.publish(slot("one", START + timedelta(seconds=60), (sound.digest, 1.5)), sound=sound)
    async with street.box("null", clock):
        await pass_time(clock, lambda: street.status.get("amplifier") == "off", step=0.01)
        assert not relay.exists()
        await pass_time(clock, lambda: street.status.get("temperature_c") == 31.5, step=0.05)
        assert street.status.keys().isdisjoint({"supply_v", "signal_dbm"})
        await pass_time(clock, lambda: street.status.get("amplifier") == "on", step=0.05)
        assert relay.exists()
        assert clock.now() >= START + timedelta(seconds=58)
        await pass_time(clock, lambda: street.status.get("amplifier") == "off", step=0.05)
        assert street.told("one") == [(Outcome.STARTED, None), (Outcome.FINISHED, None)]
        relay.touch()
    assert not relay.exists(), "it is switched off at the end"
