"""Which outputs there are, and how one is had by its name."""

from collections.abc import Callable
from pathlib import Path

from devices.agent.clock import Clock
from devices.agent.output import Output, OutputError


def open_output(spec: str, *, clock: Clock, changed: Callable[[], None]) -> Output:
    """Return the output that ``spec`` names: ``device``, ``device:NAME``, ``wav:PATH`` or ``null``.

    Args:
        spec: as above.
        clock: what the sound is laid on.
        changed: called from any thread when a slot begins to be heard.

    Raises:
        OutputError: no such kind of output, or it needs something that is not installed.
    """
    kind, _, rest = spec.partition(":")
    # Each import costs a box memory that another output does not need (numpy 13 MB, PortAudio 20 MB).
    if kind == "null" and not rest:
        from devices.agent.null import NullOutput  # noqa: PLC0415

        return NullOutput()
    if kind == "wav" and rest:
        from devices.agent.wav import WavOutput  # noqa: PLC0415

        return WavOutput(Path(rest), clock=clock, changed=changed)
    if kind == "device":
        from devices.agent.device import DeviceOutput  # noqa: PLC0415

        return DeviceOutput(rest or None, clock=clock, changed=changed)
    raise OutputError(f"{spec!r} is no output; choose device, device:NAME, wav:PATH or null.")
