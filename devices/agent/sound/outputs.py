"""Which outputs there are, and how one is had by its name."""

from collections.abc import Callable
from pathlib import Path

from devices.agent.sound.output import Output, OutputError
from devices.agent.timing.clock import Clock


def open_output(spec: str, *, clock: Clock, changed: Callable[[], None], delay_ms: float = 0.0) -> Output:
    """Return the output that ``spec`` names: ``device``, ``device:NAME``, ``wav:PATH`` or ``null``.

    Args:
        spec: as above.
        clock: what the sound is laid on.
        changed: called from any thread when a slot begins to be heard.
        delay_ms: milliseconds by which everything sounds later than planned; less than 0: earlier.

    Raises:
        OutputError: no such kind of output, or it needs something that is not installed.
    """
    kind, _, rest = spec.partition(":")
    # Each import costs a box memory that another output does not need (numpy 13 MB, PortAudio 20 MB).
    if kind == "null" and not rest:
        from devices.agent.sound.null import NullOutput  # noqa: PLC0415

        return NullOutput()
    if kind == "wav" and rest:
        from devices.agent.sound.wav import WavOutput  # noqa: PLC0415

        return WavOutput(Path(rest), clock=clock, changed=changed, delay_ms=delay_ms)
    if kind == "device":
        from devices.agent.sound.device import DeviceOutput  # noqa: PLC0415

        return DeviceOutput(rest or None, clock=clock, changed=changed, delay_ms=delay_ms)
    raise OutputError(f"{spec!r} is no output; choose device, device:NAME, wav:PATH or null.")
